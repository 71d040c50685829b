import { RegtestChain } from '@rivulet/chain';
import type { Party } from '@rivulet/core/monitor/testing';
import { buildSweep, type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { CloseRig } from './testing/closeRig.js';
import { preimageOf, takeOffers, waitingFeerate, waits } from './testing/takeOffers.js';

const amountSat = 50_000n;
/** Blocks from the expiry of an HTLC on until the one that it was passed on from expires. */
const blocksLeft = 24;

const parties: Party[] = ['bob', 'alice'];

/** An HTLC of Alice's has expired on the commitment of `closer`: she takes it back, and Bob's node is off. */
async function expiredOffer(closer: Party): Promise<CloseRig> {
  const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
  const rig = new CloseRig(chain, { channelType: 'anchors', fundingSat: 1_000_000n });
  await rig.start();
  const cltvExpiry = chain.height + 30;
  rig.pair.add('alice', { amountMsat: amountSat * 1000n, preimage: preimageOf(0), cltvExpiry });
  rig.alice.upstreamDeadline = cltvExpiry + blocksLeft;
  await rig.bob.follower.stop();
  chain.broadcast(rig.pair.commitmentOf(closer));
  for (let height = chain.height; height < cltvExpiry; height++) await mineForAlice(rig);
  return rig;
}

async function mineForAlice({ chain, alice }: CloseRig): Promise<void> {
  chain.mine();
  await alice.follower.waitUntilSynced();
}

/**
 * What she takes the HTLC back with goes, and what made it go does as well: a claim with the preimage that pays
 * more, and then a payment of Bob's to himself that pays more still. Nothing of the channel is left to be mined.
 */
function cycle(rig: CloseRig, { closer, timeout }: { closer: Party; timeout: Transaction }): void {
  const { chain, bob } = rig;
  const claim = takeOffers(rig, { closer, ids: [0], feeratePerKw: 150_000 });
  chain.broadcast(claim);
  expect([waits(rig, timeout), waits(rig, claim)]).toEqual([false, true]);
  const inputs = bob.wallet.feeInputs().slice(0, 1);
  const payment = buildSweep({ inputs, script: bob.wallet.feeScript, feeratePerKw: 1_000_000 })!.tx;
  chain.broadcast(payment);
  expect([waits(rig, claim), waits(rig, payment)]).toEqual([false, true]);
}

describe.each(parties)('threat 7: replacement cycling on the commitment of %s', (closer) => {
  const latest = ({ alice }: CloseRig) => alice.broadcast.at(-1)!;

  test('at every block, unseen, has the timeout there again at every block, for more and more', async () => {
    const rig = await expiredOffer(closer);
    const { alice, chain } = rig;
    const feerates: number[] = [];
    for (let i = 1; i < blocksLeft; i++) {
      const { tx, result } = latest(rig);
      expect([result, waits(rig, tx)], `block ${i}`).toEqual(['accepted', true]);
      feerates.push(waitingFeerate(rig, tx));
      cycle(rig, { closer, timeout: tx });
      await mineForAlice(rig);
    }
    // She never saw the preimage: being there in time is all that she could do.
    expect(alice.unconfirmed).toEqual([]);
    expect(alice.events).toEqual([]);
    const sorted = [...feerates].sort((a, b) => a - b);
    expect(feerates).toEqual(sorted);
    // Threat 8: at the end each further cycle costs the attacker most of what there is to be had.
    expect(feerates.at(-1)).toBeGreaterThan(20 * feerates[0]!);
    const last = latest(rig);
    const entry = chain.mempool.get(txidToHex(txid(last.tx)))!;
    expect(entry.feeSat).toBeGreaterThan((amountSat * 8n) / 10n);
    expect(entry.feeSat).toBeLessThan(amountSat);

    // One block without it is enough, and it comes in time.
    await mineForAlice(rig);
    expect(chain.confirmed(txidToHex(txid(last.tx)))).toBeDefined();
    expect(chain.height).toBeLessThanOrEqual(alice.upstreamDeadline!);
  });

  test('that is seen for a moment gives its preimage away, and every later cycle is for nothing', async () => {
    const rig = await expiredOffer(closer);
    const { alice, chain } = rig;
    cycle(rig, { closer, timeout: latest(rig).tx });
    expect(await alice.sweeper.watchMempool()).toBe(1);
    expect(alice.unconfirmed).toEqual([]);
    await mineForAlice(rig);
    const claim = takeOffers(rig, { closer, ids: [0], feeratePerKw: 150_000 });
    chain.broadcast(claim);
    await alice.sweeper.watchMempool();
    expect(alice.unconfirmed).toMatchObject([
      { type: 'preimage', htlc: { id: 0n }, preimage: preimageOf(0) },
    ]);
  });

  test('goes on through a restart of ours: what it takes the HTLC back with is there again, for no less', async () => {
    const rig = await expiredOffer(closer);
    const feerates: number[] = [];
    for (let i = 1; i < blocksLeft - 2; i++) {
      // Estimates fall before the first restart: only what was paid before keeps the fee where it was.
      if (i === 6) rig.chain.feeratePerKw = 253;
      if (i % 7 === 0) await rig.alice.restart(() => rig.chain.mempool.clear());
      const { tx } = latest(rig);
      feerates.push(waitingFeerate(rig, tx));
      cycle(rig, { closer, timeout: tx });
      await mineForAlice(rig);
    }
    expect(feerates.every((feerate) => feerate > 0)).toBe(true);
    expect(feerates).toEqual([...feerates].sort((a, b) => a - b));
  });
});
