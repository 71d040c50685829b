import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes, utf8ToBytes } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import { towerVectors as vectors } from './fixtures/towerVectors.test.support.js';
import { recoverMessageKey, signMessage } from './signedMessage.js';
import { decodeZbase32, encodeZbase32 } from './zbase32.js';

describe('signed messages', () => {
  test.each(vectors.signed)('are signed as LND signs "$message"', ({ key, message, signature }) => {
    const privateKey = hexToBytes(key);
    const signed = signMessage(utf8ToBytes(message), privateKey);
    expect(bytesToHex(decodeZbase32(signed)!)).toBe(signature);
    expect(recoverMessageKey(utf8ToBytes(message), signed)).toEqual(secp256k1.publicKey(privateKey));
  });

  test.each(vectors.recovered)('of LND nodes give their key: $nodeId', ({ message, signature, nodeId }) => {
    expect(bytesToHex(recoverMessageKey(utf8ToBytes(message), signature)!)).toBe(nodeId);
    const other = recoverMessageKey(utf8ToBytes(`${message}!`), signature);
    expect(other === undefined || bytesToHex(other) !== nodeId).toBe(true);
  });

  test('that are none give no key and no exception', () => {
    const message = utf8ToBytes('hi');
    const header = (first: number) => encodeZbase32(new Uint8Array(65).fill(first, 0, 1));
    for (const text of [
      '',
      'y',
      'l'.repeat(104),
      'y'.repeat(103),
      header(30),
      header(31),
      header(35),
      header(255),
    ]) {
      expect(recoverMessageKey(message, text)).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.string({ maxLength: 120 }), (text) => {
        recoverMessageKey(message, text);
      }),
    );
  });

  test('zbase32 gives back what it was given', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(decodeZbase32(encodeZbase32(bytes))).toEqual(bytes);
      }),
    );
  });
});
