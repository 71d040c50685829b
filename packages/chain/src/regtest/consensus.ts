import { encodeWithoutWitness, type Transaction, type TxOutput } from '@rivulet/core/tx';
import { TxRejection } from './txRejection.js';

/** 21 million bitcoin. */
const maxMoneySat = 2_100_000_000_000_000n;
const lockTimeThreshold = 500_000_000;
const finalSequence = 0xffff_ffff;
const sequenceDisableFlag = 0x8000_0000;
const sequenceTypeFlag = 0x0040_0000;
const coinbaseMaturity = 100;
export const maxBlockWeight = 4_000_000;
const halvingInterval = 150;

/** The new coins of a regtest block. */
export function subsidySat(height: number): bigint {
  const halvings = Math.floor(height / halvingInterval);
  return halvings >= 64 ? 0n : 5_000_000_000n >> BigInt(halvings);
}

export function isCoinbase(tx: Transaction): boolean {
  const outpoint = tx.inputs[0]?.outpoint;
  if (tx.inputs.length !== 1 || outpoint === undefined || outpoint.index !== 0xffff_ffff) return false;
  return outpoint.txid.every((byte) => byte === 0);
}

/** What can be said about a transaction without its context (Bitcoin Core's CheckTransaction). */
export function checkTransaction(tx: Transaction): void {
  if (tx.inputs.length === 0) throw new TxRejection('bad-txns-vin-empty');
  if (tx.outputs.length === 0) throw new TxRejection('bad-txns-vout-empty');
  if (encodeWithoutWitness(tx).length * 4 > maxBlockWeight) throw new TxRejection('bad-txns-oversize');
  let total = 0n;
  for (const { valueSat } of tx.outputs) {
    if (valueSat < 0n) throw new TxRejection('bad-txns-vout-negative');
    if (valueSat > maxMoneySat) throw new TxRejection('bad-txns-vout-toolarge');
    total += valueSat;
    if (total > maxMoneySat) throw new TxRejection('bad-txns-txouttotal-toolarge');
  }
  const seen = new Set<string>();
  for (const { outpoint } of tx.inputs) {
    const key = `${outpoint.txid.join()}:${outpoint.index}`;
    if (seen.has(key)) throw new TxRejection('bad-txns-inputs-duplicate');
    seen.add(key);
  }
  if (isCoinbase(tx)) {
    const length = tx.inputs[0]!.scriptSig.length;
    if (length < 2 || length > 100) throw new TxRejection('bad-cb-length');
    return;
  }
  for (const { outpoint } of tx.inputs) {
    const isNull = outpoint.index === 0xffff_ffff && outpoint.txid.every((byte) => byte === 0);
    if (isNull) throw new TxRejection('bad-txns-prevout-null');
  }
}

/** Where a block or the next block of the mempool stands. */
export interface BlockContext {
  readonly height: number;
  /** The median time of the 11 blocks before it (BIP 113). */
  readonly medianTimePast: number;
}

/** nLockTime, with the median time of BIP 113. */
export function isFinal(tx: Transaction, context: BlockContext): boolean {
  if (tx.lockTime === 0) return true;
  const limit = tx.lockTime < lockTimeThreshold ? context.height : context.medianTimePast;
  return tx.lockTime < limit || tx.inputs.every((input) => input.sequence === finalSequence);
}

/** BIP 68: relative locktimes. */
export function areSequenceLocksMet(options: {
  tx: Transaction;
  /** The heights at which the spent outputs were confirmed; the context's own for those of the mempool. */
  heights: readonly number[];
  context: BlockContext;
  medianTimePastAt: (height: number) => number;
}): boolean {
  const { tx, heights, context } = options;
  if (tx.version < 2) return true;
  for (const [i, { sequence }] of tx.inputs.entries()) {
    if ((sequence & sequenceDisableFlag) !== 0) continue;
    const height = heights[i] as number;
    const value = sequence & 0xffff;
    if ((sequence & sequenceTypeFlag) === 0) {
      if (context.height < height + value) return false;
    } else {
      // Counted from the median time of the block before the one that has the output.
      const since = options.medianTimePastAt(Math.max(height - 1, 0));
      if (context.medianTimePast < since + value * 512) return false;
    }
  }
  return true;
}

/** An output of the chain or the mempool, with what its spending depends on. */
export interface Coin extends TxOutput {
  readonly height: number;
  readonly coinbase: boolean;
}

/** Checks the coins that a transaction spends, its scripts excepted (CheckTxInputs). @returns the fee */
export function checkInputs(tx: Transaction, coins: readonly Coin[], context: BlockContext): bigint {
  let totalIn = 0n;
  for (const coin of coins) {
    if (coin.coinbase && context.height - coin.height < coinbaseMaturity) {
      const depth = context.height - coin.height;
      throw new TxRejection('bad-txns-premature-spend-of-coinbase', `spends a coinbase at depth ${depth}`);
    }
    totalIn += coin.valueSat;
  }
  let totalOut = 0n;
  for (const { valueSat } of tx.outputs) totalOut += valueSat;
  if (totalIn < totalOut) {
    throw new TxRejection('bad-txns-in-belowout', `value in ${totalIn} sat, value out ${totalOut} sat`);
  }
  return totalIn - totalOut;
}
