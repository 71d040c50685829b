import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { recoverMessageKey, signMessage } from '@rivulet/core/tower';
import { isLowS, signatureFromText } from './signatureBytes.js';

/**
 * Signs a text as every Lightning node does (`signmessage` of LND and Core Lightning): 65 bytes (31 + recovery id,
 * r, s) over sha256d("Lightning Signed Message:" + UTF-8 of the text), in zbase32: 104 characters. Deterministic
 * (RFC 6979).
 * @param privateKey the node's, 32 bytes.
 * @throws CryptoError for what is no private key.
 */
export function signAsNode(message: string, privateKey: Uint8Array): string {
  return signMessage(utf8ToBytes(message), privateKey);
}

/**
 * Whose signature of a text this is: 66 hex digits. There is no other input: any node's key comes out, so compare it
 * with the one that is expected.
 * @returns `undefined` where the text is no signature, or one in the form that nobody makes (an s above half the order,
 * which would give every signature a second form).
 */
export function verifyNodeSignature(message: string, signature: string): string | undefined {
  const bytes = signatureFromText(signature);
  if (bytes === undefined || !isLowS(bytes)) return undefined;
  const key = recoverMessageKey(utf8ToBytes(message), signature);
  return key === undefined ? undefined : bytesToHex(key);
}
