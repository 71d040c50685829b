import { bytesToHex, reverseBytes } from '@rivulet/core/bytes';
import { sha256d } from '@rivulet/core/crypto';
import { encodeTransaction, encodeWithoutWitness, type Outpoint, type Transaction } from '@rivulet/core/tx';

/** A transaction with what is asked of it again and again. Hex hashes are in display order. */
export interface PreparedTransaction {
  readonly tx: Transaction;
  readonly bytes: Uint8Array;
  readonly txid: Uint8Array;
  readonly txidHex: string;
  readonly wtxid: Uint8Array;
  readonly wtxidHex: string;
  readonly weight: number;
  readonly vsize: number;
  readonly baseSize: number;
}

/** A hash (internal byte order) as people write it: hex of the reversed bytes. */
export function hashToHex(hash: Uint8Array): string {
  return bytesToHex(reverseBytes(hash));
}

export function prepareTransaction(tx: Transaction): PreparedTransaction {
  const bytes = encodeTransaction(tx);
  const base = encodeWithoutWitness(tx);
  const id = sha256d(base);
  const wtxid = base.length === bytes.length ? id : sha256d(bytes);
  const weight = base.length * 3 + bytes.length;
  return {
    tx,
    bytes,
    txid: id,
    txidHex: hashToHex(id),
    wtxid,
    wtxidHex: hashToHex(wtxid),
    weight,
    vsize: Math.ceil(weight / 4),
    baseSize: base.length,
  };
}

/** The key of an outpoint in maps: `txidHex:index`. */
export function outpointKey(outpoint: Outpoint): string {
  return `${hashToHex(outpoint.txid)}:${outpoint.index}`;
}
