import { hexToBytes } from '@rivulet/core/bytes';
import { createKeysend } from '@rivulet/core/payment';
import { afterEach, expect, test } from 'vitest';
import { Pair, until } from './pair.test.support.js';

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const keyOf = ({ node }: Pair['alice']) => [...node.turns.channels.keys()][0]!;
const idempotent = (to: Pair['alice']) => ({
  destination: hexToBytes(to.node.nodeId),
  amountMsat: 7_000_000n,
  customRecords: new Map(),
  idempotencyKey: 'invoice 1',
});

test('threat 16: of two HTLCs with one hash, in one turn, one is paid and the other comes back', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  const { htlc } = createKeysend({
    destination: hexToBytes(bob.node.nodeId),
    amountMsat: 5_000_000n,
    preimage: new Uint8Array(32).fill(0x31),
    sessionKey: new Uint8Array(32).fill(0x32),
    blockHeight: alice.node.blockHeight,
    customRecords: new Map(),
  });
  const before = alice.node.channels[0]!.localMsat;
  alice.node.turns.enqueue({
    run: (turn) => {
      turn.command(keyOf(alice), { type: 'addHtlc', requestId: 'one', htlc });
      turn.command(keyOf(alice), { type: 'addHtlc', requestId: 'two', htlc });
    },
  });
  alice.node.turns.runNow();
  await until(() => [alice, bob].every(({ node }) => node.channels[0]!.htlcs.size === 0), 'both are over');
  expect(before - alice.node.channels[0]!.localMsat).toBe(5_000_000n);
  expect(bob.node.storage.listPayments().payments).toHaveLength(1);
});

test.each(['signed', 'not signed'] as const)(
  'a key that is used again after a crash does not pay again: the HTLC was %s',
  async (how) => {
    pair = await Pair.withChannel();
    const { alice, bob } = pair;
    // What Alice sends from here on is lost, and so is all that she has in memory.
    const { peers } = alice.node;
    peers.send = () => true;
    if (how === 'not signed') {
      // Another payment's commitment_signed waits for its revoke_and_ack.
      pair.pay(alice, bob, 1_000_000n).outcome.catch(() => {});
      alice.node.turns.runNow();
    }
    alice.node.payments.outgoing.keysend(idempotent(bob)).outcome.catch(() => {});
    alice.node.turns.runNow();
    await pair.restart('alice');
    const again = pair.alice.node.payments.outgoing.keysend(idempotent(bob));
    expect(pair.alice.node.storage.getOutgoingPayment(again.paymentHash)?.status).toBe('pending');
    await until(() => bob.node.peers.peers.length === 0, 'the old connection is gone');
    await pair.connect();
    expect(await again.outcome).toMatchObject({ status: 'succeeded', amountMsat: 7_000_000n });
    await until(() => bob.node.channels[0]!.htlcs.size === 0, 'all is over');
    expect(bob.node.storage.listPayments().payments).toHaveLength(how === 'signed' ? 1 : 2);
    expect(pair.alice.node.storage.listPayments({ status: 'pending' }).payments).toEqual([]);
  },
);

test('a receiver that crashes after the preimage was stored settles once', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  // Bob decides and stores; nothing of what he says from then on is heard.
  const { peers } = bob.node;
  const send = peers.send.bind(peers);
  peers.send = (nodeId, messages) =>
    messages.some(({ type }) => type === 'update_fulfill_htlc') ? true : send(nodeId, messages);
  const payment = pair.pay(alice, bob);
  await until(() => bob.node.storage.listPayments().payments.length === 1, 'the payment is stored');
  const before = bob.node.channels[0]!.localMsat;
  await pair.restart('bob');
  await until(() => alice.node.peers.peers.length === 0, 'the old connection is gone');
  await pair.connect();
  expect((await payment.outcome).status).toBe('succeeded');
  await until(() => pair!.bob.node.channels[0]!.htlcs.size === 0, 'all is over');
  expect(pair.bob.node.storage.listPayments().payments).toHaveLength(1);
  expect(pair.bob.node.channels[0]!.localMsat - before).toBe(1_000_000n);
});

test('a payment whose HTLC never left is failed once the channel is closed on chain', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  alice.node.peers.send = () => true;
  const signed = pair.pay(alice, bob, 1_000_000n);
  alice.node.turns.runNow();
  const unsigned = pair.pay(alice, bob, 2_000_000n);
  alice.node.turns.runNow();
  const outcomes = Promise.allSettled([signed.outcome, unsigned.outcome]);
  await bob.node.closeChannel({ key: keyOf(bob), force: true });
  await until(() => pair!.closing, 'the commitment is published');
  await pair.mine(8);
  for (const outcome of await outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'timed_out_on_chain' } });
  }
});
