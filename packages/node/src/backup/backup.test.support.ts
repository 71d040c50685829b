import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChainBackend, embeddedBackend, type RegtestChain } from '@rivulet/chain';
import { hexToBytes } from '@rivulet/core/bytes';
import {
  type Channel,
  type ChannelFormat,
  defaultAcceptPolicy,
  defaultOpeningLimits,
} from '@rivulet/core/channel';
import { openStorage } from '@rivulet/storage';
import { RivuletNode } from '../driver/node.js';
import type { Admission } from '../driver/nodeOptions.js';
import type { NodePart } from '../driver/nodePart.js';
import { until } from '../driver/pair.test.support.js';
import { defaultPaymentPolicy } from '../driver/paymentPolicy.js';
import { createLogger, silentLogger } from '../logging/logger.js';
import { claimStorage } from '../ownership.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { wordsToSeed } from '../wallet/index.js';
import type { ChannelBackups } from './channelBackups.js';
import { NodeBackups, type NodeBackupsOptions } from './nodeBackups.js';
import type { PeerStorageClient } from './peerStorageClient.js';
import { restoredBirthHeight } from './restoreFolder.js';

export const aliceWords = `${'abandon '.repeat(11)}about`;
export const bobWords = `${'legal winner thank year wave sausage worth useful legal winner thank yellow'}`;

const logger = process.env.DEBUG_NODE ? createLogger({ level: 'debug', to: 'stderr' }) : silentLogger;

export interface RunOptions {
  readonly backend?: ChainBackend;
  readonly birthHeight?: number;
  /** Where a live copy of the database is kept. */
  readonly copyFolder?: string;
  readonly backups?: Partial<NodeBackupsOptions>;
}

/** A node with its backups and a real folder, run as the daemon runs it. The time of the backups is the test's. */
export class BackedUpNode {
  readonly chain: RegtestChain;
  readonly words: string;
  dataDir: string;
  time = new ManualScheduler();
  nowMs = 1_700_000_000_000;
  /** The types of what was sent for the storage of peers. */
  readonly sent: string[] = [];
  node!: RivuletNode;
  backups!: NodeBackups;
  #running = false;

  constructor(chain: RegtestChain, words: string, dataDir = newFolder()) {
    this.chain = chain;
    this.words = words;
    this.dataDir = dataDir;
  }

  async run({ backend, birthHeight, copyFolder, backups = {} }: RunOptions = {}): Promise<this> {
    const storage = openStorage({
      path: join(this.dataDir, 'rivulet.db'),
      ...(copyFolder === undefined ? {} : { replica: { folder: copyFolder } }),
    });
    const { words, dataDir } = this;
    const seed = wordsToSeed(words);
    claimStorage(storage, { seed, network: 'regtest', wordsFile: 'words', dataDir });
    this.node = new RivuletNode({
      network: 'regtest',
      seed,
      storage,
      backend: backend ?? embeddedBackend(this.chain),
      reconnect: false,
      policy: {
        receive: { acceptKeysend: true, minAmountMsat: 1n },
        limits: defaultOpeningLimits,
        accept: defaultAcceptPolicy,
        maxDustExposureMsat: 50_000_000n,
        anchors: true,
        ...defaultPaymentPolicy,
        gossip: { enabled: false, checkFunding: false },
      },
      logger: logger.child({ node: this.words.slice(0, 5) }),
      parts: (node) => this.#parts(node, { seed, options: backups }),
      admission: admissionOf(() => this.files),
    });
    const birth = restoredBirthHeight(storage) ?? birthHeight;
    this.#running = true;
    await this.node.start({
      listen: { host: '127.0.0.1', port: 0 },
      ...(birth === undefined ? {} : { birthHeight: birth }),
    });
    return this;
  }

