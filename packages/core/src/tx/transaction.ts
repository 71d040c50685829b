import {
  ByteReader,
  ByteWriter,
  bytesToHex,
  hexToBytes,
  reverseBytes,
  UnexpectedEndError,
} from '../bytes/index.js';
import { sha256d } from '../crypto/index.js';
import { compactSizeLength, readCompactSize, writeCompactSize } from './compactSize.js';
import { TransactionError } from './transactionError.js';

export interface TxOutput {
  valueSat: bigint;
  /** The scriptPubKey. */
  script: Uint8Array;
}

export interface Outpoint {
  /** Internal byte order: the order of sha256d, of the wire and of a transaction's inputs. */
  txid: Uint8Array;
  index: number;
}

export interface TxInput {
  outpoint: Outpoint;
  scriptSig: Uint8Array;
  sequence: number;
  /** Empty for an input without witness, or one that is not signed yet. */
  witness: readonly Uint8Array[];
}

export interface Transaction {
  version: number;
  lockTime: number;
  inputs: readonly TxInput[];
  outputs: readonly TxOutput[];
}

/** A block's weight limit: no transaction can have more bytes. */
const maxTransactionBytes = 4_000_000;
/** 21 million bitcoin. */
const maxMoneySat = 2_100_000_000_000_000n;

const emptyBytes = new Uint8Array(0);

function hasWitness(tx: Transaction): boolean {
  return tx.inputs.some((input) => input.witness.length > 0);
}

function writeOutputs(writer: ByteWriter, outputs: readonly TxOutput[]): void {
  for (const output of outputs) {
    writer.u64Le(output.valueSat);
    writeCompactSize(writer, output.script.length);
    writer.bytes(output.script);
  }
}

function serialize(tx: Transaction, withWitness: boolean): Uint8Array {
  const writer = new ByteWriter(64 + tx.inputs.length * 300 + tx.outputs.length * 43);
  writer.u32Le(tx.version);
  if (withWitness) writer.u8(0).u8(1);
  writeCompactSize(writer, tx.inputs.length);
  for (const input of tx.inputs) {
    writer.bytes(input.outpoint.txid).u32Le(input.outpoint.index);
    writeCompactSize(writer, input.scriptSig.length);
    writer.bytes(input.scriptSig).u32Le(input.sequence);
  }
  writeCompactSize(writer, tx.outputs.length);
  writeOutputs(writer, tx.outputs);
  if (withWitness) {
    for (const input of tx.inputs) {
      writeCompactSize(writer, input.witness.length);
      for (const item of input.witness) {
        writeCompactSize(writer, item.length);
        writer.bytes(item);
      }
    }
  }
  return writer.u32Le(tx.lockTime).finish();
}

/** The network's serialization: with marker, flag and witnesses (BIP 144) when any input has a witness. */
export function encodeTransaction(tx: Transaction): Uint8Array {
  return serialize(tx, hasWitness(tx));
}

/** The serialization without witnesses, whose hash is the txid. */
export function encodeWithoutWitness(tx: Transaction): Uint8Array {
  return serialize(tx, false);
}

/** The outputs one after another without their count: what BIP 143's `hashOutputs` covers. */
export function encodeOutputs(outputs: readonly TxOutput[]): Uint8Array {
  const writer = new ByteWriter(outputs.length * 43);
  writeOutputs(writer, outputs);
  return writer.finish();
}

function readCount(reader: ByteReader, minimumBytesEach: number): number {
  const count = readCompactSize(reader);
  if (count * minimumBytesEach > reader.left) {
    throw new TransactionError(`the transaction claims ${count} items in ${reader.left} bytes`);
  }
  return count;
}

function readWitness(reader: ByteReader): Uint8Array[] {
  const count = readCount(reader, 1);
  const items: Uint8Array[] = [];
  for (let i = 0; i < count; i++) items.push(reader.bytes(readCompactSize(reader)));
  return items;
}

