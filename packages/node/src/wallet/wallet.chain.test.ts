import { RegtestChain } from '@rivulet/chain';
import { buildSweep, p2wshScript, type Transaction } from '@rivulet/core/tx';
import { openMemoryStorage } from '@rivulet/storage';
import { describe, expect, test } from 'vitest';
import { createWords, wordsToSeed } from './seed.js';
import { openWallet, type Wallet } from './wallet.js';

const foreign = p2wshScript(Uint8Array.of(0x51));

/** Feeds the wallet what the chain has, over reorganisations. */
function follow(wallet: Wallet, chain: RegtestChain, active: Map<number, string>): void {
  for (let height = wallet.tip?.height ?? 0; height > 0; height--) {
    const hashHex = active.get(height)!;
    if (chain.blockAt(height)?.hashHex === hashHex) break;
    wallet.undoBlock(chain.block(hashHex)!);
    active.delete(height);
  }
  for (let height = (wallet.tip?.height ?? 0) + 1; height <= chain.height; height++) {
    const { hash, hashHex, transactions } = chain.blockAt(height)!;
    const txs: Transaction[] = transactions.map(({ tx }) => tx);
    wallet.processBlock({ height, hash, transactions: txs });
    active.set(height, hashHex);
  }
}

describe('wallet on a chain that checks scripts and policy', () => {
  test('mines, funds, spends taproot and version 0 coins, chains change, follows a reorganisation, sweeps', () => {
    const chain = new RegtestChain();
    const storage = openMemoryStorage();
    const seed = wordsToSeed(createWords(new Uint8Array(16).fill(9)));
    const wallet = openWallet({ seed, network: 'regtest', storage });
    const active = new Map<number, string>();

    chain.mine({ blocks: 2, script: wallet.newAddress().script });
    chain.mine({ blocks: 99 });
    follow(wallet, chain, active);
    // Of 101 blocks: the next one, 102, may spend the rewards of the first and the second.
    expect(wallet.balance()).toMatchObject({ confirmedSat: 100_0000_0000n, immatureSat: 0n });

    // A channel's funding, signed and held back; then broadcast together with a payment of its change.
    const channel = wallet.fund({ outputs: [{ valueSat: 1_000_000n, script: foreign }], feeratePerKw: 253 });
    expect(wallet.balance().reservedSat).toBe(50_0000_0000n);
    chain.broadcast(channel.tx);
    wallet.addUnconfirmed(channel.tx);
    const version0 = wallet.newAddress({ type: 'p2wpkh' }).script;
    const both = wallet.fund({
      outputs: [
        { valueSat: 60_0000_0000n, script: version0 },
        { valueSat: 1_0000_0000n, script: foreign },
      ],
      feeratePerKw: 1_000,
    });
    expect(both.inputs.length).toBe(2);
    chain.broadcast(both.tx);
    wallet.addUnconfirmed(both.tx);
    const [first] = chain.mine();
    follow(wallet, chain, active);
    expect(first?.transactions.length).toBe(3);
    const spentSat = 1_000_000n + 1_0000_0000n + channel.feeSat + both.feeSat;
    expect(wallet.balance()).toMatchObject({
      confirmedSat: 100_0000_0000n - spentSat,
      unconfirmedSat: 0n,
      reservedSat: 0n,
    });

    // The block is replaced by an empty one; the transactions come again in the next.
    chain.reorganise({ depth: 1, blocks: 2, transactions: 'none' });
    follow(wallet, chain, active);
    expect(wallet.balance()).toMatchObject({ confirmedSat: 0n, unconfirmedSat: 100_0000_0000n - spentSat });
    chain.mine();
    follow(wallet, chain, active);
    expect(wallet.balance()).toMatchObject({ confirmedSat: 100_0000_0000n - spentSat, unconfirmedSat: 0n });

    const all = wallet.sweepAll({ script: foreign, feeratePerKw: 253 });
    expect(new Set(all.inputs.map(({ script }) => script.length))).toEqual(new Set([22, 34]));
    chain.broadcast(all.tx);
    chain.mine();
    follow(wallet, chain, active);
    expect(wallet.balance()).toEqual({
      confirmedSat: 0n,
      unconfirmedSat: 0n,
      immatureSat: 0n,
      reservedSat: 0n,
    });
    expect(wallet.reservations()).toEqual([]);
  });

  test('its coins of both kinds pay fees of transactions that core builds', () => {
    const chain = new RegtestChain();
    const wallet = openWallet({
      seed: wordsToSeed(createWords(new Uint8Array(16).fill(9))),
      network: 'regtest',
      storage: openMemoryStorage(),
    });
    const active = new Map<number, string>();
    chain.mine({ script: wallet.newAddress({ type: 'p2wpkh' }).script });
    chain.mine({ script: wallet.newAddress().script });
    chain.mine({ blocks: 100 });
    follow(wallet, chain, active);
    const inputs = wallet.feeInputs();
    expect(new Set(inputs.map(({ taproot }) => taproot))).toEqual(new Set([undefined, true]));
    const sweep = buildSweep({ inputs, script: wallet.newAddress().script, feeratePerKw: 500 });
    chain.broadcast(sweep!.tx);
    wallet.addUnconfirmed(sweep!.tx);
    expect(wallet.feeInputs()).toEqual([]);
    expect(wallet.balance().unconfirmedSat).toBe(100_0000_0000n - sweep!.feeSat);
  });
});
