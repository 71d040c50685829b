import { bytesToHex } from '@rivulet/core/bytes';
import type { Message } from '@rivulet/core/wire';
import type { Payment } from '@rivulet/sdk';
import { createDice } from '../../dice.js';
import type { InteropCase } from '../../interopCase.js';
import { type Funds, type LineKinds, type Network, openLine } from '../../network.js';
import { LdkStation, RivuletStation, type Station } from '../../station.js';
import { expectSame, expectThat } from '../../waitUntil.js';
import { here } from './failing.js';

const cutTypes: readonly Message['type'][] = [
  'update_add_htlc',
  'update_fulfill_htlc',
  'update_fail_htlc',
  'commitment_signed',
  'revoke_and_ack',
  'channel_reestablish',
];

const links = [
  ['alice', 'bob'],
  ['bob', 'carol'],
] as const;

/** A payment that its sender says succeeded. */
interface Sent {
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  readonly feeMsat: bigint;
}

async function allOf(station: RivuletStation, direction: 'incoming' | 'outgoing'): Promise<Payment[]> {
  const found: Payment[] = [];
  for (let before: number | undefined; ; ) {
    const page = await station.rivulet.api.payments({
      direction,
      limit: 500,
      ...(before === undefined ? {} : { before }),
    });
    found.push(...page.payments);
    if (page.next === undefined) return found;
    before = page.next;
  }
}

/** Payments from one end of a line to the other and back, while anything happens to the connections between. */
class NetworkWalk {
  readonly #network: Network;
  readonly #dice: (sides: number) => number;
  /** What LDK nodes were asked to send. */
  readonly #asked: { readonly by: string; readonly id: string; readonly amountMsat: bigint }[] = [];
  readonly #answered = new Set<string>();

  constructor(network: Network, seed: number) {
    this.#network = network;
    this.#dice = createDice(seed);
  }

