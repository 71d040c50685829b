import { RegtestChain } from '@rivulet/chain';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { type Channel, shortChannelIdOf } from '@rivulet/core/channel';
import type { ForwardTotal } from '@rivulet/storage';
import { expectSound, startNode, type TestNode, type TestSettings, until } from './pair.test.support.js';
import type { KeysendOptions, SentPayment } from './payments/outgoing.js';
import { type ChannelKey, channelKey } from './turns.js';

export const places = ['spring', 'brook', 'lake'] as const;
export type Place = (typeof places)[number];
const seeds = { spring: 11, brook: 12, lake: 13 } as const;
/** What each side of a channel pushes to the other at its opening, of 1,000,000 sat. */
const pushedMsat = 400_000_000n;

/** spring - brook - lake: three nodes, a channel between each two neighbours. */
export class Trio {
  readonly chain = new RegtestChain({});
  readonly settings: Partial<Record<Place, TestSettings>>;
  spring!: TestNode;
  brook!: TestNode;
  lake!: TestNode;

  constructor(settings: Partial<Record<Place, TestSettings>> = {}) {
    this.settings = settings;
  }

  /** With usable channels; announced ones are known to all three. */
  static async withChannels({
    announce = true,
    settings = {},
  }: {
    announce?: boolean;
    settings?: Partial<Record<Place, TestSettings>>;
  } = {}): Promise<Trio> {
    const trio = new Trio(settings);
    for (const place of places) await trio.#start(place);
    for (const node of trio.nodes) {
      trio.chain.mine({ blocks: 1, script: node.wallet.newAddress().script });
    }
    await trio.mine(100);
    await trio.open('spring', 'brook', announce);
    await trio.open('brook', 'lake', announce);
    await trio.mine(6);
    await trio.usable();
    if (announce) await trio.known(2);
    return trio;
  }

