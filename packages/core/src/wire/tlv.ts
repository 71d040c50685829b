import {
  ByteReader,
  ByteWriter,
  IntegerError,
  RivuletError,
  readBigSize,
  UnexpectedEndError,
  writeBigSize,
} from '../bytes/index.js';

/** One record of a TLV stream (BOLT 1), not interpreted. */
export interface TlvRecord {
  readonly type: bigint;
  readonly value: Uint8Array;
}

export type TlvErrorCode =
  /** The stream ends inside a type, a length or a value. */
  | 'tlv_truncated'
  /** A type or a length is not in its shortest form. */
  | 'tlv_not_minimal'
  /** Types do not strictly increase; on writing: a type is given twice. */
  | 'tlv_order'
  /** A record that must be understood and is not. */
  | 'tlv_unknown_even'
  /** A known record whose value breaks its own format. */
  | 'tlv_value_invalid';

/** A TLV stream that BOLT 1 forbids, or records that cannot be written as one. */
export class TlvError extends RivuletError<TlvErrorCode> {
  /** The type of the record at fault, where it could be read. */
  readonly tlvType: bigint | undefined;
  /** Where in the stream that record starts, in bytes. */
  readonly offset: number | undefined;

  constructor(
    code: TlvErrorCode,
    message: string,
    details: { tlvType?: bigint; offset?: number; cause?: unknown } = {},
  ) {
    super(code, message, { cause: details.cause });
    this.tlvType = details.tlvType;
    this.offset = details.offset;
  }
}

/** Reads a BigSize of a stream; what goes wrong is told as a TlvError. */
function readNumber(
  reader: ByteReader,
  at: { what: 'type' | 'length'; tlvType?: bigint; offset: number },
): bigint {
  try {
    return readBigSize(reader);
  } catch (cause) {
    if (cause instanceof UnexpectedEndError) {
      throw new TlvError('tlv_truncated', `the TLV stream ends inside a ${at.what}`, { ...at, cause });
    }
    if (cause instanceof IntegerError) {
      throw new TlvError('tlv_not_minimal', `a TLV ${at.what} is not minimally encoded`, { ...at, cause });
    }
    throw cause;
  }
}

/**
 * Splits a TLV stream (BOLT 1) into its records, known or not. Nothing is allocated from a length that
 * the stream only claims. What an unknown even type means is left to the caller.
 * @throws TlvError `tlv_truncated`, `tlv_not_minimal` or `tlv_order`.
 */
export function decodeTlvStream(bytes: Uint8Array): TlvRecord[] {
  const reader = new ByteReader(bytes);
  const records: TlvRecord[] = [];
  let previous = -1n;
  while (reader.left > 0) {
    const offset = reader.offset;
    // BOLT 1, receiving node: a type or length that is not minimally encoded fails the stream.
    const tlvType = readNumber(reader, { what: 'type', offset });
    // BOLT 1, receiving node: types must be strictly increasing.
    if (tlvType <= previous) {
      throw new TlvError('tlv_order', `TLV type ${tlvType} follows type ${previous}`, { tlvType, offset });
    }
    previous = tlvType;
    const length = readNumber(reader, { what: 'length', tlvType, offset });
    // BOLT 1, receiving node: a length beyond the end of the message fails the stream.
    if (length > BigInt(reader.left)) {
      throw new TlvError(
        'tlv_truncated',
        `TLV type ${tlvType} claims ${length} bytes, but only ${reader.left} are left`,
        { tlvType, offset },
      );
    }
    records.push({ type: tlvType, value: reader.bytes(Number(length)) });
  }
  return records;
}

/**
 * Writes records as a TLV stream, sorted by type.
 * @throws TlvError `tlv_order` when a type occurs twice; IntegerError when a type is no u64.
 */
export function encodeTlvStream(records: readonly TlvRecord[]): Uint8Array {
  const writer = new ByteWriter();
  writeTlvStream(writer, records);
  return writer.finish();
}

/** As encodeTlvStream, but appends to a writer. */
export function writeTlvStream(writer: ByteWriter, records: readonly TlvRecord[]): void {
  // BOLT 1, sending node: types in strictly increasing order, each at most once.
  const sorted = [...records].sort((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0));
  for (let i = 0; i < sorted.length; i++) {
    const { type, value } = sorted[i] as TlvRecord;
    if (i > 0 && (sorted[i - 1] as TlvRecord).type === type) {
      throw new TlvError('tlv_order', `TLV type ${type} is given twice; a stream holds each type once`, {
        tlvType: type,
      });
    }
    writeBigSize(writer, type);
    writeBigSize(writer, BigInt(value.length));
    writer.bytes(value);
  }
}
