import {
  ByteReader,
  ByteWriter,
  RivuletError,
  readBigSize,
  readTruncated,
  writeBigSize,
  writeTruncated,
} from '../bytes/index.js';

/** A value that its format forbids, found while reading or about to be written. */
export class CodecError extends RivuletError<'value_invalid'> {
  constructor(message: string) {
    super('value_invalid', message);
  }
}

/**
 * One format, declared once for both directions. `read` takes exactly its bytes from the reader; both
 * throw a RivuletError (CodecError, IntegerError or UnexpectedEndError) for what the format forbids.
 */
export interface Codec<T> {
  read(reader: ByteReader): T;
  write(writer: ByteWriter, value: T): void;
}

/** The type of the values of a codec. */
export type ValueOf<C> = C extends Codec<infer T> ? T : never;

/** Reads a value that must fill `bytes` exactly. */
export function readExactly<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = new ByteReader(bytes);
  const value = codec.read(reader);
  if (reader.left > 0) throw new CodecError(`${reader.left} bytes are left over after the value`);
  return value;
}

/** Writes a value alone. */
export function writeAlone<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new ByteWriter(64);
  codec.write(writer, value);
  return writer.finish();
}

/** An unsigned integer of 1, 2 or 4 bytes. */
export class UintCodec implements Codec<number> {
  readonly size: 1 | 2 | 4;

  constructor(size: 1 | 2 | 4) {
    this.size = size;
  }

  read(reader: ByteReader): number {
    return this.size === 1 ? reader.u8() : this.size === 2 ? reader.u16() : reader.u32();
  }

  write(writer: ByteWriter, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * this.size)) {
      throw new CodecError(`${value} is no unsigned integer of ${this.size} bytes`);
    }
    if (this.size === 1) writer.u8(value);
    else if (this.size === 2) writer.u16(value);
    else writer.u32(value);
  }
}

export const u8 = new UintCodec(1);
export const u16 = new UintCodec(2);
export const u32 = new UintCodec(4);

/** An unsigned integer of 8 bytes; also a `short_channel_id`. */
export const u64: Codec<bigint> = {
  read: (reader) => reader.u64(),
  write(writer, value) {
    if (typeof value !== 'bigint' || value < 0n || value > 0xffff_ffff_ffff_ffffn) {
      throw new CodecError(`${value} is no unsigned integer of 8 bytes`);
    }
    writer.u64(value);
  },
};

/** A truncated integer of up to 8 bytes: the last value of a TLV record. */
export const tu64: Codec<bigint> = {
  read: (reader) => readTruncated(reader, 8),
  write: (writer, value) => writeTruncated(writer, value, 8),
};

/** A truncated integer of up to 4 bytes: the last value of a TLV record. */
export const tu32: Codec<number> = {
  read: (reader) => Number(readTruncated(reader, 4)),
  write(writer, value) {
    if (!Number.isInteger(value)) throw new CodecError(`${value} is no integer`);
    writeTruncated(writer, BigInt(value), 4);
  },
};

export const bigSize: Codec<bigint> = { read: readBigSize, write: writeBigSize };

/** A byte string of one length. */
export class FixedBytesCodec implements Codec<Uint8Array> {
  readonly length: number;

  constructor(length: number) {
    this.length = length;
  }

  read(reader: ByteReader): Uint8Array {
    return reader.bytes(this.length);
  }

  write(writer: ByteWriter, value: Uint8Array): void {
    if (!(value instanceof Uint8Array) || value.length !== this.length) {
      throw new CodecError(`a byte string of ${value?.length} bytes is given; it must have ${this.length}`);
    }
    writer.bytes(value);
  }
}

/** A byte string of exactly `length` bytes. */
export function fixedBytes(length: number): FixedBytesCodec {
  return new FixedBytesCodec(length);
}

/** A hash, an id, a secret or a chain: 32 bytes in the order of the wire. */
export const bytes32 = fixedBytes(32);

/** A compact ECDSA signature (r, s): 64 bytes. Whether it is valid is for the caller to verify. */
export const signature = fixedBytes(64);

/**
 * Whether these are 33 bytes that start as a compressed point does. Cheap: whether the point is on the
 * curve is what `secp256k1.isPublicKey` tells.
 */
