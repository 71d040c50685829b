import { secp256k1 } from '@rivulet/core/crypto';
import { describe, expect, test } from 'vitest';
import { type HostilityKind, hostilityKinds } from './hostility.js';
import type { SimulationOptions } from './options.js';
import { type SimulationResult, simulate, simulateWithPauses } from './simulate.js';
import { SimulationError } from './simulationError.js';

const small: SimulationOptions = { seed: 7, nodes: 12, channels: 30, payments: 40 };

/** What a way of misbehaving leaves behind, so that it is known to have happened. */
const marks: Record<HostilityKind, (result: SimulationResult) => number> = {
  withhold: ({ closedChannels, payments }) =>
    closedChannels * (payments.attemptFailures.timed_out_on_chain ?? 0),
  corrupt: ({ payments: { attemptFailures } }) =>
    (attemptFailures.corrupted ?? 0) + (attemptFailures.unattributable ?? 0),
  wrong_codes: ({ payments }) => Object.keys(payments.attemptFailures).length - 3,
  replay: ({ refusals }) => refusals.replay ?? 0,
  delay: ({ blocks }) => blocks,
  forward_less: ({ refusals, payments }) =>
    (refusals.fee_insufficient ?? 0) + (payments.attemptFailures.final_incorrect_htlc_amount ?? 0),
  break_onion: ({ payments: { attemptFailures } }) =>
    (attemptFailures.invalid_onion_hmac ?? 0) + (attemptFailures.invalid_onion_key ?? 0),
  overcharge: ({ payments }) => payments.attemptFailures.fee_insufficient ?? 0,
  fail_after_forward: ({ paidByOthers }) => paidByOthers,
  greedy: ({ payments }) => payments.succeeded,
  stall: ({ closedChannels }) => closedChannels,
};

describe('simulate', () => {
  test('is the same for the same seed, message by message, and another one for another seed', () => {
    const options = { ...small, hostile: 4, loss: 0.01, crashes: 4 };
    const first = simulate(options);
    const traced: string[] = [];
    const again = simulate({ ...options, onTrace: (line) => traced.push(line) });
    expect(again).toEqual(first);
    expect(traced).toHaveLength(first.events);
    expect(first.crashes).toBeGreaterThan(0);
    expect(first.disconnects).toBeGreaterThan(0);
    expect(simulate({ ...options, seed: 8 }).digest).not.toBe(first.digest);
  });

  test('pays and earns: what arrives has been sent, and fees are what the middle got', () => {
    const { payments, earnedMsat, violations, htlcs } = simulate({ ...small, payments: 80 });
    expect(violations).toEqual([]);
    expect(payments.succeeded + payments.failed).toBe(80);
    expect(payments.successRate).toBeGreaterThan(0.8);
    expect(payments.feesMsat).toBeGreaterThan(0n);
    expect(earnedMsat).toBe(payments.feesMsat);
    expect(htlcs).toBeGreaterThan(payments.succeeded);
    expect(payments.latencyP95Ms).toBeGreaterThanOrEqual(payments.latencyP50Ms);
  });

  test.each(hostilityKinds)('hops that %s: they are met, and no honest node loses', (kind) => {
    const options = { ...small, payments: 60, hostile: 5, hostilities: [kind], hostileRate: 0.9 };
    const result = simulate(options);
    expect(result.violations).toEqual([]);
    expect(marks[kind](result)).toBeGreaterThan(0);
  });

  test('who learns from earlier payments finds the way at once more often', { timeout: 120_000 }, () => {
    const network: Omit<SimulationOptions, 'seed'> = {
      nodes: 80,
      channels: 240,
      payments: 120,
      senders: 4,
      leastAmountSat: 5_000,
      mostAmountSat: 500_000,
      curve: 'toy',
    };
    const firstAttempts = { learned: 0, naive: 0 };
    for (const seed of [15, 16]) {
      const learned = simulate({ ...network, seed });
      const naive = simulate({ ...network, seed, learning: false });
      expect([...learned.violations, ...naive.violations]).toEqual([]);
      firstAttempts.learned += learned.payments.firstAttemptRate;
      firstAttempts.naive += naive.payments.firstAttemptRate;
    }
    expect(firstAttempts.learned).toBeGreaterThan(firstAttempts.naive);
  });

  test('200 nodes, some of them hostile, over connections that are lost', { timeout: 180_000 }, () => {
    const { violations, payments, nodes } = simulate({
      seed: 200,
      nodes: 200,
      payments: 1_500,
      hostile: 6,
      loss: 0.0005,
      crashes: 5,
      curve: 'toy',
    });
    expect(violations).toEqual([]);
    expect(nodes).toBe(200);
    expect(payments.payments).toBe(1_500);
    expect(payments.successRate).toBeGreaterThan(0.85);
  });

  test('with the toy curve the same happens, but for what depends on keys', () => {
    const options = { ...small, crashes: 3, hostile: 2 };
    const real = simulate({ ...options, curve: 'real' });
    const toy = simulate({ ...options, curve: 'toy' });
    expect(toy.violations).toEqual([]);
    expect(toy.payments.payments).toBe(real.payments.payments);
    expect(toy.digest).not.toBe(real.digest);
    // The curve is as it was.
    expect(simulate({ ...options, curve: 'real' })).toEqual(real);
  });

  test('is the same with pauses, and can be ended by one', async () => {
    const { sign } = secp256k1;
    let pauses = 0;
    const paused = await simulateWithPauses(small, async () => {
      pauses++;
    });
    expect(paused).toEqual(simulate(small));
    expect(pauses).toBeGreaterThan(0);
    const stop = () => Promise.reject(new Error('stopped'));
    await expect(simulateWithPauses(small, stop)).rejects.toThrow('stopped');
    expect(secp256k1.sign).toBe(sign);
  });

  test('refuses options that make no sense', () => {
    for (const wrong of [
      { nodes: 1 },
      { nodes: 10, channels: 3 },
      { nodes: 10, hostile: 9 },
      { loss: 1.5 },
      { leastAmountSat: 10, mostAmountSat: 1 },
      { hostilities: [] },
      { payments: -1 },
    ]) {
      expect(() => simulate({ ...small, ...wrong })).toThrow(SimulationError);
    }
  });
});
