import { type ChainBackend, embeddedBackend, RegtestChain } from '@rivulet/chain';
import { hexToBytes } from '@rivulet/core/bytes';
import { type Channel, defaultAcceptPolicy, defaultOpeningLimits } from '@rivulet/core/channel';
import {
  type GossipStore,
  type NodeStorage,
  openMemoryGossipStore,
  openMemoryStorage,
  StorageError,
  type StorageTransaction,
} from '@rivulet/storage';
import { expect } from 'vitest';
import { checkInvariants } from '../health/invariants.js';
import { createLogger, silentLogger } from '../logging/logger.js';
import { RivuletNode } from './node.js';
import type { NodeOptions, NodePolicy } from './nodeOptions.js';
import { defaultPaymentPolicy } from './paymentPolicy.js';

const logger = process.env.DEBUG_NODE ? createLogger({ level: 'debug', to: 'stderr' }) : silentLogger;

/** A storage that can be told to fail, and that a node may "close" and another one take over: a restart. */
export class TestStorage {
  readonly memory = openMemoryStorage();
  /** The same for each process. */
  readonly gossip: GossipStore = Object.assign(openMemoryGossipStore(), { close: () => {} });
  /** Transactions fail: with the first write or, `before`, with none of their works run. */
  full: 'no' | 'before' | 'after' = 'no';
  /** Called inside every transaction, after its body: what it throws rolls back. */
  inspect: (tx: StorageTransaction) => void = () => {};
  /** Transactions that are left until the process "dies": of the last one all is stored, or nothing. */
  #dying: { left: number; how: 'before' | 'after' } | undefined;

  /** From the transaction of this number on, counted from 1, nothing happens any more: as in a crash. */
  dieAt(transaction: number, how: 'before' | 'after'): void {
    this.#dying = { left: transaction, how };
  }

  get dead(): boolean {
    return this.#dying !== undefined && this.#dying.left <= 0;
  }

  /** For the next process. */
  revive(): void {
    this.#dying = undefined;
  }

  get storage(): NodeStorage {
    const diskFull = () => new StorageError('disk_full', 'no room on the disk (a test)');
    return {
      ...this.memory,
      transaction: (body) => {
        const dying = this.#dying;
        if (dying !== undefined) {
          dying.left--;
          if (dying.left < 0 || (dying.left === 0 && dying.how === 'before')) throw diskFull();
        }
        const stored = this.memory.transaction((tx) => {
          if (this.full === 'before') throw diskFull();
          const result = body(tx);
          this.inspect(tx);
          if (this.full === 'after') throw diskFull();
          return result;
        });
        // All of it is stored, and whoever asked for it never hears of it.
        if (dying?.left === 0) throw diskFull();
        return stored;
      },
      close: () => {},
    };
  }
}

/** What a test changes of a node. */
export interface TestSettings extends Pick<NodeOptions, 'scheduler' | 'now' | 'parts' | 'admission'> {
  readonly policy?: Partial<NodePolicy>;
}

export interface TestNode {
  readonly node: RivuletNode;
  readonly store: TestStorage;
  readonly backend: ChainBackend;
}

/** A node on a chain that is shared; `seed` tells nodes apart, and makes the same one again. */
export async function startNode(
  chain: RegtestChain,
  {
    seed,
    store = new TestStorage(),
    backend = embeddedBackend(chain),
    anchors = true,
    reconnect = false,
    settings: { policy, ...settings } = {},
  }: {
    seed: number;
    store?: TestStorage;
    backend?: ChainBackend;
    anchors?: boolean;
    reconnect?: boolean;
    settings?: TestSettings;
  },
): Promise<TestNode> {
  const node = new RivuletNode({
    network: 'regtest',
    seed: new Uint8Array(64).fill(seed),
    storage: store.storage,
    gossipStore: store.gossip,
    backend,
    reconnect,
    ...settings,
    policy: {
      receive: { acceptKeysend: true, minAmountMsat: 1n },
      limits: defaultOpeningLimits,
      accept: defaultAcceptPolicy,
      maxDustExposureMsat: 50_000_000n,
      anchors,
      ...defaultPaymentPolicy,
      gossip: { enabled: true, checkFunding: true, limits: { relayIntervalMs: 20 } },
      ...policy,
    },
    logger: logger.child({ node: seed }),
  });
  await node.start({ listen: { host: '127.0.0.1', port: 0 } });
  return { node, store, backend };
}

/** What must never be so is not so, whatever a test did with a node. */
export function expectSound(node: RivuletNode): void {
  expect(checkInvariants(node.checkedState)).toEqual([]);
}

export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Two nodes, the first with coins, and how to reach them. */
export class Pair {
  readonly chain = new RegtestChain({});
  alice!: TestNode;
  bob!: TestNode;

  static async start(
    options: { anchors?: boolean; reconnect?: boolean; settings?: TestSettings } = {},
  ): Promise<Pair> {
    const pair = new Pair();
    pair.alice = await startNode(pair.chain, { seed: 1, ...options });
    pair.bob = await startNode(pair.chain, { seed: 2, ...options });
    const { script } = pair.alice.node.wallet.newAddress();
    pair.chain.mine({ blocks: 101, script });
    await pair.caughtUp();
    return pair;
  }

  /** The same with a channel that both can pay over. */
  static async withChannel(options: { anchors?: boolean; reconnect?: boolean } = {}): Promise<Pair> {
    const pair = await Pair.start(options);
    await pair.open();
    await pair.mine(6);
    await pair.usable();
    return pair;
  }

  async connect() {
    const [address] = this.bob.node.listening;
    return this.alice.node.peers.connect({ nodeId: this.bob.node.nodeId, ...address! });
  }

  async open(): Promise<Channel> {
    const peer = await this.connect();
    return this.alice.node.openChannel({ peer, capacitySat: 1_000_000n, pushMsat: 300_000_000n });
  }

  async mine(blocks: number): Promise<void> {
    this.chain.mine({ blocks });
    await this.caughtUp();
  }

  /** Whether the mempool or the chain has spent the channel's funding output. */
  get closing(): boolean {
    const [channel] = this.alice.node.channels;
    return this.chain.unspent(channel!.params.fundingOutpoint, { mempool: true }) === undefined;
  }

  async caughtUp(): Promise<void> {
    const nodes = [this.alice.node, this.bob.node];
    await until(
      () => nodes.every((node) => node.blockHeight === this.chain.tip.height),
      'the blocks are seen',
    );
  }

  async usable(): Promise<void> {
    const isUsable = ({ node }: TestNode) =>
      node.channels.some(({ phase, link }) => phase.name === 'open' && link === 'online');
    await until(() => isUsable(this.alice) && isUsable(this.bob), 'the channel is usable');
  }

  pay(from: TestNode, to: TestNode, amountMsat = 1_000_000n) {
    return from.node.payments.outgoing.keysend({
      destination: hexToBytes(to.node.nodeId),
      amountMsat,
      customRecords: new Map(),
    });
  }

  async restart(which: 'alice' | 'bob'): Promise<void> {
    const { node, store } = this[which];
    await node.stop();
    this[which] = await startNode(this.chain, { seed: which === 'alice' ? 1 : 2, store });
  }

  async stop(): Promise<void> {
    for (const { node } of [this.alice, this.bob]) expectSound(node);
    await this.alice.node.stop();
    await this.bob.node.stop();
  }
}
