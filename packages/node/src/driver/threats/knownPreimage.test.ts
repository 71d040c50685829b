import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../pair.test.support.js';
import { type Place, pause, Trio } from '../trio.test.support.js';
import {
  claimOfLake,
  commitmentOfLake,
  heldPayment,
  keepRevocation,
  mineFor,
  seenBy,
} from './hostileLake.test.support.js';

/**
 * What LND up to 0.17.5 and 0.18.5, and Eclair up to 0.11, lost money by: the channel on which a payment went on is
 * closed while its two sides have different commitments, and the HTLC is missing from one of them. Lake is the
 * thief; spring is in it with lake, and away as long as that helps.
 */
let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

const amountMsat = 50_000_000n;
const feeMsat = 6_000n;
/** Longer than anything waits to be taken as final. */
const manyBlocks = 10;

const incoming = (made: Trio) => [...made.channel('brook', 'spring').htlcs.direction('received')];
const outgoing = (made: Trio) => [...made.channel('brook', 'lake').htlcs.direction('offered')];

/** Spring is back: it has paid, and brook has its money. */
async function expectPaid(made: Trio, { paymentHash }: { paymentHash: Uint8Array }, before: bigint) {
  await made.connect('spring', 'brook');
  await until(() => incoming(made).length === 0, 'the incoming HTLC is over');
  const paid = () => made.spring.node.storage.getOutgoingPayment(paymentHash)?.status;
  await until(() => paid() !== undefined && paid() !== 'pending', 'the payment is over');
  expect(paid()).toBe('succeeded');
  expect(made.channel('brook', 'spring').localMsat - before).toBe(amountMsat + feeMsat);
  expect(made.channel('brook', 'spring').phase.name).toBe('open');
  expect(made.forwarded).toMatchObject({ settledCount: 1, failedCount: 0, feeMsat });
}

type Published = 'its newer commitment' | 'its older commitment' | 'the commitment of brook';
const closes: [number, Published][] = [
  [13, 'its newer commitment'],
  [13, 'its older commitment'],
  [14, 'the commitment of brook'],
];
const restarts = ['never', 'before the close', 'after the close', 'when all is final'] as const;

describe.each(closes)('threat %i: lake fulfils, does not revoke, and has %s confirmed', (_, published) => {
  test.each(restarts)(
    'while spring is away: it is fulfilled when spring is back (restart: %s)',
    async (when) => {
      trio = await Trio.withChannels();
      const made = trio;
      const before = made.channel('brook', 'spring').localMsat;
      const payment = await heldPayment(made, amountMsat);
      await made.stopNode('spring');
      const older = made.channel('lake', 'brook');
      const { kept } = keepRevocation(made);
      await made.lake.node.payments.receiver.settleHeld(payment.paymentHash, undefined);
      await until(kept, 'the revocation is kept back');
      expect(outgoing(made)).toMatchObject([{ settlement: { type: 'fulfill' } }]);
      expect(made.channel('brook', 'lake').remoteCommit.awaitingRevocation).toBe(true);

      const restart = async (moment: (typeof restarts)[number]) => {
        if (when === moment) await made.restart('brook');
      };
      await restart('before the close');
      if (published === 'the commitment of brook') {
        await made.brook.node.closeChannel({ key: made.key('brook', 'lake'), force: true });
        await until(() => made.isSpent(older), 'the commitment is published');
      } else {
        const newer = made.channel('lake', 'brook');
        made.chain.broadcast(commitmentOfLake(published === 'its newer commitment' ? newer : older));
      }
      await mineFor(made, ['brook', 'lake'], 1);
      const { phase } = made.channel('brook', 'lake');
      expect(phase.name).toBe('spent');
      await restart('after the close');
      await mineFor(made, ['brook', 'lake'], manyBlocks);
      await restart('when all is final');

      expect(incoming(made)).toMatchObject([{ settlement: { type: 'fulfill' } }]);
      await made.startAgain('spring');
      await seenBy(made, ['spring', 'brook', 'lake']);
      await expectPaid(made, payment, before);
    },
  );
});

describe('threat 15: lake fails it, does not revoke, and has its older commitment confirmed,', () => {
  test.each(restarts)(
    'which brook’s has no HTLC for: the preimage that lake claims with counts (restart: %s)',
    async (when) => {
      trio = await Trio.withChannels();
      const made = trio;
      const before = made.channel('brook', 'spring').localMsat;
      const payment = await heldPayment(made, amountMsat);
      const older = made.channel('lake', 'brook');
      const { kept } = keepRevocation(made);
      await made.lake.node.payments.receiver.cancel(payment.paymentHash);
      await until(kept, 'the revocation is kept back');
      // Our own commitment has it no more, and of lake's two only the older one has.
      expect(outgoing(made)).toMatchObject([
        { state: 'sent_remove_ack_commit', settlement: { type: 'fail' } },
      ]);
      expect(incoming(made)).toMatchObject([{ id: 0n }]);
      expect(incoming(made)[0]?.settlement).toBeUndefined();

      const restart = async (moment: (typeof restarts)[number]) => {
        if (when !== moment) return;
        await made.restart('brook');
        await made.connect('spring', 'brook');
      };
      await restart('before the close');
      const by = commitmentOfLake(older);
      made.chain.broadcast(by);
      await mineFor(made, ['spring', 'brook', 'lake'], 1);
      expect(made.channel('brook', 'lake').phase.name).toBe('spent');
      await restart('after the close');
      // It waits as long as it can: after any number of blocks the HTLC is still there.
      await mineFor(made, ['spring', 'brook', 'lake'], manyBlocks);
      expect(incoming(made)[0]?.settlement).toBeUndefined();
      if (when === 'when all is final') await made.stopNode('brook');
      const { preimage } = payment;
      made.chain.broadcast(claimOfLake(made, { channel: older, by, preimage }));
      made.chain.mine({ blocks: 1 });
      if (when === 'when all is final') await made.startAgain('brook');
      await seenBy(made, ['spring', 'brook', 'lake']);
      await pause();
      await expectPaid(made, payment, before);
    },
  );

  test.each(['spring', 'brook', 'lake'] satisfies Place[])(
    'or it claims nothing: then it is failed when brook has its money back (%s was restarted)',
    async (place) => {
      trio = await Trio.withChannels();
      const made = trio;
      const before = made.balance('spring');
      const payment = await heldPayment(made, amountMsat);
      const older = made.channel('lake', 'brook');
      const { kept } = keepRevocation(made);
      await made.lake.node.payments.receiver.cancel(payment.paymentHash);
      await until(kept, 'the revocation is kept back');
      const { cltvExpiry } = outgoing(made)[0]!;
      made.chain.broadcast(commitmentOfLake(older));
      await mineFor(made, ['spring', 'brook', 'lake'], 1);
      await made.restart(place);
      if (place !== 'lake') await made.connect('spring', 'brook');
      let failedAt: number | undefined;
      await made.mineUntil(() => {
        if (incoming(made).length === 0) failedAt = made.chain.height;
        return failedAt !== undefined;
      }, 'it has come back');
      // Its timeout can be in the block after the expiry, and is final six blocks deep.
      expect(failedAt).toBeGreaterThanOrEqual(cltvExpiry + 6);
      await until(() => made.balance('spring') === before, 'spring has it all');
      expect(made.forwarded).toMatchObject({ settledCount: 0, failedCount: 1 });
    },
  );
});
