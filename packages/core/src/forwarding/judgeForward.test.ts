import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeFailureMessage, type FailureMessage } from '../onion/index.js';
import { type ForwardingPolicy, forwardingFee } from './forwardingPolicy.js';
import { defaultForwardLimits } from './forwardLimits.js';
import {
  type ForwardInput,
  type ForwardRefusalCause,
  judgeForward,
  type OutgoingChannel,
  temporaryChannelFailure,
} from './judgeForward.js';

const height = 800_000;
const channelUpdate = Uint8Array.of(1, 2, 9, 9);
const policy: ForwardingPolicy = {
  feeBaseMsat: 1000,
  feeProportionalMillionths: 100,
  cltvExpiryDelta: 40,
  htlcMinimumMsat: 1000n,
  htlcMaximumMsat: 900_000_000n,
};
const channel: OutgoingChannel = {
  phase: 'open',
  online: true,
  disabled: false,
  announced: true,
  namedByAlias: false,
  isIncoming: false,
  spendableMsat: 500_000_000n,
  minimumMsat: 1n,
  policy,
  channelUpdate,
};

/** 100,000,000 msat that pay 11,000 msat for it, 40 blocks apart: just enough. */
interface Change {
  readonly amountMsat?: bigint;
  readonly cltvExpiry?: number;
  readonly forwardMsat?: bigint;
  readonly outgoingExpiry?: number;
  readonly outgoing?: Partial<OutgoingChannel> | undefined;
  readonly held?: ForwardInput['held'];
}

function input(change: Change = {}): ForwardInput {
  return {
    incoming: {
      amountMsat: change.amountMsat ?? 100_011_000n,
      cltvExpiry: change.cltvExpiry ?? height + 140,
    },
    payload: {
      amountToForwardMsat: change.forwardMsat ?? 100_000_000n,
      outgoingCltvValue: change.outgoingExpiry ?? height + 100,
      shortChannelId: 1n,
      customRecords: new Map(),
    },
    outgoing:
      'outgoing' in change && change.outgoing === undefined ? undefined : { ...channel, ...change.outgoing },
    blockHeight: height,
    limits: defaultForwardLimits,
    held: change.held ?? { count: 0, valueMsat: 0n },
  };
}

const temporary: FailureMessage = { type: 'temporary_channel_failure', channelUpdate };

const refusals: readonly [string, Change, ForwardRefusalCause, FailureMessage][] = [
  ['no channel of this name', { outgoing: undefined }, 'channel_unknown', { type: 'unknown_next_peer' }],
  [
    'a channel that closes',
    { outgoing: { phase: 'closing' } },
    'channel_closing',
    { type: 'permanent_channel_failure' },
  ],
  [
    'a disabled channel',
    { outgoing: { disabled: true } },
    'channel_disabled',
    { type: 'channel_disabled', disabledFlags: 0, channelUpdate },
  ],
  ['a channel that is not ready', { outgoing: { phase: 'opening' } }, 'channel_not_ready', temporary],
  ['a peer that is away', { outgoing: { online: false } }, 'peer_offline', temporary],
  [
    'less than our minimum',
    { forwardMsat: 999n },
    'amount_below_minimum',
    { type: 'amount_below_minimum', htlcMsat: 999n, channelUpdate },
  ],
  [
    'less than the peer takes',
    { outgoing: { minimumMsat: 100_000_001n } },
    'amount_below_minimum',
    { type: 'amount_below_minimum', htlcMsat: 100_000_000n, channelUpdate },
  ],
  [
    'nothing to forward, where nothing is the minimum',
    { forwardMsat: 0n, outgoing: { minimumMsat: 0n, policy: { ...policy, htlcMinimumMsat: 0n } } },
    'amount_below_minimum',
    { type: 'amount_below_minimum', htlcMsat: 0n, channelUpdate },
  ],
  [
    'a fee of 1 msat too little',
    { amountMsat: 100_010_999n },
    'fee_insufficient',
    { type: 'fee_insufficient', htlcMsat: 100_010_999n, channelUpdate },
  ],
  [
    'more out than in, where forwarding is free',
    {
      amountMsat: 99_999_999n,
      outgoing: { policy: { ...policy, feeBaseMsat: 0, feeProportionalMillionths: 0 } },
    },
    'fee_insufficient',
    { type: 'fee_insufficient', htlcMsat: 99_999_999n, channelUpdate },
  ],
  [
    'a delta that is one block too small',
    { cltvExpiry: height + 139 },
    'expiry_delta_too_small',
    { type: 'incorrect_cltv_expiry', cltvExpiry: height + 100, channelUpdate },
  ],
  [
    'a delta that is not safe, though the policy has it',
    { cltvExpiry: height + 133, outgoing: { policy: { ...policy, cltvExpiryDelta: 10 } } },
    'expiry_delta_too_small',
    { type: 'incorrect_cltv_expiry', cltvExpiry: height + 100, channelUpdate },
  ],
  [
    'an outgoing HTLC that is about to expire',
    { outgoingExpiry: height + 3, cltvExpiry: height + 103 },
    'expiry_too_soon',
    { type: 'expiry_too_soon', channelUpdate },
  ],
  [
    'an outgoing HTLC that has expired',
    { outgoingExpiry: 0, cltvExpiry: height + 100 },
    'expiry_too_soon',
    { type: 'expiry_too_soon', channelUpdate },
  ],
  [
    'an incoming HTLC that lasts a block too long',
    { cltvExpiry: height + 2017 },
    'expiry_too_far',
    { type: 'expiry_too_far' },
  ],
  [
    'more than our maximum',
    { outgoing: { policy: { ...policy, htlcMaximumMsat: 99_999_999n } } },
    'amount_above_maximum',
    temporary,
  ],
  [
    'more than the channel has',
    { outgoing: { spendableMsat: 99_999_999n } },
    'balance_insufficient',
    temporary,
  ],
  ['the way that it came', { outgoing: { isIncoming: true } }, 'same_channel', temporary],
  [
    'one HTLC too many of the peer',
    { held: { count: 483, valueMsat: 0n } },
    'too_many_held',
    { type: 'temporary_node_failure' },
  ],
  [
    'too much value of the peer',
    { held: { count: 1, valueMsat: 999_900_000_000n } },
    'too_much_held',
    { type: 'temporary_node_failure' },
  ],
];

