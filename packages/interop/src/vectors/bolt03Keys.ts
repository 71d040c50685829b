import assert from 'node:assert/strict';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import {
  derivePrivateKey,
  derivePublicKey,
  deriveRevocationPrivateKey,
  deriveRevocationPublicKey,
  perCommitmentSecret,
  ShachainError,
  ShachainStore,
} from '@rivulet/core/keys';
import { readFixture, type VectorCase } from './vectorCase.js';

interface KeyFixture {
  generation: { name: string; seed: string; index: string; output: string }[];
  storage: { name: string; inserts: { index: string; secret: string; ok: boolean }[] }[];
  derivation: Record<
    | 'baseSecret'
    | 'perCommitmentSecret'
    | 'basePoint'
    | 'perCommitmentPoint'
    | 'localPubkey'
    | 'localPrivateKey'
    | 'revocationPubkey'
    | 'revocationPrivateKey',
    string
  >;
}

function runInserts(inserts: KeyFixture['storage'][number]['inserts']): void {
  let store = ShachainStore.empty;
  for (const { index, secret, ok } of inserts) {
    const insert = () => store.insert(BigInt(index), hexToBytes(secret));
    if (ok) {
      store = ShachainStore.decode(insert().encode());
      assert.equal(bytesToHex(store.lookup(BigInt(index)) as Uint8Array), secret);
    } else {
      assert.throws(
        insert,
        (error) => error instanceof ShachainError && error.code === 'shachain_inconsistent',
      );
    }
  }
  if (inserts.some(({ ok }) => !ok)) return;
  for (const { index, secret } of inserts) {
    assert.equal(bytesToHex(store.lookup(BigInt(index)) as Uint8Array), secret);
  }
}

/** BOLT 3 appendices D and E: per-commitment secrets, their storage, key derivation. */
export function bolt03KeyCases(): VectorCase[] {
  const fixture = JSON.parse(readFixture('bolt03-keys.json')) as KeyFixture;
  const hex = fixture.derivation;
  const basepointSecret = hexToBytes(hex.baseSecret);
  const basepoint = hexToBytes(hex.basePoint);
  const secret = hexToBytes(hex.perCommitmentSecret);
  const perCommitmentPoint = hexToBytes(hex.perCommitmentPoint);
  const derivations: Record<string, () => void> = {
    'points of the secrets': () => {
      assert.equal(bytesToHex(secp256k1.publicKey(basepointSecret)), hex.basePoint);
      assert.equal(bytesToHex(secp256k1.publicKey(secret)), hex.perCommitmentPoint);
    },
    'derivation of pubkey from basepoint and per_commitment_point': () => {
      assert.equal(bytesToHex(derivePublicKey(basepoint, perCommitmentPoint)), hex.localPubkey);
    },
    'derivation of private key from basepoint secret and per_commitment_secret': () => {
      const key = derivePrivateKey({ basepointSecret, basepoint, perCommitmentPoint });
      assert.equal(bytesToHex(key), hex.localPrivateKey);
    },
    'derivation of revocation pubkey from basepoint and per_commitment_point': () => {
      assert.equal(
        bytesToHex(deriveRevocationPublicKey(basepoint, perCommitmentPoint)),
        hex.revocationPubkey,
      );
    },
    'derivation of revocation secret from basepoint_secret and per_commitment_secret': () => {
      const key = deriveRevocationPrivateKey({
        revocationBasepointSecret: basepointSecret,
        revocationBasepoint: basepoint,
        perCommitmentSecret: secret,
      });
      assert.equal(bytesToHex(key), hex.revocationPrivateKey);
    },
  };
  return [
    ...fixture.generation.map(({ name, seed, index, output }) => ({
      name: `BOLT 3 appendix D: ${name}`,
      run: () => assert.equal(bytesToHex(perCommitmentSecret(hexToBytes(seed), BigInt(index))), output),
    })),
    ...fixture.storage.map(({ name, inserts }) => ({
      name: `BOLT 3 appendix D: ${name}`,
      run: () => runInserts(inserts),
    })),
    ...Object.entries(derivations).map(([name, run]) => ({ name: `BOLT 3 appendix E: ${name}`, run })),
  ];
}
