import { type Transaction, txid, txidToHex, weight } from '@rivulet/core/tx';
import { beforeEach, describe, expect, test } from 'vitest';
import { type BumpRequest, cancellationOf, planBump, planCancel } from './bumping.js';
import { feeForSat } from './coinSelection.js';
import { lockCoins, unlockCoins } from './locking.js';
import { createPsbt } from './psbt.js';
import { failureOf, foreign, stranger, sum, WalletRig } from './walletRig.test.support.js';

let rig: WalletRig;
beforeEach(() => {
  rig = new WalletRig();
});

const bump = (tx: Transaction, request: Partial<BumpRequest> = {}) =>
  planBump(rig.state, {
    txid: txid(tx),
    estimatePerKw: 253,
    reserveSat: 0n,
    isAwaited: () => false,
    ...request,
  });
const cancel = (tx: Transaction, request: Partial<BumpRequest> = {}) =>
  planCancel(rig.state, {
    txid: txid(tx),
    estimatePerKw: 253,
    reserveSat: 0n,
    isAwaited: () => false,
    ...request,
  });
const outputs = [
  { valueSat: 30_000n, script: foreign },
  { valueSat: 9_000n, script: stranger },
];
const feeOf = (tx: Transaction): bigint => rig.chain.mempool.get(txidToHex(txid(tx)))!.feeSat;

