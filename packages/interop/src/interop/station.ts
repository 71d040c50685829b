import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { parseShortChannelId } from '@rivulet/core/wire';
import type { LdkPeer } from '../ldk/ldkPeer.js';
import type { Rig } from './rig.js';
import type { RivuletPeer } from './rivuletPeer.js';

export type StationKind = 'us' | 'LDK';

/** A channel as one of its ends has it. */
export interface StationChannel {
  readonly channelId: string;
  readonly remoteId: string;
  readonly usable: boolean;
  readonly capacitySat: bigint;
  /** Exact where nothing is pending. */
  readonly localMsat: bigint;
  readonly pending: number;
  readonly shortChannelId?: bigint;
}

/** A channel as gossip tells it. */
export interface KnownChannel {
  readonly shortChannelId: bigint;
  /** What the ends ask for forwarding into it, by node id: those that have told it. */
  readonly policies: ReadonlyMap<string, KnownPolicy>;
}

export interface KnownPolicy {
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
  readonly cltvExpiryDelta: number;
  readonly htlcMinimumMsat: bigint;
  readonly htlcMaximumMsat: bigint;
  readonly enabled: boolean;
}

export interface Paid {
  readonly paymentHash: string;
  readonly preimage: string;
  readonly feeMsat: bigint;
}

export interface Received {
  readonly amountMsat: bigint;
  readonly records: ReadonlyMap<bigint, Uint8Array>;
}

export interface StationKeysend {
  readonly amountMsat: bigint;
  readonly records?: ReadonlyMap<bigint, Uint8Array>;
  /** More than one takes a payment secret along. */
  readonly maxParts?: number;
}

export interface StationOpening {
  readonly capacitySat: bigint;
  readonly pushSat: bigint;
  readonly announced: boolean;
}

/** A node of a network, be it a Rivulet or an LDK node: what both can do, in the same words. */
export interface Station {
  readonly name: string;
  readonly kind: StationKind;
  readonly nodeId: string;
  readonly pubkey: Uint8Array;
  readonly port: number;

  connect(to: Station): Promise<void>;
  disconnect(from: Station): Promise<void>;
  /** The ids of the nodes that it is connected to. */
  peers(): Promise<string[]>;
  /** Begins to open a channel with a connected node. */
  open(to: Station, opening: StationOpening): Promise<void>;
  channels(): Promise<StationChannel[]>;
  known(): Promise<KnownChannel[]>;

  keysend(to: Station, keysend: StationKeysend): Promise<Paid>;
  createInvoice(invoice: { readonly amountMsat?: bigint; readonly description: string }): Promise<string>;
  pay(invoice: string, options?: { readonly amountMsat?: bigint }): Promise<Paid>;
  /** A payment to it that it has taken. */
  received(paymentHash: string): Promise<Received | undefined>;
  /** How many HTLCs it has passed on that were settled, and what that earned. */
  forwarded(): Promise<{ readonly count: number; readonly feeMsat: bigint }>;
}

export class RivuletStation implements Station {
  readonly kind = 'us';
  readonly name: string;
  readonly rivulet: RivuletPeer;
  readonly #rig: Rig;

  constructor(name: string, rivulet: RivuletPeer, rig: Rig) {
    this.name = name;
    this.rivulet = rivulet;
    this.#rig = rig;
  }

  get nodeId(): string {
    return this.rivulet.nodeId;
  }

  get pubkey(): Uint8Array {
    return this.rivulet.pubkey;
  }

  get port(): number {
    return this.rivulet.port;
  }

  async connect({ nodeId, port }: Station): Promise<void> {
    await this.rivulet.api.connect({ nodeId, host: '127.0.0.1', port });
  }

  async disconnect({ nodeId }: Station): Promise<void> {
    await this.rivulet.api.disconnect({ nodeId });
  }

  async peers(): Promise<string[]> {
    return (await this.rivulet.api.peers({})).peers.map(({ nodeId }) => nodeId);
  }

  async open({ nodeId }: Station, { capacitySat, pushSat, announced }: StationOpening): Promise<void> {
    await this.rivulet.api.openChannel({
      nodeId,
      capacitySat,
      pushSat,
      announce: announced,
      channelType: this.#rig.channelType,
    });
  }

  async channels(): Promise<StationChannel[]> {
    const { channels } = await this.rivulet.api.channels({});
    return channels
      .filter(({ state }) => state !== 'closed')
      .map(({ channelId, nodeId, usable, capacitySat, localMsat, pendingHtlcs, shortChannelId }) => ({
        channelId,
        remoteId: nodeId,
        usable,
        capacitySat,
        localMsat,
        pending: pendingHtlcs,
        ...(shortChannelId === undefined ? {} : { shortChannelId: parseShortChannelId(shortChannelId) }),
      }));
  }

  async known(): Promise<KnownChannel[]> {
    const channels = new Map<bigint, Map<string, KnownPolicy>>();
    for (const nodeId of this.#rig.nodeIds) {
      const node = await this.rivulet.api.networkNode({ nodeId }).catch(() => undefined);
      for (const { shortChannelId: text, policy } of node?.channels ?? []) {
        const shortChannelId = parseShortChannelId(text);
        const policies = channels.get(shortChannelId) ?? new Map<string, KnownPolicy>();
        channels.set(shortChannelId, policies);
        if (policy !== undefined) policies.set(nodeId, { ...policy, enabled: !policy.disabled });
      }
    }
    return [...channels].map(([shortChannelId, policies]) => ({ shortChannelId, policies }));
  }

