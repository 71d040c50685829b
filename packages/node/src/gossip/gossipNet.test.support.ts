import type { ChainBlock, ChainTip } from '@rivulet/chain';
import { bytesToHex, compareBytes, concatBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  type ChannelUpdateFields,
  createChannelAnnouncement,
  createChannelUpdate,
  createNodeAnnouncement,
} from '@rivulet/core/gossip';
import { NetworkGraph } from '@rivulet/core/graph';
import { fundingScript, type Outpoint, type Transaction, txid } from '@rivulet/core/tx';
import {
  type ChannelAnnouncement,
  type ChannelUpdate,
  createFeatures,
  decodeMessage,
  encodeMessage,
  type Message,
  type NodeAnnouncement,
  toShortChannelId,
  type UnknownMessage,
} from '@rivulet/core/wire';
import { type GossipStore, openMemoryGossipStore } from '@rivulet/storage';
import { silentLogger } from '../logging/logger.js';
import type { PeerInfo } from '../peers/peerManager.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import type { GossipLimits } from './gossipLimits.js';
import { type GossipChain, isGossip, type OwnChannel } from './gossipPorts.js';
import { GossipService } from './gossipService.js';

export const chainHash = new Uint8Array(32).fill(6);
export const startSeconds = 1_770_000_000;

const features = createFeatures({
  compulsory: ['varOnionOptin', 'staticRemotekey', 'paymentSecret'],
  optional: ['gossipQueries', 'gossipQueriesEx'],
});
const plainFeatures = createFeatures({
  compulsory: ['varOnionOptin', 'staticRemotekey', 'paymentSecret'],
});

/** Keys of a node of its own for each label. */
export function keysOf(label: string) {
  const nodeKey = sha256(new TextEncoder().encode(`node ${label}`));
  const bitcoinPrivateKey = sha256(new TextEncoder().encode(`bitcoin ${label}`));
  const sign = (hash: Uint8Array) => secp256k1.sign(hash, nodeKey);
  const nodeId = secp256k1.publicKey(nodeKey);
  return {
    label,
    nodeKey,
    nodeId,
    nodeIdHex: bytesToHex(nodeId),
    sign,
    end: {
      nodeId,
      bitcoinKey: secp256k1.publicKey(bitcoinPrivateKey),
      signWithNodeKey: sign,
      signWithBitcoinKey: (hash: Uint8Array) => secp256k1.sign(hash, bitcoinPrivateKey),
    },
  };
}

export type Keys = ReturnType<typeof keysOf>;

/** A chain in memory, without rules. */
export class TestChain implements GossipChain {
  blocks: ChainBlock[] = [];
  /** What getBlock was asked for. */
  readonly asked: number[] = [];
  /** While it is set the backend fails. */
  broken = false;
  readonly #listeners = new Set<(tip: ChainTip) => void>();
  readonly #outputs = new Map<string, Transaction['outputs']>();
  readonly #spent = new Set<string>();
  #indexed = 0;
  #nonce = 0;

  constructor(height = 100) {
    for (let i = 0; i <= height; i++) this.mine();
  }

  get height(): number {
    return this.blocks.length - 1;
  }

