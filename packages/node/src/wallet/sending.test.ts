import { txid, txidToHex } from '@rivulet/core/tx';
import { beforeEach, describe, expect, test } from 'vitest';
import { outpointText } from './coinStates.js';
import { lockCoins, unlockCoins } from './locking.js';
import { commitPlan, findSent, planSend, type SendRequest } from './sending.js';
import { failureOf, foreign, stranger, sum, WalletRig } from './walletRig.test.support.js';

let rig: WalletRig;
beforeEach(() => {
  rig = new WalletRig();
});

const plan = (request: Partial<SendRequest>) =>
  planSend(rig.state, { outputs: [], feeratePerKw: 1_000, reserveSat: 0n, ...request });

describe('sending', () => {
  test('pays several at once, and the chain takes it', () => {
    rig.fill([60_000n, 50_000n]);
    const tx = rig.send({
      outputs: [
        { valueSat: 30_000n, script: foreign },
        { valueSat: 40_000n, script: stranger },
      ],
    });
    expect(tx.outputs).toContainEqual({ valueSat: 30_000n, script: foreign });
    expect(tx.outputs).toContainEqual({ valueSat: 40_000n, script: stranger });
    rig.mine();
    const [own] = rig.wallet.transactions();
    expect(own).toMatchObject({ height: rig.chain.height });
    expect(rig.wallet.balance().confirmedSat).toBe(110_000n + own!.netSat);
  });

  test('spends the coins that were named, all of them and no others', () => {
    rig.fill([60_000n, 50_000n, 40_000n]);
    const [large, , small] = rig.wallet.coins();
    const coins = [small!.outpoint, large!.outpoint];
    const tx = rig.send({ outputs: [{ valueSat: 1_000n, script: foreign }], coins });
    expect(tx.inputs.map(({ outpoint }) => outpointText(outpoint))).toEqual(coins.map(outpointText));
    expect(rig.wallet.balance()).toMatchObject({ confirmedSat: 50_000n });
    const again = failureOf(() => plan({ outputs: [{ valueSat: 1_000n, script: foreign }], coins }));
    expect(again.code).toBe('unknown_coin');
    expect(again.message).toContain(txidToHex(txid(tx)));
  });

  test('refuses coins that are named twice, unknown, of others, or not free', () => {
    rig.fill([60_000n]);
    const [coin] = rig.wallet.coins();
    const outputs = [{ valueSat: 1_000n, script: foreign }];
    const code = (...coins: { txid: Uint8Array; index: number }[]) =>
      failureOf(() => plan({ outputs, coins })).code;
    expect(code(coin!.outpoint, coin!.outpoint)).toBe('bad_coin');
    expect(code({ txid: new Uint8Array(32), index: 0 })).toBe('unknown_coin');
    const received = rig.pay([{ valueSat: 9_000n, script: rig.wallet.newAddress().script }]);
    const index = received.outputs.findIndex(({ valueSat }) => valueSat === 9_000n);
    expect(code({ txid: txid(received), index })).toBe('coin_taken');
    rig.wallet.hold('a claim', [coin!.outpoint]);
    expect(code(coin!.outpoint)).toBe('coin_taken');
    rig.wallet.hold('a claim', []);
    rig.wallet.fund({ outputs, feeratePerKw: 253 });
    expect(code(coin!.outpoint)).toBe('coin_taken');
  });

  test('leaves locked coins alone, over a restart, until they are unlocked', () => {
    rig.fill([60_000n, 50_000n]);
    const [large] = rig.wallet.coins();
    lockCoins(rig.state, [large!.outpoint]);
    rig.restart();
    expect(rig.wallet.coins().map(({ state }) => state)).toEqual(['locked', 'confirmed']);
    expect(failureOf(() => plan({ outputs: [{ valueSat: 55_000n, script: foreign }] })).code).toBe(
      'insufficient_funds',
    );
    expect(failureOf(() => plan({ allTo: foreign, coins: [large!.outpoint] })).code).toBe('coin_taken');
    expect(plan({ allTo: foreign }).coins.map(({ valueSat }) => valueSat)).toEqual([50_000n]);
    expect(unlockCoins(rig.state, [large!.outpoint, large!.outpoint])).toBe(1);
    rig.restart();
    expect(plan({ outputs: [{ valueSat: 55_000n, script: foreign }] }).coins.length).toBe(1);
  });

  test('coins of the same value are listed in the same order after a restart', () => {
    for (let times = 0; times < 6; times++) rig.fill([5_000n]);
    const before = rig.names();
    rig.restart();
    expect(rig.names()).toEqual(before);
  });

  test('cannot lock what is in use or not there', () => {
    rig.fill([60_000n]);
    const [coin] = rig.wallet.coins();
    rig.wallet.fund({ outputs: [{ valueSat: 1_000n, script: foreign }], feeratePerKw: 253 });
    expect(failureOf(() => lockCoins(rig.state, [coin!.outpoint])).code).toBe('coin_taken');
    const nowhere = { txid: new Uint8Array(32).fill(1), index: 0 };
    expect(failureOf(() => lockCoins(rig.state, [nowhere])).code).toBe('unknown_coin');
  });

  test('sends all that there is, after others have got theirs', () => {
    rig.fill([60_000n, 50_000n]);
    const tx = rig.send({ outputs: [{ valueSat: 5_000n, script: stranger }], allTo: foreign });
    expect(tx.outputs[0]).toEqual({ valueSat: 5_000n, script: stranger });
    expect(tx.outputs[1]?.script).toEqual(foreign);
    expect(rig.wallet.coins()).toEqual([]);
    expect(105_000n - tx.outputs[1]!.valueSat).toBeLessThan(1_000n);
  });

  test('refuses fees that nobody can mean, unless they are allowed', () => {
    rig.fill([3_000_000n]);
    const dear = { outputs: [{ valueSat: 10_000n, script: foreign }], feeratePerKw: 250_000 };
    const failure = failureOf(() => plan(dear));
    expect(failure.code).toBe('fee_absurd');
    const feeSat = failure.details!.feeSat;
    expect(failure.message).toContain(`--max-fee ${feeSat}`);
    expect(plan({ ...dear, maxFeeSat: feeSat }).feeSat).toBe(feeSat);
    expect(failureOf(() => plan({ ...dear, maxFeeSat: feeSat - 1n })).code).toBe('fee_absurd');
    const modest = { outputs: [{ valueSat: 10_000n, script: foreign }], maxFeeSat: 1n };
    expect(failureOf(() => plan(modest)).code).toBe('fee_absurd');
  });
});

