import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, concatBytes, RivuletError } from '../bytes/index.js';
import {
  ArrayCodec,
  bigSize,
  bytesWithLength,
  type Codec,
  type Fields,
  FixedBytesCodec,
  FramedCodec,
  point,
  restBytes,
  StructCodec,
  UintCodec,
  u64,
} from './codec.js';
import { negotiateFeatures } from './features.js';
import { gossipSignedBytes } from './gossipSignedBytes.js';
import { type Extension, WireError } from './message.js';
import { EncodedArrayCodec } from './messages/encodedArray.js';
import { decodeMessage, encodeMessage, type Message, messageDefinitions } from './messages.js';
import { type NodeAddress, nodeAddress, nodeAddresses } from './nodeAddress.js';
import { encodeTlvStream } from './tlv.js';
import type { TlvFields } from './tlvFields.js';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyU64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const port = fc.nat(0xffff);

const anyAddress: fc.Arbitrary<NodeAddress> = fc.oneof(
  fc.record({ type: fc.constant('ipv4' as const), address: bytesOf(4), port }),
  fc.record({ type: fc.constant('ipv6' as const), address: bytesOf(16), port }),
  fc.record({ type: fc.constant('torV2' as const), data: bytesOf(12) }),
  fc.record({ type: fc.constant('torV3' as const), address: bytesOf(35), port }),
  fc.record({ type: fc.constant('dns' as const), hostname: fc.domain(), port }),
);

const unknownAddress: fc.Arbitrary<NodeAddress> = fc.record({
  type: fc.constant('unknown' as const),
  descriptor: fc.oneof(fc.constant(0), fc.integer({ min: 6, max: 255 })),
  data: fc.uint8Array({ maxLength: 40 }),
});

/** The codecs that tell nothing of themselves, with their values. */
const leaves = new Map<unknown, fc.Arbitrary<unknown>>([
  [u64, anyU64],
  [bigSize, anyU64],
  [
    point,
    fc.tuple(fc.constantFrom(2, 3), bytesOf(32)).map(([prefix, x]) => concatBytes(Uint8Array.of(prefix), x)),
  ],
  [bytesWithLength, fc.uint8Array({ maxLength: 300 })],
  [restBytes, fc.uint8Array({ maxLength: 300 })],
  [nodeAddress, fc.oneof(anyAddress, unknownAddress)],
  [
    nodeAddresses,
    fc
      .tuple(fc.array(anyAddress, { maxLength: 4 }), fc.array(unknownAddress, { maxLength: 1 }))
      .map(([known, unknown]) => [...known, ...unknown]),
  ],
]);

/** Arbitrary valid values of a codec, from its declaration. */
function valuesOf(codec: Codec<unknown>): fc.Arbitrary<unknown> {
  if (codec instanceof UintCodec) return fc.nat(2 ** (8 * codec.size) - 1);
  if (codec instanceof FixedBytesCodec) return bytesOf(codec.length);
  if (codec instanceof FramedCodec) return valuesOf(codec.inner);
  if (codec instanceof ArrayCodec || codec instanceof EncodedArrayCodec) {
    return fc.array(valuesOf(codec.item), { maxLength: 12 });
  }
  if (codec instanceof StructCodec) return fc.record(fieldsOf(codec.fields));
  const leaf = leaves.get(codec);
  if (leaf === undefined) throw new Error('a codec without an arbitrary: add it to the leaves');
  return leaf;
}

function fieldsOf(fields: Fields): Record<string, fc.Arbitrary<unknown>> {
  return Object.fromEntries(Object.entries(fields).map(([name, codec]) => [name, valuesOf(codec)]));
}

