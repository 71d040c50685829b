import { describe, expect, test } from 'vitest';
import { sha256 } from '../crypto/index.js';
import { closingTxWeight } from './closingTx.js';
import type { HtlcOutputSpec } from './commitmentTx.js';
import { fundingWitnessScript } from './funding.js';
import { htlcTxKind, htlcTxOf } from './htlcTx.js';
import { sampleCommitment, sampleHtlc, samplePreimage } from './samples.test.support.js';
import { p2wpkhScript, p2wshScript } from './script.js';
import { type Transaction, weight, withWitness } from './transaction.js';
import { commitmentWeight, htlcTxWeight } from './weights.js';

// BOLT 3 appendix A reckons with the longest signatures.
const longSignature = new Uint8Array(73);
const empty = new Uint8Array(0);

function fundingSpendWeight(tx: Transaction): number {
  const key = new Uint8Array(33);
  return weight(withWitness(tx, 0, [empty, longSignature, longSignature, fundingWitnessScript(key, key)]));
}

function htlcs(count: number): HtlcOutputSpec[] {
  return Array.from({ length: count }, (_, i) =>
    sampleHtlc({ id: BigInt(i), amountMsat: 1_000_000n, paymentHash: sha256(Uint8Array.of(i)) }),
  );
}

describe('expected weights', () => {
  test.each([0, 1, 5, 200])('of commitments with %i HTLCs are those of real ones', (count) => {
    const real = (channelType: 'static_remotekey' | 'anchors') =>
      fundingSpendWeight(
        sampleCommitment({ channelType, htlcs: htlcs(count), feeratePerKw: 253, fundingSat: 2_000_000n }).tx,
      );
    expect(real('static_remotekey')).toBe(commitmentWeight('static_remotekey', count));
    // BOLT 3 counts 3 bytes for the number of outputs here, of which few commitments need all.
    expect(real('anchors')).toBe(commitmentWeight('anchors', count) - 8);
  });

  test.each([
    ['offered', 'static_remotekey', 0],
    ['offered', 'anchors', 0],
    ['received', 'static_remotekey', 1],
    ['received', 'anchors', 1],
  ] as const)(
    'of the transaction of an HTLC that is %s (%s) are %i above the real one',
    (direction, channelType, above) => {
      // An expiry of four bytes, as the expected weight has it.
      const commitment = sampleCommitment({
        channelType,
        htlcs: [sampleHtlc({ direction, cltvExpiry: 0x7fffffff })],
      });
      const [output] = commitment.htlcOutputs;
      if (output === undefined) throw new Error('the HTLC is not trimmed');
      const tx = htlcTxOf(commitment, output);
      const last = direction === 'received' ? samplePreimage : empty;
      const witness = [empty, longSignature, longSignature, last, output.witnessScript];
      expect(weight(withWitness(tx, 0, witness))).toBe(
        htlcTxWeight(htlcTxKind(direction), channelType) - above,
      );
    },
  );

  test('of closing transactions are those of real ones', () => {
    const scripts = [p2wpkhScript(new Uint8Array(20)), p2wshScript(empty)];
    const { tx } = sampleCommitment();
    const closing = { ...tx, outputs: scripts.map((script) => ({ valueSat: 1n, script })) };
    expect(fundingSpendWeight(closing)).toBe(closingTxWeight(scripts));
  });
});
