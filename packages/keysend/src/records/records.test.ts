import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { senderProofType } from '../proof/proofRecord.js';
import { receiptRecordType } from '../proof/receipt.js';
import { parseJson } from './json.js';
import { knownRecord, knownRecords, recordName, recordType } from './knownRecords.js';
import { maxRecordBytes, readRecord, readRecords, recordToJson } from './readRecord.js';
import {
  accountRecord,
  accountRecords,
  checkRecords,
  recordsFromHex,
  recordsToHex,
  writeRecord,
} from './writeRecord.js';

const invalid = expect.objectContaining({ code: 'record_invalid' });
const text = (value: string) => utf8ToBytes(value);

describe('known records', () => {
  test('have types and names once, in order', () => {
    const types = knownRecords.map(({ type }) => type);
    expect(types).toEqual([...new Set(types)].sort((a, b) => (a < b ? -1 : 1)));
    expect(new Set(knownRecords.map(({ name }) => name)).size).toBe(knownRecords.length);
    for (const { type, name } of knownRecords) {
      expect(recordName(type)).toBe(name);
      expect(recordType(name)).toBe(type);
    }
  });

  test('are those of the registry', () => {
    expect(recordName(7629169n)).toBe('boostagram');
    expect(recordName(5482373484n)).toBe('keysend_preimage');
    expect(recordName(133773310n)).toBe('sphinx_chat');
    expect(recordName(7629170n)).toBeUndefined();
    expect(recordName(senderProofType)).toBe('sender_proof');
    expect(recordName(receiptRecordType)).toBe('receipt');
    expect(knownRecord(696969n)?.account).toBe(true);
  });
});

describe('reading a record', () => {
  test('gives text, JSON, keys and times', () => {
    const key = secp256k1.publicKey(new Uint8Array(32).fill(7));
    expect(readRecord(34349334n, text('Grüße 👋')).value).toEqual({ kind: 'text', text: 'Grüße 👋' });
    expect(readRecord(7629169n, text('{"ts":1}')).value).toEqual({ kind: 'json', json: { ts: 1 } });
    expect(readRecord(34349339n, key).value).toEqual({ kind: 'public_key', nodeId: bytesToHex(key) });
    expect(readRecord(34349343n, hexToBytes('16c2d2d8e4a0b000')).value).toEqual({
      kind: 'time',
      atNs: 0x16c2d2d8e4a0b000n,
    });
  });

  test('keeps the bytes of what it does not understand, and says why', () => {
    const cases: readonly [bigint, Uint8Array, string][] = [
      [34349334n, Uint8Array.of(0x48, 0xff, 0x69), 'utf8_invalid'],
      [7629169n, text('{"ts":'), 'json_invalid'],
      [7629169n, Uint8Array.of(0xff), 'utf8_invalid'],
      [7629169n, text('['.repeat(100_00)), 'json_too_deep'],
      [34349339n, new Uint8Array(32), 'length_invalid'],
      [34349339n, new Uint8Array(33), 'key_invalid'],
      [34349343n, new Uint8Array(7), 'length_invalid'],
      [34349337n, new Uint8Array(20), 'length_invalid'],
      [5482373484n, new Uint8Array(31), 'length_invalid'],
      [34349334n, new Uint8Array(maxRecordBytes + 1), 'too_large'],
      [133773310n, text('{"a":"}"'), 'json_invalid'],
      [133773310n, text(''), 'json_invalid'],
    ];
    for (const [type, bytes, problem] of cases) {
      expect(readRecord(type, bytes)).toMatchObject({ bytes, problem, value: { kind: 'bytes' } });
    }
  });

  test('parts what Sphinx signs from its signature, also where text has braces', () => {
    const signature = Uint8Array.of(0x7d, 0xff, 0x00);
    const bytes = Uint8Array.of(...text('{"text":"a } \\" {","n":{"x":1}}'), ...signature);
    expect(readRecord(133773310n, bytes).value).toEqual({
      kind: 'signed_json',
      json: { text: 'a } " {', n: { x: 1 } },
      signature,
    });
  });

  test('lists unknown types as bytes, in order, as JSON as well', () => {
    const records = new Map([
      [7629169n, text('{"podcast":"P"}')],
      [70001n, Uint8Array.of(0xde, 0xad)],
      [34349334n, Uint8Array.of(0xc3)],
    ]);
    expect(readRecords(records).map(recordToJson)).toEqual([
      { type: '70001', hex: 'dead' },
      {
        type: '7629169',
        name: 'boostagram',
        meaning: 'boostagram',
        json: { podcast: 'P' },
        hex: bytesToHex(text('{"podcast":"P"}')),
      },
      { type: '34349334', name: 'message', meaning: 'message', hex: 'c3', problem: 'utf8_invalid' },
    ]);
  });

  test('never throws, and never loses a byte', () => {
    const types = fc.oneof(
      fc.constantFrom(...knownRecords.map(({ type }) => type)),
      fc.bigInt(0n, (1n << 64n) - 1n),
    );
    const values = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.json().map(text),
      fc.string({ unit: 'binary' }).map(text),
    );
    fc.assert(
      fc.property(types, values, (type, bytes) => {
        const read = readRecord(type, bytes);
        expect(read.bytes).toEqual(bytes);
        const { hex } = JSON.parse(JSON.stringify(recordToJson(read))) as { hex: string };
        expect(hexToBytes(hex)).toEqual(bytes);
      }),
    );
  });

  test('leaves __proto__ out of JSON at every depth', () => {
    const read = parseJson('{"__proto__":{"admin":true},"a":[{"__proto__":1,"b":2}],"constructor":3}');
    const json = (read as { json: Record<string, unknown> }).json;
    expect(Object.keys(json)).toEqual(['a', 'constructor']);
    expect(JSON.stringify(json)).toBe('{"a":[{"b":2}],"constructor":3}');
    expect((Object.assign({}, json) as { admin?: boolean }).admin).toBeUndefined();
  });
});

