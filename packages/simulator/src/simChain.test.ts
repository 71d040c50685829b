import { type Outpoint, type Transaction, txid } from '@rivulet/core/tx';
import { describe, expect, test } from 'vitest';
import { SimChain } from './simChain.js';

const script = Uint8Array.of(0x51);
const coin: Outpoint = { txid: new Uint8Array(32).fill(7), index: 1 };

function spend(
  outpoint: Outpoint,
  {
    valueSat = 900n,
    lockTime = 0,
    sequence = 0xffff_ffff,
  }: { valueSat?: bigint; lockTime?: number; sequence?: number } = {},
): Transaction {
  return {
    version: 2,
    lockTime,
    inputs: [{ outpoint, sequence, scriptSig: new Uint8Array(0), witness: [] }],
    outputs: [{ valueSat, script }],
  };
}

function chainWithCoin(): SimChain {
  const chain = new SimChain(100);
  chain.issue(coin, { valueSat: 1_000n, script });
  return chain;
}

describe('SimChain', () => {
  test('mines what was broadcast, once, and keeps every satoshi', () => {
    const chain = chainWithCoin();
    const tx = spend(coin);
    expect(chain.broadcast(tx)).toBe('accepted');
    expect(chain.broadcast(tx)).toBe('known');
    expect(chain.spendOf(coin)).toBeUndefined();
    expect(chain.mine()).toEqual({ height: 101, transactions: [tx] });
    expect(chain.spendOf(coin)).toEqual({ tx, height: 101 });
    expect(chain.broadcast(tx)).toBe('known');
    expect(chain.balanceSat(script)).toBe(900n);
    expect(chain.feesSat).toBe(100n);
    expect(chain.unspentSat + chain.feesSat).toBe(chain.issuedSat);
  });

  test('takes the first of two that conflict', () => {
    const chain = chainWithCoin();
    expect(chain.broadcast(spend(coin))).toBe('accepted');
    expect(chain.broadcast(spend(coin, { valueSat: 800n }))).toBe('conflict');
    chain.mine();
    expect(chain.broadcast(spend(coin, { valueSat: 800n }))).toBe('missing_inputs');
  });

  test('refuses what spends more than it has, what is not there, and what is locked', () => {
    const chain = chainWithCoin();
    expect(chain.broadcast(spend(coin, { valueSat: 1_001n }))).toBe('overspent');
    expect(chain.broadcast(spend({ ...coin, index: 0 }))).toBe('missing_inputs');
    expect(chain.broadcast(spend(coin, { lockTime: 101 }))).toBe('not_final');
    // BIP 68: two blocks on top of its own
    expect(chain.broadcast(spend(coin, { sequence: 3 }))).toBe('not_final');
    chain.mine();
    chain.mine();
    expect(chain.broadcast(spend(coin, { sequence: 3, lockTime: 101 }))).toBe('accepted');
  });

  test('does not let a transaction spend what is not mined yet', () => {
    const chain = chainWithCoin();
    const tx = spend(coin);
    chain.broadcast(tx);
    const child = spend({ txid: txid(tx), index: 0 }, { valueSat: 1n });
    expect(chain.broadcast(child)).toBe('missing_inputs');
    chain.mine();
    expect(chain.broadcast(child)).toBe('accepted');
  });
});
