import { bytesToHex } from '@rivulet/core/bytes';
import { decodeInvoice } from '@rivulet/core/invoice';
import { afterEach, describe, expect, test } from 'vitest';
import { type TestNode, until } from './pair.test.support.js';
import { type Place, Trio } from './trio.test.support.js';
import type { ChannelKey } from './turns.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

const amountMsat = 50_000_000n;

/** A payment of spring's that lake holds. */
async function held(made: Trio) {
  const { spring, lake } = made;
  const { bolt11, paymentHash } = await lake.node.payments.invoices.create({
    amountMsat,
    description: 'held',
    hold: true,
  });
  const { outcome } = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
  outcome.catch(() => {});
  await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
  return { paymentHash, outcome };
}

/** A fault of ours in the work of a channel. */
async function stopChannel({ node }: TestNode, key: ChannelKey): Promise<void> {
  node.turns.enqueue({
    channel: key,
    run: () => {
      throw new TypeError('a fault (a test)');
    },
  });
  await until(() => node.turns.stopped.has(key), 'the channel is stopped');
}

/** From here on no HTLC of the channel can be changed. */
function stumble({ node }: TestNode, key: ChannelKey): void {
  Object.defineProperty(node.turns.channels.get(key)!.htlcs, 'with', {
    value: () => {
      throw new TypeError('a fault (a test)');
    },
  });
}

async function restarted(made: Trio, place: Place): Promise<void> {
  await made.restart(place);
  await made.heal();
}

describe.each([false, true])(
  'a fault stops the channel that a payment came over (it stumbles on: %s):',
  (stumbles) => {
    async function withStoppedChannel() {
      const made = await Trio.withChannels();
      trio = made;
      const payment = await held(made);
      const key = made.key('brook', 'spring');
      await stopChannel(made.brook, key);
      if (stumbles) stumble(made.brook, key);
      return { made, key, ...payment };
    }
    const settlement = (made: Trio) =>
      [...made.channel('brook', 'spring').htlcs.direction('received')][0]?.settlement?.type;

    test('the preimage is kept, and claims it after the restart', async () => {
      const { made, paymentHash, outcome } = await withStoppedChannel();
      const before = made.totalMsat;
      await made.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
      await until(() => made.channel('brook', 'lake').htlcs.size === 0, 'lake has it');
      expect(settlement(made)).toBe(stumbles ? undefined : 'fulfill');
      expect(made.brook.node.storage.loadForwards()).toHaveLength(stumbles ? 1 : 0);
      await restarted(made, 'brook');
      expect(await outcome).toMatchObject({ status: 'succeeded', feeMsat: 6_000n });
      await made.settled();
      expect(made.brook.node.storage.loadForwards()).toEqual([]);
      expect(made.forwarded).toMatchObject({ settledCount: 1, failedCount: 0, feeMsat: 6_000n });
      expect(made.totalMsat).toBe(before);
    });

    test('a failure is given on after the restart, and nothing goes on again', async () => {
      const { made, paymentHash, outcome } = await withStoppedChannel();
      await made.lake.node.payments.receiver.cancel(paymentHash);
      await until(() => made.channel('brook', 'lake').htlcs.size === 0, 'it is back at brook');
      expect(settlement(made)).toBe(stumbles ? undefined : 'fail');
      await restarted(made, 'brook');
      await expect(outcome).rejects.toThrow();
      await made.settled();
      expect(made.brook.node.storage.loadForwards()).toEqual([]);
      expect(made.forwarded).toMatchObject({ settledCount: 0, failedCount: 1 });
    });

    // Where it stumbles on, only a restart helps.
    const onChain = stumbles ? [] : ['threat 14: without a restart it is claimed on chain in time'];
    test.each(onChain)('%s', async () => {
      const { made, paymentHash, outcome } = await withStoppedChannel();
      const { cltvExpiry } = [...made.channel('brook', 'spring').htlcs.direction('received')][0]!;
      await made.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
      await made.mineUntil(() => made.spring.node.storage.loadSendings().length === 0, 'it is paid', 200);
      expect((await outcome).status).toBe('succeeded');
      expect(made.chain.height).toBeLessThan(cltvExpiry);
    });
  },
);

describe.each([false, true])(
  'a fault stops a channel with what is paid to us (it stumbles on: %s):',
  (stumbles) => {
    test('what is settled then is claimed after the restart', async () => {
      trio = await Trio.withChannels();
      const { paymentHash, outcome } = await held(trio);
      const key = trio.key('lake', 'brook');
      await stopChannel(trio.lake, key);
      if (stumbles) stumble(trio.lake, key);
      const invoice = await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
      expect(invoice.state).toBe('settled');
      const unclaimed = () => trio!.lake.node.storage.listValues('unclaimed-htlc/').length;
      expect(unclaimed()).toBe(stumbles ? 1 : 0);
      await restarted(trio, 'lake');
      expect((await outcome).status).toBe('succeeded');
      await trio.settled();
      expect(unclaimed()).toBe(0);
      expect(trio.lake.node.storage.listPayments().payments).toHaveLength(1);
    });
  },
);

test('a fault in one of the channels over which parts have come keeps none of them from being settled', async () => {
  trio = await Trio.withChannels();
  await trio.mine(1);
  await trio.open('spring', 'brook', true);
  await trio.open('brook', 'lake', true);
  await trio.mine(6);
  await trio.usable();
  await trio.known(4);
  const { spring, lake } = trio;
  const before = trio.totalMsat;
  const { bolt11, paymentHash } = await lake.node.payments.invoices.create({
    amountMsat: 900_000_000n,
    description: 'parts',
    hold: true,
  });
  const { outcome } = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
  await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
  expect(lake.node.channels.every(({ htlcs }) => htlcs.receivedCount > 0)).toBe(true);
  const key = bytesToHex(lake.node.channels[0]!.params.channelId);
  await stopChannel(lake, key);
  stumble(lake, key);
  await lake.node.payments.receiver.settleHeld(paymentHash, undefined);
  await until(() => lake.node.channels[1]!.htlcs.size === 0, 'the other channel has settled');
  await restarted(trio, 'lake');
  expect((await outcome).status).toBe('succeeded');
  await trio.settled();
  expect(lake.store.memory.listPayments().payments).toMatchObject([{ amountMsat: 900_000_000n }]);
  expect(trio.totalMsat).toBe(before);
});

test.each(['before', 'after'] as const)(
  'a node that cannot store what is pending does not start, and has it all when it can (full %s)',
  async (full) => {
    trio = await Trio.withChannels();
    const { paymentHash, outcome } = await held(trio);
    const { store } = trio.lake;
    await trio.stopNode('lake');
    store.full = full;
    await expect(trio.startAgain('lake')).rejects.toMatchObject({ code: 'disk_full' });
    store.full = 'no';
    await trio.startAgain('lake');
    await trio.heal();
    await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
    expect((await outcome).status).toBe('succeeded');
  },
);
