import { secp256k1 } from '@rivulet/core/crypto';
import { createOnion, encodeHopPayload, onionBytesLeft } from '@rivulet/core/onion';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { onionRoom, type RecordRoute, recordRoom } from './recordRoom.js';
import { boostagramRecordType, keysendRecordType } from './recordTypes.js';

const none = new Map<bigint, Uint8Array>();
const nodeId = secp256k1.publicKey(new Uint8Array(32).fill(1));
const height = 900_000;

/** What a wallet makes of it: a real onion, whose hops charge fees. */
function onion(
  records: ReadonlyMap<bigint, Uint8Array>,
  { hops, amountMsat }: { hops: number; amountMsat: bigint },
) {
  const forwarders = Array.from({ length: hops }, (_, i) =>
    encodeHopPayload({
      amountToForwardMsat: amountMsat + BigInt(hops - i) * 1000n,
      outgoingCltvValue: height + 2016,
      shortChannelId: (1n << 63n) + 5n,
      customRecords: none,
    }),
  );
  const final = encodeHopPayload({
    amountToForwardMsat: amountMsat,
    outgoingCltvValue: height + 80,
    customRecords: new Map([...records, [keysendRecordType, new Uint8Array(32).fill(9)]]),
  });
  return createOnion({
    sessionKey: new Uint8Array(32).fill(2),
    associatedData: new Uint8Array(32),
    hops: [...forwarders, final].map((payload) => ({ publicKey: nodeId, payload })),
  });
}

describe('the meter of bytes', () => {
  test('says about 1204 less 54 a forwarder', () => {
    const room = (forwardingHops: number) =>
      recordRoom({ records: none, forwardingHops, amountMsat: 10_000_000n });
    expect(room(0)).toBe(1205);
    for (let hops = 0; hops < 8; hops++) {
      expect(Math.abs(room(hops) - (1204 - 54 * hops))).toBeLessThanOrEqual(2);
    }
    expect(recordRoom({ records: none, amountMsat: 10_000_000n })).toBe(room(5));
    expect(recordRoom({ records: none })).toBeLessThanOrEqual(room(5));
  });

  test('is right about real onions: what it says fits does, whatever goes along', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 12 }),
        fc.bigInt(1_000_000n, (1n << 40n) - 1_000_000n),
        fc.dictionary(
          fc.integer({ min: 65_536, max: 2_000_000 }).map(String),
          fc.uint8Array({ maxLength: 60 }),
        ),
        (hops, amountMsat, others) => {
          const records = new Map(
            Object.entries(others).map(([type, value]) => [BigInt(type), value] as const),
          );
          const fill = (length: number) =>
            new Map([...records, [boostagramRecordType, new Uint8Array(length)] as const]);
          for (const route of [{ forwardingHops: hops, amountMsat }, { forwardingHops: hops }]) {
            const room = recordRoom({ records, ...route });
            if (room < 0) continue;
            expect(onion(fill(room), { hops, amountMsat }).packet.length).toBe(1366);
            expect(onionRoom({ records: fill(room), ...route })).toBeGreaterThanOrEqual(0);
            expect(onionRoom({ records: fill(room + 1), ...route })).toBeLessThan(0);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test('is exact where the payloads are known: one byte more does not fit', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 15, max: 90 }), { maxLength: 10 }), (forwardPayloadLengths) => {
        const amountMsat = 0xff_ffffn;
        const room = recordRoom({ records: none, forwardPayloadLengths, amountMsat });
        const left = (length: number) => {
          const final = encodeHopPayload({
            amountToForwardMsat: amountMsat,
            outgoingCltvValue: 0xff_ffff,
            customRecords: new Map([
              [boostagramRecordType, new Uint8Array(length)],
              [keysendRecordType, new Uint8Array(32)],
            ]),
          });
          return onionBytesLeft([...forwardPayloadLengths, final.length]);
        };
        expect(left(room)).toBeGreaterThanOrEqual(0);
        expect(left(room + 1)).toBeLessThan(0);
      }),
    );
  });

  test('counts the preimage once, and the record that is asked for not at all', () => {
    const plain = recordRoom({ records: none });
    expect(recordRoom({ records: new Map([[keysendRecordType, new Uint8Array(32)]]) })).toBe(plain);
    expect(recordRoom({ records: new Map([[boostagramRecordType, new Uint8Array(500)]]) })).toBe(plain);
    // Two more headers: 5 + 1 and 5 + 3 bytes, and what is in them.
    expect(recordRoom({ records: new Map([[696969n, new Uint8Array(20)]]) })).toBe(plain - 26);
  });

  test('leaves room for the secret where a payment may go in parts, and says so when nothing is left', () => {
    const route: RecordRoute = { forwardingHops: 2, amountMsat: 1_000_000n };
    const whole = recordRoom({ records: none, ...route });
    expect(whole - recordRoom({ records: none, ...route, inParts: true })).toBe(37);
    expect(recordRoom({ records: new Map([[70001n, new Uint8Array(1300)]]), ...route })).toBeLessThan(0);
    expect(recordRoom({ records: none, forwardingHops: 30 })).toBeLessThan(0);
  });
});
