import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatMsat, parseSats, parseSatsToMsat } from './amount.js';
import { formatNodeAddress, parseNodeAddress, parseNodeId } from './nodeAddress.js';
import { parseRecords } from './record.js';
import { formatTable, printable } from './text.js';

const id = `02${'ab'.repeat(32)}`;

describe('amounts', () => {
  test.each([
    ['1', 1_000n],
    ['1000', 1_000_000n],
    ['1,000', 1_000_000n],
    ['1_234_567', 1_234_567_000n],
    ['1.5', 1_500n],
    ['0.001', 1n],
    ['0010', 10_000n],
    ['2100000000000000', 2_100_000_000_000_000_000n],
  ])('%s satoshi are %s millisatoshi', (text, amountMsat) => {
    expect(parseSatsToMsat(text)).toBe(amountMsat);
  });

  test.each([
    ['0', /zero/],
    ['0.000', /zero/],
    ['-5', /negative/],
    ['1.2345', /three decimals/],
    ['0.0001', /three decimals/],
    ['2100000000000001', /more than all bitcoin/],
    ['99999999999999999999999999', /more than all bitcoin/],
    ['1,5', /no number of satoshi/],
    ['1e3', /no number/],
    ['0x10', /no number/],
    ['ten', /no number/],
    ['', /no number/],
    ['1.', /no number/],
    ['1 000', /no number/],
  ])('%j is refused with the reason', (text, reason) => {
    expect(() => parseSatsToMsat(text)).toThrow(reason);
  });

  test('on chain there are whole satoshi only', () => {
    expect(parseSats('20,000')).toBe(20_000n);
    expect(() => parseSats('20000.5', 'the capacity')).toThrow(/the capacity 20000.5 must be whole satoshi/);
  });

  test('what is printed can be typed', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 2_100_000_000_000_000_000n), (amountMsat) => {
        expect(parseSatsToMsat(formatMsat(amountMsat).replace(' sat', ''))).toBe(amountMsat);
      }),
    );
    expect(formatMsat(1_234_567_890n)).toBe('1,234,567.89 sat');
    expect(formatMsat(-1_500n)).toBe('-1.5 sat');
  });
});

describe('nodes', () => {
  test('an address has an id, a host and perhaps a port', () => {
    expect(parseNodeAddress(`${id}@localhost`)).toEqual({ nodeId: id, host: 'localhost', port: 9735 });
    expect(parseNodeAddress(`${id.toUpperCase()}@10.0.0.1:19846`)).toEqual({
      nodeId: id,
      host: '10.0.0.1',
      port: 19846,
    });
    const ipv6 = { nodeId: id, host: '::1', port: 9735 };
    expect(parseNodeAddress(`${id}@[::1]:9735`)).toEqual(ipv6);
    expect(parseNodeAddress(formatNodeAddress(ipv6))).toEqual(ipv6);
  });

  test.each([
    [id, /<host>:<port>/],
    [`${id}@`, /no address/],
    [`${id}@::1`, /brackets/],
    [`${id}@host:99999`, /no port/],
    [`${id}@host:0`, /no port/],
    ['02ab@host', /has 4/],
  ])('%j is no address', (text, reason) => {
    expect(() => parseNodeAddress(text)).toThrow(reason);
  });

  test.each([
    [id.slice(1), /has 65: was it cut off/],
    [`04${'ab'.repeat(32)}`, /starts with 02 or 03/],
    [`02${'zz'.repeat(32)}`, /no hex digit/],
    [`${id}@host`, /part before the @/],
  ])('%j is no id', (text, reason) => {
    expect(() => parseNodeId(text)).toThrow(reason);
  });
});

describe('records', () => {
  test('are types with values in hex', () => {
    expect(parseRecords(['7629169=7b7D', '65536='])).toEqual(
      new Map([
        [7629169n, Uint8Array.of(0x7b, 0x7d)],
        [65536n, new Uint8Array()],
      ]),
    );
  });

  test.each([
    [['5=00'], /belongs to the protocol/],
    [['5482373484=00'], /keysend preimage/],
    [['70000=0'], /no record/],
    [['70000'], /no record/],
    [['70000=00', '70000=01'], /twice/],
    [['99999999999999999999=00'], /64 bits/],
  ])('%j are refused', (texts, reason) => {
    expect(() => parseRecords(texts)).toThrow(reason);
  });
});

test('threat 28: what strangers wrote cannot command the terminal', () => {
  expect(printable('\u001b[2Jhi\r\n\u0007\u202egnp.exe\u009b')).toBe(
    '\ufffd[2Jhi\ufffd\ufffd\ufffd\ufffdgnp.exe\ufffd',
  );
  expect(printable('grüße 👋 日本')).toBe('grüße 👋 日本');
});

test('a table aligns its columns', () => {
  expect(
    formatTable(
      ['A', '>B'],
      [
        ['long', '1'],
        ['x', '200'],
      ],
    ),
  ).toBe('A       B\nlong    1\nx     200');
});
