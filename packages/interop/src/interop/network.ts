import { addressToScript } from '@rivulet/chain';
import type { LdkNodeOptions } from '../ldk/ldkTypes.js';
import type { Rig } from './rig.js';
import type { RivuletOptions } from './rivuletPeer.js';
import {
  LdkStation,
  RivuletStation,
  type Station,
  type StationChannel,
  type StationKind,
} from './station.js';
import { expectSame, expectThat, InteropError } from './waitUntil.js';

/** Confirmations from which on a channel may be announced (BOLT 7). */
const announcementDepth = 6;

/** What one of the nodes of a network is. */
export interface StationOptions {
  readonly kind: StationKind;
  readonly rivulet?: Partial<RivuletOptions>;
  readonly ldk?: Partial<LdkNodeOptions>;
  /** In a process of its own, which can be killed. */
  readonly apart?: boolean;
}

/** A channel to open between two nodes, by their names. */
export interface Link {
  readonly from: string;
  readonly to: string;
  readonly capacitySat?: bigint;
  /** What the other side has at the beginning; half of it where it is absent. */
  readonly pushSat?: bigint;
  /** Unless it is false. */
  readonly announced?: boolean;
}

/** What each node has in its channels. */
export type Funds = ReadonlyMap<string, bigint>;

/** Some nodes of both kinds and the channels between them. */
export class Network {
  readonly rig: Rig;
  readonly #stations = new Map<string, Station>();
  #announced = 0;

  private constructor(rig: Rig) {
    this.rig = rig;
  }

  /** Starts the nodes, opens the channels and waits until all can be used and announced ones are known to all. */
  static async open(
    rig: Rig,
    { nodes, links }: { nodes: Readonly<Record<string, StationOptions>>; links: readonly Link[] },
  ): Promise<Network> {
    const network = new Network(rig);
    for (const [name, options] of Object.entries(nodes)) await network.start(name, options);
    await network.#fund();
    await network.link(links);
    return network;
  }

  get stations(): readonly Station[] {
    return [...this.#stations.values()];
  }

  station(name: string): Station {
    const station = this.#stations.get(name);
    if (station === undefined) throw new InteropError('interop_unexpected', `there is no node ${name}`);
    return station;
  }

  /** @throws InteropError where the node is none of ours. */
  us(name: string): RivuletStation {
    const station = this.station(name);
    if (station instanceof RivuletStation) return station;
    throw new InteropError('interop_unexpected', `${name} is an LDK node`);
  }

  /** @throws InteropError where the node is one of ours. */
  ldk(name: string): LdkStation {
    const station = this.station(name);
    if (station instanceof LdkStation) return station;
    throw new InteropError('interop_unexpected', `${name} is no LDK node`);
  }

  /** Starts one more node. */
  async start(name: string, { kind, rivulet, ldk, apart = false }: StationOptions): Promise<void> {
    const { rig } = this;
    if (kind === 'LDK') {
      const peer = apart ? await rig.startLdkProcess(ldk) : await rig.startLdk(ldk);
      this.#stations.set(name, new LdkStation(name, peer));
      return;
    }
    const options = {
      receive: { acceptKeysend: true, acceptKeysendParts: true, minAmountMsat: 1n },
      alias: name,
      ...rivulet,
    };
    const peer = apart ? await rig.startRivuletProcess(options) : await rig.startRivulet(options);
    this.#stations.set(name, new RivuletStation(name, peer, rig));
  }

  /** Coins to open channels, and to pay for closing them. */
  async #fund(): Promise<void> {
    const { chain } = this.rig;
    for (const station of this.stations) {
      for (let i = 0; i < 4; i++) {
        if (station instanceof RivuletStation) {
          const { address } = await station.rivulet.api.newAddress({});
          chain.pay(addressToScript(address, 'regtest'), 3_000_000n);
        } else if (station instanceof LdkStation) chain.pay(station.ldk.walletScript, 1_000_000n);
      }
    }
    await this.rig.mine(1);
  }

