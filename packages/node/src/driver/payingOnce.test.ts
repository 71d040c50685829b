import { decodeInvoice } from '@rivulet/core/invoice';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from './pair.test.support.js';
import { realId, Trio } from './trio.test.support.js';
import { channelKey } from './turns.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

const amountMsat = 3_000_000n;

async function invoiceOf(made: Trio, wanted: { amountMsat?: bigint; hold?: boolean } = { amountMsat }) {
  const { bolt11, paymentHash } = await made.lake.node.payments.invoices.create({
    description: 'one',
    ...wanted,
  });
  return { invoice: decodeInvoice(bolt11), paymentHash };
}

const received = (made: Trio) => made.lake.node.storage.listPayments().payments.length;

test('a key pays once: at the same time, later, and after a restart', async () => {
  trio = await Trio.withChannels();
  const once = { idempotencyKey: 'boost 1' };
  const both = [trio.pay('lake', amountMsat, once), trio.pay('lake', amountMsat, once)];
  const [first, second] = await Promise.all(both.map(({ outcome }) => outcome));
  expect(second).toEqual(first);
  expect(await trio.pay('lake', amountMsat, once).outcome).toEqual(first);
  await trio.restart('spring');
  await trio.heal();
  expect(await trio.pay('lake', amountMsat, once).outcome).toEqual(first);
  expect(() => trio!.pay('lake', amountMsat + 1n, once)).toThrow(/this idempotency key was used/);
  expect(received(trio)).toBe(1);
});

test('a key whose payment failed on its way tells that again; one that never left may be used again', async () => {
  trio = await Trio.withChannels();
  const once = { idempotencyKey: 'boost 2' };
  await trio.stopNode('lake');
  await until(() => trio!.channel('brook', 'lake').link === 'offline', 'lake is away');
  await expect(trio.pay('lake', amountMsat, once).outcome).rejects.toMatchObject({ code: 'no_route' });
  await trio.startAgain('lake');
  await trio.heal();
  await expect(trio.pay('lake', amountMsat, once).outcome).rejects.toMatchObject({ code: 'failed_before' });
  const never = { idempotencyKey: 'boost 3' };
  await expect(trio.pay('lake', amountMsat, { ...never, maxFeeMsat: 0n }).outcome).rejects.toMatchObject({
    code: 'fee_limit',
  });
  expect((await trio.pay('lake', amountMsat, never).outcome).status).toBe('succeeded');
});

describe('an invoice', () => {
  test('is paid once, whoever asks while it is being paid and after', async () => {
    trio = await Trio.withChannels();
    const { spring, lake } = trio;
    const { invoice, paymentHash } = await invoiceOf(trio, { amountMsat, hold: true });
    const pay = () => spring.node.payments.outgoing.payInvoice({ invoice }).outcome;
    const calls = [pay(), pay()];
    await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
    calls.push(pay());
    await trio.restart('spring');
    await trio.heal();
    const afterRestart = trio.spring.node.payments.outgoing.payInvoice({ invoice }).outcome;
    await lake.node.payments.receiver.settleHeld(paymentHash, undefined);
    const paid = await afterRestart;
    expect(paid.status).toBe('succeeded');
    expect(await trio.spring.node.payments.outgoing.payInvoice({ invoice }).outcome).toEqual(paid);
    expect(received(trio)).toBe(1);
    await trio.settled();
    expect(trio.forwarded.settledCount).toBe(1);
  });

  test('that failed can be paid again, and is listed as two payments', async () => {
    trio = await Trio.withChannels();
    const { invoice } = await invoiceOf(trio);
    await trio.stopNode('lake');
    await until(() => trio!.channel('brook', 'lake').link === 'offline', 'lake is away');
    const pay = () => trio!.spring.node.payments.outgoing.payInvoice({ invoice }).outcome;
    await expect(pay()).rejects.toMatchObject({ code: 'no_route' });
    await trio.startAgain('lake');
    await trio.heal();
    expect((await pay()).status).toBe('succeeded');
    expect(trio.spring.node.storage.listPayments().payments.map(({ status }) => status)).toEqual([
      'succeeded',
      'failed',
    ]);
  });

  test('that is asked for twice in one turn, with another amount: one pays, the other is told so', async () => {
    trio = await Trio.withChannels();
    const { invoice } = await invoiceOf(trio, {});
    const { outgoing } = trio.spring.node.payments;
    const outcomes = await Promise.allSettled([
      outgoing.payInvoice({ invoice, amountMsat: 2_000_000n }).outcome,
      outgoing.payInvoice({ invoice, amountMsat: 4_000_000n }).outcome,
    ]);
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: { amountMsat: 2_000_000n } },
      { status: 'rejected', reason: { code: 'idempotency_conflict' } },
    ]);
    expect(received(trio)).toBe(1);
  });

  test('that is asked for twice in one turn, with other limits: each call hears what it came to itself', async () => {
    trio = await Trio.withChannels();
    const { invoice } = await invoiceOf(trio);
    const { outgoing } = trio.spring.node.payments;
    const outcomes = await Promise.allSettled([
      outgoing.payInvoice({ invoice, maxFeeMsat: 0n }).outcome,
      outgoing.payInvoice({ invoice }).outcome,
    ]);
    expect(outcomes).toMatchObject([
      { status: 'rejected', reason: { code: 'fee_limit' } },
      { status: 'fulfilled', value: { status: 'succeeded' } },
    ]);
    expect(received(trio)).toBe(1);
  });
});

