import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../bytes/index.js';
import { decodePendingForward, encodePendingForward, type PendingForward } from './pendingForward.js';

const forward: PendingForward = {
  incoming: {
    channelId: new Uint8Array(32).fill(1),
    htlcId: 7n,
    amountMsat: 100_011_000n,
    cltvExpiry: 800_140,
    sharedSecret: new Uint8Array(32).fill(2),
  },
  outgoing: {
    channelId: new Uint8Array(32).fill(3),
    htlcId: 9n,
    amountMsat: 100_000_000n,
    cltvExpiry: 800_100,
  },
};
/** Version 1, frozen: rows that were ever written must stay readable. */
const frozen = [
  '0103',
  '0000000005f60bf8',
  '000c358c',
  '02'.repeat(32),
  '03'.repeat(32),
  '0000000000000009',
  '0000000005f5e100',
  '000c3564',
  '04'.repeat(32),
  '0000018bcfe56800',
].join('');

describe('a pending forward', () => {
  test('is written as version 1 has it', () => {
    const whole = { ...forward, preimage: new Uint8Array(32).fill(4), receivedAtMs: 1_700_000_000_000 };
    expect(bytesToHex(encodePendingForward(whole))).toBe(frozen);
    expect(decodePendingForward(encodePendingForward(whole), forward.incoming)).toEqual(whole);
  });

  test('reads as it was written, with and without what is optional', () => {
    const id = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
    const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const common = { channelId: id, htlcId: u64, amountMsat: u64, cltvExpiry: u32 };
    const some = fc.record(
      {
        incoming: fc.record({ ...common, sharedSecret: id }),
        outgoing: fc.record(common),
        preimage: id,
        receivedAtMs: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      },
      { requiredKeys: ['incoming', 'outgoing'] },
    );
    fc.assert(
      fc.property(some, (given) => {
        expect(decodePendingForward(encodePendingForward(given), given.incoming)).toEqual(given);
      }),
    );
  });

  test('is refused when it is cut, longer, of another version or with unknown flags', () => {
    const invalid = expect.objectContaining({ code: 'stored_forward_invalid' });
    const bytes = encodePendingForward(forward);
    const decode = (given: Uint8Array) => () => decodePendingForward(given, forward.incoming);
    for (let length = 0; length < bytes.length; length++)
      expect(decode(bytes.subarray(0, length))).toThrow(invalid);
    expect(decode(Uint8Array.of(...bytes, 0))).toThrow(invalid);
    expect(decode(Uint8Array.of(2, ...bytes.subarray(1)))).toThrow(invalid);
    expect(decode(Uint8Array.of(1, 4, ...bytes.subarray(2)))).toThrow(invalid);
  });
});
