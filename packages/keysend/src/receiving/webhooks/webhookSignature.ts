import {
  bytesToHex,
  concatBytes,
  equalBytesConstantTime,
  hexToBytes,
  utf8ToBytes,
} from '@rivulet/core/bytes';
import { hmacSha256 } from '@rivulet/core/crypto';
import { signDelivery } from '../../automation/delivery.js';
import { KeysendError } from '../../keysendError.js';

// Two signatures with the same secret, for whoever checks them:
//   Rivulet-Delivery: <id>, the same when it is sent again
//   Rivulet-Signature: t=<Unix seconds>,v1=<hex of HMAC-SHA256 over "t.body">
//   webhook-id, webhook-timestamp, webhook-signature: those of the Standard Webhooks specification
// The body begins with a brace, so that neither text can be taken for the other.

/** The headers of a delivery, all but its type. */
export function webhookHeaders(given: {
  readonly secret: Uint8Array;
  readonly id: string;
  readonly timestampSeconds: number;
  readonly body: Uint8Array;
}): Readonly<Record<string, string>> {
  const { secret, id, timestampSeconds, body } = given;
  return {
    'Rivulet-Delivery': id,
    'Rivulet-Signature': `t=${timestampSeconds},v1=${bytesToHex(macOf(secret, timestampSeconds, body))}`,
    ...signDelivery(given),
  };
}

/**
 * Checks the `Rivulet-Signature` of what was received. Deliveries come at least once: keep their ids.
 * @throws KeysendError `signature_invalid`
 */
export function verifyWebhook(given: {
  readonly secret: Uint8Array;
  /** The header's value. */
  readonly signature: string;
  /** As it came, not parsed and written again. */
  readonly body: Uint8Array;
  readonly nowMs: number;
  /** How far its time may be from ours; 5 minutes where it is absent. */
  readonly toleranceMs?: number;
}): void {
  const { secret, signature, body, nowMs, toleranceMs = 300_000 } = given;
  const [, time, mac] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
  if (time === undefined || mac === undefined) throw invalid('Rivulet-Signature has another form');
  const timestampSeconds = Number(time);
  if (!equalBytesConstantTime(hexToBytes(mac), macOf(secret, timestampSeconds, body))) {
    throw invalid('the signature is none of this secret');
  }
  if (Math.abs(nowMs - timestampSeconds * 1_000) > toleranceMs) throw invalid('it was signed too long ago');
}

function macOf(secret: Uint8Array, timestampSeconds: number, body: Uint8Array): Uint8Array {
  return hmacSha256(secret, concatBytes(utf8ToBytes(`${timestampSeconds}.`), body));
}

function invalid(why: string): KeysendError {
  return new KeysendError('signature_invalid', why);
}