test('a probe finds the way and leaves nothing at all; what it found is what a payment takes', async () => {
  trio = await Trio.withChannels();
  const { spring, brook, lake } = trio;
  const before = trio.balance('spring');
  const { outgoing } = spring.node.payments;
  const wanted = { destination: trio.id('lake'), amountMsat };
  const [planned] = outgoing.route(wanted);
  const probed = await outgoing.probe(wanted);
  const hopsOf = (route: typeof planned) =>
    route?.hops.map(({ shortChannelId, amountMsat: sent }) => [shortChannelId, sent]);
  expect(hopsOf(probed)).toEqual(hopsOf(planned));
  expect(hopsOf(planned)).toEqual([
    [realId(trio.channel('spring', 'brook')), 3_001_300n],
    [realId(trio.channel('brook', 'lake')), 3_000_000n],
  ]);
  await trio.settled();
  expect(trio.balance('spring')).toBe(before);
  for (const { node } of [spring, brook, lake]) {
    expect(node.storage.listPayments().payments).toEqual([]);
    expect(node.storage.loadSendings()).toEqual([]);
    expect(node.storage.loadForwards()).toEqual([]);
  }
  expect(await trio.pay('lake', amountMsat).outcome).toMatchObject({ feeMsat: planned!.feeMsat });
});

test('a probe says why a payment would not arrive, and nothing is left of one that a crash cut short', async () => {
  trio = await Trio.withChannels();
  const { outgoing } = trio.spring.node.payments;
  const destination = trio.id('lake');
  await expect(outgoing.probe({ destination, amountMsat: 700_000_000n })).rejects.toMatchObject({
    code: 'insufficient_balance',
  });
  expect(() => outgoing.route({ destination, amountMsat: 0n })).toThrow(
    expect.objectContaining({ name: 'PaymentError', code: 'request_invalid' }),
  );
  trio.brook.node.peers.send = () => true;
  outgoing.probe({ destination, amountMsat }).catch(() => {});
  await until(() => trio!.spring.node.storage.loadSendings().length === 1, 'it is on its way');
  await trio.restart('spring');
  await trio.restart('brook');
  await trio.heal();
  await trio.settled();
  await until(() => trio!.spring.node.storage.loadSendings().length === 0, 'it is over');
  expect(trio.spring.node.storage.listPayments().payments).toEqual([]);
});

/** A payment of spring's in several parts over two channels, which lake holds. */
async function heldInParts(made: Trio) {
  const { spring, lake } = made;
  await made.mine(1);
  await made.open('spring', 'brook', true);
  await made.open('brook', 'lake', true);
  await made.mine(6);
  await made.usable();
  await made.known(4);
  const { invoice, paymentHash } = await invoiceOf(made, { amountMsat: 900_000_000n, hold: true });
  const { outcome } = spring.node.payments.outgoing.payInvoice({ invoice });
  outcome.catch(() => {});
  await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
  /** As the sweeper tells it when the chain has resolved one of the HTLCs. */
  const resolve = (ref: { channelId: Uint8Array; htlcId: bigint }, preimage?: Uint8Array) => {
    spring.node.turns.enqueue({
      run: (turn) => {
        const htlc = turn.channels.get(channelKey(ref.channelId))!.htlcs.get('offered', ref.htlcId)!;
        spring.node.payments.resolveOnChain(turn, { channelId: ref.channelId, htlc, preimage });
      },
    });
    spring.node.turns.runNow();
  };
  const refs = [...spring.node.payments.sender.get(paymentHash)!.htlcs.values()];
  return { paymentHash, outcome, resolve, refs };
}

