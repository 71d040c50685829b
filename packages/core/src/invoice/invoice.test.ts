import { bech32 } from '@scure/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, hexToBytes, utf8ToBytes } from '../bytes/index.js';
import { secp256k1, sha256 } from '../crypto/index.js';
import { encodeFeatureBits } from '../wire/index.js';
import { createInvoice, type SignInvoice } from './createInvoice.js';
import { decodeInvoice, maxInvoiceLength } from './decodeInvoice.js';
import { checkPayable, type InvoiceFields, isExpired } from './invoice.js';
import { InvoiceError, type InvoiceErrorCode } from './invoiceError.js';
import { type FieldLetter, fieldTypes, joinFields, type TaggedField } from './taggedFields.js';
import { bitsToWords, bytesToWords, integerToWords, wordsToPaddedBytes } from './words.js';

const privateKey = new Uint8Array(32).fill(0x21);
const nodeId = secp256k1.publicKey(privateKey);
const sign: SignInvoice = (hash) => secp256k1.signRecoverable(hash, privateKey);
const bytes32 = (value: number) => new Uint8Array(32).fill(value);
const timestamp = 1_700_000_000;
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const ordinary: InvoiceFields = {
  currency: 'bcrt',
  amountMsat: 123_000n,
  timestamp,
  paymentHash: bytes32(1),
  paymentSecret: bytes32(2),
  description: { type: 'text', text: 'a cup of tea' },
  features: encodeFeatureBits([9, 15, 17]),
};

function codeOf(run: () => unknown): InvoiceErrorCode | 'none' {
  try {
    run();
    return 'none';
  } catch (error) {
    if (error instanceof InvoiceError) return error.code;
    throw error;
  }
}

const decodingOf = (text: string) => codeOf(() => decodeInvoice(text));

const field = (letter: FieldLetter, words: Uint8Array): TaggedField => ({ type: fieldTypes[letter], words });
const required = [
  field('p', bytesToWords(bytes32(1))),
  field('s', bytesToWords(bytes32(2))),
  field('d', bytesToWords(utf8ToBytes('tea'))),
];

/** An invoice with a valid checksum and any contents. */
function raw({
  prefix = 'lnbcrt',
  fields = required,
  tail = [],
  signer = sign,
}: {
  prefix?: string;
  fields?: readonly TaggedField[];
  tail?: readonly number[];
  signer?: SignInvoice;
} = {}): string {
  const words = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, ...joinFields(fields), ...tail);
  const hash = sha256(concatBytes(utf8ToBytes(prefix), wordsToPaddedBytes(words)));
  const { signature, recovery } = signer(hash);
  return bech32.encode(
    prefix,
    [...words, ...bytesToWords(concatBytes(signature, Uint8Array.of(recovery)))],
    false,
  );
}

const scalar = (value: bigint) => hexToBytes(value.toString(16).padStart(64, '0'));

function withHighS(signer: SignInvoice): SignInvoice {
  return (hash) => {
    const { signature, recovery } = signer(hash);
    const high = Uint8Array.from(signature);
    let s = 0n;
    for (const byte of signature.subarray(32)) s = s * 256n + BigInt(byte);
    high.set(scalar(order - s), 32);
    return { signature: high, recovery: recovery ^ 1 };
  };
}

