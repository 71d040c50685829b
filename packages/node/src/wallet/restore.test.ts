import { embeddedBackend } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { type Transaction, txid } from '@rivulet/core/tx';
import { openMemoryStorage } from '@rivulet/storage';
import { beforeEach, describe, expect, test } from 'vitest';
import { restoreFromScan, type ScannedCoin, type ScanScripts } from './restore.js';
import { scanBackend } from './scanBackend.js';
import { openWallet, type Wallet } from './wallet.js';
import { WalletError } from './walletError.js';
import { foreign, testSeed, WalletRig } from './walletRig.test.support.js';

let rig: WalletRig;
/** The same words in an empty folder. */
let fresh: Wallet;
let asked: number[];
beforeEach(() => {
  rig = new WalletRig();
  fresh = openWallet({ seed: testSeed, network: 'regtest', storage: openMemoryStorage() });
  asked = [];
});

/** As scantxoutset and Esplora do it: unspent outputs of the chain alone. */
const scan: ScanScripts = async (scripts) => {
  asked.push(scripts.length);
  const wanted = new Set(scripts.map(bytesToHex));
  const coins: ScannedCoin[] = [];
  for (let height = 0; height <= rig.chain.height; height++) {
    for (const { tx } of rig.chain.blockAt(height)!.transactions) {
      tx.outputs.forEach((output, index) => {
        const outpoint = { txid: txid(tx), index };
        if (!wanted.has(bytesToHex(output.script))) return;
        if (rig.chain.unspent(outpoint, { mempool: false }) === undefined) return;
        coins.push({ outpoint, output, height, tx });
      });
    }
  }
  const { height, hash } = rig.chain.tip;
  return { tip: { height, hash }, coins };
};

const failure = async (work: Promise<unknown>): Promise<WalletError> => {
  const error = await work.catch((caught: unknown) => caught);
  if (error instanceof WalletError) return error;
  throw new Error('no WalletError');
};

describe('a wallet restored from its words by a search', () => {
  test('has the coins, and no spent output beside them', async () => {
    rig.fill([60_000n, 50_000n]);
    rig.fill([40_000n], 'p2wpkh');
    rig.send({ outputs: [{ valueSat: 55_000n, script: foreign }] });
    rig.mine();
    const restored = await restoreFromScan(fresh.state, { scan });
    expect(fresh.balance()).toEqual(rig.wallet.balance());
    expect(fresh.coins()).toEqual(rig.wallet.coins());
    expect(restored).toMatchObject({ coins: 3, valueSat: rig.wallet.balance().confirmedSat });
    expect(fresh.tip).toEqual({ height: rig.chain.height, hash: rig.chain.tip.hash });
  });

  test('asks again until nothing new is found: coins behind one gap after the other', async () => {
    const scripts = Array.from({ length: 61 }, () => rig.wallet.newAddress().script);
    for (const index of [19, 39, 59])
      rig.pay([{ valueSat: 1_000n + BigInt(index), script: scripts[index]! }]);
    rig.mine();
    expect(await restoreFromScan(fresh.state, { scan })).toMatchObject({ coins: 3 });
    expect(asked).toEqual([80, 100, 120, 140]);
    expect(fresh.newAddress().path).toBe("m/86'/1'/0'/0/60");
  });

  test('misses what is behind 20 empty addresses, which a longer look ahead finds', async () => {
    const scripts = Array.from({ length: 25 }, () => rig.wallet.newAddress().script);
    rig.pay([{ valueSat: 5_000n, script: scripts[24]! }]);
    rig.mine();
    const other = openWallet({ seed: testSeed, network: 'regtest', storage: openMemoryStorage() });
    expect(await restoreFromScan(other.state, { scan })).toMatchObject({ coins: 0 });
    expect(await restoreFromScan(fresh.state, { scan, lookAhead: 200 })).toMatchObject({ coins: 1 });
  });

  test('goes on with blocks, spends what it found, and survives a reorganisation and a restart', async () => {
    rig.fill([60_000n, 50_000n]);
    rig.send({ outputs: [{ valueSat: 52_000n, script: foreign }] });
    rig.mine();
    const storage = openMemoryStorage();
    let wallet = openWallet({ seed: testSeed, network: 'regtest', storage });
    await restoreFromScan(wallet.state, { scan });
    wallet = openWallet({ seed: testSeed, network: 'regtest', storage });
    expect(wallet.coins()).toEqual(rig.wallet.coins());
    const { height, hash, transactions } = rig.chain.tip;
    wallet.undoBlock({ height, hash });
    expect(wallet.balance().confirmedSat).toBeLessThan(rig.wallet.balance().confirmedSat);
    wallet.processBlock({ height, hash, transactions: transactions.map(({ tx }) => tx) });
    wallet = openWallet({ seed: testSeed, network: 'regtest', storage });
    expect(wallet.coins()).toEqual(rig.wallet.coins());
    const { tx } = wallet.sweepAll({ script: foreign, feeratePerKw: 253 });
    expect(rig.refusal(tx)).toBeUndefined();
  });

  test('takes no coin that is none, from a server that lies', async () => {
    rig.fill([60_000n]);
    const real = (await scan(rig.wallet.scripts())).coins[0]!;
    const answer = (change: Partial<ScannedCoin>): ScanScripts => {
      const { height, hash } = rig.chain.tip;
      return async () => ({ tip: { height, hash }, coins: [{ ...real, ...change }] });
    };
    const richer: Transaction = { ...real.tx, outputs: [{ ...real.output, valueSat: 9_000_000n }] };
    const lies = [
      answer({ output: { ...real.output, valueSat: 9_000_000n } }),
      answer({ tx: richer, output: richer.outputs[0]! }),
      answer({ outpoint: { ...real.outpoint, index: 9 } }),
      answer({ height: rig.chain.height + 1 }),
      answer({ output: { ...real.output, script: foreign } }),
    ];
    for (const lie of lies) {
      expect((await failure(restoreFromScan(fresh.state, { scan: lie }))).code).toBe('bad_import');
      expect(fresh.coins()).toEqual([]);
      expect(fresh.tip).toBeUndefined();
    }
    const other = rig.other.coins().find(({ state }) => state === 'confirmed')!;
    const output = {
      valueSat: other.valueSat,
      script: rig.other.state.ledger.output(other.outpoint)!.key.script,
    };
    const tx = rig.other.getTransaction(other.outpoint.txid)!.tx;
    const foreignCoin = answer({ outpoint: other.outpoint, output, tx });
    expect((await failure(restoreFromScan(fresh.state, { scan: foreignCoin }))).code).toBe('bad_import');
  });

  test('is not mixed with blocks', async () => {
    expect((await failure(restoreFromScan(rig.state, { scan }))).code).toBe('bad_import');
  });
});

