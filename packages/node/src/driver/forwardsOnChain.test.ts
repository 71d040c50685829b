import type { Channel } from '@rivulet/core/channel';
import { decodeInvoice } from '@rivulet/core/invoice';
import type { Transaction } from '@rivulet/core/tx';
import type { OutgoingPayment } from '@rivulet/storage';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from './pair.test.support.js';
import { type Place, pause, Trio } from './trio.test.support.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

const amountMsat = 50_000_000n;
const feeMsat = 6_000n;

interface Pending {
  readonly paymentHash: Uint8Array;
  readonly outcome: Promise<OutgoingPayment>;
}

/** A payment of spring's that is through the middle and that lake holds. */
async function held(made: Trio): Promise<Pending> {
  const { spring, lake } = made;
  const { bolt11, paymentHash } = await lake.node.payments.invoices.create({
    amountMsat,
    description: 'held',
    hold: true,
  });
  const sent = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
  sent.outcome.catch(() => {});
  await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
  return { paymentHash, outcome: sent.outcome };
}

async function close(made: Trio, { by, with: other }: { by: Place; with: Place }): Promise<Channel> {
  const channel = made.channel(by, other);
  await made[by].node.closeChannel({ key: made.key(by, other), force: true });
  await until(() => made.isSpent(channel), 'the commitment is published');
  await made.mine(1);
  await until(() => made.channel(other, by).phase.name === 'spent', 'the other side sees it');
  return channel;
}

const incoming = (made: Trio) => [...made.channel('brook', 'spring').htlcs.direction('received')];
const closers = ['brook', 'lake'] as const;

describe.each(closers)('the channel on which a payment went on is closed by %s:', (by) => {
  const other = by === 'brook' ? 'lake' : 'brook';

  test.each([false, true])(
    'threats 13 to 15: a preimage that shows on chain is the payer’s (the middle restarts in between: %s)',
    async (restarts) => {
      trio = await Trio.withChannels();
      const before = { spring: trio.balance('spring'), brook: trio.channel('brook', 'spring').localMsat };
      const { paymentHash, outcome } = await held(trio);
      await close(trio, { by, with: other });
      if (restarts) await trio.restart('brook');
      await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
      if (restarts) {
        // It is down while the preimage is shown, and sees it in the blocks that it missed.
        await trio.stopNode('brook');
        trio.chain.mine({ blocks: 1 });
        await until(() => trio!.lake.node.blockHeight === trio!.chain.tip.height, 'lake sees the block');
        await pause();
        trio.chain.mine({ blocks: 2 });
        await trio.startAgain('brook');
        await trio.caughtUp();
        await trio.connect('spring', 'brook');
      }
      await trio.mineUntil(() => trio!.spring.node.storage.loadSendings().length === 0, 'it is paid', 20);
      expect(await outcome).toMatchObject({ status: 'succeeded', feeMsat });
      await until(() => incoming(trio!).length === 0, 'the incoming HTLC is over');
      expect(before.spring - trio.balance('spring')).toBe(amountMsat + feeMsat);
      expect(trio.channel('brook', 'spring').localMsat - before.brook).toBe(amountMsat + feeMsat);
      expect(trio.channel('brook', 'spring').phase.name).toBe('open');
      expect(trio.brook.node.storage.loadForwards()).toEqual([]);
      expect(trio.forwarded).toMatchObject({ settledCount: 1, feeMsat });
    },
  );

  test('without a preimage the payment goes back when the timeout is buried, and not a block sooner', async () => {
    trio = await Trio.withChannels();
    const before = trio.balance('spring');
    const { outcome } = await held(trio);
    const outgoing = [...trio.channel('brook', 'lake').htlcs.direction('offered')][0]!;
    await close(trio, { by, with: other });
    let timedOutAt: number | undefined;
    let over = false;
    outcome.catch(() => {
      over = true;
    });
    await trio.mineUntil(() => {
      const { height } = trio!.chain;
      const isTimeout = (tx: Transaction) => tx.lockTime >= outgoing.cltvExpiry;
      if (trio!.chain.blockAt(height)!.transactions.some(({ tx }) => isTimeout(tx))) timedOutAt ??= height;
      const [htlc] = incoming(trio!);
      if (htlc?.settlement !== undefined || over) {
        expect(timedOutAt).toBeDefined();
        expect(height - timedOutAt! + 1).toBeGreaterThanOrEqual(6);
      }
      return over;
    }, 'it has come back');
    await expect(outcome).rejects.toThrow(/permanent_channel_failure/);
    await until(() => incoming(trio!).length === 0, 'the incoming HTLC is over');
    expect(trio.balance('spring')).toBe(before);
    expect(trio.channel('brook', 'spring').phase.name).toBe('open');
    expect(trio.brook.node.storage.loadForwards()).toEqual([]);
    expect(trio.forwarded).toMatchObject({ settledCount: 0, failedCount: 1 });
  });
});