function extensionOf(extension: Extension, tlvs: TlvFields): Record<string, fc.Arbitrary<unknown>> {
  if (extension === 'raw') return { extension: fc.uint8Array({ minLength: 1, maxLength: 40 }) };
  const known = new Set(Object.values(tlvs).map((field) => field.type));
  const unknownTlvs = fc
    .uniqueArray(
      fc.record({ type: anyU64.map((type) => type | 1n), value: fc.uint8Array({ maxLength: 40 }) }),
      { selector: (record) => record.type, minLength: 1, maxLength: 4 },
    )
    .map((records) =>
      records.filter((record) => !known.has(record.type)).sort((a, b) => (a.type < b.type ? -1 : 1)),
    )
    .filter((records) => records.length > 0);
  return { unknownTlvs };
}

/** Arbitrary valid messages of a definition, with any of its optional records. */
function messagesOf(definition: (typeof messageDefinitions)[number]): fc.Arbitrary<Message> {
  const required = fieldsOf(definition.fields);
  const optional = {
    ...Object.fromEntries(
      Object.entries(definition.tlvs).map(([name, field]) => [name, valuesOf(field.codec)] as const),
    ),
    ...extensionOf(definition.extension, definition.tlvs),
  };
  return fc
    .record(
      { type: fc.constant(definition.type), ...required, ...optional },
      { requiredKeys: ['type', ...(Object.keys(required) as never[])] },
    )
    .map((message) => message as unknown as Message);
}

/** The error that BOLT 1 asks for, or nothing; anything else is a defect. */
function wireErrorOf(bytes: Uint8Array): WireError | undefined {
  try {
    decodeMessage(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(WireError);
    return error as WireError;
  }
  return undefined;
}

const plain = (message: unknown) => ({ ...(message as object) });

describe.each(messageDefinitions.map((definition) => [definition.type, definition] as const))(
  '%s',
  (_, definition) => {
    test('every valid message round-trips', () => {
      fc.assert(
        fc.property(messagesOf(definition), (message) => {
          const encoded = encodeMessage(message);
          const decoded = decodeMessage(encoded);
          expect(decoded).toEqual(plain(message));
          expect(encodeMessage(decoded)).toEqual(encoded);
        }),
        { numRuns: 60 },
      );
    });

    test('a message that is cut anywhere is valid or a typed error', () => {
      fc.assert(
        fc.property(messagesOf(definition), fc.double({ min: 0, max: 1, noNaN: true }), (message, part) => {
          const encoded = encodeMessage(message);
          wireErrorOf(encoded.subarray(0, Math.floor(part * encoded.length)));
        }),
        { numRuns: 60 },
      );
    });

    test('a message without its last byte is a typed error', () => {
      const bare = messagesOf(definition).map((message) => {
        const names = ['type', ...Object.keys(definition.fields)];
        return Object.fromEntries(
          Object.entries(message).filter(([name]) => names.includes(name)),
        ) as Message;
      });
      fc.assert(
        fc.property(bare, (message) => {
          const encoded = encodeMessage(message);
          expect(wireErrorOf(encoded.subarray(0, -1))?.messageType).toBe(definition.type);
        }),
        { numRuns: 20 },
      );
    });

    test('any bytes behind the number give a value that encodes again, or a typed error', () => {
      const payload = fc.oneof(
        fc.uint8Array({ maxLength: 400 }),
        fc.uint8Array({ maxLength: 3000, size: 'max' }),
        // Zeros and small lengths reach further into a message than random bytes do.
        fc
          .array(fc.constantFrom(0, 0, 0, 1, 2, 3, 5, 33, 0xfd), { maxLength: 500 })
          .map((list) => Uint8Array.from(list)),
      );
      fc.assert(
        fc.property(payload, (bytes) => {
          const encoded = concatBytes(Uint8Array.of(definition.number >> 8, definition.number & 0xff), bytes);
          if (wireErrorOf(encoded) !== undefined) return;
          expect(bytesToHex(encodeMessage(decodeMessage(encoded)))).toBe(bytesToHex(encoded));
        }),
        { numRuns: 150 },
      );
    });

    test('one changed byte gives a value that encodes again, or a typed error', () => {
      fc.assert(
        fc.property(
          messagesOf(definition),
          fc.nat(),
          fc.integer({ min: 1, max: 255 }),
          (message, at, change) => {
            const encoded = encodeMessage(message);
            (encoded[at % encoded.length] as number) ^= change;
            if (wireErrorOf(encoded) !== undefined) return;
            expect(bytesToHex(encodeMessage(decodeMessage(encoded)))).toBe(bytesToHex(encoded));
          },
        ),
        { numRuns: 100 },
      );
    });
  },
);

const extensible = messageDefinitions.filter((definition) => definition.extension === 'tlv');

describe.each(extensible.map((definition) => [definition.type, definition] as const))(
  'records of %s',
  (_, definition) => {
    test('an unknown even record is refused, an odd one kept', () => {
      const known = new Set(Object.values(definition.tlvs as TlvFields).map((field) => field.type));
      const type = anyU64.filter((any) => !known.has(any));
      const bare = fc.record({ type: fc.constant(definition.type), ...fieldsOf(definition.fields) });
      fc.assert(
        fc.property(bare, type, fc.uint8Array({ maxLength: 20 }), (message, tlvType, value) => {
          const record = { type: tlvType, value };
          const encoded = concatBytes(
            encodeMessage(message as unknown as Message),
            encodeTlvStream([record]),
          );
          if (tlvType % 2n === 0n) expect(wireErrorOf(encoded)?.code).toBe('message_extension_invalid');
          else expect(decodeMessage(encoded)).toEqual({ ...message, unknownTlvs: [record] });
        }),
        { numRuns: 40 },
      );
    });
  },
);

describe('decodeMessage', () => {
  test('any bytes give a value or a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        wireErrorOf(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  test('threat 20: the longest message of nothing but tiny records is read record by record', () => {
    const records = Array.from({ length: 16_000 }, (_, at) => ({
      type: BigInt(1001 + 2 * at),
      value: new Uint8Array(),
    }));
    const encoded = concatBytes(Uint8Array.of(0, 19, 0, 0), encodeTlvStream(records));
    expect(encoded.length).toBeLessThanOrEqual(65535);
    expect(decodeMessage(encoded)).toEqual({ type: 'pong', ignored: new Uint8Array(), unknownTlvs: records });
  });

  test('the features of any init give a vector or a typed error', () => {
    const init = messageDefinitions.find((definition) => definition.type === 'init')!;
    fc.assert(
      fc.property(messagesOf(init), (message) => {
        if (message.type !== 'init') throw new Error('no init');
        try {
          negotiateFeatures(message.features, message.globalfeatures);
        } catch (error) {
          expect(error).toBeInstanceOf(RivuletError);
        }
      }),
    );
  });
});

