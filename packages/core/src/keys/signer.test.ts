import { describe, expect, test } from 'vitest';
import { secp256k1, sha256 } from '../crypto/index.js';
import { deriveChannelSecrets } from './channelKeys.js';
import { derivePublicKey, deriveRevocationPublicKey } from './derivation.js';
import { perCommitmentSecret, ShachainStore, shachainIndex } from './shachain.js';
import { InMemoryChannelSigner } from './signer.js';

const secrets = deriveChannelSecrets(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2));
const signer = new InMemoryChannelSigner(secrets);
const { basepoints } = signer;
const hash = sha256(new Uint8Array(1));
const peerSecret = sha256(new Uint8Array(2));
const peerPoint = secp256k1.publicKey(peerSecret);

describe('the signer in memory', () => {
  test('signs with the key of each purpose', () => {
    expect(secp256k1.verify(signer.signWithFundingKey(hash), hash, basepoints.fundingPubkey)).toBe(true);
    expect(secp256k1.verify(signer.signWithPaymentKey(hash), hash, basepoints.paymentBasepoint)).toBe(true);
    const delayed = signer.signWithDelayedPaymentKey(peerPoint, hash);
    const delayedKey = derivePublicKey(basepoints.delayedPaymentBasepoint, peerPoint);
    expect(secp256k1.verify(delayed, hash, delayedKey)).toBe(true);
    const revoked = signer.signWithRevocationKey(peerSecret, hash);
    const revocationKey = deriveRevocationPublicKey(basepoints.revocationBasepoint, peerPoint);
    expect(secp256k1.verify(revoked, hash, revocationKey)).toBe(true);
  });

  test('signs any number of HTLCs in order, for more commitments than it remembers keys of', () => {
    const hashes = [hash, sha256(hash)];
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 12; i++) {
        const point = secp256k1.publicKey(sha256(Uint8Array.of(i)));
        const key = derivePublicKey(basepoints.htlcBasepoint, point);
        const signatures = signer.signWithHtlcKey(point, hashes);
        expect(
          signatures.map((signature, n) => secp256k1.verify(signature, hashes[n] as Uint8Array, key)),
        ).toEqual([true, true]);
      }
    }
    expect(signer.signWithHtlcKey(peerPoint, [])).toEqual([]);
  });

  test('gives out secrets that belong to its points and that a peer can store', () => {
    let store = ShachainStore.empty;
    for (let number = 0n; number < 20n; number++) {
      const secret = signer.perCommitmentSecret(number);
      expect(signer.perCommitmentPoint(number)).toEqual(secp256k1.publicKey(secret));
      expect(secret).toEqual(perCommitmentSecret(secrets.shachainSeed, shachainIndex(number)));
      store = store.insert(shachainIndex(number), secret);
    }
  });
});