function readInput(reader: ByteReader): TxInput {
  const outpoint = { txid: reader.bytes(32), index: reader.u32Le() };
  const scriptSig = reader.bytes(readCompactSize(reader));
  return { outpoint, scriptSig, sequence: reader.u32Le(), witness: [] };
}

function readOutput(reader: ByteReader): TxOutput {
  const valueSat = reader.u64Le();
  if (valueSat > maxMoneySat) throw new TransactionError('an output has more than 21 million bitcoin');
  return { valueSat, script: reader.bytes(readCompactSize(reader)) };
}

function readTransaction(reader: ByteReader): Transaction {
  const version = reader.u32Le();
  let inputCount = readCount(reader, 1);
  const segwit = inputCount === 0;
  if (segwit) {
    if (reader.u8() !== 1) throw new TransactionError('the transaction has no inputs, or an unknown flag');
    inputCount = readCount(reader, 41);
    if (inputCount === 0) throw new TransactionError('the transaction has no inputs');
  }
  const inputs: TxInput[] = [];
  for (let i = 0; i < inputCount; i++) inputs.push(readInput(reader));
  const outputCount = readCount(reader, 9);
  const outputs: TxOutput[] = [];
  for (let i = 0; i < outputCount; i++) outputs.push(readOutput(reader));
  if (segwit) {
    for (const input of inputs) input.witness = readWitness(reader);
    if (inputs.every((input) => input.witness.length === 0)) {
      throw new TransactionError('the transaction is flagged as having witnesses, but has none');
    }
  }
  const lockTime = reader.u32Le();
  if (reader.left > 0) throw new TransactionError(`${reader.left} bytes follow the transaction`);
  return { version, lockTime, inputs, outputs };
}

/**
 * Reads a transaction with or without witnesses; the inverse of encodeTransaction.
 * @throws TransactionError when the bytes are not exactly one canonical transaction.
 */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  if (bytes.length > maxTransactionBytes) {
    throw new TransactionError(`a transaction of ${bytes.length} bytes fits into no block`);
  }
  try {
    return readTransaction(new ByteReader(bytes));
  } catch (error) {
    if (error instanceof UnexpectedEndError)
      throw new TransactionError('the transaction is cut off', { cause: error });
    throw error;
  }
}

/** The transaction's id in internal byte order. */
export function txid(tx: Transaction): Uint8Array {
  return sha256d(encodeWithoutWitness(tx));
}

/** A txid as people and RPC write it: reversed, in hex. */
export function txidToHex(txidBytes: Uint8Array): string {
  return bytesToHex(reverseBytes(txidBytes));
}

/**
 * A txid as people and RPC write it, in internal byte order.
 * @throws TransactionError when it is not 32 bytes of hex.
 */
export function txidFromHex(txidHex: string): Uint8Array {
  if (!/^[0-9a-fA-F]{64}$/.test(txidHex)) throw new TransactionError('a txid has 64 hex digits');
  return reverseBytes(hexToBytes(txidHex));
}

/** The serialized size of one input's witness in bytes, its item count included. */
export function witnessSize(witness: readonly Uint8Array[]): number {
  let size = compactSizeLength(witness.length);
  for (const item of witness) size += compactSizeLength(item.length) + item.length;
  return size;
}

/** The transaction's weight (BIP 141): four times its bytes without witnesses, plus its witness bytes. */
export function weight(tx: Transaction): number {
  const base = encodeWithoutWitness(tx).length;
  return base * 3 + encodeTransaction(tx).length;
}

/** An input that spends a segwit output and is not signed yet. */
export function unsignedInput(outpoint: Outpoint, sequence: number): TxInput {
  return { outpoint, scriptSig: emptyBytes, sequence, witness: [] };
}

/** The same transaction with the witness of one input set. */
export function withWitness(
  tx: Transaction,
  inputIndex: number,
  witness: readonly Uint8Array[],
): Transaction {
  const inputs = tx.inputs.map((input, index) => (index === inputIndex ? { ...input, witness } : input));
  return { ...tx, inputs };
}