test('threats 13 to 15: what the chain showed while the middle was down is not lost with a full disk', async () => {
  trio = await Trio.withChannels();
  const { paymentHash, outcome } = await held(trio);
  await close(trio, { by: 'lake', with: 'brook' });
  await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
  await trio.mineUntil(
    () => trio!.brook.node.storage.loadForwards().length === 0,
    'the preimage is seen',
    20,
  );
  // As if it had been told and its turn lost: the forward is there again, the block is not seen again.
  const { store, node } = trio.brook;
  await trio.stopNode('brook');
  expect(node.channels.map(({ phase }) => phase.name).sort()).toEqual(['open', 'spent']);
  store.full = 'after';
  await expect(trio.startAgain('brook')).rejects.toMatchObject({ code: 'disk_full' });
  store.full = 'no';
  await trio.startAgain('brook');
  await trio.connect('spring', 'brook');
  expect((await outcome).status).toBe('succeeded');
});

/** Threat 26 for blocks: the middle dies at its k-th transaction after lake has shown the preimage on chain. */
describe.each(['before', 'after'] as const)('the middle dies %s a block is stored', (when) => {
  test.each([1, 2, 3, 4, 5])(
    'that is number %i from the preimage on, and has its money all the same',
    async (k) => {
      trio = await Trio.withChannels();
      const before = trio.channel('brook', 'spring').localMsat;
      const { paymentHash, outcome } = await held(trio);
      await close(trio, { by: 'lake', with: 'brook' });
      await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
      await pause();
      const { store } = trio.brook;
      store.dieAt(k, when);
      for (let i = 0; i < 8; i++) {
        trio.chain.mine({ blocks: 1 });
        await until(() => trio!.lake.node.blockHeight === trio!.chain.tip.height, 'lake sees the block');
        await pause();
      }
      await until(() => store.dead, 'it dies');
      await trio.restart('brook');
      await trio.caughtUp();
      await trio.connect('spring', 'brook');
      await trio.mineUntil(() => trio!.spring.node.storage.loadSendings().length === 0, 'it is paid', 20);
      expect(await outcome).toMatchObject({ status: 'succeeded', feeMsat });
      await until(() => incoming(trio!).length === 0, 'the incoming HTLC is over');
      expect(trio.channel('brook', 'spring').localMsat - before).toBe(amountMsat + feeMsat);
      expect(trio.brook.node.storage.loadForwards()).toEqual([]);
      expect(trio.forwarded).toMatchObject({ settledCount: 1, feeMsat });
    },
  );
});

test('a close that is reorganised away, with the preimage that it showed, takes nothing back', async () => {
  trio = await Trio.withChannels();
  const { paymentHash, outcome } = await held(trio);
  await close(trio, { by: 'lake', with: 'brook' });
  await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
  await trio.mineUntil(
    () => trio!.brook.node.storage.loadForwards().length === 0,
    'the preimage is seen',
    20,
  );
  expect((await outcome).status).toBe('succeeded');
  const depth = 6;
  trio.chain.reorganise({ depth, blocks: depth + 1 });
  await trio.caughtUp();
  await trio.mineUntil(() => trio!.channel('brook', 'lake').phase.name === 'closed', 'all is buried', 60);
  expect(trio.channel('brook', 'spring').phase.name).toBe('open');
  expect(trio.forwarded).toMatchObject({ settledCount: 1, failedCount: 0, feeMsat });
});

