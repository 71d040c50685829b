import { type ByteWriter, RivuletError } from '../bytes/index.js';
import { type Codec, readExactly, writeAlone } from './codec.js';
import { decodeTlvStream, TlvError, type TlvRecord, writeTlvStream } from './tlv.js';

/** A record type that is known, and the format of its value. */
export interface TlvField<T> {
  readonly type: bigint;
  readonly codec: Codec<T>;
}

/** Declares that records of this type hold such a value. */
export function tlv<T>(type: number | bigint, codec: Codec<T>): TlvField<T> {
  return { type: BigInt(type), codec };
}

export type TlvFields = Readonly<Record<string, TlvField<unknown>>>;

/** What the known records of a stream hold; a field is absent when its record is. */
export type TlvValues<F extends TlvFields> = {
  readonly [K in keyof F]?: F[K] extends TlvField<infer T> ? T : never;
};

/** Records that are not known, kept in the order of the stream; absent when there are none. */
export interface UnknownTlvs {
  readonly unknownTlvs?: readonly TlvRecord[];
}

/** A TLV namespace: the known records of a stream, declared once for both directions. */
export interface TlvNamespace<F extends TlvFields> {
  readonly fields: F;
  /** @throws TlvError for a stream, or a value in it, that BOLT 1 forbids. */
  decode(bytes: Uint8Array): TlvValues<F> & UnknownTlvs;
  /** @throws TlvError for values that cannot be written or that a reader would refuse. */
  encode(writer: ByteWriter, values: TlvValues<F> & UnknownTlvs): void;
}

/**
 * Makes a namespace of named records, for example `defineTlvs({ pathKey: tlv(0, point) })`.
 * @param options.acceptUnknownEven which unknown even types are kept instead of refused; none by default.
 */
export function defineTlvs<F extends TlvFields>(
  fields: F,
  options: { readonly acceptUnknownEven?: (type: bigint) => boolean } = {},
): TlvNamespace<F> {
  const names = Object.keys(fields);
  const nameOf = new Map(names.map((name) => [(fields[name] as TlvField<unknown>).type, name]));

  function checkUnknown(type: bigint): void {
    // BOLT 1, receiving node: an unknown even type fails the stream; an odd one is ignored.
    if (type % 2n === 0n && options.acceptUnknownEven?.(type) !== true) {
      throw new TlvError('tlv_unknown_even', `TLV type ${type} is even and not known`, { tlvType: type });
    }
  }

  function decode(bytes: Uint8Array): TlvValues<F> & UnknownTlvs {
    const values: Record<string, unknown> = {};
    const unknownTlvs: TlvRecord[] = [];
    for (const record of decodeTlvStream(bytes)) {
      const name = nameOf.get(record.type);
      if (name === undefined) {
        checkUnknown(record.type);
        unknownTlvs.push(record);
      } else {
        values[name] = inField(name, record.type, () =>
          readExactly((fields[name] as TlvField<unknown>).codec, record.value),
        );
      }
    }
    if (unknownTlvs.length > 0) values.unknownTlvs = unknownTlvs;
    return values as TlvValues<F> & UnknownTlvs;
  }

  function encode(writer: ByteWriter, values: TlvValues<F> & UnknownTlvs): void {
    const records: TlvRecord[] = [];
    for (const name of names) {
      const value = values[name];
      if (value === undefined) continue;
      const { type, codec } = fields[name] as TlvField<unknown>;
      records.push({ type, value: inField(name, type, () => writeAlone(codec, value)) });
    }
    for (const record of values.unknownTlvs ?? []) {
      if (nameOf.has(record.type)) {
        throw new TlvError(
          'tlv_order',
          `TLV type ${record.type} is a field of its own: ${nameOf.get(record.type)}`,
          {
            tlvType: record.type,
          },
        );
      }
      checkUnknown(record.type);
      records.push(record);
    }
    if (records.length > 0) writeTlvStream(writer, records);
  }

  return { fields, decode, encode };
}

/** Runs a codec; its error becomes one that names the record. */
function inField<T>(name: string, tlvType: bigint, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof RivuletError)) throw cause;
    throw new TlvError('tlv_value_invalid', `TLV type ${tlvType} (${name}): ${cause.message}`, {
      tlvType,
      cause,
    });
  }
}
