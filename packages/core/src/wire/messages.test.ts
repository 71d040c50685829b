import { describe, expect, expectTypeOf, test } from 'vitest';
import { bytesToHex, concatBytes, hexToBytes, RivuletError } from '../bytes/index.js';
import { WireError } from './message.js';
import { printableData } from './messages/errorAndWarning.js';
import type { Init } from './messages/init.js';
import type { OpenChannel } from './messages/openChannel.js';
import type { UpdateAddHtlc } from './messages/updateAddHtlc.js';
import { decodeMessage, encodeMessage, type Message, messageDefinitions } from './messages.js';

function errorOf(run: () => unknown): { code: string; field?: string | undefined; cause?: unknown } {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const htlc: UpdateAddHtlc = {
  type: 'update_add_htlc',
  channelId: new Uint8Array(32).fill(1),
  id: 7n,
  amountMsat: 1_000_000n,
  paymentHash: new Uint8Array(32).fill(2),
  cltvExpiry: 800_000,
  onionRoutingPacket: new Uint8Array(1366).fill(3),
};

describe('the registry', () => {
  test('numbers and names are unique', () => {
    const numbers = messageDefinitions.map((definition) => definition.number);
    const names = messageDefinitions.map((definition) => definition.type);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(new Set(names).size).toBe(names.length);
  });

  test('the types follow from the declarations', () => {
    expectTypeOf<OpenChannel['fundingSat']>().toEqualTypeOf<bigint>();
    expectTypeOf<OpenChannel['feeratePerKw']>().toEqualTypeOf<number>();
    expectTypeOf<OpenChannel['channelType']>().toEqualTypeOf<Uint8Array | undefined>();
    expectTypeOf<Init['networks']>().toEqualTypeOf<readonly Uint8Array[] | undefined>();
    expectTypeOf<Extract<Message, { type: 'ping' }>['numPongBytes']>().toEqualTypeOf<number>();
    // @ts-expect-error a field of another message
    expectTypeOf<OpenChannel['minimumDepth']>().toBeNever();
  });
});

describe('encodeMessage', () => {
  test('writes the type number and the fields in their order', () => {
    expect(bytesToHex(encodeMessage({ type: 'ping', numPongBytes: 3, ignored: hexToBytes('0000') }))).toBe(
      '0012000300020000',
    );
    expect(bytesToHex(encodeMessage(htlc))).toBe(
      `0080${'01'.repeat(32)}000000000000000700000000000f4240${'02'.repeat(32)}000c3500${'03'.repeat(1366)}`,
    );
  });

  test('writes records sorted, the unknown among the known', () => {
    const unknownTlvs = [{ type: 1n, value: hexToBytes('ff') }];
    const pathKey = hexToBytes(`02${'aa'.repeat(32)}`);
    const encoded = encodeMessage({ ...htlc, unknownTlvs, pathKey });
    expect(bytesToHex(encoded.subarray(1452))).toBe(`002102${'aa'.repeat(32)}0101ff`);
    expect(decodeMessage(encoded)).toEqual({ ...htlc, unknownTlvs, pathKey });
  });

  test.each([
    ['amountMsat', { amountMsat: 2n ** 64n }],
    ['amountMsat', { amountMsat: -1n }],
    ['cltvExpiry', { cltvExpiry: 2 ** 32 }],
    ['cltvExpiry', { cltvExpiry: 1.5 }],
    ['channelId', { channelId: new Uint8Array(31) }],
    ['onionRoutingPacket', { onionRoutingPacket: new Uint8Array(1365) }],
  ])('never wraps or cuts %s', (field, wrong) => {
    expect(errorOf(() => encodeMessage({ ...htlc, ...wrong }))).toMatchObject({
      code: 'message_field_invalid',
      field,
    });
  });

  test.each([
    [0n, 'tlv_order'],
    [2n, 'tlv_unknown_even'],
  ])('refuses to send an unknown record of type %s', (type, code) => {
    const error = errorOf(() => encodeMessage({ ...htlc, unknownTlvs: [{ type, value: new Uint8Array() }] }));
    expect(error).toMatchObject({ code: 'message_extension_invalid', cause: { code } });
  });

  test('refuses a message of more than 65535 bytes', () => {
    const most = { type: 'peer_storage', blob: new Uint8Array(65531) } as const;
    expect(encodeMessage(most).length).toBe(65535);
    expect(errorOf(() => encodeMessage({ ...most, blob: new Uint8Array(65532) })).code).toBe(
      'message_too_long',
    );
  });
});

describe('decodeMessage', () => {
  test('an unknown number is given back with its payload', () => {
    const bytes = hexToBytes('8001aabb');
    expect(decodeMessage(bytes)).toEqual({
      type: 'unknown',
      typeNumber: 0x8001,
      payload: hexToBytes('aabb'),
    });
    expect(encodeMessage(decodeMessage(bytes))).toEqual(bytes);
  });

  test('the result shares no memory with the input', () => {
    const bytes = encodeMessage(htlc);
    const decoded = decodeMessage(bytes);
    bytes.fill(0xff);
    expect(decoded).toEqual(htlc);
  });

  test('threat 9: a length beyond the end is refused', () => {
    expect(errorOf(() => decodeMessage(hexToBytes('00120000ffff')))).toMatchObject({
      code: 'message_truncated',
      field: 'ignored',
    });
    const commitment = hexToBytes(`0084${'00'.repeat(32 + 64)}ffff`);
    expect(errorOf(() => decodeMessage(commitment))).toMatchObject({ code: 'message_truncated' });
  });

  test('a point with another prefix than 02 or 03 is refused', () => {
    const bytes = hexToBytes(`0024${'00'.repeat(32)}04${'11'.repeat(32)}`);
    expect(errorOf(() => decodeMessage(bytes))).toMatchObject({
      code: 'message_field_invalid',
      field: 'secondPerCommitmentPoint',
    });
  });

  test('an unknown odd record after the fields is kept, an even one is refused', () => {
    const fields = hexToBytes(`0086${'00'.repeat(32)}000000fd`);
    expect(decodeMessage(concatBytes(fields, hexToBytes('0101aa')))).toMatchObject({
      type: 'update_fee',
      unknownTlvs: [{ type: 1n, value: hexToBytes('aa') }],
    });
    expect(errorOf(() => decodeMessage(concatBytes(fields, hexToBytes('0201aa'))))).toMatchObject({
      code: 'message_extension_invalid',
      cause: { code: 'tlv_unknown_even', tlvType: 2n },
    });
  });

  test('a known record of the wrong length is refused', () => {
    const fields = hexToBytes(`0024${'00'.repeat(32)}02${'11'.repeat(32)}`);
    for (const record of [`0107${'00'.repeat(7)}`, `0109${'00'.repeat(9)}`]) {
      expect(errorOf(() => decodeMessage(concatBytes(fields, hexToBytes(record))))).toMatchObject({
        code: 'message_extension_invalid',
        cause: { code: 'tlv_value_invalid', tlvType: 1n },
      });
    }
  });

  test('every error is a typed one', () => {
    for (const bytes of [new Uint8Array(), new Uint8Array(1), new Uint8Array(65536)]) {
      expect(() => decodeMessage(bytes)).toThrow(RivuletError);
    }
  });
});

test('the data of an error is shown without anything that is not printable', () => {
  expect(printableData(hexToBytes('6261640a1b5b6d7ec3a97f'))).toBe('bad??[m~???');
});
