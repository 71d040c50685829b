import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { decodeInvoice } from '@rivulet/core/invoice';
import { afterEach, expect, test } from 'vitest';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { until } from './pair.test.support.js';
import { defaultPaymentPolicy } from './paymentPolicy.js';
import { pause, Trio } from './trio.test.support.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

const takesParts = {
  policy: { receive: { acceptKeysend: true, acceptKeysendParts: true, minAmountMsat: 1n } },
};

/** Two channels of spring's, each with 600,000 sat less its reserve; brook's to lake with as many twice over. */
async function withTwoChannels(lake = {}): Promise<Trio> {
  const made = await Trio.withChannels({ settings: { lake } });
  await made.mine(1);
  await made.open('spring', 'brook', true);
  await made.open('brook', 'lake', true);
  await made.mine(6);
  await made.usable();
  await made.known(4);
  return made;
}

test('keysend: the receiver gets the amount, the middle its fee, each to the millisatoshi', async () => {
  trio = await Trio.withChannels();
  const before = { spring: trio.balance('spring'), brook: trio.balance('brook'), lake: trio.balance('lake') };
  // 1 sat and 100 millionths, rounded down.
  for (const [amountMsat, feeMsat] of [
    [5_000_000n, 1_500n],
    [1_009_999n, 1_100n],
    [1_000n, 1_000n],
  ] as const) {
    const paid = await trio.pay('lake', amountMsat).outcome;
    expect(paid).toMatchObject({ status: 'succeeded', amountMsat, feeMsat });
  }
  await trio.settled();
  expect(trio.balance('lake') - before.lake).toBe(6_010_999n);
  expect(trio.balance('brook') - before.brook).toBe(3_600n);
  expect(before.spring - trio.balance('spring')).toBe(6_014_599n);
  expect(trio.forwarded).toEqual({
    settledCount: 3,
    failedCount: 0,
    amountMsat: 6_010_999n,
    feeMsat: 3_600n,
  });
  expect(trio.brook.node.payments.forwarder.pending).toBe(0);
});

test('an invoice is paid in parts over two channels, whose parts are settled together', async () => {
  trio = await withTwoChannels();
  const { spring, lake } = trio;
  const before = trio.totalMsat;
  const made = await lake.node.payments.invoices.create({ amountMsat: 900_000_000n, description: 'a river' });
  const settledAtOnce: number[] = [];
  lake.store.inspect = () => {
    const settled = trio!.lake.node.channels.flatMap(({ htlcs }) => [...htlcs.direction('received')]);
    if (settled.some(({ settlement }) => settlement !== undefined)) settledAtOnce.push(settled.length);
  };
  const paid = await spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(made.bolt11) })
    .outcome;
  expect(paid.status).toBe('succeeded');
  await trio.settled();
  expect(lake.node.storage.getInvoice(made.paymentHash)).toMatchObject({
    state: 'settled',
    receivedMsat: 900_000_000n,
  });
  expect(lake.node.storage.listPayments().payments).toMatchObject([{ amountMsat: 900_000_000n }]);
  // Two parts at least: no channel carries it alone. The fee is that of its parts, as the middle earned it.
  expect(trio.forwarded.settledCount).toBeGreaterThan(1);
  expect(trio.forwarded.feeMsat).toBe(spring.node.storage.getOutgoingPayment(made.paymentHash)!.feeMsat);
  expect(trio.totalMsat).toBe(before);
  expect(spring.node.storage.loadSendings()).toEqual([]);
  // All were there before the first was settled.
  expect(settledAtOnce[0]).toBe(trio.forwarded.settledCount);
});

test('a keysend goes in parts where both sides want it, as the routes that are shown before', async () => {
  trio = await withTwoChannels(takesParts);
  const wanted = { destination: trio.id('lake'), amountMsat: 900_000_000n };
  const { outgoing } = trio.spring.node.payments;
  const routes = outgoing.route({ ...wanted, maxParts: 4 });
  expect(routes.length).toBeGreaterThan(1);
  expect(routes.reduce((sum, { amountMsat }) => sum + amountMsat, 0n)).toBe(wanted.amountMsat);
  expect(() => outgoing.route(wanted)).toThrow(expect.objectContaining({ code: 'insufficient_balance' }));
  const paid = await trio.pay('lake', 900_000_000n, { maxParts: 4 }).outcome;
  expect(paid.status).toBe('succeeded');
  await trio.settled();
  expect(trio.forwarded.settledCount).toBeGreaterThan(1);
  expect(trio.lake.node.storage.listPayments().payments).toMatchObject([{ amountMsat: 900_000_000n }]);
});

