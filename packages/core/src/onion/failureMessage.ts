import { ByteReader, ByteWriter, RivuletError } from '../bytes/index.js';
import {
  bigSize,
  bytes32,
  bytesWithLength,
  type Fields,
  type FieldValues,
  u16,
  u32,
  u64,
} from '../wire/codec.js';
import { decodeTlvStream, type TlvRecord, writeTlvStream } from '../wire/tlv.js';
import { OnionError } from './onionError.js';

const badOnion = 0x8000;
const permanent = 0x4000;
const node = 0x2000;
const update = 0x1000;

/** BOLT 4, failure messages: every code and its data, in the order of the wire. */
const failures = {
  temporary_node_failure: { code: node | 2, fields: {} },
  permanent_node_failure: { code: permanent | node | 2, fields: {} },
  required_node_feature_missing: { code: permanent | node | 3, fields: {} },
  invalid_onion_version: { code: badOnion | permanent | 4, fields: { sha256OfOnion: bytes32 } },
  invalid_onion_hmac: { code: badOnion | permanent | 5, fields: { sha256OfOnion: bytes32 } },
  invalid_onion_key: { code: badOnion | permanent | 6, fields: { sha256OfOnion: bytes32 } },
  temporary_channel_failure: { code: update | 7, fields: { channelUpdate: bytesWithLength } },
  permanent_channel_failure: { code: permanent | 8, fields: {} },
  required_channel_feature_missing: { code: permanent | 9, fields: {} },
  unknown_next_peer: { code: permanent | 10, fields: {} },
  amount_below_minimum: { code: update | 11, fields: { htlcMsat: u64, channelUpdate: bytesWithLength } },
  fee_insufficient: { code: update | 12, fields: { htlcMsat: u64, channelUpdate: bytesWithLength } },
  incorrect_cltv_expiry: { code: update | 13, fields: { cltvExpiry: u32, channelUpdate: bytesWithLength } },
  expiry_too_soon: { code: update | 14, fields: { channelUpdate: bytesWithLength } },
  incorrect_or_unknown_payment_details: { code: permanent | 15, fields: { htlcMsat: u64, height: u32 } },
  final_incorrect_cltv_expiry: { code: 18, fields: { cltvExpiry: u32 } },
  final_incorrect_htlc_amount: { code: 19, fields: { incomingHtlcMsat: u64 } },
  channel_disabled: { code: update | 20, fields: { disabledFlags: u16, channelUpdate: bytesWithLength } },
  expiry_too_far: { code: 21, fields: {} },
  invalid_onion_payload: { code: permanent | 22, fields: { tlvType: bigSize, offset: u16 } },
  mpp_timeout: { code: 23, fields: {} },
  invalid_onion_blinding: { code: badOnion | permanent | 24, fields: { sha256OfOnion: bytes32 } },
} as const satisfies Record<string, { code: number; fields: Fields }>;

export type FailureType = keyof typeof failures;

interface WithTlvs {
  /** The TLV records behind the data; absent when there are none. */
  readonly tlvs?: readonly TlvRecord[];
}

/** The failure messages of these types. */
export type FailureMessageOf<T extends FailureType> = {
  [K in T]: { readonly type: K } & FieldValues<(typeof failures)[K]['fields']> & WithTlvs;
}[T];

/** A code that we do not know, or the data of one that we know but cannot read: kept as it came. */
export interface UnknownFailure {
  readonly type: 'unknown';
  readonly failureCode: number;
  readonly data: Uint8Array;
}

/** Why an HTLC was failed, as the erring node told the sender (BOLT 4). */
export type FailureMessage = FailureMessageOf<FailureType> | UnknownFailure;

const typesByCode = new Map<number, FailureType>(
  (Object.keys(failures) as FailureType[]).map((type) => [failures[type].code, type]),
);

/** The 16-bit failure code, flags included: what `update_fail_malformed_htlc` carries. */
export function failureCode(failure: FailureMessage): number {
  return failure.type === 'unknown' ? failure.failureCode : failures[failure.type].code;
}

/** What the code's flags say, also of unknown codes (BOLT 4). */
export function failureFlags(failure: FailureMessage): {
  badOnion: boolean;
  permanent: boolean;
  node: boolean;
  update: boolean;
} {
  const code = failureCode(failure);
  return {
    badOnion: (code & badOnion) !== 0,
    permanent: (code & permanent) !== 0,
    node: (code & node) !== 0,
    update: (code & update) !== 0,
  };
}

/** @throws OnionError `failure_invalid` when a field does not fit its format. */
export function encodeFailureMessage(failure: FailureMessage): Uint8Array {
  const writer = new ByteWriter(64);
  try {
    u16.write(writer, failureCode(failure));
    if (failure.type === 'unknown') return writer.bytes(failure.data).finish();
    const fields: Fields = failures[failure.type].fields;
    const values = failure as unknown as Readonly<Record<string, unknown>>;
    for (const name of Object.keys(fields)) fields[name]?.write(writer, values[name]);
    if (failure.tlvs !== undefined) writeTlvStream(writer, failure.tlvs);
    return writer.finish();
  } catch (cause) {
    if (!(cause instanceof RivuletError)) throw cause;
    throw new OnionError(
      'failure_invalid',
      `the failure ${failure.type} cannot be written: ${cause.message}`,
      {
        cause,
      },
    );
  }
}

/** Reads a failure message; what cannot be read is `unknown`. `undefined` when there is not even a code. */
export function decodeFailureMessage(bytes: Uint8Array): FailureMessage | undefined {
  if (bytes.length < 2) return undefined;
  const reader = new ByteReader(bytes);
  const code = reader.u16();
  const type = typesByCode.get(code);
  const unknown: UnknownFailure = { type: 'unknown', failureCode: code, data: bytes.slice(2) };
  if (type === undefined) return unknown;
  const values: Record<string, unknown> = { type };
  try {
    const fields: Fields = failures[type].fields;
    for (const name of Object.keys(fields)) values[name] = fields[name]?.read(reader);
  } catch (error) {
    if (error instanceof RivuletError) return unknown;
    throw error;
  }
  const tlvs = trailingTlvs(reader.rest());
  if (tlvs.length > 0) values.tlvs = tlvs;
  return values as unknown as FailureMessage;
}

function trailingTlvs(bytes: Uint8Array): TlvRecord[] {
  try {
    return decodeTlvStream(bytes);
  } catch (error) {
    // BOLT 4: the origin node MUST ignore any extra bytes in `failuremsg`
    if (error instanceof RivuletError) return [];
    throw error;
  }
}

/**
 * The failure to pass upstream when the next hop answered `update_fail_malformed_htlc`:
 * its code with the hash of the onion as data (BOLT 2).
 */
export function failureFromMalformed(code: number, sha256OfOnion: Uint8Array): FailureMessage {
  const data = Uint8Array.from(sha256OfOnion);
  return decodeFailureMessage(Uint8Array.of(code >> 8, code & 0xff, ...data)) as FailureMessage;
}