const hash32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const keys = fc.bigInt({ min: 1n, max: 50n }).map((key) => secp256k1.publicKey(scalar(key)));
const hop = fc.record({
  nodeId: keys,
  shortChannelId: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  feeBaseMsat: fc.nat(0xffff_ffff),
  feeProportionalMillionths: fc.nat(0xffff_ffff),
  cltvExpiryDelta: fc.nat(0xffff),
});
const anyFallback = fc.oneof(
  fc.record({
    version: fc.constantFrom(0, 17, 18),
    program: fc.uint8Array({ minLength: 20, maxLength: 20 }),
  }),
  fc.record({
    version: fc.integer({ min: 1, max: 16 }),
    program: fc.uint8Array({ minLength: 2, maxLength: 40 }),
  }),
);
const anyFields = fc.record(
  {
    currency: fc.constantFrom('bc', 'tb', 'tbs', 'bcrt'),
    amountMsat: fc.bigInt({ min: 1n, max: 2_100_000_000_000_000_000n }),
    timestamp: fc.nat(0xffff_ffff),
    paymentHash: hash32,
    paymentSecret: hash32,
    description: fc.oneof(
      fc.record({ type: fc.constant('text' as const), text: fc.string({ unit: 'grapheme', maxLength: 40 }) }),
      fc.record({ type: fc.constant('hash' as const), hash: hash32 }),
    ),
    expirySeconds: fc.integer({ min: 1, max: 0xffff_ffff }),
    minFinalCltvDelta: fc.integer({ min: 1, max: 0xffff_ffff }),
    fallbacks: fc.array(anyFallback, { maxLength: 3 }),
    hints: fc.array(fc.array(hop, { minLength: 1, maxLength: 12 }), { maxLength: 3 }),
    features: fc
      .array(fc.nat(1000), { maxLength: 4 })
      // No bits that depend on others.
      .map((bits) => encodeFeatureBits(bits.filter((bit) => bit > 70))),
    metadata: fc.uint8Array({ maxLength: 639 }),
    nodeId: fc.constant(nodeId),
  },
  { requiredKeys: ['currency', 'timestamp', 'paymentHash', 'paymentSecret', 'description'] },
);

test('what is written is read again, also in upper case and behind a scheme', () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      const text = createInvoice(fields, sign);
      const invoice = decodeInvoice(text);
      const { signature, ...read } = invoice;
      expect(read).toEqual({
        expirySeconds: 3600,
        minFinalCltvDelta: 18,
        fallbacks: [],
        hints: [],
        features: new Uint8Array(0),
        ...fields,
        nodeId,
        fieldsOfWrongLength: [],
        unknownFields: [],
      });
      expect(signature.length).toBe(64);
      expect(decodeInvoice(text.toUpperCase())).toEqual(invoice);
      expect(decodeInvoice(`LIGHTNING:${text.toUpperCase()}`)).toEqual(invoice);
      expect(decodeInvoice(`lightning:${text}`)).toEqual(invoice);
    }),
    { numRuns: 100 },
  );
});

test.each([
  [1n, '10p'],
  [10n, '100p'],
  [100n, '1n'],
  [123_000n, '1230n'],
  [100_000n, '1u'],
  [100_000_000n, '1m'],
  [100_000_000_000n, '1'],
  [2_100_000_000_000_000_000n, '21000000'],
  [100_000_000_001n, '1000000000010p'],
])('%d msat are written as %s and read again', (amountMsat, amount) => {
  const text = createInvoice({ ...ordinary, amountMsat }, sign);
  expect(text.slice(0, text.lastIndexOf('1'))).toBe(`lnbcrt${amount}`);
  expect(decodeInvoice(text).amountMsat).toBe(amountMsat);
});

test('amounts are exact in multipliers that are not the largest', () => {
  const amountOf = (amount: string) => decodeInvoice(raw({ prefix: `lnbc${amount}` })).amountMsat;
  expect(amountOf('1000m')).toBe(100_000_000_000n);
  expect(amountOf('2500000n')).toBe(250_000_000n);
  expect(amountOf('20p')).toBe(2n);
  expect(amountOf('')).toBeUndefined();
});

test.each([
  '0',
  '0m',
  '5p',
  '15p',
  '1x',
  '1mm',
  '1.5m',
  '-1m',
  '21000001',
  '1'.repeat(21),
  '9'.repeat(15_000),
])('threat 23: the amount %s is refused', (amount) =>
  expect(decodingOf(raw({ prefix: `lnbc${amount}` }))).toBe('amount_invalid'),
);

test.each(['ln', 'lnx', 'lnbcx', 'lntbx1m', 'bc', 'lnb', 'x', 'ln1', 'lightning'])(
  'threat 23: the prefix %s is refused',
  (prefix) => expect(decodingOf(raw({ prefix }))).toBe('prefix_unknown'),
);