test('what is told twice of one part does not end a payment whose other parts are under way', async () => {
  trio = await Trio.withChannels();
  const { spring, lake } = trio;
  const { paymentHash, outcome, resolve, refs } = await heldInParts(trio);
  const { channelId, htlcId } = spring.node.storage.getOutgoingPayment(paymentHash)!;
  expect(refs[0]).toEqual({ channelId, htlcId });
  // When the HTLC is buried, and at the next start.
  resolve(refs[0]!);
  resolve(refs[0]!);
  expect(spring.node.storage.getOutgoingPayment(paymentHash)?.status).toBe('pending');
  await lake.node.payments.receiver.cancel(paymentHash);
  await expect(outcome).rejects.toMatchObject({ code: 'timed_out_on_chain' });
  await trio.settled();
});

test('the fee of a payment is that of the parts that were paid', async () => {
  trio = await Trio.withChannels();
  const { spring, lake } = trio;
  const { paymentHash, outcome, resolve, refs } = await heldInParts(trio);
  const { preimage } = lake.node.storage.getInvoice(paymentHash)!;
  resolve(refs[0]!, preimage);
  const { feeMsat } = await outcome;
  for (const ref of refs.slice(1)) resolve(ref);
  const paid = spring.node.storage.getOutgoingPayment(paymentHash)!;
  expect(paid.status).toBe('succeeded');
  expect(paid.feeMsat).toBeLessThan(feeMsat);
  expect(paid.feeMsat).toBeGreaterThan(0n);
  await lake.node.payments.receiver.settleHeld(paymentHash, undefined);
  await trio.settled();
});

describe('a keysend whose preimage is chosen', () => {
  const preimage = new Uint8Array(32).fill(0x51);

  test('is one payment: at the same time, later, and after a restart', async () => {
    trio = await Trio.withChannels();
    const both = [trio.pay('lake', amountMsat, { preimage }), trio.pay('lake', amountMsat, { preimage })];
    const [first, second] = await Promise.all(both.map(({ outcome }) => outcome));
    expect(first).toMatchObject({ status: 'succeeded', preimage });
    expect(second).toEqual(first);
    await trio.restart('spring');
    await trio.heal();
    expect(await trio.pay('lake', amountMsat, { preimage }).outcome).toEqual(first);
    expect(() => trio!.pay('lake', amountMsat + 1n, { preimage })).toThrow(/or this preimage/);
    expect(received(trio)).toBe(1);
  });

  test('is one payment under two keys, too', async () => {
    trio = await Trio.withChannels();
    const calls = ['first', 'second'].map((idempotencyKey) =>
      trio!.pay('lake', amountMsat, { preimage, idempotencyKey }),
    );
    const [first, second] = await Promise.all(calls.map(({ outcome }) => outcome));
    expect(second).toEqual(first);
    expect(received(trio)).toBe(1);
    await trio.settled();
    expect(trio.forwarded.settledCount).toBe(1);
  });

  test('is tried again where it failed, and paid once then', async () => {
    trio = await Trio.withChannels();
    await trio.stopNode('lake');
    await until(() => trio!.channel('brook', 'lake').link === 'offline', 'lake is away');
    await expect(trio.pay('lake', amountMsat, { preimage }).outcome).rejects.toMatchObject({
      code: 'no_route',
    });
    await trio.startAgain('lake');
    await trio.heal();
    expect((await trio.pay('lake', amountMsat, { preimage }).outcome).status).toBe('succeeded');
    expect((await trio.pay('lake', amountMsat, { preimage }).outcome).status).toBe('succeeded');
    expect(received(trio)).toBe(1);
  });
});
