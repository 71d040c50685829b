import { RegtestChain } from '@rivulet/chain';
import { examineSpend } from '@rivulet/core/monitor';
import { buildHtlcPackage, buildSweep, type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { CloseRig } from './testing/closeRig.js';

const fundingSat = 1_000_000n;
const preimage = (fill: number) => new Uint8Array(32).fill(fill);

async function rigOf(options: Partial<ConstructorParameters<typeof CloseRig>[1]> = {}): Promise<CloseRig> {
  const chain = new RegtestChain({ now: () => 1_700_000_000_000, feeratePerKw: 500 });
  const rig = new CloseRig(chain, { channelType: 'anchors', fundingSat, ...options });
  await rig.start();
  return rig;
}

/**
 * Bob's commitment is confirmed and has HTLCs of Alice's of these amounts, all of which have expired: what she
 * claims waits in the mempool. Bob's node is off: what he does, the test does.
 */
async function expiredOffers(amountsSat: readonly bigint[]): Promise<CloseRig> {
  const rig = await rigOf();
  const cltvExpiry = rig.chain.height + 30;
  for (const [i, amountSat] of amountsSat.entries()) {
    rig.pair.add('alice', { amountMsat: amountSat * 1000n, preimage: preimage(i + 1), cltvExpiry });
  }
  await rig.bob.follower.stop();
  rig.chain.broadcast(rig.pair.commitmentOf('bob'));
  await mineForAlice(rig, cltvExpiry - rig.chain.height);
  return rig;
}

async function mineForAlice({ chain, alice }: CloseRig, blocks = 1, transactions?: 'none'): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    chain.mine(transactions === undefined ? {} : { transactions });
    await alice.follower.waitUntilSynced();
  }
}

/** Bob takes one HTLC with its preimage, at a feerate of his choice. */
function take(rig: CloseRig, { index, feeratePerKw }: { index: number; feeratePerKw: number }): Transaction {
  const { channel, signer } = rig.pair.bob;
  const id = BigInt(index);
  const htlc = channel.htlcs.get('received', id)!;
  const settlement = { type: 'fulfill', preimage: preimage(index + 1) } as const;
  const htlcs = channel.htlcs.with({ ...htlc, settlement });
  const by = rig.pair.commitmentOf('bob');
  const { claims } = examineSpend({ channel: { ...channel, htlcs }, by, signer, archived: [] });
  const items = claims.flatMap((claim) =>
    claim.how === 'package' && claim.htlc?.id === id ? [claim.item] : [],
  );
  const { wallet } = rig.bob;
  const feeInputs = wallet.feeInputs().slice(0, 1);
  const { tx } = buildHtlcPackage({ items, feeInputs, changeScript: wallet.feeScript, feeratePerKw })!;
  rig.chain.broadcast(tx);
  return tx;
}

const waits = ({ chain }: CloseRig, tx: Transaction) => chain.mempool.get(txidToHex(txid(tx))) !== undefined;

