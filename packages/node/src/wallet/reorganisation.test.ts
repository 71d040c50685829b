import { txid } from '@rivulet/core/tx';
import { beforeEach, describe, expect, test } from 'vitest';
import { planBump } from './bumping.js';
import { listHistory } from './history.js';
import { foreign, stranger, WalletRig } from './walletRig.test.support.js';

let rig: WalletRig;
beforeEach(() => {
  rig = new WalletRig();
});

describe('a reorganisation', () => {
  test('of 100 blocks makes all in them unconfirmed, and the wallet sends its own again', async () => {
    rig.fill([60_000n, 50_000n]);
    const before = rig.wallet.balance();
    const first = rig.send({ outputs: [{ valueSat: 30_000n, script: foreign }] });
    rig.mine();
    const second = rig.send({ outputs: [{ valueSat: 20_000n, script: stranger }] });
    rig.mine(97);
    const after = rig.wallet.balance();
    rig.chain.reorganise({ depth: 99, blocks: 101, transactions: 'none' });
    rig.follow();
    rig.restart();
    // The coins came one block before.
    expect(rig.wallet.balance().confirmedSat + rig.wallet.balance().unconfirmedSat).toBe(after.confirmedSat);
    rig.chain.mempool.clear();
    // The other sends his own again as well.
    for (const { tx, height } of rig.other.transactions()) if (height === undefined) rig.refusal(tx);
    await rig.publisher().republish();
    for (const tx of [first, second]) expect(rig.inMempool(tx)).toBe(true);
    rig.mine();
    expect(rig.wallet.balance()).toEqual(after);
    expect(before.confirmedSat).toBeGreaterThan(after.confirmedSat);
  });

  test('can confirm what another payment has replaced, which is told as lost or replaced, and never both', () => {
    rig.fill([60_000n]);
    const first = rig.send({ outputs: [{ valueSat: 30_000n, script: foreign }], feeratePerKw: 300 });
    const request = { txid: txid(first), estimatePerKw: 2_000, reserveSat: 0n, isAwaited: () => false };
    const second = rig.commit(planBump(rig.state, request));
    rig.mine();
    const states = () =>
      new Map(listHistory(rig.state).map((one) => [String(one.txid), `${one.state} ${one.kind}`]));
    expect(states().get(String(txid(first)))).toBe('replaced send');
    expect(states().get(String(txid(second)))).toBe('confirmed send');
    // Another branch has the first one.
    const { height, hash } = rig.wallet.tip!;
    rig.wallet.undoBlock({ height, hash: hash! });
    rig.wallet.processBlock({ height, hash: new Uint8Array(32).fill(1), transactions: [first] });
    for (const _ of [0, 1]) {
      expect(states().get(String(txid(first)))).toBe('confirmed send');
      expect(states().get(String(txid(second)))).toBe('lost send');
      rig.restart();
    }
    // And the branch after it the second one again.
    rig.wallet.undoBlock({ height, hash: new Uint8Array(32).fill(1) });
    rig.wallet.processBlock({ height, hash: hash!, transactions: [second] });
    expect(states().get(String(txid(second)))).toBe('confirmed send');
    expect(states().get(String(txid(first)))).toBe('replaced send');
  });

  test('that takes a payment to us away takes what we paid with it, and says so', () => {
    const received = rig.pay([{ valueSat: 50_000n, script: rig.wallet.newAddress().script }]);
    rig.mine();
    const sent = rig.send({ outputs: [{ valueSat: 30_000n, script: foreign }] });
    const { height, hash } = rig.wallet.tip!;
    rig.wallet.undoBlock({ height, hash: hash! });
    const double = { ...received, outputs: [{ valueSat: 40_000n, script: stranger }] };
    rig.wallet.processBlock({ height, hash: new Uint8Array(32).fill(2), transactions: [double] });
    expect(rig.wallet.coins()).toEqual([]);
    expect(listHistory(rig.state)).toMatchObject([{ txid: txid(sent), state: 'lost', kind: 'send' }]);
  });
});