describe('signed gossip', () => {
  const signed = messageDefinitions.filter((definition) => definition.extension === 'raw');

  test.each(signed.map((definition) => [definition.type, definition] as const))(
    'the signed bytes of %s depend on all but the signatures, unknown bytes too',
    (_, definition) => {
      const count = Object.keys(definition.fields).filter((name) => /signature/i.test(name)).length;
      fc.assert(
        fc.property(messagesOf(definition), fc.nat(), (message, at) => {
          const encoded = encodeMessage(message);
          const covered = bytesToHex(gossipSignedBytes(encoded));
          const changed = Uint8Array.from(encoded);
          const position = 2 + (at % (encoded.length - 2));
          (changed[position] as number) ^= 1;
          const same = bytesToHex(gossipSignedBytes(changed)) === covered;
          expect(same).toBe(position < 2 + 64 * count);
        }),
        { numRuns: 100 },
      );
    },
  );

  test('other messages have no signed bytes', () => {
    expect(() => gossipSignedBytes(encodeMessage({ type: 'pong', ignored: new Uint8Array(100) }))).toThrow(
      RivuletError,
    );
    expect(() => gossipSignedBytes(Uint8Array.of(1, 1, 0))).toThrow(RivuletError);
    expect(() => gossipSignedBytes(new Uint8Array())).toThrow(RivuletError);
  });
});
