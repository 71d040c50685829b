import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import type { InteropCase } from '../../interopCase.js';
import { type LineKinds, lineKinds, type Network, openLine } from '../../network.js';
import { expectSame, expectThat } from '../../waitUntil.js';

const customRecords: ReadonlyMap<bigint, Uint8Array> = new Map([
  [65_537n, Uint8Array.of(1, 2, 3)],
  [77_776n, new Uint8Array(0)],
  [7_629_169n, new Uint8Array(600).map((_, i) => i & 0xff)],
  [34_349_334n, utf8ToBytes('über den Bach ⚡')],
]);

const showRecords = (records: ReadonlyMap<bigint, Uint8Array>) =>
  [...records].map(([type, value]) => `${type}=${bytesToHex(value)}`).join(' ');

const directions = [
  ['alice', 'carol'],
  ['carol', 'alice'],
] as const;

/**
 * More than any one channel can carry, and less than both: there and back, over channels of which both ends have
 * half.
 */
const wide = [
  { from: 'alice', to: 'carol', amountMsat: 700_000_000n },
  { from: 'carol', to: 'alice', amountMsat: 1_200_000_000n },
] as const;

/** One payment from end to end: it arrives whole, and the middle earns what the sender says it paid. */
async function expectPaid(
  network: Network,
  {
    from,
    to,
    amountMsat,
    pay,
  }: {
    from: string;
    to: string;
    amountMsat: bigint;
    pay: () => Promise<{ paymentHash: string; preimage: string; feeMsat: bigint }>;
  },
) {
  const before = await network.funds();
  const earnedBefore = await network.station('bob').forwarded();
  const paid = await pay();
  const received = await network.received(to, paid.paymentHash);
  expectSame(received.amountMsat, amountMsat, `the amount that ${to} sees`);
  expectThat(paid.feeMsat > 0n, 'a fee');
  await network.expectMoved(before, {
    [from]: -amountMsat - paid.feeMsat,
    bob: paid.feeMsat,
    [to]: amountMsat,
  });
  const earned = await network.station('bob').forwarded();
  expectSame(earned.feeMsat - earnedBefore.feeMsat, paid.feeMsat, 'what bob says it earned');
  return { received, parts: earned.count - earnedBefore.count };
}

const keysends = (kinds: LineKinds): InteropCase => ({
  name: `${kinds}: keysend end to end both ways, with records, at 1, 1,000 and 200,000 sat`,
  async run(rig) {
    const network = await openLine(rig, kinds);
    for (const amountMsat of [1_000n, 1_000_000n, 200_000_000n]) {
      for (const [from, to] of directions) {
        const [sender, receiver] = [network.station(from), network.station(to)];
        const { received } = await expectPaid(network, {
          from,
          to,
          amountMsat,
          pay: () => sender.keysend(receiver, { amountMsat, records: customRecords }),
        });
        expectSame(showRecords(received.records), showRecords(customRecords), `the records at ${to}`);
      }
    }
  },
});

const invoices = (kinds: LineKinds, announced: boolean): InteropCase => ({
  name: `${kinds}: invoices end to end both ways, with an amount and without, over ${announced ? 'announced channels' : 'hints of unannounced ones'}`,
  async run(rig) {
    const network = await openLine(rig, kinds, { announced });
    for (const [from, to] of directions) {
      const [sender, receiver] = [network.station(from), network.station(to)];
      const amountMsat = 12_345_678n;
      const fixed = await receiver.createInvoice({ amountMsat, description: 'a bucket of water' });
      await expectPaid(network, { from, to, amountMsat, pay: () => sender.pay(fixed) });
      const open = await receiver.createInvoice({ description: 'what you like' });
      const pay = () => sender.pay(open, { amountMsat: 4_000_001n });
      await expectPaid(network, { from, to, amountMsat: 4_000_001n, pay });
    }
  },
});

const invoiceParts = (kinds: LineKinds): InteropCase => ({
  name: `${kinds}: an invoice is paid in parts both ways, where no channel can carry it whole`,
  async run(rig) {
    const network = await openLine(rig, kinds, { width: 2 });
    for (const { from, to, amountMsat } of wide) {
      const [sender, receiver] = [network.station(from), network.station(to)];
      const invoice = await receiver.createInvoice({ amountMsat, description: 'a lake' });
      const pay = () => sender.pay(invoice);
      const { parts } = await expectPaid(network, { from, to, amountMsat, pay });
      expectThat(parts > 1, `several parts, not ${parts}`);
    }
  },
});

const keysendParts = (kinds: LineKinds): InteropCase => ({
  name: `${kinds}: a keysend goes in parts with a payment secret both ways, its records with it`,
  async run(rig) {
    const network = await openLine(rig, kinds, { width: 2 });
    for (const { from, to, amountMsat } of wide) {
      const [sender, receiver] = [network.station(from), network.station(to)];
      const { parts, received } = await expectPaid(network, {
        from,
        to,
        amountMsat,
        pay: () => sender.keysend(receiver, { amountMsat, records: customRecords, maxParts: 8 }),
      });
      expectThat(parts > 1, `several parts, not ${parts}`);
      expectSame(showRecords(received.records), showRecords(customRecords), `the records at ${to}`);
    }
  },
});

export const networkPaymentCases: readonly InteropCase[] = lineKinds.flatMap((kinds) => [
  keysends(kinds),
  invoices(kinds, true),
  invoices(kinds, false),
  invoiceParts(kinds),
  keysendParts(kinds),
]);
