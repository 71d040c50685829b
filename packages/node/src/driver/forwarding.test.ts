import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { decodeInvoice } from '@rivulet/core/invoice';
import { type ChannelUpdate, encodeFeatureBits } from '@rivulet/core/wire';
import { afterEach, expect, test } from 'vitest';
import { Pair, until } from './pair.test.support.js';
import { Trio } from './trio.test.support.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

const records = new Map([[34349334n, utf8ToBytes('from the spring')]]);

test('a keysend goes over a node in the middle, which earns its fee and keeps nothing but a sum', async () => {
  trio = await Trio.withChannels({ announce: true });
  const { spring, brook, lake } = trio;
  const before = trio.totalMsat;
  const paid = await spring.node.payments.outgoing.keysend({
    destination: trio.id('lake'),
    amountMsat: 5_000_000n,
    customRecords: records,
  }).outcome;
  // 1 sat and 100 millionths.
  expect(paid).toMatchObject({ status: 'succeeded', feeMsat: 1_500n });
  await trio.settled();
  expect(lake.node.storage.listPayments().payments).toMatchObject([
    { direction: 'incoming', amountMsat: 5_000_000n },
  ]);
  expect(brook.node.storage.listPayments().payments).toEqual([]);
  expect(brook.node.storage.loadForwards()).toEqual([]);
  expect(brook.node.storage.listForwardTotals({ fromHour: 0, toHour: 10_000_000 })).toMatchObject([
    { settledCount: 1, failedCount: 0, amountMsat: 5_000_000n, feeMsat: 1_500n },
  ]);
  expect(trio.totalMsat).toBe(before);
});

test('an invoice with a hint is paid over channels that nobody knows of', async () => {
  trio = await Trio.withChannels({ announce: false });
  const { spring, lake } = trio;
  await until(
    () =>
      lake.node.channels.every(
        ({ params }) => lake.node.remotePolicies.get(bytesToHex(params.channelId)) !== undefined,
      ),
    'brook has told its terms',
  );
  const made = await lake.node.payments.invoices.create({ amountMsat: 3_000_000n, description: 'water' });
  const invoice = decodeInvoice(made.bolt11);
  expect(invoice.hints).toHaveLength(1);
  const paid = await spring.node.payments.outgoing.payInvoice({ invoice }).outcome;
  expect(paid.status).toBe('succeeded');
  expect(lake.node.storage.getInvoice(made.paymentHash)).toMatchObject({
    state: 'settled',
    receivedMsat: 3_000_000n,
  });
  // Once more: nothing is sent again.
  const again = await spring.node.payments.outgoing.payInvoice({ invoice }).outcome;
  expect(again).toEqual(paid);
});

test('nobody is pushed a payment who announces to need what we do not know', async () => {
  trio = await Trio.withChannels({ announce: true });
  const { spring } = trio;
  const lake = trio.id('lake');
  const features = encodeFeatureBits([8, 14, 300]);
  expect(spring.node.known.graph.setNode(lake, { features, timestamp: 4_000_000_000 })).toBe(true);
  const keysend = () =>
    spring.node.payments.outgoing.keysend({ destination: lake, amountMsat: 1_000n, customRecords: records });
  expect(keysend).toThrow(/needs a feature that Rivulet does not know/);
});

test('where gossip is off, an invoice still has a hint: what its peer asks is all that is taken', async () => {
  const pair = await Pair.start({
    settings: { policy: { gossip: { enabled: false, checkFunding: true } } },
  });
  try {
    await pair.open();
    await pair.mine(6);
    await pair.usable();
    const { node } = pair.bob;
    const key = [...node.turns.channels.keys()][0] as string;
    await until(() => node.remotePolicies.get(key) !== undefined, 'alice has told her terms');
    const made = await node.payments.invoices.create({ description: 'water' });
    expect(decodeInvoice(made.bolt11).hints).toHaveLength(1);
    expect(node.known.graph.channelCount).toBe(0);
    // Of a channel that its peer has disabled nobody is told.
    const update = node.remotePolicies.get(key) as ChannelUpdate;
    node.turns.enqueue({
      run: (turn) => {
        const disabled = {
          ...update,
          timestamp: update.timestamp + 1,
          channelFlags: update.channelFlags | 2,
        };
        node.remotePolicies.put(turn, { key, update: disabled });
      },
    });
    node.turns.runNow();
    const later = await node.payments.invoices.create({ description: 'water' });
    expect(decodeInvoice(later.bolt11).hints).toHaveLength(0);
  } finally {
    await pair.stop();
  }
});
