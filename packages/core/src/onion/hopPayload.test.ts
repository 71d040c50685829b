import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hexToBytes } from '../bytes/hex.js';
import { secp256k1 } from '../crypto/index.js';
import { encodeTlvStream } from '../wire/tlv.js';
import { createOnion } from './createOnion.js';
import {
  decodeHopPayload,
  encodeHopPayload,
  type HopPayload,
  HopPayloadError,
  readFinalPayload,
  readForwardPayload,
} from './hopPayload.js';
import { onionBytesLeft } from './onionPacket.js';
import { customRecordRoom } from './recordRoom.js';

const keysendType = 5482373484n;
const noRecords = new Map<bigint, Uint8Array>();

function failureOf(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (error instanceof HopPayloadError) return error.failure;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = fc.uint8Array({ maxLength: 60 });
const customType = fc.oneof(
  fc.bigInt({ min: 65536n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: 10n, max: 32767n }).map((n) => 2n * n + 1n),
);
const payloads: fc.Arbitrary<HopPayload> = fc.record(
  {
    amountToForwardMsat: u64,
    outgoingCltvValue: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    shortChannelId: u64,
    paymentData: fc.record({
      paymentSecret: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      totalMsat: u64,
    }),
    encryptedRecipientData: bytes,
    currentPathKey: fc.constant(secp256k1.publicKey(new Uint8Array(32).fill(1))),
    paymentMetadata: bytes,
    totalAmountMsat: u64,
    customRecords: fc.uniqueArray(fc.tuple(customType, bytes), { selector: ([type]) => type }).map(
      // Read back in the order of the stream.
      (records) => new Map(records.sort(([a], [b]) => (a < b ? -1 : 1))),
    ),
  },
  { requiredKeys: ['customRecords'] },
);

describe('a hop payload', () => {
  test('reads back as it was written, every custom record included', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        expect(decodeHopPayload(encodeHopPayload(payload))).toEqual(payload);
      }),
    );
  });

  test('has the fields of a known final payload', () => {
    const payload = decodeHopPayload(
      hexToBytes(
        `02022710040203e8082224a33562c54507a9334e79f0dc4f17d407e6d7c61f0e2f3d0d38599502f61704271010020102`,
      ),
    );
    expect(payload.amountToForwardMsat).toBe(10000n);
    expect(payload.outgoingCltvValue).toBe(1000);
    expect(payload.paymentData?.totalMsat).toBe(10000n);
    expect(payload.paymentMetadata).toEqual(Uint8Array.of(1, 2));
  });

  test("keeps keysend's even records and refuses unknown even types below 65536", () => {
    const preimage = new Uint8Array(32).fill(7);
    const customRecords = new Map([
      [65536n, Uint8Array.of(1)],
      [7629168n, new Uint8Array()],
      [keysendType, preimage],
    ]);
    const known = { amountToForwardMsat: 1000n, outgoingCltvValue: 500 };
    expect(readFinalPayload(encodeHopPayload({ ...known, customRecords })).customRecords).toEqual(
      customRecords,
    );
    const start = [
      { type: 2n, value: Uint8Array.of(1) },
      { type: 4n, value: Uint8Array.of(2) },
    ];
    for (const type of [14n, 20n, 65534n]) {
      const stream = encodeTlvStream([...start, { type, value: new Uint8Array(3) }]);
      expect(failureOf(() => decodeHopPayload(stream))).toEqual({
        type: 'invalid_onion_payload',
        tlvType: type,
        offset: 6,
      });
      const records = new Map([[type, preimage]]);
      expect(() => encodeHopPayload({ customRecords: records })).toThrow(
        expect.objectContaining({ code: 'custom_record_type_invalid' }),
      );
    }
    expect(() => encodeHopPayload({ customRecords: new Map([[2n, preimage]]) })).toThrow(
      expect.objectContaining({ code: 'custom_record_type_invalid' }),
    );
  });

  test('names the type and the offset of a value that breaks its format', () => {
    const cases: [string, bigint, number][] = [
      ['02020001', 2n, 0], // leading zero
      ['0209010000000000000000', 2n, 0], // too long
      ['0201010405ffffffffff', 4n, 3],
      ['0201010607ffffffffffffff', 6n, 3],
      [`020101081f${'00'.repeat(31)}`, 8n, 3], // no room for the secret
      ['0c03020304', 12n, 0],
    ];
    for (const [hex, tlvType, offset] of cases) {
      expect(failureOf(() => decodeHopPayload(hexToBytes(hex)))).toEqual({
        type: 'invalid_onion_payload',
        tlvType,
        offset,
      });
    }
  });

  test('any bytes decode or fail with invalid_onion_payload', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (random) => {
        try {
          decodeHopPayload(random);
        } catch (error) {
          expect(error).toBeInstanceOf(HopPayloadError);
        }
      }),
      { numRuns: 500 },
    );
    for (const hex of ['02', '0205', '02010104', '04010102', '0201010201', 'fd000201', '02fd000101']) {
      expect(failureOf(() => decodeHopPayload(hexToBytes(hex))).type).toBe('invalid_onion_payload');
    }
  });

  test('a hop without what it needs is refused with the type that is missing', () => {
    const full = {
      amountToForwardMsat: 5n,
      outgoingCltvValue: 6,
      shortChannelId: 7n,
      customRecords: noRecords,
    };
    expect(readForwardPayload(encodeHopPayload(full))).toEqual(full);
    const without = (field: keyof typeof full) => encodeHopPayload({ ...full, [field]: undefined });
    expect(failureOf(() => readForwardPayload(without('amountToForwardMsat'))).tlvType).toBe(2n);
    expect(failureOf(() => readForwardPayload(without('outgoingCltvValue'))).tlvType).toBe(4n);
    expect(failureOf(() => readForwardPayload(without('shortChannelId'))).tlvType).toBe(6n);
    expect(failureOf(() => readFinalPayload(without('amountToForwardMsat'))).tlvType).toBe(2n);
    expect(failureOf(() => readFinalPayload(without('outgoingCltvValue'))).tlvType).toBe(4n);
    expect(readFinalPayload(without('shortChannelId')).shortChannelId).toBeUndefined();
  });

  test('a hop of a blinded route, which is not supported, is refused', () => {
    const base = {
      amountToForwardMsat: 5n,
      outgoingCltvValue: 6,
      shortChannelId: 7n,
      customRecords: noRecords,
    };
    const blinded = encodeHopPayload({ ...base, encryptedRecipientData: new Uint8Array(5) });
    const pathKey = encodeHopPayload({
      ...base,
      currentPathKey: secp256k1.publicKey(new Uint8Array(32).fill(1)),
    });
    for (const read of [readForwardPayload, readFinalPayload]) {
      expect(failureOf(() => read(blinded)).tlvType).toBe(10n);
      expect(failureOf(() => read(pathKey)).tlvType).toBe(12n);
    }
  });
});

