import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { burialDepth, forwardDeadlines, forwardDuty, type OutgoingFate } from './forwardDuty.js';

const incoming = { cltvExpiry: 1040 };
const outgoing = { cltvExpiry: 1000 };
const preimage = new Uint8Array(32).fill(5);
const fates: readonly OutgoingFate[] = [
  { type: 'pending' },
  { type: 'never_offered' },
  { type: 'removed' },
  { type: 'timed_out', depth: 1 },
  { type: 'timed_out', depth: 100 },
  { type: 'left_out', depth: 1 },
  { type: 'left_out', depth: 100 },
];
const without = (fate: OutgoingFate, blockHeight: number) =>
  forwardDuty({ forward: { incoming, outgoing }, fate, blockHeight }).type;

describe('the duty of a forward', () => {
  test('has the deadlines of BOLT 2', () => {
    expect(forwardDeadlines({ incomingExpiry: 1040, outgoingExpiry: 1000 })).toEqual({
      timeOutOutgoingHeight: 1003,
      claimIncomingHeight: 1022,
      incomingExpiryHeight: 1040,
    });
  });

  test('threat 13, threat 14 and threat 15: a preimage is always used, whatever became of the outgoing HTLC', () => {
    for (const fate of fates) {
      for (const [blockHeight, onChain] of [
        [900, false],
        [1021, false],
        [1022, true],
        [1040, true],
        [5000, true],
      ] as const) {
        const forward = { incoming, outgoing, preimage };
        const duty = { type: 'fulfill_incoming', preimage, onChain };
        expect(forwardDuty({ forward, fate, blockHeight })).toEqual(duty);
      }
    }
  });

  test('fails the incoming HTLC at once when the outgoing one is over for good', () => {
    for (const blockHeight of [1, 1003, 2000]) {
      expect(without({ type: 'never_offered' }, blockHeight)).toBe('fail_incoming');
      expect(without({ type: 'removed' }, blockHeight)).toBe('fail_incoming');
    }
  });

  test('waits until what happened on chain is buried', () => {
    for (const type of ['timed_out', 'left_out'] as const) {
      for (let depth = 0; depth < burialDepth; depth++) expect(without({ type, depth }, 1100)).toBe('wait');
      expect(without({ type, depth: burialDepth }, 1010)).toBe('fail_incoming');
    }
  });

  test('closes the outgoing channel 3 blocks after the expiry, not before', () => {
    expect(without({ type: 'pending' }, 1002)).toBe('wait');
    expect(without({ type: 'pending' }, 1003)).toBe('close_outgoing');
    // Even past the incoming expiry: a preimage might still appear.
    expect(without({ type: 'pending' }, 1041)).toBe('close_outgoing');
  });

  test('threat 13: never fails the incoming HTLC while the outgoing one might be fulfilled', () => {
    const someFate: fc.Arbitrary<OutgoingFate> = fc.oneof(
      fc.record({ type: fc.constantFrom('pending', 'never_offered', 'removed') }),
      fc.record({ type: fc.constantFrom('timed_out', 'left_out'), depth: fc.nat({ max: 20 }) }),
    );
    fc.assert(
      fc.property(someFate, fc.boolean(), fc.nat({ max: 3000 }), (fate, known, blockHeight) => {
        const forward = { incoming, outgoing, ...(known ? { preimage } : {}) };
        const { type } = forwardDuty({ forward, fate, blockHeight });
        const certain =
          fate.type === 'never_offered' ||
          fate.type === 'removed' ||
          ('depth' in fate && fate.depth >= burialDepth);
        expect(type === 'fail_incoming').toBe(!known && certain);
        expect(type === 'fulfill_incoming').toBe(known);
      }),
    );
  });
});