describe('threat 7: replacement cycling', () => {
  test('shows its preimage to the mempool, and that is enough; the timeout comes back at every block', async () => {
    const rig = await expiredOffers([50_000n]);
    const { alice, bob, chain } = rig;
    const timeout = alice.broadcast.at(-1)!.tx;
    expect(waits(rig, timeout)).toBe(true);

    // Bob's claim replaces hers, at a price above the HTLC's value.
    const claim = take(rig, { index: 0, feeratePerKw: 90_000 });
    expect(waits(rig, timeout)).toBe(false);
    expect(await alice.sweeper.watchMempool()).toBe(1);
    expect(alice.unconfirmed).toMatchObject([{ type: 'preimage', htlc: { id: 0n }, preimage: preimage(1) }]);

    // And his own is replaced in turn, by a transaction that has nothing to do with the channel.
    const inputs = bob.wallet.feeInputs().slice(0, 1);
    chain.broadcast(buildSweep({ inputs, script: bob.wallet.script, feeratePerKw: 400_000 })!.tx);
    expect(waits(rig, claim)).toBe(false);
    await mineForAlice(rig, 1, 'none');
    expect(waits(rig, alice.broadcast.at(-1)!.tx)).toBe(true);
    await mineForAlice(rig);
    const [status] = alice.sweeper
      .status(rig.pair.alice.channel.params.channelId)!
      .claims.filter(({ purpose }) => purpose === 'htlc_timeout');
    expect(status?.spentHeight).toBe(chain.height);
  });

  test('is not looked for before the HTLC has expired, and not where its preimage is known', async () => {
    const rig = await rigOf();
    const cltvExpiry = rig.chain.height + 30;
    rig.pair.add('alice', { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry });
    rig.chain.broadcast(rig.pair.commitmentOf('bob'));
    await rig.mine(3);
    expect(rig.alice.sweeper.contestedOffers).toBe(0);
    await rig.bob.follower.stop();
    await mineForAlice(rig, cltvExpiry - rig.chain.height, 'none');
    expect(rig.alice.sweeper.contestedOffers).toBe(1);
    rig.pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    while (rig.pair.deliver('bob'));
    rig.alice.sweeper.update(rig.pair.alice.channel);
    expect(await rig.alice.sweeper.watchMempool()).toBe(0);
  });
});

describe('threat 17: a batch of which others take a part', () => {
  test('in the mempool: what is left is claimed at once, at no lower feerate', async () => {
    const rig = await expiredOffers([50_000n, 60_000n, 70_000n]);
    const { alice } = rig;
    const batch = alice.broadcast.at(-1)!.tx;
    expect(batch.inputs).toHaveLength(3);
    const taken = take(rig, { index: 1, feeratePerKw: 90_000 });
    expect(waits(rig, batch)).toBe(false);
    await alice.sweeper.publish();
    const rest = alice.broadcast.filter(({ tx }) => tx.inputs.length === 2);
    expect(rest.map(({ result }) => result)).toEqual(['accepted']);
    expect(waits(rig, rest[0]!.tx)).toBe(true);
    expect(waits(rig, taken)).toBe(true);
    const feerates = alice.fees.map(({ feeratePerKw }) => feeratePerKw);
    expect(Math.min(...feerates)).toBe(feerates[0]);
    await mineForAlice(rig, 6);
    const events = alice.events.map(({ type }) => type);
    expect(events).toEqual(['preimage', 'htlcFailed', 'htlcFailed', 'resolved']);
  });

  test('in a block, one after the other: what is left is claimed with that block', async () => {
    const rig = await expiredOffers([50_000n, 60_000n, 70_000n]);
    const { alice, chain } = rig;
    for (const [index, left] of [
      [0, 2],
      [2, 1],
    ] as const) {
      const before = alice.broadcast.length;
      const tx = take(rig, { index, feeratePerKw: 90_000 });
      // Only the attacker's gets into the block.
      expect(chain.mempool.size).toBe(1);
      await mineForAlice(rig);
      expect(chain.confirmed(txidToHex(txid(tx)))).toBeDefined();
      const [next] = alice.broadcast.slice(before);
      expect([next?.tx.inputs.length, next?.result]).toEqual([left, 'accepted']);
    }
  });
});

