import assert from 'node:assert/strict';
import {
  ByteReader,
  ByteWriter,
  bytesToHex,
  concatBytes,
  hexToBytes,
  IntegerError,
  type IntegerSize,
  readBigSize,
  readSigned,
  UnexpectedEndError,
  writeBigSize,
  writeSigned,
} from '@rivulet/core/bytes';
import {
  decodeMessage,
  decodeTlvStream,
  defineTlvs,
  encodeMessage,
  formatShortChannelId,
  point,
  struct,
  TlvError,
  type TlvFields,
  type TlvNamespace,
  type TlvRecord,
  tlv,
  tu32,
  tu64,
  u16,
  u64,
  WireError,
} from '@rivulet/core/wire';
import { readFixture, type VectorCase } from './vectorCase.js';

/** 64-bit values are text in the fixtures: a JSON number cannot hold them. */
interface IntegerVector {
  readonly name: string;
  readonly value: string;
  readonly bytes: string;
  readonly exp_error?: string;
}

type NamespaceName = 'n1' | 'n2';

interface TlvVector {
  readonly namespaces: readonly NamespaceName[];
  readonly stream: string;
  readonly reason?: string;
  readonly explanation?: string;
  /** The one record of a stream that decodes, with its fields as text. */
  readonly tlv?: string;
  readonly values?: Readonly<Record<string, string>>;
}

interface TlvVectors {
  readonly decodingFailures: readonly TlvVector[];
  readonly decodingSuccesses: readonly TlvVector[];
  readonly streamFailures: readonly TlvVector[];
}

interface InitVectors {
  readonly valid: readonly { readonly message: string; readonly explanation: string }[];
  readonly invalid: readonly { readonly message: string; readonly reason: string }[];
}

/** The two namespaces that appendix B defines, with the field names of the BOLT. */
const namespaces: Readonly<Record<NamespaceName, TlvNamespace<TlvFields>>> = {
  n1: defineTlvs({
    tlv1: tlv(1, struct({ amount_msat: tu64 })),
    tlv2: tlv(2, struct({ scid: u64 })),
    tlv3: tlv(3, struct({ node_id: point, amount_msat_1: u64, amount_msat_2: u64 })),
    tlv4: tlv(254, struct({ cltv_delta: u16 })),
  }),
  n2: defineTlvs({
    tlv1: tlv(0, struct({ amount_msat: tu64 })),
    tlv2: tlv(11, struct({ cltv_expiry: tu32 })),
  }),
};

function fixture<T>(name: string): T {
  return JSON.parse(readFixture(name)) as T;
}

/** BigSize (appendix A). */
function bigSizeCases(): VectorCase[] {
  const decoding = fixture<IntegerVector[]>('bolt01-bigsize-decode.json').map((vector) => ({
    name: `BOLT 1 appendix A: decode ${vector.name}`,
    run() {
      const reader = new ByteReader(hexToBytes(vector.bytes));
      if (vector.exp_error === undefined) {
        assert.equal(readBigSize(reader), BigInt(vector.value));
        assert.equal(reader.left, 0);
        return;
      }
      const expected = vector.exp_error.includes('canonical') ? IntegerError : UnexpectedEndError;
      assert.throws(() => readBigSize(reader), expected);
    },
  }));
  const encoding = fixture<IntegerVector[]>('bolt01-bigsize-encode.json').map((vector) => ({
    name: `BOLT 1 appendix A: encode ${vector.name}`,
    run() {
      const writer = new ByteWriter();
      writeBigSize(writer, BigInt(vector.value));
      assert.equal(bytesToHex(writer.finish()), vector.bytes);
    },
  }));
  return [...decoding, ...encoding];
}

/** Signed integers (appendix D). */
function signedCases(): VectorCase[] {
  return fixture<IntegerVector[]>('bolt01-signed-integers.json').map(({ value, bytes }) => ({
    name: `BOLT 1 appendix D: ${value} as ${bytes}`,
    run() {
      const size = (bytes.length / 2) as IntegerSize;
      assert.equal(readSigned(new ByteReader(hexToBytes(bytes)), size), BigInt(value));
      const writer = new ByteWriter();
      writeSigned(writer, BigInt(value), size);
      assert.equal(bytesToHex(writer.finish()), bytes);
    },
  }));
}

function asText(field: string, value: unknown): string {
  if (value instanceof Uint8Array) return bytesToHex(value);
  return field === 'scid' ? formatShortChannelId(value as bigint) : String(value);
}