  #parts(
    node: RivuletNode,
    { seed, options }: { seed: Uint8Array; options: Partial<NodeBackupsOptions> },
  ): NodePart[] {
    this.backups = new NodeBackups({
      node,
      seed,
      dataDir: this.dataDir,
      scheduler: this.time,
      now: () => this.nowMs++,
      logger,
      ...options,
    });
    const { send } = node.peers;
    node.peers.send = (nodeId, messages) => {
      for (const { type } of messages)
        if (String(type).startsWith('peer_storage')) this.sent.push(String(type));
      return send.call(node.peers, nodeId, messages);
    };
    return [...this.backups.parts];
  }

  get files(): ChannelBackups {
    return this.backups.files;
  }

  get client(): PeerStorageClient {
    if (this.backups.atPeers === undefined) throw new Error('no storage with peers in this test');
    return this.backups.atPeers;
  }

  get channel(): Channel | undefined {
    return this.node.channels[0];
  }

  get phase(): string | undefined {
    return this.channel?.phase.name;
  }

  get confirmedSat(): bigint {
    return this.node.wallet.balance().confirmedSat;
  }

  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    await this.node.stop();
  }

  /** The machine is gone, and with it the folder; the next one has another. */
  async lose(): Promise<void> {
    await this.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
    this.dataDir = newFolder();
    this.time = new ManualScheduler();
  }
}

/** As the daemon has it, with nothing else that could be in the way. */
function admissionOf(backups: () => ChannelBackups): Admission {
  return {
    accepting: true,
    get whyNoChannels() {
      return backups().whyNoChannels();
    },
  };
}

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'rivulet-backup-'));
}

/** Alice and Bob on one chain, Alice with coins. */
export class BackupWorld {
  readonly chain: RegtestChain;
  readonly alice: BackedUpNode;
  readonly bob: BackedUpNode;

  constructor(chain: RegtestChain) {
    this.chain = chain;
    this.alice = new BackedUpNode(chain, aliceWords);
    this.bob = new BackedUpNode(chain, bobWords);
  }

  async start(options: { alice?: RunOptions } = {}): Promise<this> {
    await this.alice.run(options.alice);
    await this.bob.run();
    this.chain.mine({ blocks: 1, script: this.alice.node.wallet.newAddress().script });
    this.chain.mine({ blocks: 100 });
    await this.caughtUp();
    return this;
  }

  /** One that both can pay over, with 700,000 sat on Alice's side. */
  async open(commitment: ChannelFormat['commitment'] = 'anchors'): Promise<void> {
    const peer = await this.connect();
    await this.alice.node.openChannel({ peer, capacitySat: 1_000_000n, pushMsat: 300_000_000n, commitment });
    await this.mine(6);
    const isUsable = ({ phase, channel }: BackedUpNode) => phase === 'open' && channel?.link === 'online';
    await until(() => isUsable(this.alice) && isUsable(this.bob), 'the channel is usable');
  }

  connect() {
    const [address] = this.bob.node.listening;
    return this.alice.node.peers.connect({ nodeId: this.bob.node.nodeId, ...address! });
  }

  async pay(from: BackedUpNode, to: BackedUpNode, amountMsat: bigint): Promise<void> {
    const sent = from.node.payments.outgoing.keysend({
      destination: hexToBytes(to.node.nodeId),
      amountMsat,
      customRecords: new Map(),
    });
    await sent.outcome;
    const isQuiet = ({ channel }: BackedUpNode) =>
      channel?.htlcs.size === 0 && !channel.remoteCommit.awaitingRevocation;
    await until(() => isQuiet(this.alice) && isQuiet(this.bob), 'the payment is over');
  }

  async mine(blocks: number): Promise<void> {
    this.chain.mine({ blocks });
    await this.caughtUp();
  }

  async caughtUp(): Promise<void> {
    const height = this.chain.tip.height;
    await until(
      () => [this.alice, this.bob].every(({ node }) => node.blockHeight === height),
      'the blocks are seen',
    );
  }

  /** Mines until it holds: broadcasts take their time. */
  async mineUntil(holds: () => boolean, what: string): Promise<void> {
    for (let i = 0; i < 400 && !holds(); i++) {
      await new Promise((resolve) => setImmediate(resolve));
      await this.mine(1);
    }
    await until(holds, what);
  }

  async stop(): Promise<void> {
    for (const one of [this.alice, this.bob]) {
      await one.stop();
      rmSync(one.dataDir, { recursive: true, force: true });
    }
  }
}