describe('threat 23: refused with a typed error:', () => {
  const text = createInvoice(ordinary, sign);
  const separator = text.lastIndexOf('1');
  const cases: [string, InvoiceErrorCode, string][] = [
    ['nothing', 'not_bech32', ''],
    ['the scheme alone', 'not_bech32', 'lightning:'],
    ['a separator alone', 'not_bech32', '1'],
    ['a prefix alone', 'too_short', 'lnbc1'],
    ['a prefix that is not ASCII', 'not_bech32', `lnbç${text.slice(4)}`],
    [
      'a prefix with a sign that becomes ASCII in lower case',
      'not_bech32',
      `LNBC\u212a${text.slice(4).toUpperCase()}`,
    ],
    ['a prefix with half a surrogate pair', 'not_bech32', `ln\ud800${text.slice(3)}`],
    ['data that is not ASCII', 'not_bech32', `${text.slice(0, -8)}é${text.slice(-7)}`],
    ['a zero byte', 'not_bech32', `${text}\0`],
    ['a space behind it', 'not_bech32', `${text} `],
    ['mixed case', 'mixed_case', text.slice(0, separator).toUpperCase() + text.slice(separator)],
    ['a checksum that is wrong', 'checksum_invalid', text.slice(0, -1) + (text.endsWith('q') ? 'p' : 'q')],
    ['bech32m', 'checksum_invalid', `lnbcrt1${'q'.repeat(120)}`],
    ['a text above the limit', 'too_long', text + 'q'.repeat(maxInvoiceLength)],
    ['no timestamp', 'too_short', bech32.encode('lnbc', Array(110).fill(0), false)],
    ['no signature', 'too_short', bech32.encode('lnbc', [0, 0, 0, 0, 0, 0, 0], false)],
    ['half the head of a field', 'field_truncated', raw({ tail: [1, 1] })],
    ['a field longer than the rest', 'field_truncated', raw({ tail: [13, 31, 31, 0] })],
    ['no payment hash', 'field_missing', raw({ fields: required.slice(1) })],
    ['no description', 'field_missing', raw({ fields: required.slice(0, 2) })],
    [
      'an empty payment hash',
      'field_missing',
      raw({ fields: [field('p', new Uint8Array(0)), ...required.slice(1)] }),
    ],
    [
      'an empty hash of the description',
      'field_missing',
      raw({ fields: [...required.slice(0, 2), field('h', new Uint8Array(0))] }),
    ],
    [
      'two kinds of description',
      'field_invalid',
      raw({ fields: [...required, field('h', bytesToWords(bytes32(3)))] }),
    ],
    [
      'a description that is not UTF-8',
      'field_invalid',
      raw({ fields: [...required.slice(0, 2), field('d', bytesToWords(Uint8Array.of(0xff)))] }),
    ],
    [
      'padding that is not zero',
      'field_invalid',
      raw({
        fields: [
          field(
            'p',
            Uint8Array.from({ length: 52 }, () => 31),
          ),
          ...required.slice(1),
        ],
      }),
    ],
    [
      'a node key off the curve',
      'field_invalid',
      raw({ fields: [...required, field('n', bytesToWords(Uint8Array.of(2, ...new Uint8Array(32))))] }),
    ],
    [
      'a node key with a wrong first byte',
      'field_invalid',
      raw({ fields: [...required, field('n', bytesToWords(Uint8Array.of(5, ...nodeId.subarray(1))))] }),
    ],
    [
      'a node key of another',
      'signature_invalid',
      raw({ fields: [...required, field('n', bytesToWords(secp256k1.publicKey(bytes32(9))))] }),
    ],
    [
      'a hop off the curve',
      'field_invalid',
      raw({ fields: [...required, field('r', bytesToWords(new Uint8Array(51)))] }),
    ],
    [
      'half a hop',
      'field_invalid',
      raw({ fields: [...required, field('r', bytesToWords(new Uint8Array(50)))] }),
    ],
    [
      'an expiry with a leading zero',
      'field_invalid',
      raw({ fields: [...required, field('x', Uint8Array.of(0, 5))] }),
    ],
    [
      'an expiry without end',
      'field_invalid',
      raw({ fields: [...required, field('x', new Uint8Array(1023).fill(31))] }),
    ],
    [
      'an expiry in 60 bits',
      'field_invalid',
      raw({ fields: [...required, field('x', new Uint8Array(12).fill(31))] }),
    ],
    [
      'a CLTV delta with a leading zero',
      'field_invalid',
      raw({ fields: [...required, field('c', Uint8Array.of(0))] }),
    ],
    [
      'a CLTV delta above 32 bits',
      'field_invalid',
      raw({ fields: [...required, field('c', new Uint8Array(7).fill(31))] }),
    ],
    [
      'features with a leading zero',
      'field_invalid',
      raw({ fields: [...required, field('9', Uint8Array.of(0, 1))] }),
    ],
    ['a recovery id of 4', 'signature_invalid', raw({ signer: (hash) => ({ ...sign(hash), recovery: 4 }) })],
    [
      'a recovery id of 255',
      'signature_invalid',
      raw({ signer: (hash) => ({ ...sign(hash), recovery: 255 }) }),
    ],
    [
      'a recovery id that no point has',
      'signature_invalid',
      raw({ signer: (hash) => ({ ...sign(hash), recovery: 2 }) }),
    ],
    [
      'a signature of zeros',
      'signature_invalid',
      raw({ signer: () => ({ signature: new Uint8Array(64), recovery: 0 }) }),
    ],
    [
      'a signature past the order',
      'signature_invalid',
      raw({ signer: () => ({ signature: new Uint8Array(64).fill(0xff), recovery: 0 }) }),
    ],
    [
      'a recovery id of 4 beside a node key',
      'signature_invalid',
      raw({
        fields: [...required, field('n', bytesToWords(nodeId))],
        signer: (hash) => ({ ...sign(hash), recovery: 4 }),
      }),
    ],
    [
      'a high S beside a node key',
      'signature_invalid',
      raw({ fields: [...required, field('n', bytesToWords(nodeId))], signer: withHighS(sign) }),
    ],
  ];
  test.each(cases)('%s', (_, code, invoice) => expect(decodingOf(invoice)).toBe(code));
});

