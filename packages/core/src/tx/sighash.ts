import { ByteWriter } from '../bytes/index.js';
import { sha256d } from '../crypto/index.js';
import { compactSizeLength, writeCompactSize } from './compactSize.js';
import { encodeOutputs, type Transaction } from './transaction.js';

/** Signs all inputs and outputs. */
export const sighashAll = 0x01;
/** Signs one input and the output of the same index: what peers sign in HTLC transactions of anchor channels. */
export const sighashSingleAnyoneCanPay = 0x83;
export type SighashType = typeof sighashAll | typeof sighashSingleAnyoneCanPay;

/** The hashes that all inputs of one transaction share (BIP 143): worth keeping when there are many inputs. */
export interface SharedSighashes {
  readonly prevouts: Uint8Array;
  readonly sequences: Uint8Array;
  readonly outputs: Uint8Array;
}

const zeroHash = new Uint8Array(32);

export function sharedSighashes(tx: Transaction): SharedSighashes {
  const prevouts = new ByteWriter(36 * tx.inputs.length);
  const sequences = new ByteWriter(4 * tx.inputs.length);
  for (const { outpoint, sequence } of tx.inputs) {
    prevouts.bytes(outpoint.txid).u32Le(outpoint.index);
    sequences.u32Le(sequence);
  }
  return {
    prevouts: sha256d(prevouts.finish()),
    sequences: sha256d(sequences.finish()),
    outputs: sha256d(encodeOutputs(tx.outputs)),
  };
}

/**
 * The hash that a P2WSH or P2WPKH input signs (BIP 143). `scriptCode` is the witness script, or
 * p2wpkhScriptCode of the key; `valueSat` the value of the spent output. `shared` may be given for
 * sighashAll and a transaction of many inputs.
 */
export function segwitSighash({
  tx,
  inputIndex,
  scriptCode,
  valueSat,
  sighashType,
  shared,
}: {
  tx: Transaction;
  inputIndex: number;
  scriptCode: Uint8Array;
  valueSat: bigint;
  sighashType: SighashType;
  shared?: SharedSighashes;
}): Uint8Array {
  const input = tx.inputs[inputIndex];
  if (input === undefined) throw new RangeError(`the transaction has no input ${inputIndex}`);
  let hashes: SharedSighashes;
  if (sighashType === sighashAll) hashes = shared ?? sharedSighashes(tx);
  else {
    const output = tx.outputs[inputIndex];
    const outputs = output === undefined ? zeroHash : sha256d(encodeOutputs([output]));
    hashes = { prevouts: zeroHash, sequences: zeroHash, outputs };
  }
  const length = scriptCode.length;
  const writer = new ByteWriter(156 + compactSizeLength(length) + length);
  writer.u32Le(tx.version).bytes(hashes.prevouts).bytes(hashes.sequences);
  writer.bytes(input.outpoint.txid).u32Le(input.outpoint.index);
  writeCompactSize(writer, length);
  writer.bytes(scriptCode).u64Le(valueSat).u32Le(input.sequence).bytes(hashes.outputs);
  return sha256d(writer.u32Le(tx.lockTime).u32Le(sighashType).finish());
}
