import { concatBytes } from '../bytes/index.js';
import { secp256k1, sha256 } from '../crypto/index.js';

// BOLT 3: Key Derivation. A basepoint is long-lived and known to both peers; a per-commitment point
// belongs to one commitment of one of them.

/** A basepoint's public key in one commitment: basepoint + SHA256(perCommitmentPoint || basepoint)·G. */
export function derivePublicKey(basepoint: Uint8Array, perCommitmentPoint: Uint8Array): Uint8Array {
  return secp256k1.publicKeyAdd(basepoint, sha256(concatBytes(perCommitmentPoint, basepoint)));
}

/** The private key of `derivePublicKey`, for the owner of the basepoint's secret. */
export function derivePrivateKey({
  basepointSecret,
  basepoint,
  perCommitmentPoint,
}: {
  basepointSecret: Uint8Array;
  basepoint: Uint8Array;
  perCommitmentPoint: Uint8Array;
}): Uint8Array {
  return secp256k1.privateKeyAdd(basepointSecret, sha256(concatBytes(perCommitmentPoint, basepoint)));
}

/** The revocation key of a commitment: its private key takes the secrets of both peers. */
export function deriveRevocationPublicKey(
  revocationBasepoint: Uint8Array,
  perCommitmentPoint: Uint8Array,
): Uint8Array {
  const basepointTweak = sha256(concatBytes(revocationBasepoint, perCommitmentPoint));
  const commitmentTweak = sha256(concatBytes(perCommitmentPoint, revocationBasepoint));
  return secp256k1.publicKeyCombine([
    secp256k1.publicKeyMultiply(revocationBasepoint, basepointTweak),
    secp256k1.publicKeyMultiply(perCommitmentPoint, commitmentTweak),
  ]);
}

/** The private key of `deriveRevocationPublicKey`, once the commitment's holder has given out its secret. */
export function deriveRevocationPrivateKey({
  revocationBasepointSecret,
  revocationBasepoint,
  perCommitmentSecret,
}: {
  revocationBasepointSecret: Uint8Array;
  revocationBasepoint: Uint8Array;
  perCommitmentSecret: Uint8Array;
}): Uint8Array {
  const perCommitmentPoint = secp256k1.publicKey(perCommitmentSecret);
  const basepointTweak = sha256(concatBytes(revocationBasepoint, perCommitmentPoint));
  const commitmentTweak = sha256(concatBytes(perCommitmentPoint, revocationBasepoint));
  return secp256k1.privateKeyAdd(
    secp256k1.privateKeyMultiply(revocationBasepointSecret, basepointTweak),
    secp256k1.privateKeyMultiply(perCommitmentSecret, commitmentTweak),
  );
}
