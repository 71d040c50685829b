import { RivuletError } from '../bytes/rivuletError.js';
import {
  bytes32,
  type Codec,
  point,
  readExactly,
  restBytes,
  tu32,
  tu64,
  u64,
  writeAlone,
} from '../wire/codec.js';
import { decodeTlvStream, encodeTlvStream, TlvError, type TlvRecord } from '../wire/tlv.js';
import type { FailureMessageOf } from './failureMessage.js';
import { OnionError } from './onionError.js';

/** BOLT 4, `payment_data`: the recipient's secret and the sum of all parts. */
export interface PaymentData {
  readonly paymentSecret: Uint8Array;
  readonly totalMsat: bigint;
}

/** What the sender tells one hop (BOLT 4, `payload`). */
export interface HopPayload {
  readonly amountToForwardMsat?: bigint;
  /** A block height. */
  readonly outgoingCltvValue?: number;
  /** The channel to forward through. */
  readonly shortChannelId?: bigint;
  readonly paymentData?: PaymentData;
  readonly encryptedRecipientData?: Uint8Array;
  readonly currentPathKey?: Uint8Array;
  readonly paymentMetadata?: Uint8Array;
  readonly totalAmountMsat?: bigint;
  /** Every other record: unknown odd types, and all types of 65536 and above. */
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
}

/** Keysend's records have even types from here on; unknown even types below must be understood (BOLT 1). */
const firstCustomType = 65536n;

const paymentData: Codec<PaymentData> = {
  read: (reader) => ({ paymentSecret: bytes32.read(reader), totalMsat: tu64.read(reader) }),
  write(writer, value) {
    bytes32.write(writer, value.paymentSecret);
    tu64.write(writer, value.totalMsat);
  },
};

type Field = Exclude<keyof HopPayload, 'customRecords'>;

const fields: { readonly [F in Field]-?: { type: bigint; codec: Codec<NonNullable<HopPayload[F]>> } } = {
  amountToForwardMsat: { type: 2n, codec: tu64 },
  outgoingCltvValue: { type: 4n, codec: tu32 },
  shortChannelId: { type: 6n, codec: u64 },
  paymentData: { type: 8n, codec: paymentData },
  encryptedRecipientData: { type: 10n, codec: restBytes },
  currentPathKey: { type: 12n, codec: point },
  paymentMetadata: { type: 16n, codec: restBytes },
  totalAmountMsat: { type: 18n, codec: tu64 },
};
const fieldNames = Object.keys(fields) as Field[];
const fieldsByType = new Map<bigint, Field>(fieldNames.map((name) => [fields[name].type, name]));

/** A payload that BOLT 4 forbids: fail the HTLC with `failure`. */
export class HopPayloadError extends RivuletError<'hop_payload_invalid'> {
  readonly failure: FailureMessageOf<'invalid_onion_payload'>;

  constructor({
    tlvType,
    offset,
    reason,
    cause,
  }: {
    /** The record at fault. */
    tlvType: bigint;
    /** Where it starts in the payload; 0 when it is missing. */
    offset: number;
    reason: string;
    cause?: unknown;
  }) {
    super('hop_payload_invalid', `the hop's payload is invalid at type ${tlvType}: ${reason}`, { cause });
    this.failure = { type: 'invalid_onion_payload', tlvType, offset };
  }
}

/**
 * Writes a payload as a TLV stream.
 * @throws OnionError `custom_record_type_invalid`; TlvError or CodecError for a value out of range.
 */
export function encodeHopPayload(payload: HopPayload): Uint8Array {
  const records: TlvRecord[] = [];
  for (const name of fieldNames) {
    const value = payload[name];
    // The codec is that of the field, which the type of `fields` ensures.
    if (value !== undefined)
      records.push({
        type: fields[name].type,
        value: writeAlone(fields[name].codec as Codec<unknown>, value),
      });
  }
  for (const [type, value] of payload.customRecords) {
    if (type < firstCustomType && (type % 2n === 0n || type < 0n)) {
      throw new OnionError(
        'custom_record_type_invalid',
        `custom record ${type}: types below ${firstCustomType} that are even would be refused; use another type`,
      );
    }
    records.push({ type, value });
  }
  return encodeTlvStream(records);
}