test('without a node key, a high S is recovered from', () => {
  expect(decodeInvoice(raw({ signer: withHighS(sign) })).nodeId).toEqual(nodeId);
});

test('an altered amount gives another node, or none: the signature covers it', () => {
  const altered = (amount: string) => {
    const { words } = bech32.decode(createInvoice(ordinary, sign) as `${string}1${string}`, false);
    return bech32.encode(`lnbcrt${amount}`, words, false);
  };
  expect(decodeInvoice(altered('1230n')).nodeId).toEqual(nodeId);
  try {
    expect(decodeInvoice(altered('1231n')).nodeId).not.toEqual(nodeId);
  } catch (error) {
    expect(error).toMatchObject({ code: 'signature_invalid' });
  }
});

describe('fields that are empty, double, or unknown', () => {
  const empty = new Uint8Array(0);

  test('threat 23: an empty number is zero, an empty hint or fallback is none', () => {
    const letters = ['x', 'c', '9', 'r', 'f', 'm'] as const;
    const invoice = decodeInvoice(
      raw({ fields: [...required, ...letters.map((letter) => field(letter, empty))] }),
    );
    expect(invoice).toMatchObject({
      expirySeconds: 0,
      minFinalCltvDelta: 0,
      features: empty,
      hints: [],
      fallbacks: [],
      metadata: empty,
    });
  });

  test('an empty description is one', () => {
    const invoice = decodeInvoice(raw({ fields: [...required.slice(0, 2), field('d', empty)] }));
    expect(invoice.description).toEqual({ type: 'text', text: '' });
  });

  test('of several payment hashes or secrets the first counts', () => {
    const more = [field('p', bytesToWords(bytes32(7))), field('s', bytesToWords(bytes32(8)))];
    expect(decodeInvoice(raw({ fields: [...required, ...more] }))).toMatchObject({
      paymentHash: bytes32(1),
      paymentSecret: bytes32(2),
    });
  });

  test('unknown ones are skipped, and kept on request', () => {
    const unknown = { type: 31, words: Uint8Array.of(1, 2, 3) };
    const version19 = field('f', Uint8Array.of(19, 0, 0));
    const shortHash = field('f', Uint8Array.of(17, ...bytesToWords(new Uint8Array(19))));
    const text = raw({ fields: [unknown, ...required, version19, shortHash] });
    expect(decodeInvoice(text)).toMatchObject({ fallbacks: [], unknownFields: [] });
    expect(decodeInvoice(text, { keepUnknownFields: true }).unknownFields).toEqual([
      unknown,
      version19,
      shortHash,
    ]);
  });
});