  async keysend({ nodeId }: Station, { amountMsat, records, maxParts }: StationKeysend): Promise<Paid> {
    const paid = await this.rivulet.api.keysend({
      nodeId,
      amountMsat,
      ...(records === undefined ? {} : { records: new Map(records) }),
      ...(maxParts === undefined ? {} : { maxParts }),
    });
    return { paymentHash: paid.paymentHash, preimage: paid.preimage ?? '', feeMsat: paid.feeMsat };
  }

  async createInvoice(request: { readonly amountMsat?: bigint; readonly description: string }) {
    return (await this.rivulet.api.createInvoice(request)).invoice;
  }

  async pay(invoice: string, { amountMsat }: { readonly amountMsat?: bigint } = {}): Promise<Paid> {
    const amount = amountMsat === undefined ? {} : { amountMsat };
    const paid = await this.rivulet.api.pay({ invoice, ...amount });
    return { paymentHash: paid.paymentHash, preimage: paid.preimage ?? '', feeMsat: paid.feeMsat };
  }

  async received(paymentHash: string): Promise<Received | undefined> {
    const { payments } = await this.rivulet.api.payments({ direction: 'incoming' });
    return payments.find((payment) => payment.paymentHash === paymentHash);
  }

  async forwarded() {
    const { settled, feeMsat } = await this.rivulet.api.forwards({});
    return { count: settled, feeMsat };
  }
}

export class LdkStation implements Station {
  readonly kind = 'LDK';
  readonly name: string;
  readonly ldk: LdkPeer;

  constructor(name: string, ldk: LdkPeer) {
    this.name = name;
    this.ldk = ldk;
  }

  get nodeId(): string {
    return bytesToHex(this.ldk.pubkey);
  }

  get pubkey(): Uint8Array {
    return this.ldk.pubkey;
  }

  get port(): number {
    return this.ldk.port;
  }

  connect(to: Station): Promise<void> {
    return this.ldk.connect(to);
  }

  disconnect({ pubkey }: Station): Promise<void> {
    return this.ldk.disconnect(pubkey);
  }

  async peers(): Promise<string[]> {
    return (await this.ldk.peers()).map(({ pubkey }) => bytesToHex(pubkey));
  }

  async open({ pubkey }: Station, { capacitySat, pushSat, announced }: StationOpening): Promise<void> {
    await this.ldk.openChannel({ pubkey, capacitySat, pushMsat: pushSat * 1000n, announced });
  }

  async channels(): Promise<StationChannel[]> {
    return (await this.ldk.channels()).map((channel) => ({
      channelId: bytesToHex(channel.channelId),
      remoteId: bytesToHex(channel.pubkey),
      usable: channel.isUsable,
      capacitySat: channel.capacitySat,
      localMsat: channel.outboundCapacityMsat + channel.reserveSat * 1000n,
      pending: channel.htlcs.length,
      ...(channel.shortChannelId === undefined ? {} : { shortChannelId: channel.shortChannelId }),
    }));
  }

  async known(): Promise<KnownChannel[]> {
    const { channels } = await this.ldk.graph();
    return channels.map(({ shortChannelId, nodeId1, nodeId2, oneToTwo, twoToOne }) => ({
      shortChannelId,
      policies: new Map([
        ...(oneToTwo === undefined ? [] : [[bytesToHex(nodeId1), oneToTwo] as const]),
        ...(twoToOne === undefined ? [] : [[bytesToHex(nodeId2), twoToOne] as const]),
      ]),
    }));
  }

  async keysend({ pubkey }: Station, { amountMsat, records, maxParts = 1 }: StationKeysend): Promise<Paid> {
    const sent = await this.ldk.sendKeysend({
      pubkey,
      amountMsat,
      ...(records === undefined ? {} : { customRecords: records }),
      ...(maxParts === 1 ? {} : { maxParts, withPaymentSecret: true, retries: 5 }),
    });
    return paidOf(sent);
  }

  async createInvoice(request: { readonly amountMsat?: bigint; readonly description: string }) {
    return (await this.ldk.createInvoice(request)).text;
  }

  async pay(invoice: string, { amountMsat }: { readonly amountMsat?: bigint } = {}): Promise<Paid> {
    const amount = amountMsat === undefined ? {} : { amountMsat };
    return paidOf(await this.ldk.payInvoice({ invoice, retries: 5, ...amount }));
  }

  async received(paymentHash: string): Promise<Received | undefined> {
    const hash = hexToBytes(paymentHash);
    const isIt = (event: { paymentHash: Uint8Array }) => bytesToHex(event.paymentHash) === bytesToHex(hash);
    const claimed = this.ldk.log.eventsOf('paymentClaimed').find(isIt);
    const claimable = this.ldk.log.eventsOf('paymentClaimable').find(isIt);
    if (claimed === undefined || claimable === undefined) return undefined;
    return { amountMsat: claimed.amountMsat, records: claimable.customRecords };
  }

  async forwarded() {
    const events = this.ldk.log.eventsOf('paymentForwarded');
    return { count: events.length, feeMsat: events.reduce((sum, event) => sum + (event.feeMsat ?? 0n), 0n) };
  }
}

function paidOf(sent: { paymentHash: Uint8Array; preimage: Uint8Array; feeMsat: bigint }): Paid {
  const { paymentHash, preimage, feeMsat } = sent;
  return { paymentHash: bytesToHex(paymentHash), preimage: bytesToHex(preimage), feeMsat };
}