  mine(...transactions: Transaction[]): ChainBlock {
    const height = this.blocks.length;
    const previousHash = this.blocks.at(-1)?.hash ?? new Uint8Array(32);
    const hash = sha256(concatBytes(previousHash, Uint8Array.of(height & 255, this.#nonce++ & 255)));
    const header = { version: 1, previousHash, merkleRoot: new Uint8Array(32), time: 0, bits: 0, nonce: 0 };
    const coinbase: Transaction = { version: 2, lockTime: height, inputs: [], outputs: [] };
    const block = { height, hash, header, transactions: [coinbase, ...transactions] };
    this.blocks.push(block);
    this.#tell();
    return block;
  }

  mineEmpty(count: number): void {
    for (let i = 0; i < count; i++) this.mine();
  }

  /** Replaces the last blocks by as many and one more. */
  reorganise(depth: number, transactions: readonly (readonly Transaction[])[] = []): void {
    this.blocks = this.blocks.slice(0, -depth);
    for (let i = 0; i <= depth; i++) this.mine(...(transactions[i] ?? []));
  }

  #index(): void {
    this.#outputs.clear();
    this.#spent.clear();
    this.#indexed = this.blocks.length;
    for (const tx of this.blocks.flatMap(({ transactions }) => transactions)) {
      this.#outputs.set(bytesToHex(txid(tx)), tx.outputs);
      for (const { outpoint } of tx.inputs) this.#spent.add(`${bytesToHex(outpoint.txid)}:${outpoint.index}`);
    }
  }

  #tell(): void {
    const { height, hash } = this.blocks.at(-1) as ChainBlock;
    for (const listener of this.#listeners) listener({ height, hash });
  }

  #require(): void {
    if (this.broken) throw new Error('the backend is broken for this test');
  }

  async getTip(): Promise<ChainTip> {
    this.#require();
    const { height, hash } = this.blocks.at(-1) as ChainBlock;
    return { height, hash };
  }

  async getBlockHash(height: number): Promise<Uint8Array | undefined> {
    this.#require();
    return this.blocks[height]?.hash;
  }

  async getBlock(at: number | Uint8Array): Promise<ChainBlock | undefined> {
    this.#require();
    if (typeof at !== 'number') return this.blocks.find(({ hash }) => compareBytes(hash, at) === 0);
    this.asked.push(at);
    return this.blocks[at];
  }

  async getTxOut({ txid: id, index }: Outpoint) {
    this.#require();
    const key = bytesToHex(id);
    if (this.blocks.length !== this.#indexed) this.#index();
    if (this.#spent.has(`${key}:${index}`)) return undefined;
    const output = this.#outputs.get(key)?.[index];
    if (output === undefined) return undefined;
    return { ...output, confirmations: 1, coinbase: false };
  }

  onTip(listener: (tip: ChainTip) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A channel between two nodes that is on the chain. */
export interface TestChannel {
  readonly a: Keys;
  readonly b: Keys;
  readonly shortChannelId: bigint;
  readonly announcement: ChannelAnnouncement;
  readonly tx: Transaction;
}

export function fundingTx(a: Keys, b: Keys, salt = 0): Transaction {
  const script = fundingScript(a.end.bitcoinKey, b.end.bitcoinKey);
  return { version: 2, lockTime: salt, inputs: [], outputs: [{ valueSat: 1_000_000n, script }] };
}

export function announcementOf(a: Keys, b: Keys, shortChannelId: bigint): ChannelAnnouncement {
  return createChannelAnnouncement({ chainHash, shortChannelId, ends: [a.end, b.end] });
}

let salts = 0;

/** Opens channels in one block, with `confirmations`. */
export function openChannels(
  chain: TestChain,
  pairs: readonly [Keys, Keys][],
  confirmations = 6,
): TestChannel[] {
  const transactions = pairs.map(([a, b]) => fundingTx(a, b, ++salts));
  const { height } = chain.mine(...transactions);
  chain.mineEmpty(confirmations - 1);
  return pairs.map(([a, b], index) => {
    const shortChannelId = toShortChannelId({ blockHeight: height, txIndex: index + 1, outputIndex: 0 });
    const tx = transactions[index] as Transaction;
    return { a, b, shortChannelId, announcement: announcementOf(a, b, shortChannelId), tx };
  });
}

export function spendOf({ tx }: TestChannel): Transaction {
  const outpoint = { txid: txid(tx), index: 0 };
  return {
    version: 2,
    lockTime: 0,
    inputs: [{ outpoint, scriptSig: new Uint8Array(0), sequence: 0, witness: [] }],
    outputs: [],
  };
}

export function updateOf(
  channel: Pick<TestChannel, 'a' | 'b' | 'shortChannelId'>,
  by: Keys,
  change: Partial<ChannelUpdateFields> = {},
): ChannelUpdate {
  const other = by.label === channel.a.label ? channel.b : channel.a;
  const fields: ChannelUpdateFields = {
    chainHash,
    shortChannelId: channel.shortChannelId,
    timestamp: startSeconds - 100,
    direction: compareBytes(by.nodeId, other.nodeId) < 0 ? 0 : 1,
    disabled: false,
    cltvExpiryDelta: 40,
    htlcMinimumMsat: 1n,
    htlcMaximumMsat: 900_000_000n,
    feeBaseMsat: 1000,
    feeProportionalMillionths: 100,
    ...change,
  };
  return createChannelUpdate(fields, by.sign);
}

export function nodeOf(keys: Keys, timestamp = startSeconds - 100): NodeAnnouncement {
  return createNodeAnnouncement(
    {
      nodeId: keys.nodeId,
      features: new Uint8Array(0),
      timestamp,
      alias: keys.label,
      rgbColor: Uint8Array.of(1, 2, 3),
      addresses: [],
    },
    keys.sign,
  );
}

/** All that there is to say of a channel. */
export function gossipOf(channel: TestChannel): (ChannelAnnouncement | ChannelUpdate | NodeAnnouncement)[] {
  const { announcement, a, b } = channel;
  return [announcement, updateOf(channel, a), updateOf(channel, b), nodeOf(a), nodeOf(b)];
}

/** One end of a connection: what a node sends waits here until the other reads. */
interface Link {
  readonly from: string;
  readonly to: string;
  queue: Uint8Array[];
  bytes: number;
  /** The reader does not read. */
  paused: boolean;
  /** So much was sent in all. */
  sentBytes: number;
  sentMessages: number;
}

/** Someone on the network: a service, or a stranger who says what the test says. */
export interface Member {
  readonly keys: Keys;
  readonly service?: GossipService;
  readonly extended: boolean;
  readonly received: Map<string, Message[]>;
  readonly dropped: { readonly nodeId: string; readonly why: string }[];
}

export interface TestNode extends Member {
  readonly service: GossipService;
  readonly graph: NetworkGraph;
  readonly store: GossipStore;
  readonly ownUpdates: { readonly nodeId: string; readonly update: ChannelUpdate }[];
  readonly ownChannels: Map<bigint, OwnChannel>;
}

/** Services and strangers, connected in memory, with a clock that stands still. */
export class GossipNet {
  readonly chain: TestChain;
  readonly scheduler = new ManualScheduler();
  readonly #members = new Map<string, Member>();
  readonly #links = new Map<string, Link>();
  readonly #deferred: (() => void)[] = [];
  /** Turns of the event loop in which something was done. */
  turns = 0;
  /** Looks at whatever must hold at any time. */
  afterTurn = (): void => {};

  constructor(height?: number) {
    this.chain = new TestChain(height);
  }

  nowSeconds(): number {
    return startSeconds + Math.floor(this.scheduler.now() / 1000);
  }

  /** A node that has loaded and started. */
  async node(
    label: string,
    options: { store?: GossipStore; limits?: Partial<GossipLimits>; checkFunding?: boolean } = {},
  ): Promise<TestNode> {
    const keys = keysOf(label);
    const graph = new NetworkGraph();
    const store = options.store ?? openMemoryGossipStore();
    const ownUpdates: TestNode['ownUpdates'] = [];
    const ownChannels = new Map<bigint, OwnChannel>();
    const dropped: Member['dropped'] = [];
    const service = new GossipService({
      chainHash,
      nodeId: keys.nodeIdHex,
      graph,
      store,
      chain: this.chain,
      peers: {
        send: (to, messages) => this.#send(keys.nodeIdHex, to, messages),
        outboundBytes: (to) => this.#links.get(`${keys.nodeIdHex}>${to}`)?.bytes ?? 0,
        drop: (nodeId, why) => {
          dropped.push({ nodeId, why });
          return this.disconnect(keys.nodeIdHex, nodeId);
        },
      },
      scheduler: this.scheduler,
      now: () => startSeconds * 1000 + this.scheduler.now(),
      logger: silentLogger,
      findOwnChannel: (shortChannelId) => ownChannels.get(shortChannelId),
      onOwnChannelUpdate: (nodeId, update) => ownUpdates.push({ nodeId, update }),
      defer: (run) => this.#deferred.push(run),
      limits: { blockDelayMs: 0, ...options.limits },
      ...(options.checkFunding !== undefined && { checkFunding: options.checkFunding }),
    });
    const node: TestNode = {
      keys,
      service,
      graph,
      store,
      ownUpdates,
      ownChannels,
      dropped,
      extended: true,
      received: new Map(),
    };
    this.#members.set(keys.nodeIdHex, node);
    service.load();
    await service.start();
    return node;
  }

  /** A peer that only says what it is told to; it offers `gossip_queries` where it is `extended`. */
  stranger(label: string, { extended = false } = {}): Member {
    const member: Member = { keys: keysOf(label), extended, received: new Map(), dropped: [] };
    this.#members.set(member.keys.nodeIdHex, member);
    return member;
  }

  connect(one: Member, other: Member): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const link = { from: from.keys.nodeIdHex, to: to.keys.nodeIdHex };
      this.#links.set(`${link.from}>${link.to}`, {
        ...link,
        queue: [],
        bytes: 0,
        paused: false,
        sentBytes: 0,
        sentMessages: 0,
      });
    }
    one.service?.peerConnected(this.#info(other));
    other.service?.peerConnected(this.#info(one));
  }

  disconnect(one: string, other: string): boolean {
    const was = this.#links.delete(`${one}>${other}`);
    this.#links.delete(`${other}>${one}`);
    this.#members.get(one)?.service?.peerDisconnected(other);
    this.#members.get(other)?.service?.peerDisconnected(one);
    return was;
  }

  isConnected(one: Member, other: Member): boolean {
    return this.#links.has(`${one.keys.nodeIdHex}>${other.keys.nodeIdHex}`);
  }

  /** A stranger says something; a node may be made to say something wrong as well. */
  say(from: Member, to: Member, ...messages: readonly Message[]): void {
    this.#send(from.keys.nodeIdHex, to.keys.nodeIdHex, messages);
  }

  /** What a member has heard from another, all of it or of some types. */
  heard(by: Member, from: Member, ...types: Message['type'][]): Message[] {
    const all = by.received.get(from.keys.nodeIdHex) ?? [];
    return types.length === 0 ? all : all.filter(({ type }) => types.includes(type));
  }

  link(from: Member, to: Member): Link {
    return this.#links.get(`${from.keys.nodeIdHex}>${to.keys.nodeIdHex}`) as Link;
  }

  /** The reader stops, or goes on, to read. */
  setReading(by: Member, from: Member, reading: boolean): void {
    this.link(from, by).paused = !reading;
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      const busy = this.#turn();
      this.afterTurn();
      await new Promise((resolve) => setImmediate(resolve));
      quiet = busy ? 0 : quiet + 1;
    }
  }

  async advance(milliseconds: number): Promise<void> {
    await this.settle();
    this.scheduler.advance(milliseconds);
    await this.settle();
  }

  #turn(): boolean {
    let busy = this.#deferred.length > 0;
    for (const run of this.#deferred.splice(0)) {
      this.turns++;
      run();
    }
    for (const link of [...this.#links.values()]) {
      if (link.paused || link.queue.length === 0) continue;
      busy = true;
      const messages = link.queue;
      const wasFull = link.bytes > 16 * 1024;
      link.queue = [];
      link.bytes = 0;
      for (const bytes of messages) this.#deliver(link, bytes);
      if (wasFull) this.#members.get(link.from)?.service?.peerDrained(link.to);
    }
    return busy;
  }

  #deliver(link: Link, bytes: Uint8Array): void {
    const to = this.#members.get(link.to) as Member;
    const message = decodeMessage(bytes);
    if (message.type === 'unknown' || !this.#links.has(`${link.from}>${link.to}`)) return;
    const received = to.received.get(link.from);
    if (received === undefined) to.received.set(link.from, [message]);
    else received.push(message);
    if (isGossip(message)) to.service?.receive(link.from, message);
  }

  #send(from: string, to: string, messages: readonly (Message | UnknownMessage)[]): boolean {
    const link = this.#links.get(`${from}>${to}`);
    if (link === undefined) return false;
    for (const message of messages) {
      const bytes = encodeMessage(message);
      link.queue.push(bytes);
      link.bytes += bytes.length;
      link.sentBytes += bytes.length;
      link.sentMessages++;
    }
    return true;
  }

  #info(peer: Member): PeerInfo {
    const offered = peer.service !== undefined || peer.extended ? features : plainFeatures;
    const init = {
      type: 'init' as const,
      globalfeatures: new Uint8Array(0),
      features: offered,
      networks: [chainHash],
    };
    return {
      nodeId: peer.keys.nodeIdHex,
      inbound: false,
      address: { host: '127.0.0.1', port: 9735 },
      localInit: { ...init, features },
      remoteInit: init,
      features: offered,
    };
  }
}

