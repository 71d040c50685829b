import { concatBytes, equalBytesConstantTime, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256 } from '@rivulet/core/crypto';
import { base64 } from '@scure/base';
import { KeysendError } from '../keysendError.js';

// The headers and the signature are those of the Standard Webhooks specification, which many senders know:
//   webhook-id: <names the delivery; the same when it is sent again>
//   webhook-timestamp: <Unix seconds>
//   webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">, several with spaces between them
// The id is part of what is signed: whoever has seen a delivery cannot make a second one of it.

export interface SignedHeaders {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

export interface DeliveryInput {
  readonly secret: Uint8Array;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
  readonly nowMs: number;
  readonly toleranceMs: number;
}

const maxIdLength = 256;
const maxSignatures = 10;

/** The secret of a trigger: made from the toolkit's own, so that none has to be stored. */
export function triggerSecret(secret: Uint8Array, rule: string): Uint8Array {
  return hmacSha256(secret, utf8ToBytes('rivulet/keysend/trigger/1\0'), utf8ToBytes(rule));
}

/** As senders of webhooks want it: `whsec_` and base64. */
export function formatTriggerSecret(secret: Uint8Array): string {
  return `whsec_${base64.encode(secret)}`;
}

/** `whsec_…` or hex digits. @throws KeysendError `request_invalid` */
export function parseTriggerSecret(text: string): Uint8Array {
  try {
    if (/^([0-9a-f]{2}){16,64}$/i.test(text)) return hexToBytes(text.toLowerCase());
    const bytes = base64.decode(text.replace(/^whsec_/, ''));
    if (bytes.length >= 16 && bytes.length <= 64) return bytes;
  } catch {
    // Said below.
  }
  throw new KeysendError(
    'request_invalid',
    'a secret of webhooks begins with whsec_, or is 32 to 128 hex digits',
  );
}

/** What a sender puts into the headers. */
export function signDelivery(given: {
  readonly secret: Uint8Array;
  readonly id: string;
  readonly timestampSeconds: number;
  readonly body: Uint8Array;
}): SignedHeaders {
  const { secret, id, timestampSeconds, body } = given;
  const mac = macOf(secret, { id, timestamp: String(timestampSeconds), body });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': `v1,${base64.encode(mac)}`,
  };
}

/**
 * Checks who sent something, and when.
 * @returns the id of the delivery.
 * @throws KeysendError `signature_invalid`
 */
export function verifyDelivery({ secret, headers, body, nowMs, toleranceMs }: DeliveryInput): { id: string } {
  const id = single(headers['webhook-id'], 'webhook-id');
  const timestamp = single(headers['webhook-timestamp'], 'webhook-timestamp');
  const signatures = single(headers['webhook-signature'], 'webhook-signature').split(' ');
  if (id.length > maxIdLength || !/^[\x21-\x7e]+$/.test(id)) throw refused('webhook-id is no id');
  if (!/^\d{1,12}$/.test(timestamp)) throw refused('webhook-timestamp is no time in Unix seconds');
  const expected = macOf(secret, { id, timestamp, body });
  const matches = signatures.slice(0, maxSignatures).filter((one) => isSame(one, expected));
  if (matches.length === 0) throw refused('the signature is none of this secret');
  // After the signature: who has no secret learns nothing about our clock.
  if (Math.abs(nowMs - Number(timestamp) * 1000) > toleranceMs) {
    throw refused('webhook-timestamp is too far from now: sent again later, it has to be signed again');
  }
  return { id };
}

function single(value: string | readonly string[] | undefined, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw refused(`there is no ${name}, or more than one`);
}

function refused(why: string): KeysendError {
  return new KeysendError('signature_invalid', why);
}

function macOf(
  secret: Uint8Array,
  { id, timestamp, body }: { id: string; timestamp: string; body: Uint8Array },
): Uint8Array {
  return hmacSha256(secret, concatBytes(utf8ToBytes(`${id}.${timestamp}.`), body));
}

function isSame(signature: string, expected: Uint8Array): boolean {
  if (!signature.startsWith('v1,')) return false;
  let given: Uint8Array;
  try {
    given = base64.decode(signature.slice(3));
  } catch {
    return false;
  }
  return equalBytesConstantTime(given, expected);
}