describe.each(['spring', 'brook'] as const)('the channel on which a payment came is closed by %s:', (by) => {
  test.each([false, true])(
    'threat 14: the middle claims on chain with the preimage that it gets (it restarts in between: %s)',
    async (restarts) => {
      trio = await Trio.withChannels();
      const { paymentHash, outcome } = await held(trio);
      const other = by === 'brook' ? 'spring' : 'brook';
      await close(trio, { by, with: other });
      if (restarts) {
        await trio.restart('brook');
        await until(() => trio!.lake.node.peers.peers.length === 0, 'the connection is gone');
        await trio.connect('brook', 'lake');
        await until(() => trio!.channel('brook', 'lake').link === 'online', 'lake is there');
      }
      await trio.lake.node.payments.receiver.settleHeld(paymentHash, undefined);
      await until(() => trio!.brook.node.storage.loadForwards().length === 0, 'the preimage has come');
      const [htlc] = incoming(trio);
      expect(htlc?.settlement?.type).toBe('fulfill');
      if (restarts) await trio.restart('brook');
      await trio.mineUntil(() => trio!.spring.node.storage.loadSendings().length === 0, 'it is paid', 20);
      expect(await outcome).toMatchObject({ status: 'succeeded', feeMsat });
      expect(trio.forwarded).toMatchObject({ settledCount: 1, feeMsat });
    },
  );
});

/** From its next revoke_and_ack on, lake says nothing to brook; the result lets out what was kept back. */
function withholdRevocation({ brook, lake }: Trio): { readonly begun: () => boolean; release: () => void } {
  const send = lake.node.peers.send.bind(lake.node.peers);
  const withheld: Parameters<typeof send>[] = [];
  lake.node.peers.send = (...call) => {
    const holdsBack = withheld.length > 0 || call[1].some(({ type }) => type === 'revoke_and_ack');
    if (!holdsBack || call[0] !== brook.node.nodeId) return send(...call);
    withheld.push(call);
    return true;
  };
  const release = () => {
    lake.node.peers.send = send;
    for (const call of withheld) send(...call);
  };
  return { begun: () => withheld.length > 0, release };
}

describe('a next node that does not revoke cannot keep an HTLC until its payer takes it back:', () => {
  const outgoing = (made: Trio) => [...made.channel('brook', 'lake').htlcs.direction('offered')];

  /** The channel is closed in time for the incoming HTLC to be failed. */
  async function endsInTime(made: Trio, outcome: Promise<unknown>): Promise<void> {
    let over = false;
    outcome.catch(() => {
      over = true;
    });
    const { cltvExpiry } = incoming(made)[0]!;
    await made.mineUntil(() => over || made.chain.height > cltvExpiry, 'it is over');
    expect(made.chain.height).toBeLessThan(cltvExpiry);
    expect(made.channel('brook', 'spring').phase.name).toBe('open');
    await until(() => incoming(made).length === 0, 'the incoming HTLC is over');
  }

  test('one that was not signed for it yet', async () => {
    trio = await Trio.withChannels();
    const { brook } = trio;
    const before = trio.balance('spring');
    const withheld = withholdRevocation(trio);
    const key = trio.key('brook', 'lake');
    const { feeratePerKw } = trio.channel('brook', 'lake').fee;
    brook.node.turns.enqueue({
      channel: key,
      run: (turn) => turn.command(key, { type: 'updateFee', feeratePerKw: feeratePerKw + 50 }),
    });
    await until(withheld.begun, 'the revocation is withheld');
    const { outcome } = trio.pay('lake', amountMsat);
    await until(() => brook.node.payments.forwarder.pending === 1, 'it went on');
    expect(outgoing(trio).map(({ state }) => state)).toEqual(['sent_add']);
    await endsInTime(trio, outcome);
    // Now that it revokes, nothing is to be had.
    withheld.release();
    await pause();
    expect(outgoing(trio).every(({ state }) => state === 'sent_add')).toBe(true);
    expect(trio.balance('spring')).toBe(before);
  });

  test('one that it failed, and that its old commitment still has', async () => {
    trio = await Trio.withChannels();
    const before = trio.balance('spring');
    const { paymentHash, outcome } = await held(trio);
    const withheld = withholdRevocation(trio);
    await trio.lake.node.payments.receiver.cancel(paymentHash);
    await until(withheld.begun, 'the revocation is withheld');
    expect(outgoing(trio).map(({ state }) => state)).toEqual(['sent_remove_ack_commit']);
    await endsInTime(trio, outcome);
    expect(trio.balance('spring')).toBe(before);
  });
});
