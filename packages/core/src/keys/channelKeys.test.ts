import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import { deriveChannelSecrets, deriveCommitmentKeys, publicBasepoints } from './channelKeys.js';
import { derivePublicKey, deriveRevocationPublicKey } from './derivation.js';

const seed = new Uint8Array(32).fill(0x11);
const id = new Uint8Array(16).fill(0x22);
const hexOf = (fields: object) =>
  Object.fromEntries(Object.entries(fields).map(([name, bytes]) => [name, bytesToHex(bytes as Uint8Array)]));

describe('channel secrets', () => {
  test('never change: a restored seed must find the same money', () => {
    expect(hexOf(deriveChannelSecrets(seed, id))).toEqual({
      fundingPrivateKey: '7436032a9fe35b17805c2dec4857fc355fd483b7c7a789d70bd859cd398a6e88',
      revocationBasepointSecret: '1981fd55bdf28dbca8e87e8ccb4d44af3f8a8b679d59ef9d8113f97bfcfe6419',
      paymentBasepointSecret: '74b1c42c95a18ef4d1adf84e13d48efba266a708be67414b3de5d99239311162',
      delayedPaymentBasepointSecret: '340540a1bbb45ac6e8fb454d60b132c9252e7f4238d62dc1ce13e0a81c2e41f6',
      htlcBasepointSecret: '89d7f3aa0e0e902afb35d0a7af2d7a52999f0aea16282a3985370dce8b22b260',
      shachainSeed: 'd29572cf18267142a1259aed8f0c3d309166553931f6391ff38f3866428b3a52',
    });
  });

  test('are all different, within a channel and between channels and seeds', () => {
    const all = [
      deriveChannelSecrets(seed, id),
      deriveChannelSecrets(seed, new Uint8Array(16).fill(0x23)),
      deriveChannelSecrets(seed, new Uint8Array(17).fill(0x22)),
      deriveChannelSecrets(id, id),
    ].flatMap((secrets) => Object.values(hexOf(secrets)));
    expect(new Set(all).size).toBe(24);
  });

  test('have public keys', () => {
    const secrets = deriveChannelSecrets(seed, id);
    const basepoints = publicBasepoints(secrets);
    expect(basepoints.fundingPubkey).toEqual(secp256k1.publicKey(secrets.fundingPrivateKey));
    expect(basepoints.htlcBasepoint).toEqual(secp256k1.publicKey(secrets.htlcBasepointSecret));
    expect(basepoints.paymentBasepoint).toEqual(secp256k1.publicKey(secrets.paymentBasepointSecret));
    expect(basepoints.revocationBasepoint).toEqual(secp256k1.publicKey(secrets.revocationBasepointSecret));
    expect(basepoints.delayedPaymentBasepoint).toEqual(
      secp256k1.publicKey(secrets.delayedPaymentBasepointSecret),
    );
  });
});

describe('the keys of a commitment', () => {
  test('take the revocation and payment key from the other side', () => {
    const holder = publicBasepoints(deriveChannelSecrets(seed, id));
    const counterparty = publicBasepoints(deriveChannelSecrets(id, seed));
    const perCommitmentPoint = secp256k1.publicKey(seed);
    const keys = deriveCommitmentKeys({ perCommitmentPoint, holder, counterparty });
    expect(keys).toEqual({
      perCommitmentPoint,
      localDelayedPubkey: derivePublicKey(holder.delayedPaymentBasepoint, perCommitmentPoint),
      revocationPubkey: deriveRevocationPublicKey(counterparty.revocationBasepoint, perCommitmentPoint),
      localHtlcPubkey: derivePublicKey(holder.htlcBasepoint, perCommitmentPoint),
      remoteHtlcPubkey: derivePublicKey(counterparty.htlcBasepoint, perCommitmentPoint),
      remotePaymentPubkey: counterparty.paymentBasepoint,
      localFundingPubkey: holder.fundingPubkey,
      remoteFundingPubkey: counterparty.fundingPubkey,
    });
  });
});