test('a keysend in parts to a node that takes none of them comes back, all of it', async () => {
  trio = await withTwoChannels();
  const before = trio.balance('spring');
  await expect(trio.pay('lake', 900_000_000n, { maxParts: 4 }).outcome).rejects.toMatchObject({
    code: 'refused_by_destination',
  });
  await trio.settled();
  expect(trio.balance('spring')).toBe(before);
  expect(trio.lake.node.storage.listPayments().payments).toEqual([]);
});

test('a part whose others never come is failed after 60 seconds, and not sooner', async () => {
  const scheduler = new ManualScheduler();
  let skewMs = 0;
  trio = await withTwoChannels({ scheduler, now: () => Date.now() + skewMs });
  const { spring, brook, lake } = trio;
  const made = await lake.node.payments.invoices.create({ amountMsat: 900_000_000n, description: 'half' });
  const before = trio.totalMsat;
  // What brook passes on over one of its channels does not get to lake.
  const [first] = trio.channels('brook', 'lake');
  const send = brook.node.peers.send.bind(brook.node.peers);
  const lost = bytesToHex(first!.params.channelId);
  brook.node.peers.send = (nodeId, messages) =>
    send(
      nodeId,
      messages.filter((message) => !('channelId' in message) || bytesToHex(message.channelId) !== lost),
    );
  const payment = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(made.bolt11) });
  payment.outcome.catch(() => {});
  const pending = () => lake.node.channels.flatMap(({ htlcs }) => [...htlcs.direction('received')]);
  await until(() => pending().some(({ state }) => state === 'rcvd_add_ack_revocation'), 'a part has come');
  // Little by little, so that pings have their answers.
  const pass = async (ms: number) => {
    for (let i = 0; i < ms; i += 1_000) {
      skewMs += 1_000;
      scheduler.advance(1_000);
      await pause();
    }
  };
  await pass(58_000);
  expect(pending().every(({ settlement }) => settlement === undefined)).toBe(true);
  expect(lake.node.storage.getInvoice(made.paymentHash)?.state).toBe('open');
  await pass(3_000);
  const causes = () =>
    spring.node.payments.sender
      .get(made.paymentHash)
      ?.sending.attempts.map(({ failure, status }) => failure?.cause ?? status);
  await until(() => causes()?.includes('mpp_timeout') === true, 'the parts have gone back');
  // What came back is tried again while the rest is stuck; when that gets through, all of it is there.
  expect(spring.node.storage.getOutgoingPayment(made.paymentHash)?.status).toBe('pending');
  brook.node.peers.send = send;
  brook.node.peers.drop(lake.node.nodeId, 'a new connection');
  await until(() => lake.node.peers.peers.length === 0, 'the connection is gone');
  await trio.heal();
  expect((await payment.outcome).status).toBe('succeeded');
  await trio.settled();
  expect(lake.node.storage.listPayments().payments).toMatchObject([{ amountMsat: 900_000_000n }]);
  expect(trio.forwarded.failedCount).toBeGreaterThan(0);
  expect(trio.forwarded.amountMsat).toBe(900_000_000n);
  expect(brook.node.storage.loadForwards()).toEqual([]);
  expect(trio.totalMsat).toBe(before);
});

test('records and all of a payment over the middle are the receiver’s alone to see', async () => {
  trio = await Trio.withChannels();
  const records = new Map([[34349334n, utf8ToBytes('from the spring')]]);
  await trio.pay('lake', 5_000_000n, { customRecords: records }).outcome;
  expect(trio.brook.node.storage.listPayments().payments).toEqual([]);
  expect(trio.brook.node.storage.loadForwards()).toEqual([]);
});

test('a middle that forwards nothing for others fails what comes, and takes what is for itself', async () => {
  const { forwarding } = defaultPaymentPolicy;
  trio = await Trio.withChannels({
    settings: { brook: { policy: { forwarding: { ...forwarding, enabled: false } } } },
  });
  await expect(trio.pay('lake', 1_000_000n).outcome).rejects.toMatchObject({
    code: 'no_route',
    message: expect.stringContaining('temporary_node_failure'),
  });
  expect((await trio.pay('brook', 1_000_000n).outcome).status).toBe('succeeded');
});