describe('judgeForward', () => {
  test('accepts what pays just enough, and tells what to offer', () => {
    expect(judgeForward(input())).toEqual({
      type: 'forward',
      htlc: { amountMsat: 100_000_000n, cltvExpiry: height + 100 },
      feeMsat: 11_000n,
    });
  });

  test('accepts at the limits', () => {
    const atLimits: readonly Change[] = [
      { forwardMsat: 1000n },
      { cltvExpiry: height + 2016 },
      { outgoingExpiry: height + 4, cltvExpiry: height + 44 },
      { outgoing: { spendableMsat: 100_000_000n } },
      { outgoing: { minimumMsat: 100_000_000n, policy: { ...policy, htlcMaximumMsat: 100_000_000n } } },
      { held: { count: 482, valueMsat: 999_899_989_000n } },
      { cltvExpiry: height + 134, outgoing: { policy: { ...policy, cltvExpiryDelta: 10 } } },
    ];
    for (const change of atLimits) expect(judgeForward(input(change))).toMatchObject({ type: 'forward' });
  });

  test.each(refusals)('refuses %s', (_, change, cause, failure) => {
    expect(judgeForward(input(change))).toEqual({ type: 'refuse', cause, failure });
    expect(encodeFailureMessage(failure).length).toBeGreaterThan(1);
  });

  test('names the failure that comes first when there are several', () => {
    // Each change is refused before the one behind it; the state comes first, the balance last.
    const order: readonly [Change, ForwardRefusalCause][] = [
      [{ outgoing: { phase: 'closing' } }, 'channel_closing'],
      [{ outgoing: { disabled: true } }, 'channel_disabled'],
      [{ outgoing: { online: false } }, 'peer_offline'],
      [{ outgoing: { minimumMsat: 100_000_001n } }, 'amount_below_minimum'],
      [{ amountMsat: 1n }, 'fee_insufficient'],
      [{ cltvExpiry: height + 1, outgoingExpiry: height + 1 }, 'expiry_delta_too_small'],
      [{ held: { count: 1000, valueMsat: 0n } }, 'too_many_held'],
      [{ outgoing: { spendableMsat: 0n } }, 'balance_insufficient'],
    ];
    order.forEach(([, cause], first) => {
      const rest = order.slice(first).map(([change]) => change);
      const outgoing = Object.assign({}, ...rest.map((change) => change.outgoing ?? {}));
      const all: Change = Object.assign({}, ...rest, { outgoing });
      expect(judgeForward(input(all))).toMatchObject({ cause });
    });
  });

  test('an incoming HTLC without time to claim it on chain is too soon, whatever the deltas', () => {
    const limits = { ...defaultForwardLimits, minCltvExpiryDelta: 0 };
    const free = { outgoing: { policy: { ...policy, cltvExpiryDelta: 0 } }, outgoingExpiry: height + 10 };
    const at = (cltvExpiry: number) => judgeForward({ ...input({ ...free, cltvExpiry }), limits });
    expect(at(height + 23)).toMatchObject({ cause: 'expiry_too_soon' });
    expect(at(height + 24)).toMatchObject({ type: 'forward' });
  });

  test('honours the previous policy, as a whole', () => {
    const dearer = { ...policy, feeBaseMsat: 5000 };
    const patient = { ...policy, cltvExpiryDelta: 50 };
    const judge = (outgoing: Partial<OutgoingChannel>) => judgeForward(input({ outgoing }));
    expect(judge({ policy: dearer, previousPolicy: policy })).toMatchObject({
      type: 'forward',
      feeMsat: 11_000n,
    });
    expect(judge({ policy, previousPolicy: dearer })).toMatchObject({ type: 'forward' });
    expect(judge({ policy: dearer, previousPolicy: patient })).toMatchObject({ cause: 'fee_insufficient' });
    expect(judge({ policy: patient, previousPolicy: dearer })).toMatchObject({
      cause: 'expiry_delta_too_small',
    });
  });

  test('tells the channel_update of announced channels alone, and none under an alias', () => {
    const told = (outgoing: Partial<OutgoingChannel>) => {
      const judged = judgeForward(input({ outgoing: { ...outgoing, spendableMsat: 0n } }));
      return judged.type === 'refuse' && 'channelUpdate' in judged.failure && judged.failure.channelUpdate;
    };
    const none = new Uint8Array(0);
    expect(told({})).toEqual(channelUpdate);
    expect(told({ announced: false })).toEqual(none);
    expect(told({ announced: false, namedByAlias: true })).toEqual(none);
    expect(told({ namedByAlias: true })).toEqual(none);
    expect(told({ channelUpdate: undefined })).toEqual(none);
    expect(temporaryChannelFailure(channel)).toEqual(temporary);
  });

  test('never loses: what is accepted pays a policy of ours and leaves its delta', () => {
    const someMsat = fc.oneof(fc.bigInt(0n, 3000n), fc.bigInt(0n, 2_000_000_000n));
    const somePolicy = fc.record({
      feeBaseMsat: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
      feeProportionalMillionths: fc.oneof(fc.nat({ max: 5000 }), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
      cltvExpiryDelta: fc.integer({ min: 0, max: 200 }),
      htlcMinimumMsat: fc.bigInt(0n, 2000n),
      htlcMaximumMsat: fc.bigInt(1000n, 2_000_000_000n),
    });
    const someCase = fc.record({
      forwardMsat: someMsat,
      /** Over the fee of the policy; negative is too little. */
      surplusMsat: fc.oneof(fc.constant(0n), fc.bigInt(-2000n, 2000n)),
      outgoingExpiry: fc.integer({ min: height - 10, max: height + 2100 }),
      delta: fc.integer({ min: -10, max: 250 }),
      policy: somePolicy,
      previousPolicy: fc.option(somePolicy, { nil: undefined }),
      spendableMsat: someMsat,
      minimumMsat: fc.bigInt(0n, 2000n),
      held: fc.record({ count: fc.nat({ max: 500 }), valueMsat: fc.bigInt(0n, 1_000_000_000_000n) }),
    });
    let accepted = 0;
    fc.assert(
      fc.property(someCase, (given) => {
        const amountMsat =
          given.forwardMsat + forwardingFee(given.policy, given.forwardMsat) + given.surplusMsat;
        const asked = input({
          amountMsat,
          forwardMsat: given.forwardMsat,
          outgoingExpiry: given.outgoingExpiry,
          cltvExpiry: given.outgoingExpiry + given.delta,
          outgoing: {
            policy: given.policy,
            previousPolicy: given.previousPolicy,
            spendableMsat: given.spendableMsat,
            minimumMsat: given.minimumMsat,
          },
          held: given.held,
        });
        const judged = judgeForward(asked);
        const met = [given.policy, given.previousPolicy].some(
          (each) =>
            each !== undefined &&
            amountMsat - given.forwardMsat >= forwardingFee(each, given.forwardMsat) &&
            given.delta >= each.cltvExpiryDelta &&
            given.forwardMsat >= each.htlcMinimumMsat &&
            given.forwardMsat <= each.htlcMaximumMsat,
        );
        const within =
          given.delta >= 34 &&
          given.forwardMsat > 0n &&
          given.forwardMsat >= given.minimumMsat &&
          given.forwardMsat <= given.spendableMsat &&
          given.outgoingExpiry > height + 3 &&
          given.outgoingExpiry + given.delta <= height + 2016 &&
          given.held.count < 483 &&
          given.held.valueMsat + amountMsat <= 1_000_000_000_000n;
        expect(judged.type === 'forward').toBe(met && within);
        if (judged.type === 'refuse') return;
        accepted++;
        expect(judged.feeMsat).toBeGreaterThanOrEqual(0n);
        expect(judged.feeMsat).toBe(asked.incoming.amountMsat - judged.htlc.amountMsat);
        expect(asked.incoming.cltvExpiry - judged.htlc.cltvExpiry).toBeGreaterThanOrEqual(34);
      }),
      { numRuns: 2000 },
    );
    expect(accepted).toBeGreaterThan(20);
  });
});

describe('forwardingFee', () => {
  test('is the base and the millionths of the outgoing amount, rounded down', () => {
    expect(forwardingFee(policy, 0n)).toBe(1000n);
    expect(forwardingFee(policy, 9_999n)).toBe(1000n);
    expect(forwardingFee(policy, 10_000n)).toBe(1001n);
    // BOLT 7, HTLC fees: the example of A->B->C
    expect(forwardingFee({ feeBaseMsat: 200, feeProportionalMillionths: 2000 }, 4_999_999n)).toBe(10_199n);
    const dearest = { feeBaseMsat: 2 ** 32 - 1, feeProportionalMillionths: 2 ** 32 - 1 };
    expect(forwardingFee(dearest, 2n ** 64n - 1n)).toBe(79_228_162_495_821_888_482_834n);
  });
});
