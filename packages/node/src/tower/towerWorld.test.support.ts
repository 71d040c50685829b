import { embeddedBackend, type RegtestChain } from '@rivulet/chain';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { type Channel, completeLocalCommitment } from '@rivulet/core/channel';
import { sha256 } from '@rivulet/core/crypto';
import { decodeInvoice } from '@rivulet/core/invoice';
import { deriveTowerUser } from '@rivulet/core/tower';
import type { Transaction } from '@rivulet/core/tx';
import { openMemoryTowerStore, type StoredAppointment, type TowerStore } from '@rivulet/storage';
import type { RivuletNode } from '../driver/node.js';
import { Pair, startNode, type TestNode, until } from '../driver/pair.test.support.js';
import { Signers } from '../driver/signers.js';
import { createLogger, silentLogger } from '../logging/index.js';
import { systemScheduler } from '../peers/index.js';
import { deriveNodeSecrets } from '../wallet/index.js';
import { TowerClient, type TowerClientOptions } from './client/towerClient.js';
import { startTowerServer, type TowerServer, type TowerServerOptions } from './server/towerServer.js';

const logger = process.env.DEBUG_NODE ? createLogger({ level: 'debug', to: 'stderr' }) : silentLogger;

export function signersOf(seed: number): Signers {
  return new Signers(deriveNodeSecrets(new Uint8Array(64).fill(seed), 'regtest').channelSeed);
}

const clientSecret = (seed: number) => sha256(Uint8Array.of(seed));

function towerClientOf(
  node: RivuletNode,
  { seed, ...more }: { seed: number } & Partial<TowerClientOptions>,
): TowerClient {
  return new TowerClient({
    turns: node.turns,
    storage: node.storage,
    signers: signersOf(seed),
    secret: clientSecret(seed),
    newScript: (tx) => node.wallet.newAddress({ tx }).script,
    blockHeight: () => node.blockHeight,
    estimateFeeratePerKw: () => node.backend.estimateFeeratePerKw(3),
    scheduler: systemScheduler,
    now: () => 1_700_000_000_000,
    random: () => 0,
    logger,
    ...more,
  });
}

/** A tower on a chain, whose file outlives it. */
export class TestTower {
  server!: TowerServer;
  readonly key: Uint8Array;
  readonly store: TowerStore;
  readonly #chain: RegtestChain;
  readonly #options: Partial<TowerServerOptions>;

  constructor(chain: RegtestChain, { seed, ...options }: { seed: number } & Partial<TowerServerOptions>) {
    this.#chain = chain;
    this.key = sha256(Uint8Array.of(99, seed));
    this.store = openMemoryTowerStore();
    this.#options = options;
  }

  async start(port = 0): Promise<void> {
    this.server = await startTowerServer({
      store: { ...this.store, close: () => {} },
      privateKey: this.key,
      backend: embeddedBackend(this.#chain),
      host: '127.0.0.1',
      port,
      logger,
      ...this.#options,
    });
    await this.server.synced();
  }

  /** The same tower in a new process, where it was. */
  async restart(): Promise<void> {
    const { port } = this.server;
    await this.server.close();
    await this.start(port);
  }

  get uri(): string {
    return `127.0.0.1:${this.server.port}/${this.server.towerId}`;
  }
}

/** Alice, whom towers watch for, and Bob, who cheats. */
export class TowerWorld {
  readonly pair = new Pair();
  readonly towers: TestTower[] = [];
  client!: TowerClient;
  readonly anchors: boolean;
  #clientOptions: Partial<TowerClientOptions> = {};

  private constructor(anchors: boolean) {
    this.anchors = anchors;
  }

  static async start({
    anchors = true,
    towers = [{}],
    client = {},
  }: {
    anchors?: boolean;
    towers?: readonly Partial<TowerServerOptions>[];
    client?: Partial<TowerClientOptions>;
  } = {}): Promise<TowerWorld> {
    const world = new TowerWorld(anchors);
    world.#clientOptions = client;
    const { pair } = world;
    pair.alice = await world.#startAlice();
    pair.bob = await startNode(pair.chain, { seed: 2, anchors });
    pair.chain.mine({ blocks: 101, script: pair.alice.node.wallet.newAddress().script });
    await pair.caughtUp();
    for (const options of towers) await world.startTower(options);
    await pair.open();
    await pair.mine(6);
    await pair.usable();
    return world;
  }

