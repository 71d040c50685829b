import { readFileSync } from 'node:fs';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nip04Decrypt, nip04Encrypt } from './nip04.js';
import {
  nip44Decrypt,
  nip44Encrypt,
  nip44Key,
  nip44MessageKeys,
  nip44PaddedLength,
  nostrPublicKey,
} from './nip44.js';

interface Vectors {
  valid: {
    get_conversation_key: { sec1: string; pub2: string; conversation_key: string }[];
    get_message_keys: {
      conversation_key: string;
      keys: { nonce: string; chacha_key: string; chacha_nonce: string; hmac_key: string }[];
    };
    calc_padded_len: [number, number][];
    encrypt_decrypt: {
      sec1: string;
      sec2: string;
      conversation_key: string;
      nonce: string;
      plaintext: string;
      payload: string;
    }[];
    encrypt_decrypt_long_msg: {
      conversation_key: string;
      nonce: string;
      pattern: string;
      repeat: number;
      plaintext_sha256: string;
      payload_sha256: string;
    }[];
  };
  invalid: {
    get_conversation_key: { sec1: string; pub2: string; note: string }[];
    decrypt: { conversation_key: string; payload: string; note: string }[];
  };
}

const fixture = new URL('../../../../interop/fixtures/nip44.vectors.json', import.meta.url);
const { valid, invalid } = (JSON.parse(readFileSync(fixture, 'utf8')) as { v2: Vectors }).v2;
const hashOf = (text: string): string => bytesToHex(sha256(utf8ToBytes(text)));

describe('NIP-44, its official vectors', () => {
  test('the key of a conversation', () => {
    expect(valid.get_conversation_key.length).toBeGreaterThan(10);
    for (const { sec1, pub2, conversation_key } of valid.get_conversation_key) {
      expect(bytesToHex(nip44Key(hexToBytes(sec1), pub2))).toBe(conversation_key);
    }
  });

  test('the keys of a message', () => {
    const { conversation_key, keys } = valid.get_message_keys;
    for (const { nonce, chacha_key, chacha_nonce, hmac_key } of keys) {
      const got = nip44MessageKeys(hexToBytes(conversation_key), hexToBytes(nonce));
      expect(bytesToHex(got.cipherKey)).toBe(chacha_key);
      expect(bytesToHex(got.cipherNonce)).toBe(chacha_nonce);
      expect(bytesToHex(got.macKey)).toBe(hmac_key);
    }
  });

  test('the padded length', () => {
    for (const [length, padded] of valid.calc_padded_len) expect(nip44PaddedLength(length)).toBe(padded);
  });

  test('what is encrypted, both ways', () => {
    for (const { sec1, sec2, conversation_key, nonce, plaintext, payload } of valid.encrypt_decrypt) {
      const key = nip44Key(hexToBytes(sec1), nostrPublicKey(hexToBytes(sec2)));
      expect(bytesToHex(key)).toBe(conversation_key);
      expect(nip44Encrypt(plaintext, key, hexToBytes(nonce))).toBe(payload);
      expect(nip44Decrypt(payload, nip44Key(hexToBytes(sec2), nostrPublicKey(hexToBytes(sec1))))).toBe(
        plaintext,
      );
    }
  });

  test('long messages', () => {
    for (const vector of valid.encrypt_decrypt_long_msg) {
      const plaintext = vector.pattern.repeat(vector.repeat);
      expect(hashOf(plaintext)).toBe(vector.plaintext_sha256);
      const key = hexToBytes(vector.conversation_key);
      const payload = nip44Encrypt(plaintext, key, hexToBytes(vector.nonce));
      expect(hashOf(payload)).toBe(vector.payload_sha256);
      expect(nip44Decrypt(payload, key)).toBe(plaintext);
    }
  });

  // From the text of NIP-44, "Extended length prefix test vectors".
  test.each([
    [65_535, '6d8c2810d1e870fbaa1f0a0937126cca837a15f9260e27060c331d70a3c0bc84'],
    [65_536, 'b7b4edb36ba92e267d322d56d9aebc22e7fa96ff52e3c12adc07f07a43cbc616'],
    [65_537, 'eeb7c7c5373894ea2c1547cfd3ccb15d5a0b2d619da852e5c79df792dcc9e435'],
  ])('a text of %i bytes, at the border to the longer prefix', (length, payloadHash) => {
    const key = hexToBytes('c41c775356fd92eadc63ff5a0dc1da211b268cbea22316767095b2871ea1412d');
    const payload = nip44Encrypt('a'.repeat(length), key, hexToBytes(`${'00'.repeat(31)}01`));
    expect(hashOf(payload)).toBe(payloadHash);
    expect(nip44Decrypt(payload, key)).toBe('a'.repeat(length));
  });

  test('keys that are none', () => {
    for (const { sec1, pub2, note } of invalid.get_conversation_key) {
      expect(() => nip44Key(hexToBytes(sec1), pub2), note).toThrow();
    }
  });

  test('payloads that are to be refused', () => {
    expect(invalid.decrypt.length).toBeGreaterThan(5);
    for (const { conversation_key, payload, note } of invalid.decrypt) {
      expect(() => nip44Decrypt(payload, hexToBytes(conversation_key)), note).toThrow(/NIP-44/);
    }
  });
});

describe('encrypted messages', () => {
  const key = new Uint8Array(32).fill(7);

  test('come back as they were, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 500 }), (text) => {
        expect(nip44Decrypt(nip44Encrypt(text, key, new Uint8Array(32).fill(1)), key)).toBe(text);
        expect(nip04Decrypt(nip04Encrypt(text, key, new Uint8Array(16).fill(1)), key)).toBe(text);
      }),
    );
  });

  test('of NIP-44 are refused when one character of them is another', () => {
    const payload = nip44Encrypt('pay 21 sat', key, new Uint8Array(32).fill(1));
    fc.assert(
      fc.property(fc.nat(payload.length - 2), (at) => {
        const other = payload[at] === 'A' ? 'B' : 'A';
        expect(() => nip44Decrypt(payload.slice(0, at) + other + payload.slice(at + 1), key)).toThrow(
          /NIP-44/,
        );
      }),
    );
  });

  test.each([
    '',
    'abc',
    'abc?iv=',
    '?iv=AAAAAAAAAAAAAAAAAAAAAA==',
    'AAAA?iv=AAAA?iv=AAAA',
    `${'A'.repeat(1_000_001)}`,
  ])('of NIP-04 are refused where they are none: %#', (payload) => {
    expect(() => nip04Decrypt(payload, key)).toThrow(/NIP-04/);
  });
});