describe('the room for a custom record', () => {
  test('is exactly what fits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8 }),
        fc.integer({ min: 0, max: 300 }),
        customType,
        (forwarding, otherLength, recordType) => {
          const forward = encodeHopPayload({
            amountToForwardMsat: 10_000n,
            outgoingCltvValue: 800_000,
            shortChannelId: 1n,
            customRecords: noRecords,
          });
          const customRecords = new Map([[keysendType, new Uint8Array(otherLength)]]);
          const finalPayload = { amountToForwardMsat: 10_000n, outgoingCltvValue: 800_000, customRecords };
          const forwardPayloadLengths = Array.from({ length: forwarding }, () => forward.length);
          const room = customRecordRoom({ forwardPayloadLengths, finalPayload, recordType });
          const leftWith = (length: number) => {
            const records = new Map([...customRecords, [recordType, new Uint8Array(length)] as const]);
            const final = encodeHopPayload({ ...finalPayload, customRecords: records });
            return onionBytesLeft([...forwardPayloadLengths, final.length]);
          };
          if (room >= 0) expect(leftWith(room)).toBeGreaterThanOrEqual(0);
          expect(leftWith(Math.max(0, room + 1))).toBeLessThan(0);
        },
      ),
    );
  });

  test('filled to the last byte makes an onion, one more does not', () => {
    const finalPayload = {
      amountToForwardMsat: 1_000n,
      outgoingCltvValue: 800_000,
      customRecords: new Map([[keysendType, new Uint8Array(32)]]),
    };
    const recordType = 7629169n;
    const room = customRecordRoom({ forwardPayloadLengths: [], finalPayload, recordType });
    expect(room).toBe(1206);
    const build = (length: number) => {
      const customRecords = new Map([
        ...finalPayload.customRecords,
        [recordType, new Uint8Array(length)] as const,
      ]);
      const payload = encodeHopPayload({ ...finalPayload, customRecords });
      const publicKey = secp256k1.publicKey(new Uint8Array(32).fill(1));
      return createOnion({
        sessionKey: new Uint8Array(32).fill(2),
        associatedData: new Uint8Array(32),
        hops: [{ publicKey, payload }],
      });
    };
    expect(build(room).packet.length).toBe(1366);
    expect(() => build(room + 1)).toThrow(expect.objectContaining({ code: 'onion_full', neededBytes: 1301 }));
    expect(customRecordRoom({ forwardPayloadLengths: [2000], finalPayload, recordType })).toBeLessThan(0);
  });
});
