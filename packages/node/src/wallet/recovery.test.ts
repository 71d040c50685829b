import { openMemoryStorage } from '@rivulet/storage';
import { HDKey } from '@scure/bip32';
import { p2tr, p2wpkh } from '@scure/btc-signer';
import { describe, expect, test } from 'vitest';
import { withChecksum } from './descriptor.js';
import { coreImport, privateDescriptors } from './recovery.js';
import { openWallet } from './wallet.js';
import { testSeed } from './walletRig.test.support.js';

const words = `${'abandon '.repeat(11)}about`;
const versions = { private: 0x04358394, public: 0x043587cf };

/** The script of a ranged descriptor at an index, computed from nothing but its text. */
function scriptAt(descriptor: string, index: number): Uint8Array {
  const [, name, extended, branch] =
    /^(tr|wpkh)\(\[[0-9a-f]{8}\/8[46]h\/1h\/0h\](\w+)\/([01])\/\*\)#\w{8}$/.exec(descriptor)!;
  const key = HDKey.fromExtendedKey(extended!, versions).deriveChild(Number(branch)).deriveChild(index);
  return name === 'tr' ? p2tr(key.publicKey!.subarray(1)).script : p2wpkh(key.publicKey!).script;
}

describe('descriptors', () => {
  const wallet = openWallet({ seed: testSeed, network: 'regtest', storage: openMemoryStorage() });
  const secret = privateDescriptors({ words, network: 'regtest' });

  test('give all scripts of the wallet to who has nothing else, public and private alike', () => {
    const scripts = wallet.scripts();
    for (const descriptors of [wallet.descriptors(), secret]) {
      const derived = descriptors.flatMap((one) =>
        Array.from({ length: 20 }, (_, index) => scriptAt(one, index)),
      );
      expect(new Set(derived.map(String))).toEqual(new Set(scripts.map(String)));
    }
  });

  test('have the checksum of their text', () => {
    for (const one of [...wallet.descriptors(), ...secret])
      expect(withChecksum(one.split('#')[0]!)).toBe(one);
  });

  test('have private keys only where these were asked for, and none above the account', () => {
    expect(wallet.descriptors().join()).not.toContain('prv');
    for (const one of secret) {
      const [, extended] = /\](tprv\w+)\//.exec(one)!;
      expect(HDKey.fromExtendedKey(extended!, versions).depth).toBe(3);
    }
  });

  test('are imported as receiving and change', () => {
    expect(coreImport(secret).map(({ internal }) => internal)).toEqual([false, true, false, true]);
  });
});