function checkTlvSuccess(vector: TlvVector, name: NamespaceName): void {
  const namespace = namespaces[name];
  const decoded = namespace.decode(hexToBytes(vector.stream));
  const { unknownTlvs, ...known } = decoded as Record<string, unknown> & { unknownTlvs?: TlvRecord[] };
  const texts = Object.fromEntries(
    Object.entries(known).map(([tlvName, fields]) => [
      tlvName,
      Object.fromEntries(Object.entries(fields as object).map(([key, value]) => [key, asText(key, value)])),
    ]),
  );
  assert.deepEqual(texts, vector.tlv === undefined ? {} : { [vector.tlv]: vector.values });
  // A stream without a known record is ignored: its records are unknown ones.
  assert.equal(unknownTlvs?.length ?? 0, vector.tlv === undefined && vector.stream !== '' ? 1 : 0);
  const writer = new ByteWriter();
  namespace.encode(writer, decoded);
  assert.equal(bytesToHex(writer.finish()), vector.stream);
}

function checkTlvFailure(stream: Uint8Array, name: NamespaceName): void {
  assert.throws(() => namespaces[name].decode(stream), TlvError, bytesToHex(stream));
}

/** Each stream of appendix B, in each namespace that it is for. */
function tlvCases(vectors: TlvVectors): VectorCase[] {
  const failures = [...vectors.decodingFailures, ...vectors.streamFailures];
  return [
    ...failures.flatMap((vector) =>
      vector.namespaces.map((name) => ({
        name: `BOLT 1 appendix B: ${name} refuses ${vector.stream.slice(0, 24)} (${vector.reason})`,
        run: () => checkTlvFailure(hexToBytes(vector.stream), name),
      })),
    ),
    ...vectors.decodingSuccesses.flatMap((vector) =>
      vector.namespaces.map((name) => ({
        name: `BOLT 1 appendix B: ${name} accepts "${vector.stream.slice(0, 24)}"`,
        run: () => checkTlvSuccess(vector, name),
      })),
    ),
  ];
}

/** Appendix B: what happens when any stream of it is appended to any valid one. */
function appendedTlvCases(vectors: TlvVectors): VectorCase[] {
  return (['n1', 'n2'] as const).flatMap((name) => {
    const ofNamespace = (list: readonly TlvVector[]) =>
      list.filter((vector) => vector.namespaces.includes(name)).map((vector) => hexToBytes(vector.stream));
    const valid = ofNamespace(vectors.decodingSuccesses);
    const invalid = ofNamespace([...vectors.decodingFailures, ...vectors.streamFailures]);
    return valid.flatMap((stream) => {
      const label = `${name}: "${bytesToHex(stream).slice(0, 24)}"`;
      return [
        {
          name: `BOLT 1 appendix B: ${label} with any invalid stream appended is refused`,
          run() {
            for (const appended of invalid) checkTlvFailure(concatBytes(stream, appended), name);
          },
        },
        {
          name: `BOLT 1 appendix B: ${label} accepts just the valid streams of higher types after it`,
          run() {
            for (const appended of valid) checkAppended(stream, appended, name);
          },
        },
      ];
    });
  });
}

function checkAppended(stream: Uint8Array, appended: Uint8Array, name: NamespaceName): void {
  const last = decodeTlvStream(stream).at(-1)?.type ?? -1n;
  const next = decodeTlvStream(appended)[0]?.type;
  const joined = concatBytes(stream, appended);
  if (next === undefined || next > last) namespaces[name].decode(joined);
  else checkTlvFailure(joined, name);
}

/** Extensions of `init` (appendix C). */
function extensionCases(): VectorCase[] {
  const vectors = fixture<InitVectors>('bolt01-init-extension.json');
  return [
    ...vectors.valid.map(({ message, explanation }) => ({
      name: `BOLT 1 appendix C: ${explanation}`,
      run() {
        const decoded = decodeMessage(hexToBytes(message));
        assert.equal(decoded.type, 'init');
        assert.equal(bytesToHex(encodeMessage(decoded)), message);
      },
    })),
    ...vectors.invalid.map(({ message, reason }) => ({
      name: `BOLT 1 appendix C: refused, ${reason}`,
      run() {
        assert.throws(() => decodeMessage(hexToBytes(message)), WireError);
      },
    })),
  ];
}

/** All test vectors of BOLT 1: none is left out. */
export function bolt01Cases(): VectorCase[] {
  const tlvVectors = fixture<TlvVectors>('bolt01-tlv.json');
  return [
    ...bigSizeCases(),
    ...tlvCases(tlvVectors),
    ...appendedTlvCases(tlvVectors),
    ...extensionCases(),
    ...signedCases(),
  ];
}