describe('paying', () => {
  const invoiceOf = (fields: readonly TaggedField[]) => decodeInvoice(raw({ fields }));
  const check = (fields: readonly TaggedField[], changes: { nowSeconds?: number; currency?: 'bc' } = {}) => {
    const invoice = invoiceOf(fields);
    return codeOf(() =>
      checkPayable(invoice, { currency: 'bcrt', nowSeconds: invoice.timestamp, ...changes }),
    );
  };
  const features = (...bits: number[]) => field('9', bitsToWords(encodeFeatureBits(bits)));

  test('is allowed where all is as it should be', () => {
    expect(check(required)).toBe('none');
    expect(check([...required, features(8, 14, 16, 48, 99, 31)])).toBe('none');
  });

  test('is refused on another network', () =>
    expect(check(required, { currency: 'bc' })).toBe('currency_wrong'));

  test('is refused without a payment secret', () => {
    expect(check([...required.slice(0, 1), ...required.slice(2)])).toBe('payment_secret_missing');
  });

  test.each(['p', 'h', 's', 'n'] as const)('is refused where a field %s has a wrong length', (letter) => {
    for (const length of [0, 51, 54]) {
      expect(check([...required, field(letter, new Uint8Array(length))])).toBe('field_length_wrong');
    }
  });

  test.each([0, 2, 24, 28, 30, 36, 54, 100, 1000])('is refused where bit %d is required', (bit) => {
    expect(check([...required, features(8, 14, bit)])).toBe('feature_unknown');
    expect(check([...required, features(8, 14, bit + 1)])).toBe('none');
  });

  test('is refused where a feature lacks one that it needs', () => {
    expect(check([...required, features(8, 14, 51)])).toBe('feature_dependency_missing');
  });

  test('is refused once the time is over', () => {
    const expiry = field('x', integerToWords(60));
    const { timestamp: made } = invoiceOf(required);
    expect(check([...required, expiry], { nowSeconds: made + 60 })).toBe('none');
    expect(check([...required, expiry], { nowSeconds: made + 61 })).toBe('expired');
    expect(check(required, { nowSeconds: made + 3600 })).toBe('none');
    expect(check(required, { nowSeconds: made + 3601 })).toBe('expired');
    expect(isExpired({ timestamp: 10, expirySeconds: 5 }, 16)).toBe(true);
  });
});

