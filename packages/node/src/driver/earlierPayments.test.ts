import { hexToBytes } from '@rivulet/core/bytes';
import { afterEach, expect, test } from 'vitest';
import { Pair, until } from './pair.test.support.js';

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const keysend = (amountMsat: bigint) => ({
  destination: hexToBytes(pair!.bob.node.nodeId),
  amountMsat,
  customRecords: new Map(),
  idempotencyKey: amountMsat.toString(),
});

/** Alice restarts with payments under way of which a database of version 1 had no more than their rows. */
async function restartWithPaymentsOfVersion1(amountsMsat: readonly bigint[]): Promise<void> {
  const { alice, bob } = pair!;
  // Bob's answers are lost.
  bob.node.peers.send = () => true;
  for (const amountMsat of amountsMsat) {
    alice.node.payments.outgoing.keysend(keysend(amountMsat)).outcome.catch(() => {});
  }
  alice.node.turns.runNow();
  await alice.node.stop();
  const { memory } = alice.store;
  const sendings = memory.loadSendings();
  expect(sendings).toHaveLength(amountsMsat.length);
  memory.transaction((tx) => {
    for (const { paymentHash } of sendings) tx.deleteSending(paymentHash);
  });
  await pair!.restart('bob');
  await pair!.restart('alice');
}

test('a payment that version 1 sent succeeds when it is settled, also for who waits for it', async () => {
  pair = await Pair.withChannel();
  await restartWithPaymentsOfVersion1([7_000_000n, 8_000_000n]);
  const { node } = pair.alice;
  const waiting = node.payments.outgoing.keysend(keysend(7_000_000n)).outcome;
  await pair.connect();
  expect(await waiting).toMatchObject({ status: 'succeeded', amountMsat: 7_000_000n, feeMsat: 0n });
  await until(() => node.channels[0]!.htlcs.size === 0, 'both are over');
  expect(node.storage.listPayments({ status: 'succeeded' }).payments).toHaveLength(2);
  expect(node.storage.listPayments({ status: 'pending' }).payments).toEqual([]);
});

test('a payment that version 1 sent fails when it comes back', async () => {
  pair = await Pair.withChannel();
  const refused = 1n;
  await restartWithPaymentsOfVersion1([refused]);
  // Settled by Bob as a hash that he has seen before: it comes back.
  const { paymentHash } = pair.alice.node.storage.listPayments().payments[0]!;
  pair.bob.store.memory.transaction((tx) => tx.markHashSeen(paymentHash));
  const waiting = pair.alice.node.payments.outgoing.keysend(keysend(refused)).outcome;
  const outcome = expect(waiting).rejects.toMatchObject({ code: 'refused_by_destination' });
  await pair.connect();
  await outcome;
  expect(pair.alice.node.storage.getOutgoingPayment(paymentHash)).toMatchObject({
    status: 'failed',
    failureCode: 'refused_by_destination',
  });
  expect(pair.alice.node.channels[0]!.localMsat).toBe(700_000_000n);
});