  #startAlice(store?: TestNode['store']): Promise<TestNode> {
    return startNode(this.pair.chain, {
      seed: 1,
      anchors: this.anchors,
      ...(store === undefined ? {} : { store }),
      settings: {
        parts: (node) => {
          this.client = towerClientOf(node, { seed: 1, ...this.#clientOptions });
          return [this.client];
        },
      },
    });
  }

  get tower(): TestTower {
    return this.towers[0] as TestTower;
  }

  async startTower(options: Partial<TowerServerOptions>): Promise<void> {
    const tower = new TestTower(this.pair.chain, { seed: this.towers.length, ...options });
    await tower.start();
    this.towers.push(tower);
  }

  async addTowers(): Promise<void> {
    for (const tower of this.towers) await this.client.add(tower.uri);
  }

  /** Bob's channel as it is now: his commitment in it is what he may cheat with later. */
  get bobsChannel(): Channel {
    return this.pair.bob.node.channels[0] as Channel;
  }

  commitmentOf(bobsChannel: Channel): Transaction {
    return completeLocalCommitment(bobsChannel, signersOf(2).of(bobsChannel.params.channelKeyId)).tx;
  }

  /** Until every tower was told all that Bob has revoked. */
  async told(): Promise<void> {
    await until(
      () => this.client.list().every(({ state }) => state === 'watching'),
      `the towers know all: ${JSON.stringify(this.client.list(), (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
    );
  }

  async pay(from: 'alice' | 'bob', amountMsat: bigint): Promise<void> {
    const { pair } = this;
    const to = from === 'alice' ? 'bob' : 'alice';
    await pair.pay(pair[from], pair[to], amountMsat).outcome;
    await this.quiet();
  }

  /** Bob pays an invoice that Alice holds; resolves when the HTLC is in both commitments. */
  async hold(amountMsat: bigint): Promise<{ cancel(): Promise<void> }> {
    const { alice, bob } = this.pair;
    const created = await alice.node.payments.invoices.create({
      amountMsat,
      description: 'held',
      hold: true,
    });
    const { outcome } = bob.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(created.bolt11) });
    outcome.catch(() => {});
    const { paymentHash } = created;
    await until(() => alice.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
    return {
      cancel: async () => {
        await alice.node.payments.receiver.cancel(paymentHash);
        await outcome.catch(() => {});
      },
    };
  }

  /** Until nothing is pending between Alice and Bob, and nothing older is unrevoked. */
  async quiet(): Promise<void> {
    const isQuiet = ({ node }: TestNode) =>
      node.channels.every(
        ({ htlcs, remoteCommit, unsignedChanges }) =>
          htlcs.size === 0 && !remoteCommit.awaitingRevocation && !unsignedChanges,
      );
    await until(() => isQuiet(this.pair.alice) && isQuiet(this.pair.bob), 'nothing is pending');
  }

  async stopAlice(): Promise<void> {
    await this.pair.alice.node.stop();
  }

  async restartAlice(): Promise<void> {
    this.pair.alice = await this.#startAlice(this.pair.alice.store);
  }

  /** Alice again, out of her database, connected to Bob. */
  async reconnectAlice(): Promise<void> {
    await this.pair.alice.node.stop();
    await this.restartAlice();
    await this.pair.connect();
    await this.pair.usable();
  }

  /** Mines one block after another, and waits for the towers alone. */
  async mine(blocks = 1): Promise<void> {
    for (let i = 0; i < blocks; i++) {
      this.pair.chain.mine();
      for (const { server } of this.towers) await server.synced();
    }
  }

  /** A block whose miner took none of what waits. */
  async mineEmpty(): Promise<void> {
    this.pair.chain.mine({ transactions: 'none' });
    for (const { server } of this.towers) await server.synced();
  }

  /** What an output script has in the chain. */
  balanceSat(script: Uint8Array): bigint {
    const wanted = bytesToHex(script);
    let sum = 0n;
    for (const [, coin] of this.pair.chain.coins())
      if (bytesToHex(coin.script) === wanted) sum += coin.valueSat;
    return sum;
  }

  /** As whom the first tower knows Alice. */
  get userIds(): Uint8Array[] {
    const towerId = hexToBytes(this.tower.server.towerId);
    return [0, 1, 2].map((index) => deriveTowerUser({ secret: clientSecret(1), towerId, index }).userId);
  }

  /** Gives the first tower an appointment, as its user did. */
  async resend({ locator, encryptedBlob, toSelfDelay, userSignature }: StoredAppointment): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.tower.server.port}/add_appointment`, {
      method: 'POST',
      body: JSON.stringify({
        appointment: {
          locator: bytesToHex(locator),
          encrypted_blob: bytesToHex(encryptedBlob),
          to_self_delay: toSelfDelay,
        },
        signature: userSignature,
      }),
    });
    if (response.status !== 200) throw new Error(`the tower answered ${response.status}`);
  }

  get penaltyScript(): Uint8Array {
    const script = this.pair.alice.store.memory.getValue('tower-script');
    if (script === undefined) throw new Error('no penalty was made yet');
    return script;
  }

  async stop(): Promise<void> {
    for (const { server } of this.towers) await server.close();
    await this.pair.alice.node.stop().catch(() => {});
    await this.pair.bob.node.stop();
  }
}