describe('a replacement', () => {
  test('pays the same, out of less change, and the mempool takes it in place of the first', () => {
    rig.fill([60_000n]);
    const first = rig.send({ outputs, feeratePerKw: 300 });
    const plan = bump(first, { feeratePerKw: 2_000 });
    expect(plan).toMatchObject({ how: 'replacement', feeratePerKw: 2_000 });
    const second = rig.commit(plan);
    expect(rig.inMempool(first)).toBe(false);
    expect(rig.inMempool(second)).toBe(true);
    for (const output of outputs) expect(second.outputs).toContainEqual(output);
    expect(second.outputs.length).toBe(3);
    expect(feeOf(second)).toBeGreaterThanOrEqual(feeForSat(weight(second), 2_000));
    rig.mine();
    expect(rig.wallet.balance().confirmedSat).toBe(60_000n - 39_000n - plan.feeSat);
  });

  test('with nothing said pays as little more as the rules want, again and again', () => {
    rig.fill([60_000n]);
    let tx = rig.send({ outputs, feeratePerKw: 1_000 });
    for (let times = 0; times < 4; times++) {
      const before = feeOf(tx);
      const plan = bump(tx);
      tx = rig.commit(plan);
      expect(feeOf(tx) - before).toBeLessThan(300n);
    }
    expect(rig.wallet.transactions().filter(({ height }) => height === undefined).length).toBe(1);
  });

  test('of too low a feerate is refused with what is needed', () => {
    rig.fill([60_000n]);
    const first = rig.send({ outputs, feeratePerKw: 1_000 });
    const failure = failureOf(() => bump(first, { feeratePerKw: 1_100 }));
    expect(failure.code).toBe('feerate_too_low');
    const [, least] = /\((\d+) sat per 1000/.exec(failure.message)!;
    expect(failureOf(() => bump(first, { feeratePerKw: Number(least) - 1 })).code).toBe('feerate_too_low');
    rig.commit(bump(first, { feeratePerKw: Number(least) }));
  });

  test('adds confirmed coins where the change is not enough, and gives change where there was none', () => {
    rig.fill([39_250n, 80_000n]);
    const [large, small] = rig.wallet.coins();
    const first = rig.send({ outputs, feeratePerKw: 253, coins: [small!.outpoint] });
    expect(first.outputs.length).toBe(2);
    lockCoins(rig.state, [large!.outpoint]);
    // Unconfirmed coins must not be added (BIP 125, rule 2), and locked ones are their owner's.
    rig.pay([{ valueSat: 90_000n, script: rig.wallet.newAddress().script }]);
    expect(failureOf(() => bump(first, { feeratePerKw: 5_000 })).code).toBe('insufficient_funds');
    unlockCoins(rig.state, [large!.outpoint]);
    const second = rig.commit(bump(first, { feeratePerKw: 5_000 }));
    expect(second.inputs.map(({ outpoint }) => outpoint)).toEqual([small!.outpoint, large!.outpoint]);
    for (const output of outputs) expect(second.outputs).toContainEqual(output);
    expect(second.outputs.filter(({ script }) => rig.wallet.isOurs(script)).length).toBe(1);
    rig.mine();
    expect(rig.wallet.getTransaction(txid(second))?.height).toBe(rig.chain.height);
  });

  test('of all that there was takes the fee from who gets all', () => {
    rig.fill([60_000n]);
    const first = rig.send({
      outputs: [{ valueSat: 9_000n, script: stranger }],
      allTo: foreign,
      feeratePerKw: 300,
    });
    const second = rig.commit(bump(first, { feeratePerKw: 3_000 }));
    expect(second.outputs[0]).toEqual({ valueSat: 9_000n, script: stranger });
    expect(second.outputs[1]?.script).toEqual(foreign);
    expect(60_000n - sum(second.outputs)).toBe(feeOf(second));
    // Never so far that nothing is left for him.
    expect(failureOf(() => bump(second, { feeratePerKw: 90_000, maxFeeSat: 10_000_000n })).code).toBe(
      'insufficient_funds',
    );
  });

  test('may lose to the first in a block, which costs nothing but what builds on it', () => {
    rig.fill([60_000n]);
    const first = rig.send({ outputs, feeratePerKw: 300 });
    const second = rig.commit(bump(first, { feeratePerKw: 2_000 }));
    // Change of a replacement is not spent before it is confirmed.
    expect(rig.wallet.coins().map(({ state }) => state)).toEqual(['unconfirmed']);
    rig.wallet.processBlock({
      height: rig.chain.height + 1,
      hash: new Uint8Array(32).fill(1),
      transactions: [first],
    });
    const change = rig.wallet.coins();
    expect(change).toMatchObject([{ state: 'confirmed' }]);
    expect(rig.wallet.getTransaction(txid(second))).toBeUndefined();
    rig.restart();
    expect(rig.wallet.coins()).toEqual(change);
    expect(failureOf(() => bump(first)).code).toBe('transaction_confirmed');
  });

  test('is refused of what is replaced, confirmed, or not there', () => {
    rig.fill([60_000n]);
    const first = rig.send({ outputs, feeratePerKw: 300 });
    const second = rig.commit(bump(first));
    const failure = failureOf(() => bump(first));
    expect(failure.code).toBe('transaction_replaced');
    expect(failure.message).toContain(txidToHex(txid(second)));
    rig.mine();
    expect(failureOf(() => bump(second)).code).toBe('transaction_confirmed');
    expect(failureOf(() => bump({ ...first, lockTime: 1 })).code).toBe('unknown_transaction');
  });
});

describe('a child', () => {
  test('pays for what others sent us, and the package has the feerate', () => {
    const received = rig.pay([{ valueSat: 50_000n, script: rig.wallet.newAddress().script }], 253);
    const plan = bump(received, { feeratePerKw: 3_000, feeOf: () => feeOf(received) });
    expect(plan).toMatchObject({ how: 'child', purpose: 'child', feesUnknown: false });
    const child = rig.commit(plan);
    const all = weight(received) + weight(child);
    expect(feeOf(received) + feeOf(child)).toBeGreaterThanOrEqual(feeForSat(all, 3_000));
    expect(feeOf(received) + feeOf(child)).toBeLessThan(feeForSat(all + 12, 3_000));
    rig.mine();
    expect(rig.wallet.balance().confirmedSat).toBe(50_000n - plan.feeSat);
  });

  test('of fees that are not known pays for all', () => {
    const received = rig.pay([{ valueSat: 50_000n, script: rig.wallet.newAddress().script }], 253);
    const plan = bump(received, { feeratePerKw: 3_000 });
    expect(plan.feesUnknown).toBe(true);
    expect(plan.feeSat).toBeGreaterThanOrEqual(feeForSat(weight(received), 3_000));
  });

  test('pays for a transaction that a channel waits for, whose txid must stay', () => {
    rig.fill([60_000n]);
    const funding = rig.send({ outputs, feeratePerKw: 300 });
    const isAwaited = (one: Uint8Array) => txidToHex(one) === txidToHex(txid(funding));
    const plan = bump(funding, { feeratePerKw: 2_000, isAwaited });
    expect(plan.how).toBe('child');
    const child = rig.commit(plan);
    expect(rig.inMempool(funding)).toBe(true);
    expect(feeOf(funding) + feeOf(child)).toBeGreaterThanOrEqual(
      feeForSat(weight(funding) + weight(child), 2_000),
    );
    // Raised again: the child is replaced, the funding transaction never.
    const again = rig.commit(bump(funding, { feeratePerKw: 4_000, isAwaited }));
    expect(rig.inMempool(funding)).toBe(true);
    expect(rig.inMempool(child)).toBe(false);
    expect(feeOf(funding) + feeOf(again)).toBeGreaterThanOrEqual(
      feeForSat(weight(funding) + weight(again), 4_000),
    );
    expect(failureOf(() => bump(funding, { feeratePerKw: 3_000, isAwaited })).code).toBe('feerate_too_low');
  });

  test('takes the place of a replacement where a later payment spends the change', () => {
    rig.fill([100_000n]);
    const first = rig.send({ outputs, feeratePerKw: 300 });
    const second = rig.send({ outputs, feeratePerKw: 300 });
    const failure = failureOf(() => bump(first));
    expect(failure.code).toBe('cannot_bump');
    expect(failure.message).toContain(txidToHex(txid(second)));
    rig.commit(bump(second, { feeratePerKw: 2_000 }));
    expect(rig.inMempool(first)).toBe(true);
  });

  test('or replacement never takes an output that something in the making needs', () => {
    rig.fill([100_000n]);
    const first = rig.send({ outputs, feeratePerKw: 300 });
    const channel = rig.wallet.fund({ outputs, feeratePerKw: 300 });
    expect(failureOf(() => bump(first)).code).toBe('cannot_bump');
    expect(failureOf(() => cancel(first)).code).toBe('cannot_bump');
    rig.wallet.release(channel.txid);
    const { view } = createPsbt(rig.state, { outputs, feeratePerKw: 300, reserveSat: 0n });
    expect(view.complete).toBe(false);
    expect(failureOf(() => bump(first)).code).toBe('cannot_bump');
  });

  test('needs an output of ours', () => {
    rig.fill([60_000n]);
    const all = rig.send({ outputs: [], allTo: foreign, feeratePerKw: 300 });
    expect(failureOf(() => bump(all, { isAwaited: () => true })).code).toBe('cannot_bump');
  });

  test('is sent together with a parent that is too cheap for the mempool', async () => {
    rig.fill([60_000n]);
    const parent = rig.send({ outputs, feeratePerKw: 300 });
    rig.commit(bump(parent, { feeratePerKw: 5_000, isAwaited: () => true }));
    rig.chain.mempool.clear();
    const sent: string[] = [];
    await rig.publisher((tx) => sent.push(txidToHex(txid(tx)))).republish();
    expect(rig.chain.mempool.entries().length).toBe(2);
    expect(new Set(sent).size).toBe(2);
  });
});

describe('taking back', () => {
  test('a payment gives its coins to us, and is told as cancelled for good when that is confirmed', () => {
    rig.fill([60_000n]);
    const first = rig.send({ outputs, feeratePerKw: 1_000 });
    expect(cancellationOf(rig.state, txid(first))).toBeUndefined();
    const plan = cancel(first);
    const back = rig.commit(plan);
    expect(rig.inMempool(first)).toBe(false);
    expect(back.outputs.every(({ script }) => rig.wallet.isOurs(script))).toBe(true);
    expect(cancellationOf(rig.state, txid(first))).toEqual({ txid: txid(back), confirmations: 0 });
    rig.restart();
    rig.mine(6);
    expect(cancellationOf(rig.state, txid(first))).toEqual({ txid: txid(back), confirmations: 6 });
    expect(rig.wallet.balance().confirmedSat).toBe(60_000n - plan.feeSat);
  });

  test('that is too slow can be raised, and still is what took the place', () => {
    rig.fill([60_000n]);
    const first = rig.send({ outputs, feeratePerKw: 1_000 });
    const back = rig.commit(cancel(first));
    const faster = rig.commit(bump(back, { feeratePerKw: 5_000 }));
    expect(cancellationOf(rig.state, txid(first))).toEqual({ txid: txid(faster), confirmations: 0 });
  });

  test('is refused of what a channel waits for, until its owner gives that up; the child goes with it', () => {
    rig.fill([60_000n]);
    const funding = rig.send({ outputs, feeratePerKw: 300 });
    const child = rig.commit(bump(funding, { feeratePerKw: 2_000, isAwaited: () => true }));
    expect(failureOf(() => cancel(funding, { isAwaited: () => true })).code).toBe('channel_waits');
    const back = rig.commit(cancel(funding));
    for (const gone of [funding, child]) expect(rig.inMempool(gone)).toBe(false);
    rig.mine();
    expect(rig.wallet.transactions()[0]).toMatchObject({ txid: txid(back), height: rig.chain.height });
  });

  test('is refused where a payment would be lost with it', () => {
    rig.fill([100_000n]);
    const first = rig.send({ outputs, feeratePerKw: 300 });
    rig.send({ outputs, feeratePerKw: 300 });
    expect(failureOf(() => cancel(first)).code).toBe('cannot_bump');
  });

  test('is refused of what others have sent', () => {
    const received = rig.pay([{ valueSat: 50_000n, script: rig.wallet.newAddress().script }]);
    expect(failureOf(() => cancel(received)).code).toBe('cannot_bump');
  });
});
