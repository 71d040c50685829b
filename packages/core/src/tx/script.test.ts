import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, concatBytes, hexToBytes } from '../bytes/index.js';
import {
  dustThresholdSat,
  isShutdownScript,
  OP,
  p2trScript,
  p2wpkhScript,
  p2wshScript,
  pushData,
  script,
  scriptNumber,
  scriptType,
} from './script.js';
import { TransactionError } from './transactionError.js';

const bytes = (length: number, fill = 7) => new Uint8Array(length).fill(fill);

const forms = {
  p2pkh: script(OP.DUP, OP.HASH160, bytes(20), OP.EQUALVERIFY, OP.CHECKSIG),
  p2sh: script(OP.HASH160, bytes(20), OP.EQUAL),
  p2wpkh: p2wpkhScript(bytes(20)),
  p2wsh: p2wshScript(bytes(40)),
  p2a: hexToBytes('51024e73'),
  p2tr: p2trScript(bytes(32)),
  version16: script(OP.SIXTEEN, bytes(40)),
  opReturn: script(OP.RETURN, bytes(6)),
};

describe('pushes', () => {
  test.each([
    [hexToBytes(''), '00'],
    [hexToBytes('01'), '51'],
    [hexToBytes('10'), '60'],
    [hexToBytes('11'), '0111'],
    [hexToBytes('00'), '0100'],
    [hexToBytes('81'), '4f'],
    [bytes(75), `4b${'07'.repeat(75)}`],
    [bytes(76), `4c4c${'07'.repeat(76)}`],
    [bytes(255), `4cff${'07'.repeat(255)}`],
    [bytes(256), `4d0001${'07'.repeat(256)}`],
  ])('are as short as they can be (%#)', (data, hex) => {
    expect(bytesToHex(pushData(data))).toBe(hex);
  });

  test('of more than 520 bytes are refused', () => {
    expect(() => pushData(bytes(521))).toThrow(TransactionError);
  });

  test.each([
    [0n, ''],
    [1n, '01'],
    [127n, '7f'],
    [128n, '8000'],
    [144n, '9000'],
    [255n, 'ff00'],
    [256n, '0001'],
    [500_000n, '20a107'],
    [-1n, '81'],
    [-128n, '8080'],
  ])('write the number %s as Script does', (value, hex) => {
    expect(bytesToHex(scriptNumber(value))).toBe(hex);
  });

  test('of numbers decode to the number', () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 39n), 2n ** 39n), (value) => {
        const encoded = [...scriptNumber(value)];
        const last = encoded.length - 1;
        const negative = last >= 0 && ((encoded[last] as number) & 0x80) !== 0;
        if (negative) encoded[last] = (encoded[last] as number) & 0x7f;
        const magnitude = encoded.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
        expect(negative ? -magnitude : magnitude).toBe(value);
      }),
    );
  });
});

describe('script types', () => {
  test.each([
    ['p2pkh', forms.p2pkh, 546n],
    ['p2sh', forms.p2sh, 540n],
    ['p2wpkh', forms.p2wpkh, 294n],
    ['p2wsh', forms.p2wsh, 330n],
    ['p2a', forms.p2a, 240n],
    ['segwit_unknown', forms.p2tr, 354n],
    ['segwit_unknown', forms.version16, 354n],
    ['op_return', forms.opReturn, 0n],
    ['nonstandard', hexToBytes('00150000'), 546n],
    ['nonstandard', hexToBytes(''), 546n],
  ])('%s is known, with its dust threshold', (type, code, dust) => {
    expect(scriptType(code)).toBe(type);
    expect(dustThresholdSat(code)).toBe(dust);
  });
});

describe('shutdown scripts', () => {
  const all = { anySegwit: true, simpleClose: true };
  const none = { anySegwit: false, simpleClose: false };

  test('of version 0 are always allowed, later versions and OP_RETURN only when negotiated', () => {
    const allowed = (options: typeof all) =>
      Object.entries(forms)
        .filter(([, code]) => isShutdownScript(code, options))
        .map(([name]) => name);
    expect(allowed(none)).toEqual(['p2wpkh', 'p2wsh']);
    expect(allowed({ ...none, anySegwit: true })).toEqual(['p2wpkh', 'p2wsh', 'p2a', 'p2tr', 'version16']);
    expect(allowed({ ...none, simpleClose: true })).toEqual(['p2wpkh', 'p2wsh', 'opReturn']);
  });

  test.each([
    [6, true],
    [75, true],
    [76, true],
    [80, true],
    [5, false],
    [81, false],
  ])('with an OP_RETURN of %i bytes: allowed is %s', (length, allowed) => {
    expect(isShutdownScript(script(OP.RETURN, bytes(length)), all)).toBe(allowed);
  });

  test.each([
    ['bytes after the push', concatBytes(forms.opReturn, Uint8Array.of(1))],
    ['a push that is cut off', forms.opReturn.slice(0, -1)],
    ['a long form for a short push', concatBytes(Uint8Array.of(OP.RETURN, OP.PUSHDATA1, 75), bytes(75))],
    ['nothing after OP_RETURN', Uint8Array.of(OP.RETURN)],
    ['a version 0 program of 21 bytes', script(OP.FALSE, bytes(21))],
    ['a program of 41 bytes', script(OP.ONE, bytes(41))],
    ['a program of 1 byte', Uint8Array.of(OP.ONE, 1, 7)],
    ['nothing', new Uint8Array(0)],
  ])('with %s are refused', (_, code) => {
    expect(isShutdownScript(code, all)).toBe(false);
  });
});