/** A node that knows one channel, from a stranger who has left. */
export async function informed(net = new GossipNet()) {
  const [channel] = openChannels(net.chain, [[keysOf('x'), keysOf('y')]]) as [TestChannel];
  const node = await net.node('alice');
  const source = net.stranger('source');
  net.connect(node, source);
  net.say(source, node, ...gossipOf(channel));
  await net.settle();
  return { net, channel, node, source };
}

/** A node that knows many channels. */
export async function wellInformed(
  net: GossipNet,
  label: string,
  count: number,
  limits: Partial<GossipLimits> = {},
) {
  const nodes = Array.from({ length: 30 }, (_, i) => keysOf(`n${i}`));
  const pairs = Array.from({ length: count }, (_, i): [Keys, Keys] => [
    nodes[i % 30] as Keys,
    nodes[(i * 7 + 1) % 30] as Keys,
  ]);
  const channels = openChannels(
    net.chain,
    pairs.filter(([a, b]) => a !== b),
  );
  const node = await net.node(label, { limits });
  const source = net.stranger(`source of ${label}`);
  net.connect(node, source);
  for (const channel of channels) net.say(source, node, ...gossipOf(channel));
  await net.settle();
  net.disconnect(node.keys.nodeIdHex, source.keys.nodeIdHex);
  if (node.graph.channelCount !== channels.length) throw new Error('the node did not learn all channels');
  return { node, channels };
}
