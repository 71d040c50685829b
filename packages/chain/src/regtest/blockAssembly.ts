import { concatBytes } from '@rivulet/core/bytes';
import { sha256, sha256d } from '@rivulet/core/crypto';
import { pushData, scriptNumber, type Transaction } from '@rivulet/core/tx';
import { type BlockHeader, blockHash, merkleRoot } from '../block.js';
import { maxBlockWeight } from './consensus.js';
import type { Mempool, MempoolEntry } from './mempool.js';
import { type PreparedTransaction, prepareTransaction } from './preparedTransaction.js';

/** Regtest's target: every second hash meets it. */
export const regtestBits = 0x207fffff;
export const witnessCommitmentPrefix = Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed);
/** Left for the header and the coinbase. */
const reservedWeight = 4000;

/** Pays to anyone: where blocks go that nobody wants. */
export const anyoneCanSpendScript = concatBytes(Uint8Array.of(0, 32), sha256(Uint8Array.of(0x51)));

/** The transactions of the next block: highest feerate first, each with the ancestors it needs (CPFP). */
export function selectTransactions(
  mempool: Mempool,
  { minFeeratePerKw = 0 }: { minFeeratePerKw?: number | undefined } = {},
): MempoolEntry[] {
  const left = new Map<string, { entry: MempoolEntry; fee: bigint; vsize: number }>();
  for (const entry of mempool.entries()) {
    let { feeSat: fee, vsize } = entry;
    for (const id of mempool.ancestors(entry.txidHex)) {
      const ancestor = mempool.get(id)!;
      fee += ancestor.feeSat;
      vsize += ancestor.vsize;
    }
    left.set(entry.txidHex, { entry, fee, vsize });
  }
  const selected: MempoolEntry[] = [];
  let weight = reservedWeight;
  while (left.size > 0) {
    let best: { entry: MempoolEntry; fee: bigint; vsize: number } | undefined;
    for (const one of left.values()) {
      if (best === undefined || one.fee * BigInt(best.vsize) > best.fee * BigInt(one.vsize)) best = one;
    }
    // Those that are left pay still less.
    if (Number(best!.fee) * 1000 < minFeeratePerKw * best!.vsize * 4) break;
    const { entry } = best!;
    const ancestors = mempool.ancestors(entry.txidHex);
    // The mempool's order of arrival is topological.
    const family = [...left.values()].map((one) => one.entry).filter((one) => ancestors.has(one.txidHex));
    family.push(entry);
    const familyWeight = family.reduce((sum, one) => sum + one.weight, 0);
    if (weight + familyWeight > maxBlockWeight) {
      left.delete(entry.txidHex);
      for (const id of mempool.descendants(entry.txidHex)) left.delete(id);
      continue;
    }
    weight += familyWeight;
    for (const one of family) {
      selected.push(one);
      left.delete(one.txidHex);
      for (const id of mempool.descendants(one.txidHex)) {
        const descendant = left.get(id);
        if (descendant === undefined) continue;
        descendant.fee -= one.feeSat;
        descendant.vsize -= one.vsize;
      }
    }
  }
  return selected;
}

/** BIP 34: the start of a coinbase's script. */
export function heightPush(height: number): Uint8Array {
  return height <= 16 ? Uint8Array.of(0x50 + height) : pushData(scriptNumber(BigInt(height)));
}

function witnessRoot(transactions: readonly PreparedTransaction[]): Uint8Array {
  return merkleRoot([new Uint8Array(32), ...transactions.map((one) => one.wtxid)]);
}

/** BIP 141: the output script that commits to the witnesses of a block's transactions (without coinbase). */
export function witnessCommitment(transactions: readonly PreparedTransaction[]): Uint8Array {
  const commitment = sha256d(concatBytes(witnessRoot(transactions), new Uint8Array(32)));
  return concatBytes(witnessCommitmentPrefix, commitment);
}

export function createCoinbase(options: {
  height: number;
  valueSat: bigint;
  script: Uint8Array;
  extraNonce: number;
  transactions: readonly PreparedTransaction[];
}): PreparedTransaction {
  const nonce = new Uint8Array(8);
  new DataView(nonce.buffer).setBigUint64(0, BigInt(options.extraNonce));
  const tx: Transaction = {
    version: 2,
    lockTime: 0,
    inputs: [
      {
        outpoint: { txid: new Uint8Array(32), index: 0xffff_ffff },
        scriptSig: concatBytes(heightPush(options.height), pushData(nonce)),
        sequence: 0xffff_ffff,
        witness: [new Uint8Array(32)],
      },
    ],
    outputs: [
      { valueSat: options.valueSat, script: options.script },
      { valueSat: 0n, script: witnessCommitment(options.transactions) },
    ],
  };
  return prepareTransaction(tx);
}

/** Whether a hash (internal byte order: a little-endian number) meets regtest's target. */
export function meetsTarget(hash: Uint8Array): boolean {
  return (hash[31] as number) < 0x80;
}

export function mineHeader(header: Omit<BlockHeader, 'nonce'>): BlockHeader {
  for (let nonce = 0; ; nonce++) {
    const mined = { ...header, nonce };
    if (meetsTarget(blockHash(mined))) return mined;
  }
}
