import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { decodeInvoice } from '@rivulet/core/invoice';
import * as z from 'zod/mini';
import { firstCustomType, keysendRecordType, lastCustomType } from '../../records/recordTypes.js';
import { fromBase64 } from '../../wallets/http/index.js';

/** What an app asks for that was made for LND's old call. */
export type LndV1Payment = {
  /** 64 hex digits. */
  readonly hash: string;
  readonly amountMsat: bigint;
  readonly maxFeeMsat: bigint;
  /** The app has set the limit itself. */
  readonly limitGiven: boolean;
} & (
  | {
      readonly type: 'keysend';
      readonly nodeId: string;
      readonly preimage: Uint8Array;
      /** Without the preimage. */
      readonly records: ReadonlyMap<bigint, Uint8Array>;
    }
  | { readonly type: 'invoice'; readonly invoice: string; readonly amountGiven: boolean }
);

/** A request that LND would have refused: its message goes to the app. */
export class LndV1RequestError extends Error {}

const int64 = z.pipe(
  z.union([z.int(), z.string().check(z.regex(/^-?\d{1,19}$/))]),
  z.transform((value) => BigInt(value)),
);
const optional = <T extends z.ZodMiniType>(schema: T) => z.optional(z.nullable(schema));
const anyBytes = optional(z.string().check(z.maxLength(60_000)));

const schema = z.object({
  dest: anyBytes,
  dest_string: anyBytes,
  amt: optional(int64),
  amt_msat: optional(int64),
  payment_hash: anyBytes,
  payment_hash_string: anyBytes,
  payment_request: optional(z.string().check(z.maxLength(8_000))),
  fee_limit: optional(
    z.object({ fixed: optional(int64), fixed_msat: optional(int64), percent: optional(int64) }),
  ),
  dest_custom_records: optional(z.record(z.string(), z.string().check(z.maxLength(60_000)))),
  outgoing_chan_id: optional(z.union([z.string(), z.number()])),
  last_hop_pubkey: anyBytes,
  cltv_limit: optional(z.number()),
});

type Fields = z.output<typeof schema>;

/** LND's SendRequest as REST has it. @throws LndV1RequestError */
export function readLndV1Request(body: unknown): LndV1Payment {
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new LndV1RequestError(`invalid value for ${issue?.path.join('.') || 'the request'}`);
  }
  const fields = parsed.data;
  if (isSet(fields.outgoing_chan_id) || isSet(fields.last_hop_pubkey) || isSet(fields.cltv_limit)) {
    throw new LndV1RequestError('outgoing_chan_id, last_hop_pubkey and cltv_limit are not supported here');
  }
  return isSet(fields.payment_request) ? readInvoicePayment(fields) : readKeysend(fields);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== 0 && value !== '0';
}

function readKeysend(fields: Fields): LndV1Payment {
  const nodeId = bytesField(fields.dest, fields.dest_string, 'dest');
  if (nodeId?.length !== 33) throw new LndV1RequestError('invalid pubkey: dest has to be 33 bytes');
  const amountMsat = amountOf(fields);
  if (amountMsat === undefined) throw new LndV1RequestError('amount must be specified');
  const records = new Map<bigint, Uint8Array>();
  for (const [type, value] of Object.entries(fields.dest_custom_records ?? {})) {
    const number = /^\d{1,20}$/.test(type) ? BigInt(type) : 0n;
    if (number < firstCustomType || number > lastCustomType) {
      throw new LndV1RequestError(`no custom records allowed below type 65536, and ${type} is none above`);
    }
    records.set(number, bytesOfBase64(value, 'dest_custom_records'));
  }
  const preimage = records.get(keysendRecordType);
  records.delete(keysendRecordType);
  if (preimage?.length !== 32) {
    throw new LndV1RequestError(
      `dest_custom_records has to have the preimage, 32 bytes, in record ${keysendRecordType}: only keysends and invoices are paid here`,
    );
  }
  const hash = sha256(preimage);
  const given = bytesField(fields.payment_hash, fields.payment_hash_string, 'payment_hash');
  if (given !== undefined && bytesToHex(given) !== bytesToHex(hash)) {
    throw new LndV1RequestError('the payment hash is not that of the preimage in the records');
  }
  return {
    type: 'keysend',
    nodeId: bytesToHex(nodeId),
    amountMsat,
    preimage,
    records,
    hash: bytesToHex(hash),
    ...feeLimitOf(fields, amountMsat),
  };
}

function readInvoicePayment(fields: Fields): LndV1Payment {
  const invoice = fields.payment_request ?? '';
  let read: { paymentHash: Uint8Array; amountMsat?: bigint };
  try {
    read = decodeInvoice(invoice);
  } catch (error) {
    throw new LndV1RequestError(`the payment request is not valid: ${(error as Error).message}`);
  }
  const given = amountOf(fields);
  if (read.amountMsat !== undefined && given !== undefined) {
    throw new LndV1RequestError('amount must not be specified when paying a non-zero amount invoice');
  }
  const amountMsat = read.amountMsat ?? given;
  if (amountMsat === undefined) {
    throw new LndV1RequestError('amount must be specified when paying a zero amount invoice');
  }
  return {
    type: 'invoice',
    invoice,
    amountMsat,
    amountGiven: read.amountMsat === undefined,
    hash: bytesToHex(read.paymentHash),
    ...feeLimitOf(fields, amountMsat),
  };
}

function amountOf({ amt, amt_msat: amtMsat }: Fields): bigint | undefined {
  const sat = amt ?? 0n;
  const msat = amtMsat ?? 0n;
  if (sat !== 0n && msat !== 0n) throw new LndV1RequestError('sat and msat arguments are mutually exclusive');
  const amountMsat = sat * 1000n + msat;
  if (amountMsat < 0n) throw new LndV1RequestError('payment amount cannot be negative');
  return amountMsat === 0n ? undefined : amountMsat;
}

/** LND: all of an amount up to 1,000 sat, else 5 %, where the app does not say. */
function feeLimitOf(fields: Fields, amountMsat: bigint): { maxFeeMsat: bigint; limitGiven: boolean } {
  const { fixed, fixed_msat: fixedMsat, percent } = fields.fee_limit ?? {};
  const given = [fixed, fixedMsat, percent].filter((value) => value !== undefined && value !== null);
  if (given.length > 1) throw new LndV1RequestError('fee_limit takes one of fixed, fixed_msat and percent');
  if (given.some((value) => value < 0n)) throw new LndV1RequestError('fee_limit cannot be negative');
  if (typeof fixed === 'bigint') return { maxFeeMsat: fixed * 1000n, limitGiven: true };
  if (typeof fixedMsat === 'bigint') return { maxFeeMsat: fixedMsat, limitGiven: true };
  if (typeof percent === 'bigint') return { maxFeeMsat: (amountMsat * percent) / 100n, limitGiven: true };
  return { maxFeeMsat: amountMsat <= 1_000_000n ? amountMsat : amountMsat / 20n, limitGiven: false };
}

/** A field that may be base64 under its own name, or hex under that of the other. */
function bytesField(
  plain: string | null | undefined,
  hex: string | null | undefined,
  name: string,
): Uint8Array | undefined {
  if (plain !== undefined && plain !== null && plain !== '') return bytesOfBase64(plain, name);
  if (hex === undefined || hex === null || hex === '') return undefined;
  try {
    return hexToBytes(hex);
  } catch {
    throw new LndV1RequestError(`${name}_string is not hex`);
  }
}

/** Either alphabet, as the gateway takes them. */
function bytesOfBase64(text: string, name: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch {
    throw new LndV1RequestError(`${name} is not base64`);
  }
}
