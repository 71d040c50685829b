import { ByteWriter, concatBytes, utf8ToBytes } from '../bytes/index.js';
import { sha256, sha256d } from '../crypto/index.js';
import { compactSizeLength, writeCompactSize } from './compactSize.js';
import { encodeOutputs, type Transaction, type TxOutput } from './transaction.js';

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

const tapSighashTag = sha256(utf8ToBytes('TapSighash'));

/**
 * The hash that a taproot input signs that is spent by its key, with sighash type DEFAULT and no annex (BIP 341).
 * `spent` are the outputs that all inputs spend, in order: the signature commits to every one.
 */
export function taprootSighash({
  tx,
  inputIndex,
  spent,
}: {
  tx: Transaction;
  inputIndex: number;
  spent: readonly TxOutput[];
}): Uint8Array {
  const prevouts = new ByteWriter(36 * tx.inputs.length);
  const amounts = new ByteWriter(8 * tx.inputs.length);
  const scripts = new ByteWriter(35 * tx.inputs.length);
  const sequences = new ByteWriter(4 * tx.inputs.length);
  tx.inputs.forEach(({ outpoint, sequence }, index) => {
    const output = spent[index];
    if (output === undefined) throw new RangeError(`what input ${index} spends is not known`);
    prevouts.bytes(outpoint.txid).u32Le(outpoint.index);
    amounts.u64Le(output.valueSat);
    writeCompactSize(scripts, output.script.length);
    scripts.bytes(output.script);
    sequences.u32Le(sequence);
  });
  const message = new ByteWriter(175).u8(0).u8(0).u32Le(tx.version).u32Le(tx.lockTime);
  for (const part of [prevouts, amounts, scripts, sequences]) message.bytes(sha256(part.finish()));
  message
    .bytes(sha256(encodeOutputs(tx.outputs)))
    .u8(0)
    .u32Le(inputIndex);
  return sha256(concatBytes(tapSighashTag, tapSighashTag, message.finish()));
}