describe('what channels need for fees', () => {
  test('is left when all is sent: coins that fit as they are', () => {
    rig.fill([12_000n, 500_000n], 'p2wpkh');
    rig.fill([80_000n]);
    const all = plan({ allTo: foreign, reserveSat: 10_000n });
    expect(all.keptSat).toBe(12_000n);
    expect(sum(all.coins)).toBe(580_000n);
    expect(all.tx.outputs.length).toBe(1);
    expect(plan({ allTo: foreign }).coins.length).toBe(3);
  });

  test('is divided from a coin that is too large to stay', () => {
    rig.fill([500_000n], 'p2wpkh');
    const all = plan({ allTo: foreign, reserveSat: 10_000n });
    expect(all.keptSat).toBe(10_000n);
    expect(all.tx.outputs.map(({ valueSat, script }) => [valueSat > 480_000n, script.length])).toEqual([
      [false, 34],
      [true, 34],
    ]);
    expect(rig.wallet.isOurs(all.tx.outputs[0]!.script)).toBe(true);
    const sent = rig.commit(all);
    expect(rig.wallet.coins().map(({ valueSat }) => valueSat)).toEqual([10_000n]);
    expect(rig.inMempool(sent)).toBe(true);
  });

  test('is not touched by other payments while there is something else, and never fallen below', () => {
    rig.fill([12_000n], 'p2wpkh');
    rig.fill([80_000n]);
    const request = { reserveSat: 10_000n, outputs: [{ valueSat: 11_000n, script: foreign }] };
    expect(plan(request).coins.map(({ valueSat }) => valueSat)).toEqual([80_000n]);
    // The rest of 92,000 sat is enough only if the kept coin is spent as well; its place is taken by the change.
    const large = plan({ ...request, outputs: [{ valueSat: 80_000n, script: foreign }] });
    expect(large.coins.length).toBe(2);
    const failure = failureOf(() => plan({ ...request, outputs: [{ valueSat: 85_000n, script: foreign }] }));
    expect(failure.code).toBe('reserve_needed');
    expect(failure.message).toContain('--including-reserve');
    expect(plan({ outputs: [{ valueSat: 85_000n, script: foreign }] }).coins.length).toBe(2);
  });
});

