import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/index.js';
import { signatureFromDer, signatureToDer } from './derSignature.js';
import { sighashAll, sighashSingleAnyoneCanPay } from './sighash.js';
import { TransactionError } from './transactionError.js';

describe('DER signatures', () => {
  test('survive encoding and decoding', () => {
    // Leading zeros and high bits are what the encoding is about.
    const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
    const signatures = fc.array(byte, { minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(
        signatures,
        fc.constantFrom(sighashAll, sighashSingleAnyoneCanPay),
        (values, sighashType) => {
          const signature = Uint8Array.from(values);
          const der = signatureToDer(signature, sighashType);
          expect(der.length).toBeLessThanOrEqual(73);
          expect(signatureFromDer(der)).toEqual({ signature, sighashType });
        },
      ),
    );
  });

  test('of small numbers are short', () => {
    const signature = new Uint8Array(64);
    signature[31] = 1;
    signature[63] = 0x80;
    expect(bytesToHex(signatureToDer(signature, sighashAll))).toBe('3007020101020200' + '8001');
  });

  test.each([
    ['a wrong total length', '30080201010202008001'],
    ['a negative integer', '300602018102010101'],
    ['a needless zero', '30070202000102010101'],
    ['an empty integer', '3005020002010101'],
    ['another tag', '310602010102010101'],
    ['another integer tag', '300603010102010101'],
    ['bytes behind s', '30070201010201010001'],
    ['r of 33 significant bytes', `30260221${'01'.repeat(33)}02010101`],
    ['nothing', ''],
    ['r beyond the end', '300602200102010101'],
  ])('with %s are refused', (_, hex) => {
    expect(() => signatureFromDer(hexToBytes(hex))).toThrow(TransactionError);
  });
});
