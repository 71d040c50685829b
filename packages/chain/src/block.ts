import { ByteReader, ByteWriter, concatBytes, RivuletError } from '@rivulet/core/bytes';
import { sha256d } from '@rivulet/core/crypto';
import {
  decodeTransaction,
  encodeTransaction,
  readCompactSize,
  type Transaction,
  writeCompactSize,
} from '@rivulet/core/tx';

/** The 80 bytes that proof of work commits to. Hashes are in internal byte order. */
export interface BlockHeader {
  readonly version: number;
  readonly previousHash: Uint8Array;
  readonly merkleRoot: Uint8Array;
  /** Seconds since 1970. */
  readonly time: number;
  /** The target in compact form. */
  readonly bits: number;
  readonly nonce: number;
}

export interface Block {
  readonly header: BlockHeader;
  readonly transactions: readonly Transaction[];
}

/** A block or header that does not decode. */
export class BlockFormatError extends RivuletError<'block_malformed'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('block_malformed', message, options);
  }
}

export function encodeBlockHeader(header: BlockHeader): Uint8Array {
  return new ByteWriter(80)
    .u32Le(header.version >>> 0)
    .bytes(header.previousHash)
    .bytes(header.merkleRoot)
    .u32Le(header.time)
    .u32Le(header.bits)
    .u32Le(header.nonce)
    .finish();
}

function readHeader(reader: ByteReader): BlockHeader {
  return {
    version: reader.u32Le() | 0,
    previousHash: reader.bytes(32),
    merkleRoot: reader.bytes(32),
    time: reader.u32Le(),
    bits: reader.u32Le(),
    nonce: reader.u32Le(),
  };
}

/** @throws BlockFormatError unless these are 80 bytes. */
export function decodeBlockHeader(bytes: Uint8Array): BlockHeader {
  if (bytes.length !== 80) {
    throw new BlockFormatError(`a block header has 80 bytes, this has ${bytes.length}`);
  }
  return readHeader(new ByteReader(bytes));
}

/** The block's hash, internal byte order. */
export function blockHash(header: BlockHeader): Uint8Array {
  return sha256d(encodeBlockHeader(header));
}

/** Moves past one serialized transaction, so that each can be decoded from its own bytes. */
function skipTransaction(reader: ByteReader): void {
  reader.bytes(4);
  let inputs = readCompactSize(reader);
  let witness = false;
  if (inputs === 0) {
    // BIP 144: a marker of zero, then a flag of one.
    if (reader.u8() !== 1) throw new BlockFormatError('a transaction has an unknown flag');
    witness = true;
    inputs = readCompactSize(reader);
  }
  for (let i = 0; i < inputs; i++) {
    reader.bytes(36);
    reader.bytes(readCompactSize(reader));
    reader.bytes(4);
  }
  const outputs = readCompactSize(reader);
  for (let i = 0; i < outputs; i++) {
    reader.bytes(8);
    reader.bytes(readCompactSize(reader));
  }
  if (witness) {
    for (let i = 0; i < inputs; i++) {
      const items = readCompactSize(reader);
      for (let item = 0; item < items; item++) reader.bytes(readCompactSize(reader));
    }
  }
  reader.bytes(4);
}

/** The network serialization of a block, with witnesses. */
export function encodeBlock(block: Block): Uint8Array {
  const count = new ByteWriter(5);
  writeCompactSize(count, block.transactions.length);
  return concatBytes(
    encodeBlockHeader(block.header),
    count.finish(),
    ...block.transactions.map(encodeTransaction),
  );
}

/** @throws BlockFormatError on anything that is not exactly one block. */
export function decodeBlock(bytes: Uint8Array): Block {
  try {
    const reader = new ByteReader(bytes);
    const header = readHeader(reader);
    const count = readCompactSize(reader);
    const transactions: Transaction[] = [];
    for (let i = 0; i < count; i++) {
      const start = reader.offset;
      skipTransaction(reader);
      transactions.push(decodeTransaction(bytes.subarray(start, reader.offset)));
    }
    if (reader.left > 0) throw new BlockFormatError(`${reader.left} bytes are left over after the block`);
    return { header, transactions };
  } catch (error) {
    if (error instanceof BlockFormatError) throw error;
    throw new BlockFormatError('the bytes are no block', { cause: error });
  }
}

/** The merkle root of hashes (of transactions, in block order). */
export function merkleRoot(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return new Uint8Array(32);
  let level = [...hashes];
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as Uint8Array;
      next.push(sha256d(concatBytes(left, level[i + 1] ?? left)));
    }
    level = next;
  }
  return level[0] as Uint8Array;
}

/** The hashes that lead from the transaction at `index` to the merkle root. */
export function merkleBranch(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  const branch: Uint8Array[] = [];
  let level = [...hashes];
  let position = index;
  while (level.length > 1) {
    branch.push((level[position ^ 1] ?? level[position]) as Uint8Array);
    const next: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] as Uint8Array;
      next.push(sha256d(concatBytes(left, level[i + 1] ?? left)));
    }
    level = next;
    position >>= 1;
  }
  return branch;
}