export function looksLikePoint(bytes: Uint8Array): boolean {
  return bytes.length === 33 && (bytes[0] === 2 || bytes[0] === 3);
}

function checkPoint(bytes: Uint8Array): Uint8Array {
  if (!(bytes instanceof Uint8Array) || !looksLikePoint(bytes)) {
    throw new CodecError('a point must be 33 bytes that start with 02 or 03');
  }
  return bytes;
}

/** A compressed public key: 33 bytes with the prefix 02 or 03, not checked against the curve. */
export const point: Codec<Uint8Array> = {
  read: (reader) => checkPoint(reader.bytes(33)),
  write(writer, value) {
    writer.bytes(checkPoint(value));
  },
};

/** A byte string behind a `u16` that is its length. */
export const bytesWithLength: Codec<Uint8Array> = {
  read: (reader) => reader.bytes(reader.u16()),
  write(writer, value) {
    if (!(value instanceof Uint8Array) || value.length > 0xffff) {
      throw new CodecError(`a byte string of ${value?.length} bytes is given; 65535 are allowed`);
    }
    writer.u16(value.length).bytes(value);
  },
};

/** All bytes that are left: the last value of a TLV record. */
export const restBytes: Codec<Uint8Array> = {
  read: (reader) => reader.rest(),
  write(writer, value) {
    if (!(value instanceof Uint8Array)) throw new CodecError('a byte string is missing');
    writer.bytes(value);
  },
};

/** Items one after the other: as many as a `u16` before them says, or as fill what is left. */
export class ArrayCodec<T> implements Codec<readonly T[]> {
  readonly item: Codec<T>;
  readonly count: 'u16' | 'rest';

  constructor(item: Codec<T>, count: 'u16' | 'rest') {
    this.item = item;
    this.count = count;
  }

  read(reader: ByteReader): readonly T[] {
    const items: T[] = [];
    // Grows as items are read: a count that the input only claims allocates nothing.
    if (this.count === 'u16')
      for (let left = reader.u16(); left > 0; left--) items.push(this.item.read(reader));
    else while (reader.left > 0) items.push(this.item.read(reader));
    return items;
  }

  write(writer: ByteWriter, value: readonly T[]): void {
    if (!Array.isArray(value)) throw new CodecError('an array is missing');
    if (this.count === 'u16') u16.write(writer, value.length);
    for (const item of value) this.item.write(writer, item);
  }
}

export function arrayWithCount<T>(item: Codec<T>): ArrayCodec<T> {
  return new ArrayCodec(item, 'u16');
}

/** Items to the end of the input; each must take at least one byte. */
export function arrayOfRest<T>(item: Codec<T>): ArrayCodec<T> {
  return new ArrayCodec(item, 'rest');
}

/** Named codecs, in the order of the wire. */
export type Fields = Readonly<Record<string, Codec<unknown>>>;

/** The object that fields describe. */
export type FieldValues<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** Fields one after the other, as an object. */
export class StructCodec<F extends Fields> implements Codec<FieldValues<F>> {
  readonly fields: F;

  constructor(fields: F) {
    this.fields = fields;
  }

  read(reader: ByteReader): FieldValues<F> {
    const value: Record<string, unknown> = {};
    for (const [name, codec] of Object.entries(this.fields)) value[name] = codec.read(reader);
    return value as FieldValues<F>;
  }

  write(writer: ByteWriter, value: FieldValues<F>): void {
    if (typeof value !== 'object' || value === null) throw new CodecError('an object is missing');
    for (const [name, codec] of Object.entries(this.fields)) codec.write(writer, value[name]);
  }
}

export function struct<F extends Fields>(fields: F): StructCodec<F> {
  return new StructCodec(fields);
}

/** A value inside a byte string whose `u16` length stands before it and which it must fill. */
export class FramedCodec<T> implements Codec<T> {
  readonly inner: Codec<T>;

  constructor(inner: Codec<T>) {
    this.inner = inner;
  }

  read(reader: ByteReader): T {
    return readExactly(this.inner, bytesWithLength.read(reader));
  }

  write(writer: ByteWriter, value: T): void {
    bytesWithLength.write(writer, writeAlone(this.inner, value));
  }
}

export function framed<T>(inner: Codec<T>): FramedCodec<T> {
  return new FramedCodec(inner);
}
