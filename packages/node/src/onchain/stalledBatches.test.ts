import { RegtestChain } from '@rivulet/chain';
import type { Party } from '@rivulet/core/monitor/testing';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { outpointKey } from './outpointKey.js';
import { CloseRig } from './testing/closeRig.js';
import { preimageOf, takeOffers, waitingFeerate, waits } from './testing/takeOffers.js';

const parties: Party[] = ['bob', 'alice'];

/** Alice offered HTLCs of these amounts and expiries (in blocks from now); `closer` has published. */
async function closedWith(
  closer: Party,
  offers: readonly { readonly amountSat: bigint; readonly blocks: number }[],
): Promise<CloseRig> {
  const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
  const rig = new CloseRig(chain, { channelType: 'anchors', fundingSat: 2_000_000n });
  await rig.start();
  const { height } = chain;
  for (const [id, { amountSat, blocks }] of offers.entries()) {
    const cltvExpiry = height + blocks;
    rig.pair.add('alice', { amountMsat: amountSat * 1000n, preimage: preimageOf(id), cltvExpiry });
  }
  await rig.bob.follower.stop();
  chain.broadcast(rig.pair.commitmentOf(closer));
  await mineForAlice(rig, 2);
  return rig;
}

async function mineForAlice({ chain, alice }: CloseRig, blocks = 1, transactions?: 'none'): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    chain.mine(transactions === undefined ? {} : { transactions });
    await alice.follower.waitUntilSynced();
  }
}

/** Alice's transactions that take HTLCs back and wait. */
function timeouts(rig: CloseRig): Transaction[] {
  const { alice } = rig;
  const offers = offersOf(rig).map(({ outpoint }) => outpointKey(outpoint));
  const byId = new Map(alice.broadcast.map(({ tx }) => [txidToHex(txid(tx)), tx]));
  return [...byId.values()].filter(
    (tx) => waits(rig, tx) && tx.inputs.some(({ outpoint }) => offers.includes(outpointKey(outpoint))),
  );
}

const offersOf = ({ alice, pair }: CloseRig) =>
  alice.sweeper
    .status(pair.alice.channel.params.channelId)!
    .claims.filter(({ purpose }) => purpose === 'htlc_timeout');

/** How many of the outputs of HTLCs nobody has taken, as the chain has it. */
const unspentOf = (rig: CloseRig) =>
  offersOf(rig).filter(({ outpoint }) => rig.chain.unspent(outpoint, { mempool: false }) !== undefined)
    .length;

describe.each(parties)('threat 8: a batch on the commitment of %s that is taken apart', (closer) => {
  test.each([false, true])(
    'one HTLC a block is there again with each block, for no less (we restart in between: %s)',
    async (restarts) => {
      const count = 10;
      const offers = Array.from({ length: count }, () => ({ amountSat: 60_000n, blocks: 20 }));
      const rig = await closedWith(closer, offers);
      const { chain, alice } = rig;
      // Far enough to share transactions.
      alice.upstreamDeadline = chain.height + 18 + 60;
      await mineForAlice(rig, 18, 'none');
      const feerates: number[] = [];
      for (let id = 0; id < count - 1; id++) {
        // With the block that has the last one that was taken, all that is left waits again.
        const waiting = timeouts(rig);
        const inputs = waiting.reduce((sum, tx) => sum + tx.inputs.length, 0);
        expect(inputs, `HTLC ${id}`).toBeGreaterThanOrEqual(count - id);
        feerates.push(Math.min(...waiting.map((tx) => waitingFeerate(rig, tx))));
        // Estimates fall meanwhile; what was paid does not.
        chain.feeratePerKw = 253;
        chain.broadcast(takeOffers(rig, { closer, ids: [id], feeratePerKw: 900_000 }));
        await mineForAlice(rig);
        if (restarts && id % 3 === 1) await alice.restart(() => chain.mempool.clear());
      }
      for (const [i, feerate] of feerates.entries()) {
        if (i > 0) expect(feerate, `HTLC ${i}`).toBeGreaterThanOrEqual(feerates[i - 1]! * 0.99);
      }
      await mineForAlice(rig);
      expect(unspentOf(rig)).toBe(0);
      expect(chain.height).toBeLessThan(alice.upstreamDeadline);
    },
  );
});

describe.each(parties)(
  'threat 17: on the commitment of %s one transaction takes parts of several batches',
  (closer) => {
    /** At most so much of each of two batches is left to Alice: the first, and the second of what expires later. */
    async function conflict(): Promise<{ rig: CloseRig; conflicting: Transaction }> {
      const rig = await closedWith(closer, [
        { amountSat: 40_000n, blocks: 20 },
        { amountSat: 41_000n, blocks: 20 },
        { amountSat: 42_000n, blocks: 21 },
        { amountSat: 400_000n, blocks: 21 },
      ]);
      await mineForAlice(rig, 19, 'none');
      const waiting = timeouts(rig);
      expect(waiting.map(({ inputs }) => inputs.length).reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(4);
      expect(waiting.length).toBeGreaterThan(1);
      const conflicting = takeOffers(rig, { closer, ids: [0, 2], feeratePerKw: 400_000 });
      rig.chain.broadcast(conflicting);
      expect(timeouts(rig)).toHaveLength(0);
      return { rig, conflicting };
    }

    test('and what is left of each is claimed with that very block', async () => {
      const { rig, conflicting } = await conflict();
      await mineForAlice(rig);
      expect(rig.chain.confirmed(txidToHex(txid(conflicting)))).toBeDefined();
      await mineForAlice(rig);
      const { height } = rig.chain;
      expect(offersOf(rig).map(({ spentHeight }) => spentHeight)).toEqual([
        height - 1,
        height,
        height - 1,
        height,
      ]);
      const told = rig.alice.events.map((event) => [event.type, 'htlc' in event ? event.htlc.id : undefined]);
      expect(told).toEqual([
        ['preimage', 0n],
        ['preimage', 2n],
      ]);
      await mineForAlice(rig, 30);
      const failed = rig.alice.events.flatMap((event) =>
        event.type === 'htlcFailed' ? [event.htlc.id] : [],
      );
      expect(failed.sort()).toEqual([1n, 3n]);
      expect(rig.alice.events.at(-1)?.type).toBe('resolved');
    });

    test.each([false, true])(
      'and a reorganisation takes it away again: then all are claimed (we restart in it: %s)',
      async (restarts) => {
        const { rig, conflicting } = await conflict();
        const { chain, alice } = rig;
        const depth = 3;
        await mineForAlice(rig, depth);
        expect(unspentOf(rig)).toBe(0);
        const undo = () => {
          chain.reorganise({ depth, blocks: depth + 1, transactions: 'none' });
          // Bob withdraws his, and what was Alice's is forgotten by everybody but her.
          chain.mempool.clear();
        };
        if (restarts) await alice.restart(undo);
        else undo();
        await alice.follower.waitUntilSynced();
        expect(chain.confirmed(txidToHex(txid(conflicting)))).toBeUndefined();
        await mineForAlice(rig, 2);
        expect(chain.confirmed(txidToHex(txid(conflicting)))).toBeUndefined();
        expect(offersOf(rig)).toHaveLength(4);
        expect(unspentOf(rig)).toBe(0);
        // What it showed stays known: the payments that it paid for are never failed.
        await mineForAlice(rig, 12);
        const failed = alice.events.flatMap((event) => (event.type === 'htlcFailed' ? [event.htlc.id] : []));
        expect(failed.filter((id) => id === 0n || id === 2n)).toEqual([]);
        expect(failed.sort()).toEqual([1n, 3n]);
      },
    );
  },
);
