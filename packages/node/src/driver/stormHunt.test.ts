import { decodeInvoice } from '@rivulet/core/invoice';
import { afterEach, expect, test } from 'vitest';
import { until } from './pair.test.support.js';
import type { SentPayment } from './payments/outgoing.js';
import { type Place, pause, places, Trio } from './trio.test.support.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

/** The same numbers for the same seed (mulberry32). */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * Payments in both directions and to the middle, among them held ones, while disks fill, connections end and
 * nodes die at some transaction. In the end each payment is made or not, and no money is anywhere else.
 */
test.each(Array.from({ length: 80 }, (_, i) => i + 10))(
  'threat 26: in a storm every payment ends once and no msat is lost (%i)',
  async (seed) => {
    const receive = { acceptKeysend: true, acceptKeysendParts: true, minAmountMsat: 1n };
    let skewMs = 0;
    const takesParts = { policy: { receive }, now: () => Date.now() + skewMs };
    const made = await Trio.withChannels({
      settings: { spring: takesParts, brook: takesParts, lake: takesParts },
    });
    trio = made;
    await made.mine(1);
    await made.open('spring', 'brook', true);
    await made.open('lake', 'brook', true);
    await made.mine(6);
    await made.usable();
    await made.known(4);
    const roll = dice(seed);
    const anyOf = <T>(list: readonly T[]): T => list[roll(list.length)] as T;
    const before = { total: made.totalMsat, ...balances(made) };
    const sent: { from: Place; to: Place; payment: SentPayment; amountMsat: bigint }[] = [];
    const held: { at: Place; paymentHash: Uint8Array }[] = [];

    const pay = () => {
      const from = anyOf(places);
      const to = anyOf(places.filter((place) => place !== from));
      const amountMsat = BigInt(anyOf([1, 999, 5_000, 250_000, 700_000_000, 30_000_000]) * (1 + roll(1000)));
      const most = 900_000_000n;
      const payment = made[from].node.payments.outgoing.keysend({
        destination: made.id(to),
        amountMsat: amountMsat > most ? most : amountMsat,
        customRecords: new Map(),
        maxParts: 1 + roll(4),
      });
      payment.outcome.catch(() => {});
      sent.push({ from, to, payment, amountMsat: amountMsat > most ? most : amountMsat });
    };
    const hold = async () => {
      const [from, to] = anyOf([
        ['spring', 'lake'],
        ['lake', 'spring'],
      ] as const);
      const amountMsat = BigInt(1 + roll(50_000_000));
      const create = made[to].node.payments.invoices.create({ amountMsat, description: '', hold: true });
      const invoice = await create.catch(() => undefined);
      if (invoice === undefined) return;
      const payment = made[from].node.payments.outgoing.payInvoice({
        invoice: decodeInvoice(invoice.bolt11),
      });
      payment.outcome.catch(() => {});
      sent.push({ from, to, payment, amountMsat });
      held.push({ at: to, paymentHash: invoice.paymentHash });
    };
    const decide = async () => {
      const one = held.splice(0, 1)[0];
      if (one === undefined) return;
      const { receiver } = made[one.at].node.payments;
      const decided =
        roll(2) === 0 ? receiver.settleHeld(one.paymentHash, undefined) : receiver.cancel(one.paymentHash);
      await decided.catch(() => {});
    };
    const trouble = async () => {
      const place = anyOf(places);
      const { store, node } = made[place];
      switch (roll(4)) {
        case 0:
          store.dieAt(1 + roll(6), anyOf(['before', 'after']));
          for (let i = 0; i < 5; i++) await pause();
          await made.restart(place);
          break;
        case 1:
          store.full = anyOf(['before', 'after']);
          for (let i = 0; i < 3; i++) await pause();
          store.full = 'no';
          break;
        case 2:
          for (const { nodeId } of [...node.peers.peers]) node.peers.drop(nodeId, 'a storm');
          break;
        case 3:
          await made.restart(place);
      }
      await made.heal();
    };

    for (let i = 0; i < 60; i++) {
      const what = roll(12);
      if (what < 6) pay();
      else if (what < 8) await hold();
      else if (what < 10) await decide();
      else await trouble();
      if (roll(3) === 0) await pause();
    }
    await made.heal();
    while (held.length > 0) await decide();
    // What lake or spring did not see paid in full it does not hold; the rest of it comes back by itself.
    for (const place of ['spring', 'lake'] as const) {
      const { receiver } = made[place].node.payments;
      for (const { paymentHash, state } of made[place].node.storage.listInvoices().invoices) {
        if (state !== 'settled') await receiver.cancel(paymentHash);
      }
    }
    // Parts that wait for others in vain go back with time.
    const isOver = () => made.nodes.every(({ storage }) => storage.loadSendings().length === 0);
    for (let i = 0; i < 10 && !isOver(); i++) {
      skewMs += 61_000;
      await made.mine(1);
      for (let j = 0; j < 10 && !isOver(); j++) await pause();
    }
    await until(isOver, 'all has ended');
    await made.settled();

    const expected = { ...balances(made) };
    for (const place of places) expected[place] = before[place];
    for (const { from, to, payment, amountMsat } of sent) {
      const stored = made[from].node.storage.getOutgoingPayment(payment.paymentHash);
      const got = made[to].node.storage.getIncomingPayment(payment.paymentHash);
      expect(got !== undefined, `${from} to ${to}: ${stored?.status}`).toBe(stored?.status === 'succeeded');
      expect(stored?.status).not.toBe('pending');
      if (stored?.status !== 'succeeded') continue;
      expect(got?.amountMsat).toBe(amountMsat);
      expected[from] -= amountMsat + stored.feeMsat;
      expected[to] += amountMsat;
    }
    expected.brook += made.forwarded.feeMsat;
    expect(balances(made)).toEqual(expected);
    expect(made.totalMsat).toBe(before.total);
    expect(made.brook.node.storage.loadForwards()).toEqual([]);
    expect(sent.length).toBeGreaterThan(20);
    for (const node of made.nodes) {
      expect(node.turns.stopped.size).toBe(0);
      expect(node.channels.every(({ phase }) => phase.name === 'open')).toBe(true);
    }
  },
  60_000,
);

function balances(made: Trio): Record<Place, bigint> {
  return { spring: made.balance('spring'), brook: made.balance('brook'), lake: made.balance('lake') };
}