  async #start(place: Place): Promise<void> {
    const { store } = this[place] ?? {};
    const settings = this.settings[place];
    this[place] = await startNode(this.chain, {
      seed: seeds[place],
      ...(store === undefined ? {} : { store }),
      ...(settings === undefined ? {} : { settings }),
    });
  }

  get nodes() {
    return [this.spring.node, this.brook.node, this.lake.node];
  }

  async usable(): Promise<void> {
    await until(() => this.nodes.every((node) => node.channels.every(isOpen)), 'all channels are open');
  }

  /** All three know so many channels, and the terms of both directions of each. */
  async known(channels: number): Promise<void> {
    await until(
      () => this.nodes.every(({ known }) => knowsAll(known.graph, channels)),
      'gossip has reached all',
    );
  }

  async connect(from: Place, to: Place) {
    const [address] = this[to].node.listening;
    return this[from].node.peers.connect({ nodeId: this[to].node.nodeId, ...address! });
  }

  async open(from: Place, to: Place, announce: boolean): Promise<Channel> {
    const peer = await this.connect(from, to);
    return this[from].node.openChannel({
      peer,
      capacitySat: 1_000_000n,
      pushMsat: pushedMsat,
      announce,
    });
  }

  async mine(blocks: number): Promise<void> {
    this.chain.mine({ blocks });
    await this.caughtUp();
  }

  async caughtUp(): Promise<void> {
    await until(
      () => this.nodes.every((node) => node.blockHeight === this.chain.tip.height),
      'the blocks are seen',
    );
  }

  /** Block after block, with time for what each of them has the nodes publish. */
  async mineUntil(holds: () => boolean, what: string, mostBlocks = 400): Promise<void> {
    for (let i = 0; !holds(); i++) {
      if (i === mostBlocks) throw new Error(`mined in vain until ${what}`);
      await this.mine(1);
      await pause();
    }
  }

  /** The channels between two neighbours, as the first of them has them. */
  channels(of: Place, to: Place): Channel[] {
    const id = this[to].node.nodeId;
    return this[of].node.channels.filter(({ params }) => bytesToHex(params.remoteNodeId) === id);
  }

  /** The first of them. */
  channel(of: Place, to: Place): Channel {
    const [found] = this.channels(of, to);
    if (found === undefined) throw new Error(`${of} has no channel with ${to}`);
    return found;
  }

  key(of: Place, to: Place): ChannelKey {
    return channelKey(this.channel(of, to).params.channelId);
  }

  id(place: Place): Uint8Array {
    return hexToBytes(this[place].node.nodeId);
  }

  pay(to: Place, amountMsat: bigint, options: Partial<KeysendOptions> = {}): SentPayment {
    return this.spring.node.payments.outgoing.keysend({
      destination: this.id(to),
      amountMsat,
      customRecords: new Map(),
      ...options,
    });
  }

  /** All that is in the channels of the three: each counts what it has in its own. */
  get totalMsat(): bigint {
    return this.nodes.flatMap(({ channels }) => channels).reduce((sum, { localMsat }) => sum + localMsat, 0n);
  }

  /** What a node has in its channels. */
  balance(place: Place): bigint {
    return this[place].node.channels.reduce((sum, { localMsat }) => sum + localMsat, 0n);
  }

  /** What brook passed on, in sum. */
  get forwarded(): Pick<ForwardTotal, 'settledCount' | 'failedCount' | 'amountMsat' | 'feeMsat'> {
    const totals = this.brook.node.storage.listForwardTotals({ fromHour: 0, toHour: 10_000_000 });
    return totals.reduce(
      (sum, total) => ({
        settledCount: sum.settledCount + total.settledCount,
        failedCount: sum.failedCount + total.failedCount,
        amountMsat: sum.amountMsat + total.amountMsat,
        feeMsat: sum.feeMsat + total.feeMsat,
      }),
      { settledCount: 0, failedCount: 0, amountMsat: 0n, feeMsat: 0n },
    );
  }

  async stopNode(place: Place): Promise<void> {
    await this[place].node.stop();
  }

  /** The next process of a node that was stopped, with what was stored. */
  async startAgain(place: Place): Promise<void> {
    this[place].store.revive();
    await this.#start(place);
  }

  async restart(place: Place): Promise<void> {
    await this.stopNode(place);
    await this.startAgain(place);
  }

  /** Connects the neighbours that are not connected, until their channels can be used. */
  async heal(): Promise<void> {
    await until(
      () =>
        this.nodes.every((node) =>
          node.peers.peers.every(({ nodeId }) => this.#isPeerOf(node.nodeId, nodeId)),
        ),
      'both sides of each connection know of its end',
    );
    for (const [from, to] of [
      ['brook', 'lake'],
      ['spring', 'brook'],
    ] as const) {
      await this.connect(from, to);
    }
    await this.usable();
  }

  #isPeerOf(nodeId: string, other: string): boolean {
    const node = this.nodes.find((one) => one.nodeId === other);
    return node?.peers.peers.some((peer) => peer.nodeId === nodeId) === true;
  }

  /** All HTLCs are over. */
  async settled(): Promise<void> {
    await until(
      () => this.nodes.every(({ channels }) => channels.every(({ htlcs }) => htlcs.size === 0)),
      'no HTLC is pending',
    );
  }

  /** Whether the mempool or the chain has spent a channel's funding output. */
  isSpent({ params }: Channel): boolean {
    return this.chain.unspent(params.fundingOutpoint, { mempool: true }) === undefined;
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) expectSound(node);
    for (const node of this.nodes) await node.stop();
  }
}

/** The real id of a channel. */
export function realId(channel: Channel): bigint {
  return shortChannelIdOf(channel) as bigint;
}

/** Lets go what is under way in the event loop. */
export async function pause(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

function isOpen({ phase, link }: Channel): boolean {
  return phase.name === 'open' && link === 'online';
}

function knowsAll(graph: TestNode['node']['known']['graph'], count: number): boolean {
  const channels = [...graph.channels()];
  return (
    channels.length === count &&
    channels.every(({ policies }) => policies.every((policy) => policy !== undefined))
  );
}
