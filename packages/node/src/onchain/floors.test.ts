import { RegtestChain } from '@rivulet/chain';
import { txid } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { CloseRig } from './testing/closeRig.js';
import { preimageOf, takeOffers } from './testing/takeOffers.js';

async function rigOf(aliceMsat = 1_000_000_000n): Promise<CloseRig> {
  const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
  const rig = new CloseRig(chain, { channelType: 'anchors', fundingSat: 2_000_000n, aliceMsat });
  await rig.start();
  return rig;
}

async function mineForAlice({ chain, alice }: CloseRig, blocks = 1, transactions?: 'none'): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    chain.mine(transactions === undefined ? {} : { transactions });
    await alice.follower.waitUntilSynced();
  }
}

describe('a feerate that was paid for more than is left', () => {
  test('is not paid by the wallet for the small HTLC of a batch whose large one the peer took', async () => {
    const rig = await rigOf();
    const { chain, alice, pair } = rig;
    const balanceSat = () => alice.wallet.feeBalanceSat + alice.wallet.receivedSat;
    const cltvExpiry = chain.height + 40;
    for (const [id, amountSat] of [400_000n, 3_000n].entries()) {
      pair.add('alice', { amountMsat: amountSat * 1000n, preimage: preimageOf(id), cltvExpiry });
    }
    await rig.bob.follower.stop();
    chain.broadcast(pair.commitmentOf('alice'));
    await mineForAlice(rig, cltvExpiry - chain.height);
    const together = alice.broadcast.at(-1)!.tx;
    expect(together.inputs.length).toBeGreaterThanOrEqual(3);
    // Fees rise while both wait in one transaction.
    chain.feeratePerKw = 60_000;
    await mineForAlice(rig, 1, 'none');
    chain.feeratePerKw = 500;
    chain.mempool.clear();
    chain.broadcast(takeOffers(rig, { closer: 'alice', ids: [0], feeratePerKw: 200_000 }));
    const before = balanceSat();
    await mineForAlice(rig, 3);
    const { claims } = alice.sweeper.status(pair.alice.channel.params.channelId)!;
    const small = claims.find(({ valueSat, purpose }) => valueSat === 3_000n && purpose === 'htlc_timeout');
    expect(small?.spentHeight).toBeDefined();
    expect(before - balanceSat()).toBeLessThan(3_000n);
  });

  test('does not keep an output from being claimed for ever, also after a restart', async () => {
    const rig = await rigOf(1_900_000_000n);
    const { chain, bob, pair } = rig;
    const commitment = pair.commitmentOf('alice');
    const index = commitment.outputs.findIndex(({ valueSat }) => valueSat === 100_000n);
    bob.fees.push({ outpoint: { txid: txid(commitment), index }, feeratePerKw: 240_000 });
    await bob.restart();
    chain.broadcast(commitment);
    await rig.mine(3);
    expect(bob.wallet.receivedSat).toBeGreaterThan(98_000n);
  });
});