describe('writing is refused', () => {
  const hopOf = (changes: object) => ({
    nodeId,
    shortChannelId: 1n,
    feeBaseMsat: 0,
    feeProportionalMillionths: 0,
    cltvExpiryDelta: 0,
    ...changes,
  });
  const cases: [string, InvoiceErrorCode, Partial<InvoiceFields>][] = [
    ['of no amount', 'amount_invalid', { amountMsat: 0n }],
    ['of a negative amount', 'amount_invalid', { amountMsat: -1n }],
    ['of more than there is', 'amount_invalid', { amountMsat: 2_100_000_000_000_000_001n }],
    ['with a short hash', 'field_invalid', { paymentHash: new Uint8Array(31) }],
    ['with a short secret', 'field_invalid', { paymentSecret: new Uint8Array(31) }],
    ['with a long description', 'field_invalid', { description: { type: 'text', text: 'x'.repeat(640) } }],
    [
      'with a short hash of one',
      'field_invalid',
      { description: { type: 'hash', hash: new Uint8Array(20) } },
    ],
    ['with no time to pay', 'field_invalid', { expirySeconds: 0 }],
    ['with half a second', 'field_invalid', { expirySeconds: 0.5 }],
    ['with a huge CLTV delta', 'field_invalid', { minFinalCltvDelta: 2 ** 32 }],
    ['of a time before 1970', 'field_invalid', { timestamp: -1 }],
    ['of the far future', 'field_invalid', { timestamp: 2 ** 35 }],
    [
      'with an unknown fallback',
      'field_invalid',
      { fallbacks: [{ version: 19, program: new Uint8Array(20) }] },
    ],
    ['with a node id off the curve', 'field_invalid', { nodeId: new Uint8Array(33) }],
    ['with an empty hint', 'field_invalid', { hints: [[]] }],
    ['with 13 hops', 'field_invalid', { hints: [Array(13).fill(hopOf({}))] }],
    ['with a hop off the curve', 'field_invalid', { hints: [[hopOf({ nodeId: new Uint8Array(33) })]] }],
    ['with a huge fee', 'field_invalid', { hints: [[hopOf({ feeBaseMsat: 2 ** 32 })]] }],
    ['with a negative channel id', 'field_invalid', { hints: [[hopOf({ shortChannelId: -1n })]] }],
    ['with features that lack others', 'field_invalid', { features: encodeFeatureBits([51]) }],
    ['with too many hints', 'too_long', { hints: Array(17).fill(Array(12).fill(hopOf({}))) }],
    ['with long metadata', 'field_invalid', { metadata: new Uint8Array(640) }],
  ];
  test.each(cases)('%s', (_, code, changes) => {
    expect(codeOf(() => createInvoice({ ...ordinary, ...changes }, sign))).toBe(code);
  });
});

test('threat 23: whatever the text is, the answer is an invoice or a typed error', () => {
  const words = fc.array(fc.nat(31), { maxLength: 300 });
  const hostileFields = fc.array(
    fc.record({
      type: fc.oneof(fc.constantFrom(...Object.values(fieldTypes)), fc.nat(31)),
      words: fc.oneof(
        fc.array(fc.nat(31), { maxLength: 90 }).map((list) => Uint8Array.from(list)),
        fc.constantFrom(0, 51, 52, 53, 54, 82).map((length) => new Uint8Array(length).fill(1)),
      ),
    }),
    { maxLength: 12 },
  );
  const prefix = fc.oneof(
    fc.constantFrom('lnbc', 'lntb', 'lntbs1u', 'lnbcrt20m', 'lnbc1p'),
    fc
      .string({ minLength: 1, maxLength: 12 })
      .map((text) => text.toLowerCase().replace(/[^!-~]/g, 'x') || 'x'),
  );
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ maxLength: 300 }).map((text) => `lnbc1${text}`),
    fc.tuple(prefix, words).map(([hrp, data]) => bech32.encode(hrp, data, false)),
    fc
      .tuple(prefix, hostileFields, words)
      .map(([hrp, fields, tail]) =>
        raw({ prefix: hrp, fields: [...required, ...fields], tail: tail.slice(0, 4) }),
      ),
    fc
      .tuple(hostileFields, fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.nat(255))
      .map(([fields, signature, recovery]) =>
        raw({ fields: [...required, ...fields], signer: () => ({ signature, recovery }) }),
      ),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      try {
        const invoice = decodeInvoice(text, { keepUnknownFields: true });
        expect(invoice.nodeId.length).toBe(33);
        codeOf(() => checkPayable(invoice, { currency: invoice.currency, nowSeconds: invoice.timestamp }));
      } catch (error) {
        expect(error).toBeInstanceOf(InvoiceError);
      }
    }),
    { numRuns: 1000 },
  );
});
