import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToUtf8, hexToBytes, utf8ToBytes } from '../bytes/index.js';
import { displayAlias, encodeAlias } from './alias.js';

const padded = (text: string) => {
  const alias = new Uint8Array(32);
  alias.set(utf8ToBytes(text).subarray(0, 32));
  return alias;
};

describe('the alias of a stranger', () => {
  test('is its text without the zeros that fill it up', () => {
    expect(displayAlias(padded('IRATEMONK'))).toBe('IRATEMONK');
    expect(displayAlias(padded('⚡ Zürich 🦊'))).toBe('⚡ Zürich 🦊');
    expect(displayAlias(new Uint8Array(32))).toBe('');
  });

  test('loses a last character that was cut in two, whatever its length', () => {
    for (const character of ['é', '€', '🦊']) {
      const size = utf8ToBytes(character).length;
      for (let kept = 1; kept < size; kept++) {
        expect(displayAlias(padded('x'.repeat(32 - kept) + character))).toBe('x'.repeat(32 - kept));
      }
      expect(displayAlias(padded('x'.repeat(32 - size) + character))).toBe('x'.repeat(32 - size) + character);
    }
  });

  test('cannot move the cursor, break the line, or turn the text beside it around', () => {
    expect(displayAlias(padded('\u001b[2Ja\r\nb\u0000c\u007f'))).toBe('[2Jabc');
    expect(displayAlias(padded('pay\u202eyap\u2066\u200b\u2028\ufeff'))).toBe('payyap');
  });

  test('has a mark in place of bytes that are no UTF-8', () => {
    expect(displayAlias(hexToBytes(`61ff62${'00'.repeat(29)}`))).toBe('a\ufffdb');
    expect(displayAlias(new Uint8Array(32).fill(0x80))).not.toBe('');
  });

  test('is never more than 32 characters of one line, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const text = displayAlias(bytes);
        expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
        expect([...text].length).toBeLessThanOrEqual(32);
      }),
    );
  });
});

describe('our own alias', () => {
  test('has 32 bytes, filled up with zeros', () => {
    expect(encodeAlias('Rivulet')).toEqual(padded('Rivulet'));
    expect(encodeAlias('a'.repeat(40))).toEqual(new Uint8Array(32).fill(97));
  });

  test('is cut between two characters', () => {
    expect(encodeAlias(`${'a'.repeat(31)}é`)).toEqual(padded('a'.repeat(31)));
    expect(encodeAlias(`${'a'.repeat(29)}🦊`)).toEqual(padded('a'.repeat(29)));
    expect(encodeAlias(`${'a'.repeat(28)}🦊b`)).toEqual(padded(`${'a'.repeat(28)}🦊`));
  });

  test('is UTF-8 that is shown as it was sent, whatever the text is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const alias = encodeAlias(text);
        expect(alias).toHaveLength(32);
        const sent = bytesToUtf8(alias)?.replace(/\0+$/, '');
        expect(sent).toBeDefined();
        expect(displayAlias(alias)).toBe(sent?.trim());
      }),
    );
  });
});
