import { sha256 } from '@rivulet/core/crypto';
import { decodeInvoice } from '@rivulet/core/invoice';
import type { ListedInvoice } from '@rivulet/storage';
import { afterEach, expect, test, vi } from 'vitest';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { until } from './pair.test.support.js';
import type { NewInvoice } from './payments/invoices.js';
import { Receiver } from './payments/receiver.js';
import { Trio } from './trio.test.support.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

const amountMsat = 50_000_000n;

/** Lake makes an invoice that it holds, and spring pays it; resolves when it is held. */
async function hold(made: Trio, wanted: Partial<NewInvoice> = {}) {
  const { spring, lake } = made;
  const told: ListedInvoice[] = [];
  lake.node.on('invoiceHeld', (invoice) => told.push(invoice));
  const { bolt11, paymentHash } = await lake.node.payments.invoices.create({
    amountMsat,
    description: 'held',
    hold: true,
    ...wanted,
  });
  const { outcome } = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
  outcome.catch(() => {});
  await until(() => made.lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
  return { paymentHash, outcome, told };
}

const stateOf = (made: Trio, paymentHash: Uint8Array) =>
  made.lake.node.storage.getInvoice(paymentHash)?.state;

test('a payment is held until its owner settles it, and he is told of it once', async () => {
  trio = await Trio.withChannels();
  const { paymentHash, outcome, told } = await hold(trio);
  expect(told).toMatchObject([{ state: 'held', receivedMsat: amountMsat, paymentHash }]);
  expect(trio.lake.node.storage.listPayments().payments).toEqual([]);
  expect(trio.spring.node.storage.getOutgoingPayment(paymentHash)?.status).toBe('pending');
  const settled = await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
  expect(settled).toMatchObject({ state: 'settled', receivedMsat: amountMsat });
  expect((await outcome).status).toBe('succeeded');
  expect(trio.lake.node.storage.listPayments().payments).toMatchObject([{ amountMsat }]);
  const { receiver } = trio.lake.node.payments;
  await expect(receiver.settleHeld(paymentHash, undefined)).rejects.toThrow(/it is settled/);
  await expect(receiver.cancel(paymentHash)).rejects.toThrow(/settled/);
});

test('of a hash whose preimage somebody else has, it is settled with that and nothing else', async () => {
  trio = await Trio.withChannels();
  const preimage = new Uint8Array(32).fill(0x77);
  const { paymentHash, outcome } = await hold(trio, { paymentHash: sha256(preimage) });
  const { receiver, invoices } = trio.lake.node.payments;
  await expect(receiver.settleHeld(paymentHash, undefined)).rejects.toThrow(/give it/);
  await expect(receiver.settleHeld(paymentHash, new Uint8Array(32))).rejects.toThrow(
    /not that of the invoice/,
  );
  expect(stateOf(trio, paymentHash)).toBe('held');
  await receiver.settleHeld(paymentHash, preimage);
  expect(await outcome).toMatchObject({ status: 'succeeded', preimage });
  await expect(
    invoices.create({ amountMsat, description: 'again', paymentHash, hold: true }),
  ).rejects.toThrow(/used before/);
});

test('a hash that was paid by keysend is taken for no invoice', async () => {
  trio = await Trio.withChannels();
  const { paymentHash } = await trio.pay('lake', amountMsat).outcome;
  await expect(
    trio.lake.node.payments.invoices.create({ description: 'again', paymentHash, hold: true }),
  ).rejects.toThrow(/used before/);
});

test('what is held goes back when it is cancelled, and later payments are refused', async () => {
  trio = await Trio.withChannels();
  const before = trio.balance('spring');
  const { paymentHash, outcome } = await hold(trio);
  expect((await trio.lake.node.payments.receiver.cancel(paymentHash)).state).toBe('cancelled');
  await expect(outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
  await trio.settled();
  expect(trio.balance('spring')).toBe(before);
  const { bolt11 } = trio.lake.node.storage.getInvoice(paymentHash)!;
  const again = trio.spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
  await expect(again.outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
});

test('what is not decided goes back before it would have to be claimed on chain', async () => {
  trio = await Trio.withChannels();
  const { paymentHash, outcome } = await hold(trio);
  const { cltvExpiry } = [...trio.channel('lake', 'brook').htlcs.direction('received')][0]!;
  await trio.mineUntil(() => trio!.chain.height === cltvExpiry - 19, 'one block before');
  expect(stateOf(trio, paymentHash)).toBe('held');
  await trio.mine(1);
  expect(stateOf(trio, paymentHash)).toBe('cancelled');
  await expect(outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
  await trio.settled();
  expect(trio.nodes.flatMap(({ channels }) => channels.map(({ phase }) => phase.name))).toEqual(
    Array(4).fill('open'),
  );
});

test.each(['settled', 'cancelled', 'late'] as const)(
  'it is held across a restart, also past the expiry of its invoice, and then %s',
  async (then) => {
    let skewMs = 0;
    trio = await Trio.withChannels({ settings: { lake: { now: () => Date.now() + skewMs } } });
    const { paymentHash, outcome } = await hold(trio, { expirySeconds: 60 });
    const { cltvExpiry } = [...trio.channel('lake', 'brook').htlcs.direction('received')][0]!;
    skewMs += 3_600_000;
    await trio.stopNode('lake');
    if (then === 'late') trio.chain.mine({ blocks: cltvExpiry - 18 - trio.chain.height });
    await trio.startAgain('lake');
    const told: ListedInvoice[] = [];
    trio.lake.node.on('invoiceHeld', (invoice) => told.push(invoice));
    await trio.caughtUp();
    expect(stateOf(trio, paymentHash)).toBe(then === 'late' ? 'cancelled' : 'held');
    await trio.heal();
    const { receiver } = trio.lake.node.payments;
    if (then === 'settled') await receiver.settleHeld(paymentHash, undefined);
    if (then === 'cancelled') await receiver.cancel(paymentHash);
    if (then === 'settled') expect((await outcome).status).toBe('succeeded');
    else await expect(outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
    await trio.settled();
    expect(stateOf(trio, paymentHash)).toBe(then === 'settled' ? 'settled' : 'cancelled');
    expect(told).toEqual([]);
    expect(trio.lake.node.storage.listPayments().payments).toHaveLength(then === 'settled' ? 1 : 0);
  },
);

test('a payment whose parts are held over two channels is whole after a restart', async () => {
  trio = await Trio.withChannels();
  await trio.mine(1);
  await trio.open('spring', 'brook', true);
  await trio.open('brook', 'lake', true);
  await trio.mine(6);
  await trio.usable();
  await trio.known(4);
  const { paymentHash, outcome } = await hold(trio, { amountMsat: 900_000_000n });
  await trio.restart('lake');
  await trio.heal();
  await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
  expect((await outcome).status).toBe('succeeded');
  await trio.settled();
  expect(trio.lake.node.storage.listPayments().payments).toMatchObject([{ amountMsat: 900_000_000n }]);
});

test('one whose part is not there after a restart cannot be settled, and all of it goes back', async () => {
  const scheduler = new ManualScheduler();
  let skewMs = 0;
  const made = await Trio.withChannels({ settings: { lake: { scheduler, now: () => Date.now() + skewMs } } });
  trio = made;
  await made.mine(1);
  await made.open('spring', 'brook', true);
  await made.open('brook', 'lake', true);
  await made.mine(6);
  await made.usable();
  await made.known(4);
  const before = made.balance('spring');
  const { paymentHash, outcome } = await hold(made, { amountMsat: 900_000_000n });
  // A fault, say, keeps one of the parts from being told again.
  const told = vi.spyOn(Receiver.prototype, 'receive').mockImplementationOnce(() => {});
  await made.restart('lake');
  told.mockRestore();
  const { receiver } = made.lake.node.payments;
  await expect(receiver.settleHeld(paymentHash, undefined)).rejects.toThrow(/not all of its parts are here/);
  skewMs += 61_000;
  scheduler.advance(61_000);
  await until(() => stateOf(made, paymentHash) === 'cancelled', 'it is given up');
  await expect(receiver.settleHeld(paymentHash, undefined)).rejects.toThrow(/it is cancelled/);
  await made.heal();
  const pending = () => made.lake.node.channels.reduce((sum, { htlcs }) => sum + htlcs.receivedCount, 0);
  await until(() => pending() === 1, 'the others are back');
  await made.restart('lake');
  await made.heal();
  await expect(outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
  await made.settled();
  expect(made.balance('spring')).toBe(before);
});

test('a payment that we pay on with the same hash is settled with the preimage that it brings', async () => {
  // Brook takes a payment for a hash that only lake can open, pays lake with it, and then takes what it holds.
  trio = await Trio.withChannels();
  const { spring, brook, lake } = trio;
  const before = { brook: trio.balance('brook'), lake: trio.balance('lake') };
  const inner = await lake.node.payments.invoices.create({ amountMsat, description: 'inner' });
  const outer = await brook.node.payments.invoices.create({
    amountMsat: amountMsat + 5_000n,
    description: 'outer',
    paymentHash: inner.paymentHash,
    hold: true,
  });
  const { outcome } = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(outer.bolt11) });
  await until(() => brook.node.storage.getInvoice(inner.paymentHash)?.state === 'held', 'brook holds it');
  const { preimage } = await brook.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(inner.bolt11) })
    .outcome;
  await brook.node.payments.receiver.settleHeld(inner.paymentHash, preimage);
  expect(await outcome).toMatchObject({ status: 'succeeded', preimage });
  await trio.settled();
  expect(trio.balance('brook') - before.brook).toBe(5_000n);
  expect(trio.balance('lake') - before.lake).toBe(amountMsat);
  expect(brook.node.storage.listPayments().payments).toHaveLength(2);
});
