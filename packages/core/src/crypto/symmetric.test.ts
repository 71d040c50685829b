import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, utf8ToBytes } from '../bytes/bytes.js';
import { bytesToHex, hexToBytes } from '../bytes/hex.js';
import { chacha20, decryptAead, encryptAead } from './ciphers.js';
import { CryptoError } from './cryptoError.js';
import { hash160, hkdfSha256, hmacSha256, sha256, sha256d } from './hashes.js';

const range = (from: number, to: number) => Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i);
const plaintext = utf8ToBytes(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
);

describe('hashes', () => {
  test('sha256d and hash160 match known values', () => {
    expect(bytesToHex(sha256d(utf8ToBytes('hello')))).toBe(
      '9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50',
    );
    const generator = hexToBytes('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798');
    expect(bytesToHex(hash160(generator))).toBe('751e76e8199196d454941c45d1b3a323f1433bd6');
  });

  test('HMAC of parts is the HMAC of their concatenation (RFC 4231 case 2)', () => {
    const key = utf8ToBytes('Jefe');
    const data = utf8ToBytes('what do ya want for nothing?');
    expect(bytesToHex(hmacSha256(key, data))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
    expect(hmacSha256(key, data.subarray(0, 9), data.subarray(9))).toEqual(hmacSha256(key, data));
  });

  test('HKDF without info matches RFC 5869 case 3', () => {
    expect(bytesToHex(hkdfSha256(new Uint8Array(), new Uint8Array(22).fill(0x0b), 42))).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    );
  });

  test('HKDF without info is built from HMAC as RFC 5869 says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 80 }), (salt, input) => {
        const pseudorandom = hmacSha256(salt, input);
        const first = hmacSha256(pseudorandom, Uint8Array.of(1));
        const second = hmacSha256(pseudorandom, first, Uint8Array.of(2));
        expect(hkdfSha256(salt, input, 64)).toEqual(concatBytes(first, second));
        expect(hkdfSha256(salt, input, 20)).toEqual(first.subarray(0, 20));
      }),
    );
    expect(sha256(new Uint8Array()).length).toBe(32);
  });
});

describe('chacha20', () => {
  test('matches the key stream of RFC 8439 A.1 case 1', () => {
    const stream = chacha20({ key: new Uint8Array(32), nonce: new Uint8Array(12), data: new Uint8Array(64) });
    expect(bytesToHex(stream)).toBe(
      '76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586',
    );
  });

  test('is its own inverse, also in place', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
        const key = range(0, 31);
        const nonce = range(0, 11);
        const copy = Uint8Array.from(data);
        const encrypted = chacha20({ key, nonce, data });
        expect(chacha20({ key, nonce, data: encrypted })).toEqual(copy);
        expect(chacha20({ key, nonce, data, output: data })).toBe(data);
        expect(data).toEqual(encrypted);
      }),
    );
  });

  test('refuses a key or nonce of another length', () => {
    const data = new Uint8Array(1);
    for (const [key, nonce] of [
      [16, 12],
      [32, 8],
      [32, 24],
      [0, 12],
    ] as const) {
      expect(() => chacha20({ key: new Uint8Array(key), nonce: new Uint8Array(nonce), data })).toThrow(
        CryptoError,
      );
    }
  });
});

describe('chacha20-poly1305', () => {
  const key = range(0x80, 0x9f);
  const nonce = hexToBytes('070000004041424344454647');
  const associatedData = hexToBytes('50515253c0c1c2c3c4c5c6c7');

  test('matches RFC 8439, 2.8.2', () => {
    const ciphertext = encryptAead({ key, nonce, associatedData, plaintext });
    expect(bytesToHex(ciphertext.subarray(0, 16))).toBe('d31a8d34648e60db7b86afbc53ef7ec2');
    expect(bytesToHex(ciphertext.subarray(-16))).toBe('1ae10b594f09e26a7e902ecbd0600691');
    expect(decryptAead({ key, nonce, associatedData, ciphertext })).toEqual(plaintext);
  });

  test('writes into the output that it is given', () => {
    const output = new Uint8Array(plaintext.length + 16);
    encryptAead({ key, nonce, associatedData, plaintext, output });
    expect(output).toEqual(encryptAead({ key, nonce, associatedData, plaintext }));
  });

  test('an altered bit, other associated data or a cut ciphertext is a typed error', () => {
    const ciphertext = encryptAead({ key, nonce, associatedData, plaintext: plaintext.subarray(0, 20) });
    const failing = (given: Partial<Parameters<typeof decryptAead>[0]>) => {
      const run = () => decryptAead({ key, nonce, associatedData, ciphertext, ...given });
      expect(run).toThrow(expect.objectContaining({ name: 'CryptoError', code: 'cipher_tag_invalid' }));
    };
    for (let bit = 0; bit < ciphertext.length * 8; bit++) {
      const altered = Uint8Array.from(ciphertext);
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      failing({ ciphertext: altered });
    }
    failing({ associatedData: new Uint8Array() });
    failing({ associatedData: undefined });
    failing({ ciphertext: ciphertext.subarray(1) });
    for (let length = 0; length < 17; length++) failing({ ciphertext: ciphertext.subarray(0, length) });
  });
});
