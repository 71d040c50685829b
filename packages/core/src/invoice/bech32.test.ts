import { bech32 } from '@scure/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bech32Words } from './bech32.js';
import { wordsToBytes } from './words.js';

const prefixes = fc.string({
  unit: fc.constantFrom(...'abcxyz0129!~-_1'),
  minLength: 1,
  maxLength: 20,
});
const wordLists = fc.uint8Array({ max: 31, maxLength: 200 });

describe('reading Bech32', () => {
  test('finds the words that another implementation wrote', () => {
    fc.assert(
      fc.property(prefixes, wordLists, (prefix, words) => {
        const text = bech32.encode(prefix, words, false);
        expect(bech32Words(text, text.lastIndexOf('1'))).toEqual(words);
      }),
    );
  });

  test('refuses any change of up to four letters', () => {
    const letters = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 31 })), {
      minLength: 1,
      maxLength: 4,
    });
    const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
    // BIP 173: any error that affects at most 4 characters within 90
    const short = fc.uint8Array({ max: 31, maxLength: 80 });
    fc.assert(
      fc.property(short, letters, (words, changes) => {
        const text = bech32.encode('lnbc', words, false);
        const changed = [...text];
        for (const [at, by] of changes) {
          const index = 5 + (at % (text.length - 5));
          changed[index] = alphabet[(alphabet.indexOf(text[index] as string) + by) % 32] as string;
        }
        expect(bech32Words(changed.join(''), 4)).toBeUndefined();
      }),
    );
  });

  test('makes bytes of words as another implementation does', () => {
    const likely = fc.uint8Array().map((bytes) => Uint8Array.from(bech32.toWords(bytes)));
    fc.assert(
      fc.property(fc.oneof(wordLists, likely), (words) => {
        expect(wordsToBytes(words)).toEqual(bech32.fromWordsUnsafe([...words]) || undefined);
      }),
    );
  });
});