/**
 * Reads a payload. Which fields a hop must have is left to `readForwardPayload` and `readFinalPayload`.
 * @throws HopPayloadError
 */
export function decodeHopPayload(bytes: Uint8Array): HopPayload {
  const customRecords = new Map<bigint, Uint8Array>();
  const values: Record<string, unknown> = { customRecords };
  const records = decodeRecords(bytes);
  for (const record of records) {
    const { type, value } = record;
    const name = fieldsByType.get(type);
    if (name !== undefined) {
      try {
        values[name] = readExactly(fields[name].codec as Codec<unknown>, value);
      } catch (cause) {
        if (!(cause instanceof RivuletError)) throw cause;
        throw new HopPayloadError({
          tlvType: type,
          offset: offsetOf(records, record),
          reason: cause.message,
          cause,
        });
      }
    } else if (type >= firstCustomType || type % 2n === 1n) {
      customRecords.set(type, value);
    } else {
      // BOLT 1, receiving node: an unknown even type
      throw new HopPayloadError({
        tlvType: type,
        offset: offsetOf(records, record),
        reason: 'the type is even and not known',
      });
    }
  }
  return values as unknown as HopPayload;
}

function decodeRecords(bytes: Uint8Array): TlvRecord[] {
  try {
    return decodeTlvStream(bytes);
  } catch (cause) {
    if (!(cause instanceof TlvError)) throw cause;
    throw new HopPayloadError({
      tlvType: cause.tlvType ?? 0n,
      offset: cause.offset ?? 0,
      reason: cause.message,
      cause,
    });
  }
}

/** Where a record starts: the stream is minimally encoded, so what precedes it can be written again. */
function offsetOf(records: readonly TlvRecord[], record: TlvRecord): number {
  return encodeTlvStream(records.slice(0, records.indexOf(record))).length;
}

export interface ForwardPayload extends HopPayload {
  readonly amountToForwardMsat: bigint;
  readonly outgoingCltvValue: number;
  readonly shortChannelId: bigint;
}

export interface FinalPayload extends HopPayload {
  readonly amountToForwardMsat: bigint;
  readonly outgoingCltvValue: number;
}

function require<T>(value: T | undefined, field: Field): T {
  if (value !== undefined) return value;
  throw new HopPayloadError({ tlvType: fields[field].type, offset: 0, reason: `${field} is missing` });
}

function refuse(payload: HopPayload, ...unwanted: readonly Field[]): void {
  for (const field of unwanted) {
    if (payload[field] === undefined) continue;
    throw new HopPayloadError({
      tlvType: fields[field].type,
      offset: 0,
      reason: `${field} is not expected here`,
    });
  }
}

/**
 * Reads the payload of a forwarding hop outside of blinded routes.
 * @throws HopPayloadError, also for a hop of a blinded route.
 */
export function readForwardPayload(bytes: Uint8Array): ForwardPayload {
  const payload = decodeHopPayload(bytes);
  // BOLT 4: MUST return an error if `current_path_key` is present (outside of a blinded route)
  refuse(payload, 'encryptedRecipientData', 'currentPathKey');
  return {
    ...payload,
    // BOLT 4: MUST return an error if these are not present
    amountToForwardMsat: require(payload.amountToForwardMsat, 'amountToForwardMsat'),
    outgoingCltvValue: require(payload.outgoingCltvValue, 'outgoingCltvValue'),
    shortChannelId: require(payload.shortChannelId, 'shortChannelId'),
  };
}

/**
 * Reads the payload of the final node outside of blinded routes.
 * @throws HopPayloadError, also for the end of a blinded route.
 */
export function readFinalPayload(bytes: Uint8Array): FinalPayload {
  const payload = decodeHopPayload(bytes);
  // BOLT 4: MUST return an error if `current_path_key` is present (outside of a blinded route)
  refuse(payload, 'encryptedRecipientData', 'currentPathKey');
  return {
    ...payload,
    // BOLT 4: MUST return an error if these are not present
    amountToForwardMsat: require(payload.amountToForwardMsat, 'amountToForwardMsat'),
    outgoingCltvValue: require(payload.outgoingCltvValue, 'outgoingCltvValue'),
  };
}
