import { utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256 } from '@rivulet/core/crypto';
import { KeysendError } from '../keysendError.js';

/** So that the same secret may serve something else, too. */
const domain = utf8ToBytes('rivulet/keysend/preimage/1\0');

/**
 * The preimage of a payment that is named by a key: the same for the same secret and key for ever, so that whoever
 * tries again after a crash can only make the same payment.
 * @param secret 32 bytes that nobody else knows, and that stay the same.
 * @returns 32 bytes.
 */
export function derivePreimage(secret: Uint8Array, key: string): Uint8Array {
  if (secret.length !== 32) {
    throw new KeysendError('request_invalid', `the secret of payments has 32 bytes, not ${secret.length}`);
  }
  return hmacSha256(secret, domain, utf8ToBytes(key));
}
