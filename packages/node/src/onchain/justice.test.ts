import { RegtestChain } from '@rivulet/chain';
import type { Channel } from '@rivulet/core/channel';
import { type Claim, examineSpend } from '@rivulet/core/monitor';
import { buildHtlcPackage, type ChannelType, type Transaction } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import type { SweepPolicy } from './sweepPorts.js';
import { CloseRig } from './testing/closeRig.js';

const fundingSat = 1_000_000n;
const channelTypes: ChannelType[] = ['static_remotekey', 'anchors'];
const preimage = (fill: number) => new Uint8Array(32).fill(fill);

interface Cheat {
  readonly rig: CloseRig;
  /** Bob's channel as it was when the commitment that he publishes was his latest. */
  readonly old: Channel;
  readonly commitment: Transaction;
  readonly expiry: number;
}

/**
 * A channel in which Bob had HTLCs pending in both directions, all settled since: two of them alike, one
 * still pending. He publishes the old state, in which he had more.
 */
async function cheat(channelType: ChannelType, policy: Partial<SweepPolicy> = {}): Promise<Cheat> {
  const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
  const rig = new CloseRig(chain, { channelType, fundingSat, policy });
  await rig.start();
  const { pair } = rig;
  const expiry = chain.height + 30;
  for (let i = 0; i < 3; i++) {
    const early = pair.add('alice', {
      amountMsat: 5_000_000n,
      preimage: preimage(40 + i),
      cltvExpiry: expiry,
    });
    pair.settle('bob', early, { type: 'fulfill', preimage: preimage(40 + i) });
    pair.commit();
  }
  const alike = { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry: expiry };
  const first = pair.add('alice', alike);
  const second = pair.add('alice', alike);
  pair.add('alice', { amountMsat: 30_000_000n, preimage: preimage(2), cltvExpiry: expiry + 100 });
  const fromBob = pair.add('bob', { amountMsat: 70_000_000n, preimage: preimage(3), cltvExpiry: expiry });
  const alsoBob = pair.add('bob', { amountMsat: 71_000_000n, preimage: preimage(4), cltvExpiry: expiry });
  const old = pair.bob.channel;
  const commitment = pair.commitmentOf('bob');
  pair.settle('bob', first, { type: 'fail', reason: new Uint8Array(10) });
  pair.settle('bob', second, { type: 'fail', reason: new Uint8Array(10) });
  pair.settle('alice', fromBob, { type: 'fulfill', preimage: preimage(3) });
  pair.settle('alice', alsoBob, { type: 'fulfill', preimage: preimage(4) });
  pair.commit();
  expect(pair.alice.archived).toHaveLength(7);
  return { rig, old, commitment, expiry };
}

/** Bob's claims on the commitment that he should not have published; he knows one preimage too. */
function cheatersClaims({ rig, old, commitment }: Cheat): readonly Claim[] {
  let { htlcs } = old;
  for (const htlc of htlcs.direction('received')) {
    if (htlc.amountMsat !== 50_000_000n) continue;
    htlcs = htlcs.with({ ...htlc, settlement: { type: 'fulfill', preimage: preimage(1) } });
  }
  const { signer } = rig.pair.bob;
  return examineSpend({ channel: { ...old, htlcs }, by: commitment, signer, archived: [] }).claims;
}

/** The HTLC transactions of one kind: with anchors one transaction for all of them. */
function htlcTransactions(cheated: Cheat, purpose: Claim['purpose']): Transaction[] {
  const claims = cheatersClaims(cheated).filter((claim) => claim.purpose === purpose);
  const items = claims.flatMap((claim) => (claim.how === 'package' ? [claim.item] : []));
  if (items.length === 0)
    return claims.flatMap((claim) => (claim.how === 'transaction' ? [claim.complete()] : []));
  const { wallet } = cheated.rig.bob;
  const feeInputs = wallet.feeInputs().slice(0, 1);
  return [buildHtlcPackage({ items, feeInputs, changeScript: wallet.feeScript, feeratePerKw: 4_000 })!.tx];
}