describe('a deadline', () => {
  /** Bob knows the preimage of an HTLC on Alice's commitment, which she takes back from its expiry on. */
  async function claimed(blocks: number): Promise<CloseRig> {
    const rig = await rigOf();
    const cltvExpiry = rig.chain.height + blocks + 1;
    const id = rig.pair.add('alice', { amountMsat: 80_000_000n, preimage: preimage(1), cltvExpiry });
    rig.pair.settle('bob', id, { type: 'fulfill', preimage: preimage(1) });
    await rig.alice.follower.stop();
    rig.chain.broadcast(rig.pair.commitmentOf('alice'));
    rig.chain.mine();
    await rig.bob.follower.waitUntilSynced();
    return rig;
  }

  const feeSat = ({ chain }: CloseRig, tx: Transaction) =>
    chain.mempool.get(txidToHex(txid(tx)))?.feeSat ?? 0n;

  /** The claim among what Bob broadcasts beside his balance. */
  const claims = (rig: CloseRig) =>
    rig.bob.broadcast.filter(({ tx }) =>
      tx.inputs.some(({ witness }) => witness.length === 3 && witness[1]?.length === 32),
    );

  test('threat 8: has a claim pay more as it comes near, never less, and no more than it brings', async () => {
    const rig = await claimed(30);
    const paid: bigint[] = [];
    for (let i = 0; i < 30; i++) {
      const { tx, result } = claims(rig).at(-1)!;
      expect(result).toBe('accepted');
      paid.push(feeSat(rig, tx));
      if (i === 5) rig.chain.feeratePerKw = 2_000;
      if (i === 8) rig.chain.feeratePerKw = 300;
      rig.chain.mine({ transactions: 'none' });
      await rig.bob.follower.waitUntilSynced();
    }
    expect(paid).toEqual([...paid].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
    expect(new Set(paid).size).toBeGreaterThan(5);
    expect(paid.at(-1)).toBeGreaterThan(60_000n);
    expect(paid.at(-1)).toBeLessThan(80_000n);
  });

  test('threat 8: what was paid is not forgotten in a restart, and needs no block to be read again', async () => {
    const rig = await claimed(30);
    for (let i = 0; i < 22; i++) {
      rig.chain.mine({ transactions: 'none' });
      await rig.bob.follower.waitUntilSynced();
    }
    const before = feeSat(rig, claims(rig).at(-1)!.tx);
    rig.chain.feeratePerKw = 253;
    await rig.bob.restart(() => rig.chain.mempool.clear());
    const { tx, result } = claims(rig).at(-1)!;
    expect(result).toBe('accepted');
    expect(feeSat(rig, tx)).toBeGreaterThanOrEqual(before);
  });
});

describe('a restart', () => {
  test('asks the chain for blocks where an older version did not store what they had', async () => {
    const rig = await rigOf();
    const cltvExpiry = rig.chain.height + 20;
    rig.pair.add('alice', { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry });
    rig.pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    rig.chain.broadcast(rig.pair.commitmentOf('bob'));
    await rig.mine(3);
    rig.alice.forgetsSpends = true;
    await rig.alice.restart();
    expect(rig.alice.events.filter(({ type }) => type === 'preimage')).toHaveLength(2);
    await rig.mine(20);
    expect(rig.alice.events.at(-1)?.type).toBe('resolved');
  });

  test('after which a block is undone that had a spend', async () => {
    const rig = await rigOf();
    const cltvExpiry = rig.chain.height + 20;
    rig.pair.add('alice', { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry });
    rig.pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    rig.chain.broadcast(rig.pair.commitmentOf('bob'));
    await rig.mine(3);
    expect(rig.alice.spends.length).toBeGreaterThan(0);
    await rig.alice.restart(() => void rig.chain.reorganise({ depth: 2, transactions: 'none' }));
    expect(rig.alice.spends).toEqual([]);
    await rig.mine(20);
    expect(rig.alice.events.at(-1)?.type).toBe('resolved');
  });
});

test('HTLC transactions are paid for by taproot coins, whose signatures cover the HTLC outputs', async () => {
  const rig = await rigOf();
  const { alice, chain } = rig;
  alice.wallet.taproot = true;
  chain.mine({ script: alice.wallet.taprootScript });
  await rig.mine(100);
  const cltvExpiry = chain.height + 10;
  rig.pair.add('alice', { amountMsat: 50_000_000n, preimage: preimage(1), cltvExpiry });
  rig.pair.add('alice', { amountMsat: 60_000_000n, preimage: preimage(2), cltvExpiry });
  chain.broadcast(rig.pair.commitmentOf('alice'));
  await rig.mine(12);
  const { tx, result } = alice.broadcast.find((one) => one.tx.inputs.length === 3)!;
  expect([result, tx.inputs.at(-1)?.witness.length]).toEqual(['accepted', 1]);
  expect(chain.confirmed(txidToHex(txid(tx)))).toBeDefined();
});