describe('a payment that was asked for', () => {
  const outputs = [{ valueSat: 30_000n, script: foreign }];
  const idempotency = { key: 'invoice 7', request: 'foreign 30000' };

  test('is sent after a crash between its storing and its broadcast', async () => {
    rig.fill([60_000n]);
    const tx = commitPlan(rig.state, plan({ outputs }), { purpose: 'send', nowMs: 1 });
    expect(rig.inMempool(tx)).toBe(false);
    rig.restart();
    // Its coins are spent as far as the wallet is concerned.
    expect(rig.wallet.balance().confirmedSat).toBe(0n);
    await rig.publisher().republish();
    expect(rig.inMempool(tx)).toBe(true);
  });

  test('is sent again at each block until it is confirmed, and after a reorganisation', async () => {
    rig.fill([60_000n]);
    const tx = rig.send({ outputs });
    const sent: string[] = [];
    const publisher = rig.publisher((one) => sent.push(txidToHex(txid(one))));
    const id = txidToHex(txid(tx));
    await publisher.republish();
    expect(sent).toEqual([id]);
    rig.mine();
    await publisher.republish();
    expect(sent).toEqual([id]);
    rig.chain.reorganise({ depth: 1, blocks: 2, transactions: 'none' });
    rig.follow();
    await publisher.republish();
    expect(sent).toEqual([id, id]);
    expect(rig.wallet.balance().confirmedSat).toBe(0n);
  });

  test('says why a backend does not take it, and waits', async () => {
    rig.fill([60_000n]);
    const tx = commitPlan(rig.state, plan({ outputs }), { purpose: 'send', nowMs: 1 });
    const away = rig.publisher(() => {
      throw new Error('away');
    });
    expect(await away.publish(txid(tx))).toMatchObject({ accepted: false });
    expect(await rig.publisher().publish(txid(tx))).toEqual({ accepted: true });
    expect(await rig.publisher().publish(new Uint8Array(32))).toMatchObject({ accepted: false });
  });

  test('is not made twice with one key, over restarts; another request with the key is refused', () => {
    rig.fill([60_000n, 60_000n]);
    expect(findSent(rig.state, idempotency)).toBeUndefined();
    const tx = commitPlan(rig.state, plan({ outputs }), { purpose: 'send', nowMs: 1, idempotency });
    rig.restart();
    expect(findSent(rig.state, idempotency)).toEqual(txid(tx));
    const other = failureOf(() => findSent(rig.state, { ...idempotency, request: 'foreign 30001' }));
    expect(other.code).toBe('idempotency_key_reused');
    expect(findSent(rig.state, { ...idempotency, key: 'invoice 8' })).toBeUndefined();
  });

  test('leaves nothing behind where its storage transaction fails', () => {
    rig.fill([60_000n]);
    const before = rig.wallet.balance();
    expect(() =>
      rig.storage.transaction((tx) => {
        commitPlan(rig.state, plan({ outputs }), { purpose: 'send', nowMs: 1, idempotency, tx });
        throw new Error('the disk is full');
      }),
    ).toThrow('the disk is full');
    rig.wallet.reload();
    expect(rig.wallet.balance()).toEqual(before);
    expect(findSent(rig.state, idempotency)).toBeUndefined();
    expect(rig.state.notes.size).toBe(0);
  });
});
