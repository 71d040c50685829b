import { createHash } from 'node:crypto';
import { ByteReader, bytesToHex, hexToBytes, readBigSize } from '@rivulet/core/bytes';
import * as z from 'zod/mini';
import { firstCustomType, keysendRecordType } from '../../records/recordTypes.js';

/** What the policy of the options says. */
export interface KeysendLimits {
  /** Keysends of less are failed. */
  readonly minimumMsat: bigint;
  /** All keysends are failed. */
  readonly refuse: boolean;
}

/** An HTLC of a keysend for this node. */
export interface HookedKeysend {
  readonly hash: string;
  readonly msat: bigint;
  /** For the failure: BOLT 4 tells the sender of it. */
  readonly blockHeight: number;
  readonly records: readonly (readonly [string, string])[];
}

const hex = z.string().check(z.regex(/^([0-9a-f]{2})*$/));

/** Amounts are numbers today and were text with a unit before v23.11. */
export const msatSchema = z.union([
  z.int().check(z.nonnegative()),
  z.string().check(z.regex(/^\d{1,19}(msat)?$/)),
]);

export function msatOf(value: z.infer<typeof msatSchema>): bigint {
  return BigInt(typeof value === 'number' ? value : value.replace('msat', ''));
}

const hookSchema = z.object({
  onion: z.object({ payload: hex }),
  htlc: z.object({
    amount_msat: msatSchema,
    cltv_expiry: z.int(),
    cltv_expiry_relative: z.int(),
    payment_hash: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  }),
  forward_to: z.optional(z.unknown()),
});

/** BOLT 4: tlv_payload, short_channel_id (a forward), encrypted_recipient_data and blinded paths. */
const otherHops = new Set([6n, 10n, 12n]);

/** The keysend of a call of the hook `htlc_accepted`; nothing where it is something else. */
export function readHookedKeysend(params: unknown): HookedKeysend | undefined {
  const parsed = hookSchema.safeParse(params);
  if (!parsed.success || parsed.data.forward_to !== undefined) return undefined;
  const { onion, htlc } = parsed.data;
  const payload = readPayload(hexToBytes(onion.payload));
  const preimage = payload?.get(keysendRecordType);
  if (payload === undefined || preimage?.length !== 32) return undefined;
  for (const type of otherHops) if (payload.has(type)) return undefined;
  if (createHash('sha256').update(preimage).digest('hex') !== htlc.payment_hash) return undefined;
  const records: [string, string][] = [];
  for (const [type, value] of payload) {
    // BOLT 4: tlv_payload, custom records have types of 65536 and above
    if (type >= firstCustomType && type !== keysendRecordType)
      records.push([String(type), bytesToHex(value)]);
  }
  return {
    hash: htlc.payment_hash,
    msat: msatOf(htlc.amount_msat),
    blockHeight: Math.max(0, htlc.cltv_expiry - htlc.cltv_expiry_relative),
    records,
  };
}

/** A stream of TLV behind its length; even types are as good as odd ones here: lightningd judges them. */
function readPayload(bytes: Uint8Array): Map<bigint, Uint8Array> | undefined {
  try {
    const reader = new ByteReader(bytes);
    if (readBigSize(reader) !== BigInt(reader.left)) return undefined;
    const records = new Map<bigint, Uint8Array>();
    let last = -1n;
    while (reader.left > 0) {
      const type = readBigSize(reader);
      // BOLT 1: TLV stream, strictly ascending
      if (type <= last) return undefined;
      last = type;
      const length = readBigSize(reader);
      if (length > BigInt(reader.left)) return undefined;
      records.set(type, reader.bytes(Number(length)));
    }
    return records;
  } catch {
    return undefined;
  }
}

/** What lightningd is answered. Anything else than these shapes ends lightningd itself. */
export type HookAnswer =
  | { readonly result: 'continue' }
  | { readonly result: 'fail'; readonly failure_message: string };

/** The failure for a keysend that this node does not want, the same for every reason; nothing where it wants it. */
export function refusalOf(keysend: HookedKeysend, limits: KeysendLimits): HookAnswer | undefined {
  if (!limits.refuse && keysend.msat >= limits.minimumMsat) return undefined;
  // BOLT 4: incorrect_or_unknown_payment_details (PERM|15), with the amount and the height
  const amount = keysend.msat.toString(16).padStart(16, '0');
  const height = keysend.blockHeight.toString(16).padStart(8, '0');
  return { result: 'fail', failure_message: `400f${amount}${height}` };
}

/** BOLT 4: temporary_node_failure (NODE|2). What cannot be kept is not taken: the sender may try again. */
export const cannotKeep: HookAnswer = { result: 'fail', failure_message: '2002' };