  async step(): Promise<void> {
    const network = this.#network;
    switch (this.#dice(12)) {
      case 0:
      case 1:
      case 2:
        return this.#pay(network.station('alice'), network.station('carol'));
      case 3:
      case 4:
      case 5:
        return this.#pay(network.station('carol'), network.station('alice'));
      case 6:
        for (const { ldk } of this.#ldks()) {
          await ldk.setReceivePolicy((['claim', 'hold', 'fail'] as const)[this.#dice(3)]!);
        }
        return;
      case 7:
        return this.#answerHeld();
      case 8:
        await network.rig.mine(1);
        return;
      case 9: {
        const ours = network.stations.filter(({ kind }) => kind === 'us');
        const { name } = ours[this.#dice(ours.length)]!;
        const type = cutTypes[this.#dice(cutTypes.length)]!;
        here(network, name).cut(this.#dice(2) === 0 ? 'before' : 'after', type);
        return;
      }
      case 10: {
        const [from, to] = links[this.#dice(2)]!;
        await network
          .station(from)
          .disconnect(network.station(to))
          .catch(() => undefined);
        return;
      }
      default:
        await this.#connect();
    }
  }

  /** Nothing is held back any more and all connections stay: everything can end. */
  async finish(): Promise<void> {
    const { rig, stations } = this.#network;
    for (const { name, kind } of stations) if (kind === 'us') here(this.#network, name).uncut();
    for (const { ldk } of this.#ldks()) await ldk.setReceivePolicy('claim');
    await rig.until('all is quiet at the end', async () => {
      await this.#connect();
      await this.#answerHeld();
      const channels = [...(await this.#network.channels()).values()];
      return channels.every((ends) => ends.every(([, { pending, usable }]) => pending === 0 && usable));
    });
    for (const station of [this.#network.station('alice'), this.#network.station('carol')]) {
      await rig.until(`all payments of ${station.name} ended`, async () => this.#isDone(station));
    }
  }

  /** What one end says it paid is what the other received, each once; the sums of all are what follows from that. */
  async check(before: Funds): Promise<number> {
    const moved = { alice: 0n, bob: 0n, carol: 0n };
    let count = 0;
    for (const [from, to] of [
      ['alice', 'carol'],
      ['carol', 'alice'],
    ] as const) {
      const sent = await this.#sentBy(this.#network.station(from));
      const received = await this.#receivedBy(this.#network.station(to));
      expectSame(
        sent
          .map(({ paymentHash }) => paymentHash)
          .sort()
          .join(),
        received.sort().join(),
        `what ${from} paid and ${to} received`,
      );
      for (const { amountMsat, feeMsat } of sent) {
        moved[from] -= amountMsat + feeMsat;
        moved[to] += amountMsat;
        moved.bob += feeMsat;
      }
      count += sent.length;
    }
    await this.#network.expectMoved(before, moved);
    return count;
  }

  #ldks(): LdkStation[] {
    const { stations } = this.#network;
    return stations.filter((station): station is LdkStation => station instanceof LdkStation);
  }

  async #pay(from: Station, to: Station): Promise<void> {
    const amountMsat = 1_000n + BigInt(this.#dice(10 ** (3 + this.#dice(6))));
    if (from instanceof RivuletStation) {
      const request = { nodeId: to.nodeId, amountMsat, waitSeconds: 0 };
      await from.rivulet.api.keysend(request).catch(() => undefined);
    } else if (from instanceof LdkStation) {
      await from.ldk.startKeysend({ pubkey: to.pubkey, amountMsat }).then(
        (id) => this.#asked.push({ by: from.name, id: bytesToHex(id), amountMsat }),
        () => undefined,
      );
    }
  }

  async #isDone(station: Station): Promise<boolean> {
    if (station instanceof RivuletStation) {
      return (await allOf(station, 'outgoing')).every(({ status }) => status !== 'pending');
    }
    const { log } = this.#network.ldk(station.name).ldk;
    const ended = [...log.eventsOf('paymentSent'), ...log.eventsOf('paymentFailed')];
    return ended.length === this.#asked.filter(({ by }) => by === station.name).length;
  }

  async #sentBy(station: Station): Promise<Sent[]> {
    if (station instanceof RivuletStation) {
      return (await allOf(station, 'outgoing')).filter(({ status }) => status === 'succeeded');
    }
    const events = this.#network.ldk(station.name).ldk.log.eventsOf('paymentSent');
    return events.map(({ paymentId, paymentHash, feeMsat }) => ({
      paymentHash: bytesToHex(paymentHash),
      amountMsat: this.#asked.find(({ id }) => id === bytesToHex(paymentId))!.amountMsat,
      feeMsat,
    }));
  }

  async #receivedBy(station: Station): Promise<string[]> {
    if (station instanceof RivuletStation) {
      return (await allOf(station, 'incoming')).map(({ paymentHash }) => paymentHash);
    }
    const events = this.#network.ldk(station.name).ldk.log.eventsOf('paymentClaimed');
    return events.map(({ paymentHash }) => bytesToHex(paymentHash));
  }

  async #connect(): Promise<void> {
    for (const [from, to] of links) {
      const [one, other] = [this.#network.station(from), this.#network.station(to)];
      if ((await one.peers()).includes(other.nodeId)) continue;
      await one.connect(other).catch(() => undefined);
    }
  }

  async #answerHeld(): Promise<void> {
    for (const { ldk } of this.#ldks()) {
      for (const { paymentHash, preimage } of ldk.log.eventsOf('paymentClaimable')) {
        const key = bytesToHex(paymentHash);
        if (this.#answered.has(key)) continue;
        this.#answered.add(key);
        if (this.#dice(2) === 0) await ldk.claimPayment(preimage!);
        else await ldk.failPayment(paymentHash);
      }
    }
  }
}

const walk = (kinds: LineKinds, seed: number): InteropCase => ({
  name: `${kinds}: a random walk (seed ${seed}): payments end to end, holds, cuts and reconnections in any order`,
  async run(rig) {
    const network = await openLine(rig, kinds);
    const before = await network.funds();
    const steps = new NetworkWalk(network, seed);
    for (let i = 0; i < 100; i++) await steps.step();
    await steps.finish();
    expectThat((await steps.check(before)) > 0, 'some payments to succeed');
  },
});

export const networkWalkCases: readonly InteropCase[] = [
  walk('LDK-us-LDK', 1),
  walk('LDK-us-LDK', 2),
  walk('us-LDK-us', 3),
  walk('us-LDK-LDK', 4),
  walk('LDK-us-us', 5),
];
