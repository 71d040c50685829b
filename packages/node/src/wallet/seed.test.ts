import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import { describe, expect, test } from 'vitest';
import { createWords, deriveNodeSecrets, wordsToSeed } from './seed.js';
import { WalletError } from './walletError.js';

const about = `${'abandon '.repeat(11)}about`;

function failureOf(action: () => unknown): WalletError {
  try {
    action();
  } catch (error) {
    if (error instanceof WalletError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('recovery words', () => {
  test('are those of BIP 39 for 16 and 32 bytes', () => {
    expect(createWords(new Uint8Array(16))).toBe(about);
    expect(createWords(new Uint8Array(32).fill(0x7f))).toBe(
      'legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title',
    );
    expect(failureOf(() => createWords(new Uint8Array(20))).code).toBe('entropy_length');
  });

  test('give the seed of BIP 39, with and without a passphrase', () => {
    expect(bytesToHex(wordsToSeed(about))).toBe(
      '5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4',
    );
    expect(bytesToHex(wordsToSeed(about, 'TREZOR'))).toBe(
      'c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04',
    );
  });

  test('may be typed with capitals and line breaks', () => {
    const typed = `  ${about.toUpperCase().replaceAll(' ', '\n  ')}\n`;
    expect(wordsToSeed(typed)).toEqual(wordsToSeed(about));
  });

  test('that are wrong are refused with the place, never with the word', () => {
    expect(failureOf(() => wordsToSeed('abandon about')).code).toBe('words_count');
    const unknown = failureOf(() => wordsToSeed(about.replace('about', 'abouut')));
    expect(unknown.code).toBe('words_unknown');
    expect(unknown.message).toContain('12');
    expect(unknown.message).not.toContain('abouut');
    const checksum = failureOf(() => wordsToSeed(about.replace('about', 'zoo')));
    expect(checksum.code).toBe('words_checksum');
    expect(checksum.message).not.toContain('zoo');
  });
});

describe('node secrets', () => {
  const seed = wordsToSeed(about);

  // Computed apart from this code, by the rules of BIP 32.
  test('never change', () => {
    const { nodePrivateKey, channelSeed } = deriveNodeSecrets(seed, 'mainnet');
    expect(bytesToHex(nodePrivateKey)).toBe(
      '06d5fb458c60f42b0e6ce3eecc05bb8e36ce405eaf18832daf3423519081a216',
    );
    expect(bytesToHex(channelSeed)).toBe('c3f819f1fb6bd0ae694859e0a3bac986dbb749d4195fd69839ba42779fb718c5');
    expect(secp256k1.isPrivateKey(nodePrivateKey)).toBe(true);
  });

  test('differ from one another, by network and by seed', () => {
    const other = wordsToSeed(createWords(new Uint8Array(16).fill(1)));
    const all = (['mainnet', 'testnet4', 'signet', 'regtest'] as const).flatMap((network) =>
      [seed, other].flatMap((each) => {
        const secrets = deriveNodeSecrets(each, network);
        return [bytesToHex(secrets.nodePrivateKey), bytesToHex(secrets.channelSeed)];
      }),
    );
    expect(new Set(all).size).toBe(16);
  });
});
