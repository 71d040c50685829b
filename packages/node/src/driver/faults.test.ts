import { hexToBytes } from '@rivulet/core/bytes';
import { StorageError } from '@rivulet/storage';
import { afterEach, expect, test } from 'vitest';
import { Pair, until } from './pair.test.support.js';

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const phaseOf = ({ node }: Pair['alice']) => node.channels[0]?.phase.name;

test('a turn that cannot be stored cuts off every peer that had a message in it; nothing fails later', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  // The disk is full while the payment's messages arrive, and has room again before the peer is back.
  bob.store.full = 'before';
  const payment = pair.pay(alice, bob);
  await until(() => [alice, bob].every(({ node }) => node.peers.peers.length === 0), 'the peer is cut off');
  bob.store.full = 'no';
  await pair.connect();
  expect((await payment.outcome).status).toBe('succeeded');
  expect([phaseOf(alice), phaseOf(bob)]).toEqual(['open', 'open']);
});

test('a payment that cannot be stored is answered, sends nothing, and can be made when there is room', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  alice.store.full = 'after';
  await expect(pair.pay(alice, bob).outcome).rejects.toMatchObject({ code: 'not_stored' });
  alice.store.full = 'no';
  expect(alice.node.channels[0]!.htlcs.size).toBe(0);
  expect((await pair.pay(alice, bob).outcome).status).toBe('succeeded');
  expect(bob.node.storage.listPayments().payments).toHaveLength(1);
});

test('a payment that the database failed over is not called unsent: it may be stored all the same', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  alice.store.inspect = () => {
    throw new StorageError('io', 'the disk failed (a test)');
  };
  await expect(pair.pay(alice, bob).outcome).rejects.toMatchObject({ code: 'outcome_unknown' });
  alice.store.inspect = () => {};
});

test('two calls with one idempotency key and other amounts in one turn: one pays, the other is refused', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  const request = (amountMsat: bigint) => ({
    destination: hexToBytes(bob.node.nodeId),
    amountMsat,
    customRecords: new Map(),
    idempotencyKey: 'once',
  });
  const first = alice.node.payments.outgoing.keysend(request(1_000n));
  const second = alice.node.payments.outgoing.keysend(request(2_000n));
  const outcomes = await Promise.allSettled([first.outcome, second.outcome]);
  expect(outcomes[0]).toMatchObject({ status: 'fulfilled', value: { amountMsat: 1_000n } });
  expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { code: 'idempotency_conflict' } });
});

test('an error of 65 KB fails the channel and not the node', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  const { channelId } = bob.node.channels[0]!.params;
  const data = new Uint8Array(65_499).fill(0x41);
  bob.node.peers.send(alice.node.nodeId, [{ type: 'error', channelId, data }]);
  await until(() => phaseOf(alice) === 'failed', 'the channel has failed');
  const [channel] = alice.node.channels;
  expect((channel!.phase as { error: Error }).error.message.length).toBeLessThan(500);
  await until(() => pair!.closing, 'the commitment is published');
});

/** Has the next update_add_htlc throw in the machine, as a fault of ours would. */
function stumble({ node }: Pair['alice']): void {
  const { htlcs } = node.channels[0]!;
  Object.defineProperty(htlcs, 'with', {
    value: () => {
      throw new TypeError('a fault (a test)');
    },
  });
}

test('threat 13: a channel that a fault stopped is still watched on chain', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  stumble(bob);
  const payment = pair.pay(alice, bob);
  payment.outcome.catch(() => {});
  await until(() => bob.node.turns.stopped.size === 1, 'the channel is stopped');
  // It goes on to be told of blocks, and of what closes it.
  await alice.node.closeChannel({ key: [...alice.node.turns.channels.keys()][0]!, force: true });
  await until(() => pair!.closing, 'the commitment is published');
  await pair.mine(1);
  expect(phaseOf(bob)).toBe('spent');
});

test('a channel that a fault stopped can be closed by force', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  stumble(bob);
  pair.pay(alice, bob).outcome.catch(() => {});
  await until(() => bob.node.turns.stopped.size === 1, 'the channel is stopped');
  const [key] = [...bob.node.turns.channels.keys()];
  await expect(bob.node.closeChannel({ key: key!, force: false })).rejects.toThrow(
    /stopped by an internal fault/,
  );
  await bob.node.closeChannel({ key: key!, force: true });
  expect(phaseOf(bob)).toBe('failed');
});

test('a fault in one work of a turn costs that work alone', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  const faulty = new Promise((resolve) =>
    alice.node.turns.enqueue({
      run: () => {
        throw new TypeError('a fault (a test)');
      },
      failed: resolve,
    }),
  );
  const payment = pair.pay(alice, bob);
  expect(await faulty).toBeInstanceOf(TypeError);
  expect((await payment.outcome).status).toBe('succeeded');
  expect(alice.node.turns.stopped.size).toBe(0);
});

test('what an effect throws keeps no other effect back', async () => {
  pair = await Pair.withChannel();
  const { alice, bob } = pair;
  alice.node.on('payment', () => {
    throw new Error('a listener (a test)');
  });
  let ran = false;
  const payment = pair.pay(alice, bob);
  await payment.outcome;
  alice.node.turns.enqueue({
    run: (turn) => {
      turn.afterCommit(() => {
        throw new Error('an effect (a test)');
      });
      turn.afterCommit(() => {
        ran = true;
      });
    },
  });
  alice.node.turns.runNow();
  expect(ran).toBe(true);
});
