import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commitmentFeeSat, htlcSuccessFeeSat, htlcTimeoutFeeSat, isTrimmed } from './fees.js';

describe('fees and trimming', () => {
  // BOLT 3: Fees, Example
  const example = { channelType: 'static_remotekey', feeratePerKw: 5000, dustLimitSat: 546n } as const;

  test('agree with the example of BOLT 3', () => {
    expect(htlcTimeoutFeeSat(example)).toBe(3315n);
    expect(htlcSuccessFeeSat(example)).toBe(3515n);
    expect(commitmentFeeSat({ ...example, untrimmedHtlcs: 2 })).toBe(5340n);
    const trimmed = (direction: 'offered' | 'received', amountMsat: bigint) =>
      isTrimmed({ ...example, direction, amountMsat });
    expect(trimmed('offered', 5_000_000n)).toBe(false);
    expect(trimmed('offered', 1_000_000n)).toBe(true);
    expect(trimmed('received', 7_000_000n)).toBe(false);
    expect(trimmed('received', 800_000n)).toBe(true);
  });

  test.each([
    ['static_remotekey', 'offered', 546n + 3315n],
    ['static_remotekey', 'received', 546n + 3515n],
    ['anchors', 'offered', 546n],
    ['anchors', 'received', 546n],
  ] as const)(
    '%s trims an %s HTLC up to the last millisatoshi below %s sat',
    (channelType, direction, limitSat) => {
      const trimmed = (amountMsat: bigint) => isTrimmed({ ...example, channelType, direction, amountMsat });
      expect(trimmed(limitSat * 1000n - 1n)).toBe(true);
      expect(trimmed(limitSat * 1000n)).toBe(false);
    },
  );

  test('of HTLC transactions are zero with anchors, at any feerate', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (feeratePerKw) => {
        expect(htlcTimeoutFeeSat({ channelType: 'anchors', feeratePerKw })).toBe(0n);
        expect(htlcSuccessFeeSat({ channelType: 'anchors', feeratePerKw })).toBe(0n);
      }),
      { numRuns: 10 },
    );
  });

  test('do not overflow at the highest feerate of the wire', () => {
    const feeSat = commitmentFeeSat({
      channelType: 'anchors',
      feeratePerKw: 0xffffffff,
      untrimmedHtlcs: 966,
    });
    expect(feeSat).toBe((4_294_967_295n * (1124n + 172n * 966n)) / 1000n);
  });
});
