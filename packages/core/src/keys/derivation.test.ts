import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { secp256k1, sha256 } from '../crypto/index.js';
import {
  derivePrivateKey,
  derivePublicKey,
  deriveRevocationPrivateKey,
  deriveRevocationPublicKey,
} from './derivation.js';

const privateKeys = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => sha256(bytes));

describe('key derivation', () => {
  test('gives private keys to the public keys, for every basepoint and commitment', () => {
    fc.assert(
      fc.property(privateKeys, privateKeys, (basepointSecret, perCommitmentSecret) => {
        const basepoint = secp256k1.publicKey(basepointSecret);
        const perCommitmentPoint = secp256k1.publicKey(perCommitmentSecret);
        const privateKey = derivePrivateKey({ basepointSecret, basepoint, perCommitmentPoint });
        expect(secp256k1.publicKey(privateKey)).toEqual(derivePublicKey(basepoint, perCommitmentPoint));
        const revocationKey = deriveRevocationPrivateKey({
          revocationBasepointSecret: basepointSecret,
          revocationBasepoint: basepoint,
          perCommitmentSecret,
        });
        expect(secp256k1.publicKey(revocationKey)).toEqual(
          deriveRevocationPublicKey(basepoint, perCommitmentPoint),
        );
      }),
      { numRuns: 20 },
    );
  });
});