describe.each(channelTypes)('a revoked commitment (%s)', (channelType) => {
  test('loses everything to the other side', async () => {
    const { rig, commitment } = await cheat(channelType);
    rig.chain.broadcast(commitment);
    await rig.mine();
    const status = rig.alice.sweeper.status(commitment.inputs[0]!.outpoint.txid)!;
    expect(status.spend.kind).toBe('revoked_commitment');
    const purposes = status.claims.map(({ purpose }) => purpose).sort();
    expect(purposes).toEqual([...Array(5).fill('revoked_htlc'), 'revoked_to_local', 'to_remote']);
    await rig.mine();
    expect(rig.alice.wallet.receivedSat).toBeGreaterThan(fundingSat - 10_000n);
    await rig.mine(6);
    expect(rig.alice.events.map(({ type }) => type)).toEqual(['htlcFailed', 'resolved']);
    expect(rig.alice.log.filter(({ level }) => level === 'warn')).toHaveLength(1);
    expect(rig.bob.log.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(rig.bob.wallet.receivedSat).toBe(0n);
  });

  test('threat 16: of two HTLCs that look the same both outputs are taken', async () => {
    const { rig, commitment } = await cheat(channelType);
    rig.chain.broadcast(commitment);
    await rig.mine();
    const { claims } = rig.alice.sweeper.status(commitment.inputs[0]!.outpoint.txid)!;
    const alike = claims.filter(({ valueSat }) => valueSat === 50_000n);
    expect(new Set(alike.map(({ outpoint }) => outpoint.index)).size).toBe(2);
    await rig.mine();
    const after = rig.alice.sweeper.status(commitment.inputs[0]!.outpoint.txid)!;
    expect(after.claims.every(({ spentHeight }) => spentHeight === rig.chain.height)).toBe(true);
  });

  test('threat 17: loses what one transaction of the cheater took of several claims', async () => {
    const cheated = await cheat(channelType);
    const { rig, commitment } = cheated;
    await rig.alice.restart(() => {
      rig.chain.broadcast(commitment);
      rig.chain.mine();
      for (const tx of htlcTransactions(cheated, 'htlc_success')) rig.chain.broadcast(tx);
      rig.chain.mine();
    });
    await rig.bob.follower.stop();
    rig.chain.mine();
    await rig.alice.follower.waitUntilSynced();
    const { claims } = rig.alice.sweeper.status(commitment.inputs[0]!.outpoint.txid)!;
    const second = claims.filter(({ purpose }) => purpose === 'revoked_htlc_delayed');
    expect(second).toHaveLength(2);
    expect(claims.every(({ spentHeight }) => spentHeight !== undefined)).toBe(true);
    expect(rig.alice.wallet.receivedSat).toBeGreaterThan(fundingSat - 20_000n);
  });

  /** Nobody mines what Alice sends, and the cheater's transactions get there first. */
  async function timeOutFirst(cheated: Cheat): Promise<void> {
    const { rig, commitment, expiry } = cheated;
    rig.chain.broadcast(commitment);
    rig.chain.mine();
    await rig.alice.follower.stop();
    await rig.bob.follower.stop();
    rig.chain.mine({ blocks: expiry - rig.chain.height });
    for (const tx of htlcTransactions(cheated, 'htlc_timeout')) rig.chain.broadcast(tx);
    await rig.alice.restart();
  }

  test('outbids at once what the cheater times out: the deadline is past, and all is at stake', async () => {
    const cheated = await cheat(channelType);
    const { rig } = cheated;
    await timeOutFirst(cheated);
    rig.chain.mine({ blocks: 1 });
    await rig.alice.follower.waitUntilSynced();
    const { claims } = rig.alice.sweeper.status(cheated.commitment.inputs[0]!.outpoint.txid)!;
    expect(claims.filter(({ purpose }) => purpose === 'revoked_htlc_delayed')).toEqual([]);
    expect(claims.every(({ spentHeight }) => spentHeight !== undefined)).toBe(true);
  });

  test('loses what the cheater timed out, whose transactions were first and paid more', async () => {
    const cheated = await cheat(channelType, { maxFeeratePerKw: 600 });
    const { rig, commitment } = cheated;
    await timeOutFirst(cheated);
    expect(rig.alice.broadcast.map(({ result }) => result)).toContain('insufficient_fee');
    rig.chain.mine({ blocks: 1 });
    await rig.alice.follower.waitUntilSynced();
    rig.chain.mine({ blocks: 2 });
    await rig.alice.follower.waitUntilSynced();
    const { claims } = rig.alice.sweeper.status(commitment.inputs[0]!.outpoint.txid)!;
    expect(claims.filter(({ purpose }) => purpose === 'revoked_htlc_delayed')).toHaveLength(2);
    rig.chain.mine({ blocks: 1 });
    await rig.alice.follower.waitUntilSynced();
    const after = rig.alice.sweeper.status(commitment.inputs[0]!.outpoint.txid)!;
    expect(after.claims.every(({ spentHeight }) => spentHeight !== undefined)).toBe(true);
    expect(rig.alice.wallet.receivedSat).toBeGreaterThan(fundingSat - 25_000n);
  });

  test('is punished when it was confirmed while we were down, from its height alone', async () => {
    const { rig, commitment } = await cheat(channelType);
    await rig.bob.follower.stop();
    await rig.alice.restart(() => {
      rig.chain.broadcast(commitment);
      rig.chain.mine({ blocks: 3 });
    });
    await rig.alice.restart();
    rig.chain.mine();
    await rig.alice.follower.waitUntilSynced();
    expect(rig.alice.wallet.receivedSat).toBeGreaterThan(fundingSat - 10_000n);
  });
});
