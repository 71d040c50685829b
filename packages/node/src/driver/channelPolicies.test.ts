import type { Channel } from '@rivulet/core/channel';
import { StorageError } from '@rivulet/storage';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GossipingPair } from './announcing.test.support.js';
import {
  ChannelPolicies,
  ChannelPolicyError,
  type ChannelPolicySettings,
  defaultChannelPolicy,
} from './channelPolicies.js';

type Change = Partial<ChannelPolicySettings>;

function setUp() {
  const pair = GossipingPair.ready({ announce: false });
  const { alice, clock } = pair;
  const set = (change: Change, after: () => void = () => {}) => {
    let fault: unknown;
    alice.turns.enqueue({
      run: (turn) => {
        alice.policies.set(turn, { key: alice.key, change });
        after();
      },
      failed: (error) => {
        fault = error;
      },
    });
    alice.turns.runNow();
    return fault;
  };
  const read = () =>
    new ChannelPolicies({
      storage: alice.store.storage,
      defaults: defaultChannelPolicy,
      now: () => clock.now(),
    });
  return { alice, clock, set, read, terms: () => alice.policies.termsOf(alice.channel) };
}

describe('the terms of a channel', () => {
  test('are those of the node, within what channel and peer allow', () => {
    const { alice, terms } = setUp();
    const { htlcMaximumMsat: _, ...rest } = defaultChannelPolicy;
    expect(terms()).toEqual({
      policy: { ...rest, htlcMinimumMsat: 2_000n, htlcMaximumMsat: 900_000_000n },
    });
    const remote = { ...alice.channel.params.remote, maxHtlcValueInFlightMsat: 5_000_000n };
    const channel: Channel = { ...alice.channel, params: { ...alice.channel.params, remote } };
    expect(alice.policies.termsOf(channel).policy.htlcMaximumMsat).toBe(5_000_000n);
  });

  test('that are set hold for that channel, also after a restart', () => {
    const { alice, set, read, terms } = setUp();
    set({ feeBaseMsat: 0 });
    set({ htlcMaximumMsat: 700_000_000n });
    const wanted = { ...defaultChannelPolicy, feeBaseMsat: 0, htlcMaximumMsat: 700_000_000n };
    expect(alice.policies.settingsOf(alice.key)).toEqual(wanted);
    expect(terms().policy).toMatchObject({ feeBaseMsat: 0, htlcMaximumMsat: 700_000_000n });
    expect(read().settingsOf(alice.key)).toEqual(wanted);
    expect(read().termsOf(alice.channel)).toEqual(terms());
    expect(read().settingsOf('another')).toEqual(defaultChannelPolicy);
  });

  test('that were better are honoured for ten minutes, each for its own', () => {
    const { clock, set, read, alice, terms } = setUp();
    set({ feeBaseMsat: 2_000, cltvExpiryDelta: 60 });
    clock.wallMs += 300_000;
    set({ feeBaseMsat: 3_000, cltvExpiryDelta: 100 });
    expect(terms().policy).toMatchObject({ feeBaseMsat: 3_000, cltvExpiryDelta: 100 });
    expect(terms().previousPolicy).toMatchObject({ feeBaseMsat: 1_000, cltvExpiryDelta: 60 });
    expect(read().termsOf(alice.channel)).toEqual(terms());
    clock.wallMs += 300_001;
    expect(terms().previousPolicy).toMatchObject({ feeBaseMsat: 2_000, cltvExpiryDelta: 60 });
    clock.wallMs += 300_000;
    expect(terms().previousPolicy).toBeUndefined();
    // A clock that goes back does not bring them back.
    clock.wallMs -= 86_400_000;
    expect(terms().previousPolicy).toBeUndefined();
  });

  test('that change all the time take no more room', () => {
    const { alice, set, clock } = setUp();
    for (let feeBaseMsat = 0; feeBaseMsat < 50; feeBaseMsat++) {
      set({ feeBaseMsat });
      clock.wallMs += 1_000;
    }
    const [stored] = alice.store.memory.listValues('channel-policy/');
    expect(stored!.value.length).toBeLessThan(400);
  });

  test('of a turn that was not stored do not hold', () => {
    const { alice, set, terms } = setUp();
    const before = terms();
    const fault = set({ feeBaseMsat: 7 }, () => {
      throw new StorageError('disk_full', 'no room (a test)');
    });
    expect(fault).toBeInstanceOf(StorageError);
    expect(terms()).toEqual(before);
    expect(alice.store.memory.listValues('channel-policy/')).toEqual([]);
  });

  test('go with the channel', () => {
    const { alice, set } = setUp();
    set({ feeBaseMsat: 7 });
    alice.turns.enqueue({ run: (turn) => alice.policies.forget(turn, alice.key) });
    alice.turns.runNow();
    expect(alice.store.memory.listValues('channel-policy/')).toEqual([]);
    expect(alice.policies.settingsOf(alice.key)).toEqual(defaultChannelPolicy);
  });

  test.each<Change>([
    { feeBaseMsat: -1 },
    { feeBaseMsat: 0.5 },
    { feeBaseMsat: 2 ** 32 },
    { feeProportionalMillionths: Number.NaN },
    { feeProportionalMillionths: 2 ** 32 },
    { cltvExpiryDelta: 0 },
    { cltvExpiryDelta: 33 },
    { cltvExpiryDelta: 2_017 },
    { htlcMinimumMsat: -1n },
    { htlcMaximumMsat: 0n },
    { htlcMinimumMsat: 5n, htlcMaximumMsat: 4n },
  ])('that no channel_update can tell are refused: %o', (change) => {
    const { alice, set, terms } = setUp();
    const before = terms();
    expect(set(change)).toMatchObject({ code: 'policy_invalid' });
    expect(() => alice.policies.changed(alice.key, change)).toThrow(ChannelPolicyError);
    expect(terms()).toEqual(before);
  });

  test('always have a minimum below the maximum, and both within the channel', () => {
    const { alice, set, terms, read } = setUp();
    const amount = fc.bigInt(1n, 2_000_000_000n);
    fc.assert(
      fc.property(
        amount,
        fc.oneof(amount, fc.constant('capacity share' as const)),
        (htlcMinimumMsat, most) => {
          const invalid = most !== 'capacity share' && most < htlcMinimumMsat;
          const fault = set({ htlcMinimumMsat, htlcMaximumMsat: most });
          expect(fault === undefined).toBe(!invalid);
          const { policy } = terms();
          expect(policy.htlcMinimumMsat).toBeLessThanOrEqual(policy.htlcMaximumMsat);
          expect(policy.htlcMaximumMsat).toBeLessThanOrEqual(1_000_000_000n);
          expect(read().settingsOf(alice.key)).toEqual(alice.policies.settingsOf(alice.key));
        },
      ),
      { numRuns: 50 },
    );
  });
});