  /** Opens channels side by side. */
  async link(links: readonly Link[]): Promise<void> {
    const { rig } = this;
    for (const { from, to } of links) await this.connect(from, to);
    const { mempool } = rig.chain.regtest;
    const before = [...mempool.entries()].length;
    for (const {
      from,
      to,
      capacitySat = 1_000_000n,
      pushSat = capacitySat / 2n,
      announced = true,
    } of links) {
      await this.station(from).open(this.station(to), { capacitySat, pushSat, announced });
      if (announced) this.#announced++;
    }
    await rig.until(
      'funding transactions in the mempool',
      () => [...mempool.entries()].length === before + links.length,
    );
    await rig.mine(announcementDepth);
    await this.untilUsable();
    if (this.#announced > 0) await this.untilKnown();
  }

  async connect(from: string, to: string): Promise<void> {
    const [one, other] = [this.station(from), this.station(to)];
    if ((await one.peers()).includes(other.nodeId)) return;
    await one.connect(other);
    await this.rig.until(`${from} and ${to} connected`, async () =>
      (await other.peers()).includes(one.nodeId),
    );
  }

  /** Ends the connection between two nodes and waits until both have noticed. */
  async part(from: string, to: string): Promise<void> {
    const [one, other] = [this.station(from), this.station(to)];
    await one.disconnect(other);
    await this.untilApart(from, to);
  }

  async untilApart(from: string, to: string): Promise<void> {
    const [one, other] = [this.station(from), this.station(to)];
    await this.rig.until(`${from} and ${to} disconnected`, async () => {
      const apart = !(await one.peers()).includes(other.nodeId);
      return apart && !(await other.peers()).includes(one.nodeId);
    });
  }

  /** Each channel, as its two ends have it. */
  async channels(): Promise<Map<string, [string, StationChannel][]>> {
    const found = new Map<string, [string, StationChannel][]>();
    for (const station of this.stations) {
      for (const channel of await station.channels()) {
        const { channelId } = channel;
        found.set(channelId, [...(found.get(channelId) ?? []), [station.name, channel]]);
      }
    }
    return found;
  }

  /** The channels between two nodes, as the first has them. */
  async between(from: string, to: string): Promise<StationChannel[]> {
    const { nodeId } = this.station(to);
    return (await this.station(from).channels()).filter(({ remoteId }) => remoteId === nodeId);
  }

  async untilUsable(): Promise<void> {
    await this.rig.until('all channels usable at both ends', async () =>
      [...(await this.channels()).values()].every(
        (ends) => ends.length === 2 && ends.every(([, { usable }]) => usable),
      ),
    );
  }

  /**
   * Waits until all nodes know all announced channels, with what both ends ask for. An LDK node drops an update that
   * comes in the same read as the announcement_signatures of another; it hears of it when they connect again.
   */
  async untilKnown(): Promise<void> {
    const ldks = this.stations.filter(({ kind }) => kind === 'LDK');
    for (const station of ldks) await this.#untilKnows(station, { policies: 0 });
    for (const [i, { name }] of ldks.entries()) {
      for (const other of ldks.slice(i + 1)) {
        if (!(await other.peers()).includes(this.station(name).nodeId)) continue;
        await this.part(name, other.name);
        await this.connect(name, other.name);
      }
    }
    for (const station of this.stations) await this.#untilKnows(station, { policies: 2 });
    await this.untilUsable();
  }

  async #untilKnows(station: Station, told: { policies: number }): Promise<void> {
    await this.rig.until(`${station.name} knows ${this.#announced} channels`, async () => {
      const known = await station.known();
      return known.filter(({ policies }) => policies.size >= told.policies).length === this.#announced;
    });
  }

  /** Waits until no payment is under way anywhere. */
  async untilQuiet(): Promise<void> {
    await this.rig.until('no HTLCs in any channel', async () =>
      [...(await this.channels()).values()].every((ends) => ends.every(([, { pending }]) => pending === 0)),
    );
  }

  /** What each node has, when nothing is under way; the ends of each channel agree on it. */
  async funds(): Promise<Funds> {
    await this.untilQuiet();
    const funds = new Map<string, bigint>(this.stations.map(({ name }) => [name, 0n]));
    for (const ends of (await this.channels()).values()) {
      let sumMsat = 0n;
      for (const [name, { localMsat }] of ends) {
        funds.set(name, funds.get(name)! + localMsat);
        sumMsat += localMsat;
      }
      const [first, second] = ends;
      if (second === undefined) continue;
      const where = `the channel of ${ends.map(([name]) => name).join(' and ')}, both ends together`;
      expectSame(sumMsat, first![1].capacitySat * 1000n, where);
    }
    return funds;
  }

  /**
   * Waits until nothing is under way, and checks who has more or less than before, to the millisatoshi; who is not
   * named has the same.
   */
  async expectMoved(before: Funds, moved: Readonly<Record<string, bigint>>): Promise<void> {
    const total = Object.values(moved).reduce((sum, msat) => sum + msat, 0n);
    expectThat(total === 0n, `a case in which money is neither made nor lost, not ${total} msat`);
    const now = await this.funds();
    for (const [name, msat] of now) {
      expectSame(msat - before.get(name)!, moved[name] ?? 0n, `what ${name} gained in msat`);
    }
  }

  /** Waits until a node tells of a payment to it. */
  async received(name: string, paymentHash: string) {
    return this.rig.until(`${name} received the payment`, () => this.station(name).received(paymentHash));
  }
}

export const lineKinds = ['us-LDK-us', 'LDK-us-LDK', 'us-LDK-LDK', 'LDK-us-us'] as const;

/** Who is alice, who is bob and who is carol. */
export type LineKinds = (typeof lineKinds)[number];

export interface LineOptions {
  /** Of channels side by side between alice and bob, and between bob and carol. */
  readonly width?: number;
  readonly capacitySat?: bigint;
  readonly announced?: boolean;
  readonly alice?: Partial<StationOptions>;
  readonly bob?: Partial<StationOptions>;
  readonly carol?: Partial<StationOptions>;
}

/** alice - bob - carol, each channel half full. */
export function openLine(rig: Rig, kinds: LineKinds, options: LineOptions = {}): Promise<Network> {
  const [alice, bob, carol] = kinds.split('-') as [StationKind, StationKind, StationKind];
  const { width = 1, announced = true, capacitySat } = options;
  const link = { announced, ...(capacitySat === undefined ? {} : { capacitySat }) };
  const links: Link[] = [];
  for (let i = 0; i < width; i++) {
    links.push({ from: 'alice', to: 'bob', ...link }, { from: 'bob', to: 'carol', ...link });
  }
  return Network.open(rig, {
    nodes: {
      alice: { kind: alice, ...options.alice },
      bob: { kind: bob, ...options.bob },
      carol: { kind: carol, ...options.carol },
    },
    links,
  });
}