describe('writing a record', () => {
  test('takes what the type promises', () => {
    expect(writeRecord('message', 'hi')).toEqual(text('hi'));
    expect(writeRecord('boostagram', { podcast: 'P', ts: 3 })).toEqual(text('{"podcast":"P","ts":3}'));
    expect(writeRecord('sent_at', 1n)).toEqual(hexToBytes('0000000000000001'));
    expect(writeRecord(70001n, Uint8Array.of(1, 2))).toEqual(Uint8Array.of(1, 2));
    expect(writeRecord(70001n, 'text')).toEqual(text('text'));
    const key = bytesToHex(secp256k1.publicKey(new Uint8Array(32).fill(7)));
    expect(writeRecord('sender_key', key)).toEqual(hexToBytes(key));
  });

  test('refuses the preimage, types of the protocol, and what is not to be written', () => {
    expect(() => writeRecord(5482373484n, new Uint8Array(32))).toThrow(invalid);
    expect(() => writeRecord('keysend_preimage', new Uint8Array(32))).toThrow(invalid);
    expect(() => writeRecord(65535n, 'x')).toThrow(invalid);
    expect(() => writeRecord(-1n, 'x')).toThrow(invalid);
    expect(() => writeRecord(1n << 64n, 'x')).toThrow(invalid);
    expect(() => writeRecord(7629168n, 'x')).toThrow(invalid);
    expect(() => writeRecord('sphinx_chat', { text: 'x' })).toThrow(invalid);
    expect(() => checkRecords(new Map([[2n, Uint8Array.of(1)]]))).toThrow(invalid);
  });

  test('refuses values that a reader would not understand', () => {
    expect(() => writeRecord('message', '\ud800')).toThrow(invalid);
    expect(() => writeRecord('message', Uint8Array.of(0xff))).toThrow(invalid);
    expect(() => writeRecord('message', 7n)).toThrow(invalid);
    expect(() => writeRecord('boostagram', '{')).toThrow(invalid);
    expect(() => writeRecord('boostagram', { a: Number.NaN })).toThrow(invalid);
    expect(() => writeRecord('sender_key', '02')).toThrow(invalid);
    expect(() => writeRecord('sent_at', -1n)).toThrow(invalid);
    expect(() => writeRecord('message', 'x'.repeat(maxRecordBytes + 1))).toThrow(invalid);
  });
});

describe('the record of an account', () => {
  test('is what the custom key and value say', () => {
    expect(accountRecord('818818', 'brianoflondon')).toEqual([818818n, text('brianoflondon')]);
    expect(accountRecords({ customKey: '', customValue: '' }).size).toBe(0);
    expect(accountRecords({}).size).toBe(0);
    expect(accountRecords({ customKey: ' 696969 ', customValue: 'wal_1' })).toEqual(
      new Map([[696969n, text('wal_1')]]),
    );
  });

  test('is refused where a payment would reach nobody: half a pair, or a key that is no type', () => {
    for (const key of ['', '0', '-1', '1.5', '0x10', '1e6', '65535', '18446744073709551616', 'abc', '007']) {
      expect(() => accountRecords({ customKey: key, customValue: 'v' }), key).toThrow(invalid);
    }
    expect(() => accountRecords({ customKey: '696969' })).toThrow(invalid);
    expect(() => accountRecord('5482373484', 'v')).toThrow(invalid);
    expect(() => accountRecord('7629169', 'v')).toThrow(invalid);
    expect(() => accountRecord('696969', 'v'.repeat(513))).toThrow(invalid);
    expect(accountRecord('18446744073709551615', 'v')[0]).toBe((1n << 64n) - 1n);
  });
});

test('records go into JSON as hex and come back', () => {
  const records = new Map([
    [7629169n, Uint8Array.of(1)],
    [70001n, new Uint8Array()],
  ]);
  expect(recordsToHex(records)).toEqual({ '70001': '', '7629169': '01' });
  expect(recordsFromHex(recordsToHex(records))).toEqual(records);
  expect(() => recordsFromHex({ x: '00' })).toThrow(invalid);
  expect(() => recordsFromHex({ '70001': '0' })).toThrow(invalid);
});
