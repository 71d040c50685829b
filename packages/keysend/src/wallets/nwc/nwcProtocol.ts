import * as z from 'zod/mini';
import { nip04Decrypt, nip04Encrypt } from './nip04.js';
import { nip44Decrypt, nip44Encrypt, nip44Key, sharedX } from './nip44.js';

/** The kinds of events of NIP-47. */
export const nwcKinds = {
  info: 13_194,
  request: 23_194,
  response: 23_195,
  notification04: 23_196,
  notification44: 23_197,
} as const;

export type NwcEncryption = 'nip44_v2' | 'nip04';

/** What these two can say to each other so that nobody else reads it. */
export interface NwcCipher {
  encrypt(plaintext: string, scheme: NwcEncryption): string;
  /** @throws KeysendError `wallet_failed` */
  decrypt(payload: string, scheme: NwcEncryption): string;
}

/** @param otherPublicKey 64 hex digits. */
export function nwcCipher(
  secretKey: Uint8Array,
  otherPublicKey: string,
  randomBytes: (length: number) => Uint8Array,
): NwcCipher {
  const key44 = nip44Key(secretKey, otherPublicKey);
  const key04 = sharedX(secretKey, otherPublicKey);
  return {
    encrypt: (plaintext, scheme) =>
      scheme === 'nip44_v2'
        ? nip44Encrypt(plaintext, key44, randomBytes(32))
        : nip04Encrypt(plaintext, key04, randomBytes(16)),
    decrypt: (payload, scheme) =>
      scheme === 'nip44_v2' ? nip44Decrypt(payload, key44) : nip04Decrypt(payload, key04),
  };
}

/** Numbers as the JSON of NIP-47 has them: whole, and not larger than JSON can say exactly. */
const msat = z.int().check(z.nonnegative());
const seconds = z.number().check(z.minimum(0), z.maximum(1e12));
const text = z.string().check(z.maxLength(10_000));

export const answerSchema = z.object({
  result_type: z.optional(z.nullable(z.string())),
  error: z.optional(z.nullable(z.object({ code: z.string(), message: z.optional(z.nullable(z.string())) }))),
  result: z.optional(z.unknown()),
});

export const requestSchema = z.object({
  method: z.string().check(z.maxLength(64)),
  params: z.optional(z.nullable(z.record(z.string(), z.unknown()))),
});

export const notificationSchema = z.object({ notification_type: z.string(), notification: z.unknown() });

export const payResultSchema = z.object({
  preimage: z.optional(z.nullable(z.string())),
  fees_paid: z.optional(z.nullable(msat)),
});

const tlvSchema = z.object({ type: z.int().check(z.nonnegative()), value: z.string() });

export const transactionSchema = z.object({
  type: z.optional(z.nullable(z.string())),
  state: z.optional(z.nullable(z.string())),
  invoice: z.optional(z.nullable(z.string())),
  preimage: z.optional(z.nullable(z.string())),
  payment_hash: z.string().check(z.regex(/^[0-9a-fA-F]{64}$/)),
  amount: msat,
  fees_paid: z.optional(z.nullable(msat)),
  created_at: seconds,
  settled_at: z.optional(z.nullable(seconds)),
  metadata: z.optional(z.unknown()),
});

export type NwcTransaction = z.infer<typeof transactionSchema>;

export const metadataSchema = z.object({ tlv_records: z.array(tlvSchema).check(z.maxLength(200)) });

export const transactionsSchema = z.object({
  transactions: z.array(z.unknown()).check(z.maxLength(1_000)),
});

export const infoResultSchema = z.object({
  alias: z.optional(z.nullable(text)),
  pubkey: z.optional(z.nullable(text)),
  network: z.optional(z.nullable(text)),
  methods: z.optional(z.nullable(z.array(z.string()))),
  notifications: z.optional(z.nullable(z.array(z.string()))),
});

export const balanceResultSchema = z.object({ balance: msat });

export const signResultSchema = z.object({ signature: z.string() });

export const payKeysendParams = z.object({
  amount: msat,
  pubkey: z.string().check(z.regex(/^0[23][0-9a-fA-F]{64}$/)),
  preimage: z.optional(z.nullable(z.string().check(z.regex(/^([0-9a-fA-F]{64})?$/)))),
  tlv_records: z.optional(z.nullable(z.array(tlvSchema).check(z.maxLength(200)))),
});

export const payInvoiceParams = z.object({
  invoice: z.string().check(z.minLength(1), z.maxLength(8_000)),
  amount: z.optional(z.nullable(msat)),
});

export const lookupParams = z.object({
  payment_hash: z.optional(z.nullable(z.string().check(z.regex(/^[0-9a-fA-F]{64}$/)))),
  invoice: z.optional(z.nullable(z.string().check(z.maxLength(8_000)))),
});

export const listParams = z.object({
  from: z.optional(z.nullable(seconds)),
  until: z.optional(z.nullable(seconds)),
  limit: z.optional(z.nullable(z.int().check(z.nonnegative()))),
  offset: z.optional(z.nullable(z.int().check(z.nonnegative()))),
  type: z.optional(z.nullable(z.string())),
});

/** NIP-47: metadata is at most 4096 characters, or it is left out. */
export function metadataOf(
  records: readonly (readonly [type: bigint, hex: string])[],
): Readonly<Record<string, unknown>> {
  const said = records.filter(([type]) => type <= BigInt(Number.MAX_SAFE_INTEGER));
  if (said.length === 0) return {};
  const metadata = { tlv_records: said.map(([type, value]) => ({ type: Number(type), value })) };
  return JSON.stringify(metadata).length <= 4_096 ? metadata : {};
}
