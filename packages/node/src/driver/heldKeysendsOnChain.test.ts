import { hexToBytes } from '@rivulet/core/bytes';
import { afterEach, expect, test } from 'vitest';
import { Pair, startNode, until } from './pair.test.support.js';

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const keyOf = ({ node }: Pair['alice']) => [...node.turns.channels.keys()][0]!;

/** A payment from alice that waits for bob's decision. */
async function held(amountMsat: bigint) {
  // Bob has nothing on chain that could pay for the HTLC's transaction where there are anchors.
  const made = await Pair.withChannel({ anchors: false });
  pair = made;
  const { store } = made.bob;
  await made.bob.node.stop();
  const judge = () => ({ action: 'hold', rule: 'large', untilMs: 9_000_000_000_000 }) as const;
  const admission = { accepting: true, whyNoChannels: undefined, keysendPolicy: { judge } };
  made.bob = await startNode(made.chain, { seed: 2, store, settings: { admission } });
  await made.caughtUp();
  await made.connect();
  await made.usable();
  const sent = made.alice.node.payments.outgoing.keysend({
    destination: hexToBytes(made.bob.node.nodeId),
    amountMsat,
    customRecords: new Map(),
  });
  sent.outcome.catch(() => {});
  await until(() => made.bob.node.payments.receiver.waitingKeysends().length === 1, 'it is held');
  return { made, sent };
}

const received = (made: Pair) => made.bob.node.storage.listPayments({ direction: 'incoming' }).payments;

test.each(['alice', 'bob'] as const)(
  'a keysend that waits when %s closes the channel can still be taken, from the chain',
  async (who) => {
    const { made, sent } = await held(20_000_000n);
    await made[who].node.closeChannel({ key: keyOf(made[who]), force: true });
    await until(() => made.closing, 'the commitment is published');
    await made.mine(1);
    await made.bob.node.payments.receiver.decideKeysend(sent.paymentHash, { accept: true });
    expect(received(made)).toHaveLength(1);
    for (let i = 0; i < 20; i++) await made.mine(1);
    expect((await sent.outcome).status).toBe('succeeded');
  },
);

test.each(['alice', 'bob'] as const)(
  'a keysend that is too small for the chain is not taken after %s has closed the channel',
  async (who) => {
    const { made, sent } = await held(100_000n);
    await made[who].node.closeChannel({ key: keyOf(made[who]), force: true });
    await until(() => made.closing, 'the commitment is published');
    await made.mine(1);
    await expect(
      made.bob.node.payments.receiver.decideKeysend(sent.paymentHash, { accept: true }),
    ).rejects.toThrow();
    expect(received(made)).toEqual([]);
  },
);