describe('a search over a backend', () => {
  test('restores a wallet, which goes on with the blocks after it', async () => {
    rig.fill([60_000n, 50_000n]);
    rig.send({ outputs: [{ valueSat: 55_000n, script: foreign }] });
    rig.mine();
    const scan = scanBackend(embeddedBackend(rig.chain));
    const restored = await restoreFromScan(fresh.state, { scan, lookAhead: 100 });
    expect(restored.tip.height).toBe(rig.chain.height);
    expect(fresh.coins()).toEqual(rig.wallet.coins());
    rig.fill([7_000n]);
    const { height, hash, transactions } = rig.chain.tip;
    fresh.processBlock({ height, hash, transactions: transactions.map(({ tx }) => tx) });
    expect(fresh.coins()).toEqual(rig.wallet.coins());
  });

  test('leaves what comes during it to the blocks, and begins again after a reorganisation', async () => {
    rig.fill([60_000n]);
    const backend = embeddedBackend(rig.chain);
    const { height } = rig.chain;
    let during = () => rig.fill([50_000n]);
    const moving = {
      ...backend,
      scanScripts: async (request: { scripts: readonly Uint8Array[] }) => {
        during();
        return backend.scanScripts(request);
      },
    };
    const result = await scanBackend(moving)(rig.wallet.scripts());
    expect(result.tip.height).toBe(height);
    expect(result.coins.map(({ output }) => output.valueSat)).toEqual([60_000n]);
    let times = 0;
    during = () => {
      if (times++ === 0) rig.chain.reorganise({ depth: 1, blocks: 3 });
    };
    const second = await scanBackend(moving)(rig.wallet.scripts());
    expect(times).toBe(2);
    expect(second.tip.height).toBe(rig.chain.height);
    during = () => void rig.chain.reorganise({ depth: 1, blocks: 2 });
    expect((await failure(scanBackend(moving)(rig.wallet.scripts()))).code).toBe('bad_import');
  });

  test('whose backend has lost the block says so', async () => {
    rig.fill([60_000n]);
    const backend = embeddedBackend(rig.chain);
    const pruned = {
      ...backend,
      getBlock: () => Promise.reject(new Error('pruned')),
      getTransaction: async () => undefined,
    };
    const error = await failure(scanBackend(pruned)(rig.wallet.scripts()));
    expect(error.message).toContain('pruned');
  });
});
