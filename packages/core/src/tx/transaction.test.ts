import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, concatBytes, hexToBytes } from '../bytes/index.js';
import {
  decodeTransaction,
  encodeTransaction,
  encodeWithoutWitness,
  type Transaction,
  txid,
  txidFromHex,
  txidToHex,
  weight,
} from './transaction.js';
import { TransactionError } from './transactionError.js';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const transactions: fc.Arbitrary<Transaction> = fc.record({
  version: u32,
  lockTime: u32,
  inputs: fc.array(
    fc.record({
      outpoint: fc.record({ txid: fc.uint8Array({ minLength: 32, maxLength: 32 }), index: u32 }),
      scriptSig: bytes(300),
      sequence: u32,
      witness: fc.array(bytes(300), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  outputs: fc.array(fc.record({ valueSat: fc.bigInt(0n, 2_100_000_000_000_000n), script: bytes(300) }), {
    maxLength: 4,
  }),
});

// The coinbase of Bitcoin's block 1.
const coinbaseHex =
  '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d0104ffffffff0100f2052a0100000043410496b538e853519c726a2c91e61ec11600ae1390813a627c66fb8be7947be63c52da7589379515d4e0a604f8141781e62294721166bf621e73a82cbf2342c858eeac00000000';

describe('transactions', () => {
  test('survive encoding and decoding, and so do other bytes only when they are canonical', () => {
    fc.assert(
      fc.property(transactions, (tx) => {
        const encoded = encodeTransaction(tx);
        expect(decodeTransaction(encoded)).toEqual(tx);
        expect(weight(tx)).toBe(encodeWithoutWitness(tx).length * 3 + encoded.length);
      }),
    );
  });

  test('have the txid of the chain', () => {
    const id = txid(decodeTransaction(hexToBytes(coinbaseHex)));
    expect(txidToHex(id)).toBe('0e3e2357e806b6cdb1f70b54c3a3a17b6714ee1f0e68bebb44a74b1efd512098');
    expect(txidFromHex(txidToHex(id))).toEqual(id);
  });

  test('do not change their txid with their witness', () => {
    fc.assert(
      fc.property(transactions, (tx) => {
        const stripped = { ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness: [] })) };
        expect(txid(stripped)).toEqual(txid(tx));
      }),
      { numRuns: 20 },
    );
  });

  test('fail with a typed error for any prefix and for trailing bytes', () => {
    const encoded = hexToBytes(coinbaseHex);
    for (let length = 0; length < encoded.length; length++) {
      expect(() => decodeTransaction(encoded.subarray(0, length))).toThrow(TransactionError);
    }
    expect(() => decodeTransaction(concatBytes(encoded, Uint8Array.of(0)))).toThrow(TransactionError);
  });

  test('decode or fail with a typed error, whatever the bytes are', () => {
    fc.assert(
      fc.property(transactions, fc.nat(), fc.integer({ min: 1, max: 255 }), (tx, position, flip) => {
        const encoded = encodeTransaction(tx);
        const at = position % encoded.length;
        encoded[at] = (encoded[at] as number) ^ flip;
        try {
          const decoded = decodeTransaction(encoded);
          expect(encodeTransaction(decoded)).toEqual(encoded);
        } catch (error) {
          expect(error).toBeInstanceOf(TransactionError);
        }
      }),
    );
  });

  const refused: Record<string, string> = {
    'no inputs': '0200000000010000000000',
    'an unknown flag': '02000000000201',
    'a count that its bytes cannot hold': '02000000fe00000010',
    'a length of 64 bits': '02000000ff0100000000000000',
    'a length that is longer than it must be': coinbaseHex.replace('0704ffff', 'fd070004ffff'),
    'a witness flag without witnesses': coinbaseHex
      .replace('01000000010000', '0100000000010100 00'.replace(' ', ''))
      .replace(/00000000$/, '0000000000'),
    'more than 21 million bitcoin': coinbaseHex.replace('00f2052a01000000', '0140075af0750700'),
  };
  test.each(Object.entries(refused))('with %s are refused', (_, hex) => {
    expect(() => decodeTransaction(hexToBytes(hex))).toThrow(TransactionError);
  });

  test('threat 6: a very large witness decodes; more than a block is refused', () => {
    const base = decodeTransaction(hexToBytes(coinbaseHex));
    const build = (size: number): Transaction => ({
      ...base,
      inputs: base.inputs.map((input) => ({ ...input, witness: [new Uint8Array(size)] })),
    });
    const large = encodeTransaction(build(3_900_000));
    expect(decodeTransaction(large).inputs[0]?.witness[0]?.length).toBe(3_900_000);
    expect(() => decodeTransaction(encodeTransaction(build(4_000_000)))).toThrow(TransactionError);
  });

  test('a txid is 64 hex digits', () => {
    expect(() => txidFromHex('00')).toThrow(TransactionError);
    expect(() => txidFromHex('zz'.repeat(32))).toThrow(TransactionError);
    expect(bytesToHex(txidFromHex(`${'00'.repeat(31)}01`))).toBe(`01${'00'.repeat(31)}`);
  });
});
