import { concatBytes, utf8ToBytes } from '../bytes/index.js';
import { CryptoError, publicCurve, secp256k1, sha256d } from '../crypto/index.js';
import { decodeZbase32, encodeZbase32 } from './zbase32.js';

const prefix = utf8ToBytes('Lightning Signed Message:');
const signatureBytes = 65;
/** 65 bytes of five bits a letter. */
const signatureLetters = 104;
/** The first byte is that of a compressed key in Bitcoin's signed messages: 27 + 4, and the recovery id. */
const firstHeader = 31;

function digest(message: Uint8Array): Uint8Array {
  return sha256d(concatBytes(prefix, message));
}

/** Signs a message as Lightning nodes do (`signmessage`): a recoverable signature in zbase32, 104 letters. */
export function signMessage(message: Uint8Array, privateKey: Uint8Array): string {
  const { signature, recovery } = secp256k1.signRecoverable(digest(message), privateKey);
  return encodeZbase32(concatBytes(Uint8Array.of(firstHeader + recovery), signature));
}

/** The public key that signed a message; `undefined` where the text is no signature. */
export function recoverMessageKey(message: Uint8Array, signature: string): Uint8Array | undefined {
  const bytes = signature.length === signatureLetters ? decodeZbase32(signature) : undefined;
  if (bytes?.length !== signatureBytes) return undefined;
  const recovery = (bytes[0] as number) - firstHeader;
  if (recovery < 0 || recovery > 3) return undefined;
  try {
    return publicCurve.recover(bytes.subarray(1), recovery, digest(message));
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}
