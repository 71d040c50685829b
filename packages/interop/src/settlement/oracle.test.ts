import { expect, test } from 'vitest';
import { expectedOutputs, type HtlcFact } from './oracle.js';

const both = ['us', 'peer'] as const;
const htlcs: HtlcFact[] = [
  { from: 'us', amountMsat: 2_000_999n, expiry: 500, inCommitmentOf: both },
  { from: 'peer', amountMsat: 521_000n, expiry: 500, inCommitmentOf: both },
  { from: 'peer', amountMsat: 9_000_000n, expiry: 500, inCommitmentOf: ['peer'] },
];
const facts = {
  holder: 'us',
  opener: 'us',
  feeratePerKw: 253,
  dustLimitSat: 354n,
  balanceMsat: { us: 600_000_000n, peer: 400_000_000n },
  htlcs,
} as const;

test('without anchors the fee of an HTLC transaction decides as well whether there is an output', () => {
  // 354 + floor(253 * 703 / 1000) = 531: 521 sat are too few, though not too few of themselves.
  const {
    mainSat,
    htlcs: standing,
    trimmed,
    anchors,
  } = expectedOutputs({ ...facts, commitment: 'static_remotekey' });
  expect(standing.map(({ valueSat }) => valueSat)).toEqual([2_000n]);
  expect(trimmed).toEqual([htlcs[1]]);
  // The fee is floor(253 * (724 + 172) / 1000) = 226.
  expect(mainSat).toEqual({ us: 600_000n - 2_001n - 226n, peer: 400_000n - 521n });
  expect(anchors).toBe(0);
});

test('with anchors it does not, and the opener pays for both anchors', () => {
  const { mainSat, htlcs: standing, anchors } = expectedOutputs({ ...facts, commitment: 'anchors' });
  expect(standing.map(({ valueSat }) => valueSat)).toEqual([2_000n, 521n]);
  expect(mainSat).toEqual({ us: 600_000n - 2_001n - 371n - 660n, peer: 400_000n - 521n });
  expect(anchors).toBe(2);
});

test('an HTLC that only the other commitment has is not in this one', () => {
  const { htlcs: standing } = expectedOutputs({ ...facts, holder: 'peer', commitment: 'anchors' });
  expect(standing.map(({ valueSat }) => valueSat)).toEqual([2_000n, 521n, 9_000n]);
});
