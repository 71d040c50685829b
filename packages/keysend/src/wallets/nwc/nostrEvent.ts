import { schnorr } from '@noble/curves/secp256k1.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import * as z from 'zod/mini';

/** NIP-01. */
export interface NostrEvent {
  /** 64 hex digits. */
  readonly id: string;
  /** 64 hex digits. */
  readonly pubkey: string;
  /** Seconds. */
  readonly created_at: number;
  readonly kind: number;
  readonly tags: readonly (readonly string[])[];
  readonly content: string;
  /** 128 hex digits. */
  readonly sig: string;
}

export type EventTemplate = Pick<NostrEvent, 'created_at' | 'kind' | 'tags' | 'content'>;

const lowerHex = (digits: number) => z.string().check(z.regex(new RegExp(`^[0-9a-f]{${digits}}$`)));

const eventSchema = z.object({
  id: lowerHex(64),
  pubkey: lowerHex(64),
  created_at: z.int().check(z.nonnegative()),
  kind: z.int().check(z.minimum(0), z.maximum(65_535)),
  tags: z.array(z.array(z.string()).check(z.maxLength(64))).check(z.maxLength(256)),
  content: z.string(),
  sig: lowerHex(128),
});

/** What a relay sent as an event; `undefined` where it is none. Nothing is verified yet. */
export function parseEvent(value: unknown): NostrEvent | undefined {
  const parsed = eventSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

function eventId(pubkey: string, event: EventTemplate): Uint8Array {
  // NIP-01: no white space; JSON.stringify escapes as everybody else does.
  return sha256(
    utf8ToBytes(JSON.stringify([0, pubkey, event.created_at, event.kind, event.tags, event.content])),
  );
}

/** @param auxiliary 32 random bytes (BIP 340). */
export function signEvent(event: EventTemplate, secretKey: Uint8Array, auxiliary: Uint8Array): NostrEvent {
  const pubkey = bytesToHex(schnorr.getPublicKey(secretKey));
  const id = eventId(pubkey, event);
  return { ...event, id: bytesToHex(id), pubkey, sig: bytesToHex(schnorr.sign(id, secretKey, auxiliary)) };
}

/** Whether the id is that of the content, and the signature the author's. */
export function verifyEvent(event: NostrEvent): boolean {
  const id = eventId(event.pubkey, event);
  if (bytesToHex(id) !== event.id) return false;
  try {
    return schnorr.verify(hexToBytes(event.sig), id, hexToBytes(event.pubkey));
  } catch {
    return false;
  }
}

/** The first value of the first tag of this name. */
export function tagOf(event: NostrEvent, name: string): string | undefined {
  return event.tags.find((tag) => tag[0] === name)?.[1];
}

/** NIP-40. */
export function isExpired(event: NostrEvent, nowMs: number): boolean {
  const expiration = tagOf(event, 'expiration');
  return expiration !== undefined && /^\d{1,12}$/.test(expiration) && Number(expiration) * 1000 < nowMs;
}
