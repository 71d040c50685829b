import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../../bytes/index.js';
import type { DirectedChannel, LiquidityObservation, RouteHop } from '../../graph/index.js';
import { createAttributedFailure, type FailureMessage, wrapAttributedFailure } from '../../onion/index.js';
import { sharedSecretsOf } from './attemptOnion.js';
import { failureRules } from './failureRules.js';
import { judgeFailure } from './judgeFailure.js';
import { planSending } from './planSending.js';
import {
  contextWith,
  fail,
  failureFrom,
  failureSamples,
  nodeId,
  requestTo,
  routeOver,
  sessionKeyOf,
  updateFor,
} from './samples.test.support.js';
import { type Attempt, beginSending, type Sending } from './sending.js';

const types = Object.keys(failureSamples) as FailureMessage['type'][];
const route = routeOver([1, 2, 3, 4]);
const [, , channelThree] = route.hops as [RouteHop, RouteHop, RouteHop, RouteHop];
const node = (number: number) => bytesToHex(nodeId(number));

/** A payment over nodes 1, 2 and 3 to node 4, in flight. */
function sent(request = requestTo(4)): Sending {
  return planSending(beginSending(request, 0), contextWith([[route]])).sending;
}

function failed(sending: Sending, hopIndex: number, failure: FailureMessage) {
  const [attempt] = sending.attempts;
  if (attempt === undefined) throw new Error('nothing was sent');
  return fail(sending, 0, failureFrom(attempt, hopIndex, failure));
}

const carried = (...channels: bigint[]): LiquidityObservation[] =>
  channels.map((shortChannelId) => ({
    shortChannelId,
    direction: 0,
    amountMsat: route.hops[Number(shortChannelId) - 1]?.amountMsat as bigint,
    outcome: 'carried',
  }));
const refused: LiquidityObservation = {
  shortChannelId: 3n,
  direction: 0,
  amountMsat: channelThree.amountMsat,
  outcome: 'refused',
};

/** What the failure of node 2 (hop 1 of 0 to 3) leads to; the channel behind it is 3. */
const fromHop: Record<FailureMessage['type'], { avoided: 'node' | 'channel' | 'amount'; refuses?: true }> = {
  temporary_node_failure: { avoided: 'node' },
  permanent_node_failure: { avoided: 'node' },
  required_node_feature_missing: { avoided: 'node' },
  invalid_onion_version: { avoided: 'channel' },
  invalid_onion_hmac: { avoided: 'channel' },
  invalid_onion_key: { avoided: 'channel' },
  temporary_channel_failure: { avoided: 'amount', refuses: true },
  permanent_channel_failure: { avoided: 'channel', refuses: true },
  required_channel_feature_missing: { avoided: 'channel' },
  unknown_next_peer: { avoided: 'channel', refuses: true },
  amount_below_minimum: { avoided: 'channel' },
  fee_insufficient: { avoided: 'channel' },
  incorrect_cltv_expiry: { avoided: 'channel' },
  expiry_too_soon: { avoided: 'channel' },
  incorrect_or_unknown_payment_details: { avoided: 'node' },
  final_incorrect_cltv_expiry: { avoided: 'node' },
  final_incorrect_htlc_amount: { avoided: 'node' },
  channel_disabled: { avoided: 'channel', refuses: true },
  expiry_too_far: { avoided: 'node' },
  invalid_onion_payload: { avoided: 'node' },
  mpp_timeout: { avoided: 'node' },
  invalid_onion_blinding: { avoided: 'node' },
  unknown: { avoided: 'channel' },
};

/** Failures of the destination after which the payment is tried again. */
const retried: Partial<Record<FailureMessage['type'], DirectedChannel>> = {
  final_incorrect_cltv_expiry: '4/0',
  final_incorrect_htlc_amount: '4/0',
};
/** Failures that prove a probe to have arrived. */
const reaching: readonly FailureMessage['type'][] = [
  'incorrect_or_unknown_payment_details',
  'required_node_feature_missing',
  'invalid_onion_payload',
  'mpp_timeout',
  'unknown',
];

describe('failures of nodes on the way', () => {
  test.each(types)('%s', (type) => {
    const { avoided, refuses } = fromHop[type];
    const { sending, observations } = failed(sent(), 1, failureSamples[type]);
    const { knowledge } = sending;
    expect(sending.status).toBe('pending');
    expect(sending.failure).toBeUndefined();
    expect(sending.attempts[0]).toMatchObject({ status: 'failed', failure: { cause: type, hopIndex: 1 } });
    expect([...knowledge.excludedNodes]).toEqual(avoided === 'node' ? [node(2)] : []);
    expect([...knowledge.excludedChannels]).toEqual(avoided === 'channel' ? ['3/0'] : []);
    expect(knowledge.channels.get('3/0')?.refusedMsat).toBe(
      avoided === 'amount' ? channelThree.amountMsat : undefined,
    );
    expect(observations).toEqual([...carried(2n), ...(refuses ? [refused] : [])]);
  });

  test('an unknown code with the NODE flag is about the node', () => {
    const failure: FailureMessage = { type: 'unknown', failureCode: 0x2000 | 77, data: new Uint8Array(0) };
    expect([...failed(sent(), 1, failure).sending.knowledge.excludedNodes]).toEqual([node(2)]);
  });

  test('nonsense that a node signs for is held against it; from the destination it is the end', () => {
    const sending = sent();
    const [attempt] = sending.attempts as [Attempt];
    const nonsense = (hopIndex: number) =>
      judgeFailure(sending, { attempt, reading: { type: 'attributed', hopIndex, failure: undefined } });
    expect([...nonsense(1).knowledge.excludedNodes]).toEqual([node(2)]);
    expect(nonsense(3).verdict).toMatchObject({ type: 'end', cause: { code: 'refused_by_destination' } });
  });

  test('a channel that refuses three times is left alone, and less is asked of it before', () => {
    let sending = sent(
      requestTo(4, { kind: { type: 'invoice', paymentSecret: new Uint8Array(32) }, maxParts: 4 }),
    );
    for (const [id, amountMsat] of [1_000_000n, 800_000n, 600_000n].entries()) {
      const attempt = { ...(sending.attempts[0] as Attempt), id };
      const hops = attempt.route.hops.map((hop) => ({ ...hop, amountMsat }));
      const smaller = {
        ...attempt,
        status: 'in_flight' as const,
        route: { ...attempt.route, hops, amountMsat },
      };
      sending = { ...sending, attempts: [...sending.attempts.slice(0, id), smaller] };
      expect(sending.knowledge.excludedChannels.size).toBe(0);
      const settlement = failureFrom(smaller, 1, failureSamples.temporary_channel_failure);
      sending = fail(sending, id, settlement).sending;
      expect(sending.knowledge.channels.get('3/0')).toEqual({ refusedMsat: amountMsat, refusals: id + 1 });
    }
    expect([...sending.knowledge.excludedChannels]).toEqual(['3/0']);
  });
});

describe('failures of the destination', () => {
  test.each(types)('%s', (type) => {
    const { sending, observations } = failed(sent(), 3, failureSamples[type]);
    expect(observations).toEqual(carried(2n, 3n, 4n));
    const avoided = retried[type];
    if (avoided !== undefined) {
      expect(sending.status).toBe('pending');
      expect([...sending.knowledge.excludedChannels]).toEqual([avoided]);
      return;
    }
    expect(sending.status).toBe('failed');
    expect(sending.failure?.code).toBe('refused_by_destination');
    expect(sending.failure?.text).toContain(failureRules[type].sentence);
    expect(sending.failure?.details).toEqual({ attempts: 1, cause: type, node: node(4) });
  });

  test.each(types)('%s, to a payment straight to a peer, ends it', (type) => {
    const direct = planSending(beginSending(requestTo(1), 0), contextWith([[routeOver([1])]])).sending;
    const { sending, observations } = failed(direct, 0, failureSamples[type]);
    expect(sending.failure?.code).toBe('refused_by_destination');
    expect(sending.status).toBe('failed');
    expect(observations).toEqual([]);
  });

  test.each(types)('%s, to a probe', (type) => {
    const probe = sent(requestTo(4, { kind: { type: 'probe' } }));
    const { sending } = failed(probe, 3, failureSamples[type]);
    if (reaching.includes(type)) expect(sending).toMatchObject({ status: 'succeeded' });
    else expect(sending.status).not.toBe('succeeded');
    expect(sending.preimage).toBeUndefined();
  });

  test('the same code from a node on the way does not make a probe a success', () => {
    const probe = sent(requestTo(4, { kind: { type: 'probe' } }));
    const { sending } = failed(probe, 2, failureSamples.incorrect_or_unknown_payment_details);
    expect(sending.status).toBe('pending');
  });

  test('a keysend that is refused tells why it may be', () => {
    const { sending } = failed(sent(), 3, failureSamples.incorrect_or_unknown_payment_details);
    expect(sending.failure?.text).toBe(
      'the destination does not take this payment: it may not accept keysend, or not this amount or these records',
    );
  });

  test('a destination whose chain is ahead of ours is told of', () => {
    const failure = { ...failureSamples.incorrect_or_unknown_payment_details, height: 800_009 };
    expect(failed(sent(), 3, failure).sending.failure?.text).toContain(
      'its chain is at block 800009, ours was at 800000: our node may be behind',
    );
  });

  test('codes of former times are understood', () => {
    const failure: FailureMessage = { type: 'unknown', failureCode: 0x4010, data: new Uint8Array(0) };
    expect(failed(sent(), 3, failure).sending.failure?.text).toContain('does not take this amount');
  });

  test('an expiry too far away is tried once more without padding', () => {
    const context = contextWith([[route]], { paddingRandom: () => 0.5 });
    const begun = beginSending(requestTo(4), 0);
    const padded = planSending(begun, context).sending;
    expect(padded.attempts[0]?.route.hops[3]?.cltvDelta).toBeGreaterThan(80);
    const { sending } = failed(padded, 3, failureSamples.expiry_too_far);
    const again = planSending(sending, context).sending;
    expect(again.attempts[1]?.route).toEqual(route);
    const settlement = failureFrom(again.attempts[1] as Attempt, 3, failureSamples.expiry_too_far);
    expect(fail(again, 1, settlement).sending.status).toBe('failed');
  });

  test('parts that waited for others in vain make fewer parts the limit', () => {
    const request = requestTo(4, {
      kind: { type: 'invoice', paymentSecret: new Uint8Array(32) },
      maxParts: 5,
    });
    const halves = [
      routeOver([1, 2, 3, 4], { amountMsat: 400_000n }),
      routeOver([1, 5, 4], { amountMsat: 600_000n, channels: [1n, 8n, 9n] }),
    ];
    let { sending } = planSending(beginSending(request, 0), contextWith([halves]));
    expect(sending.attempts).toHaveLength(2);
    sending = failed(sending, 3, failureSamples.mpp_timeout).sending;
    expect(sending.knowledge.partsLimit).toBe(5);
    const settlement = failureFrom(sending.attempts[1] as Attempt, 2, failureSamples.mpp_timeout);
    sending = fail(sending, 1, settlement).sending;
    expect(sending).toMatchObject({ status: 'pending', knowledge: { partsLimit: 2 } });
  });
});

describe('terms that a failure brings', () => {
  const feeInsufficient = (channelUpdate: Uint8Array): FailureMessage => ({
    type: 'fee_insufficient',
    htlcMsat: 1n,
    channelUpdate,
  });
  const update = (change: Parameters<typeof updateFor>[1]) => updateFor(channelThree, change);

  test.each([
    ['a fee', feeInsufficient(update({ feeBaseMsat: 2500 })), [4500n, 3500n, 1000n], [40, 40, 40]],
    [
      'a fee without the type of its message',
      feeInsufficient(update({ feeBaseMsat: 2500 }).subarray(2)),
      [4500n, 3500n, 1000n],
      [40, 40, 40],
    ],
    [
      'an expiry',
      {
        type: 'incorrect_cltv_expiry',
        cltvExpiry: 1,
        channelUpdate: update({ cltvExpiryDelta: 144, feeBaseMsat: 1000 }),
      } satisfies FailureMessage,
      [3000n, 2000n, 1000n],
      [40, 144, 40],
    ],
  ] as const)('%s is kept to in the next attempt', (_, failure, above, deltas) => {
    const { sending } = failed(sent(), 1, failure);
    expect(sending.knowledge.excludedChannels.size).toBe(0);
    const { sending: again, attempts } = planSending(sending, contextWith([[route]]));
    const hops = again.attempts[1]?.route.hops as RouteHop[];
    // The nodes before take a little more for the amount that grew.
    expect(hops.map((hop) => hop.amountMsat - 1_000_000n)).toEqual([
      above[0] + (above[1] > 2000n ? 3n : 0n),
      above[1],
      above[2],
      0n,
    ]);
    expect(hops.slice(0, 3).map((hop, i) => hop.cltvDelta - (hops[i + 1] as RouteHop).cltvDelta)).toEqual(
      deltas,
    );
    expect(attempts[0]?.htlc.amountMsat).toBe(hops[0]?.amountMsat);
  });

  test('a minimum keeps smaller amounts out', () => {
    const failure: FailureMessage = {
      type: 'amount_below_minimum',
      htlcMsat: 1n,
      channelUpdate: update({ htlcMinimumMsat: 2_000_000n }),
    };
    const { sending } = failed(sent(), 1, failure);
    const other = routeOver([1, 5, 4], { channels: [1n, 8n, 9n] });
    const context = contextWith([[route], [other]]);
    expect(planSending(sending, context).attempts[0]?.route).toEqual(other);
    expect(context.asked[1]?.excludedChannels.has('3/0')).toBe(true);
  });

  test.each([
    ['of another channel', updateFor({ shortChannelId: 77n, direction: 0 }, { feeBaseMsat: 5000 })],
    ['of the other direction', updateFor({ shortChannelId: 3n, direction: 1 }, { feeBaseMsat: 5000 })],
    ['of garbage', new Uint8Array(138).fill(9)],
    ['cut short', update({ feeBaseMsat: 5000 }).subarray(0, 90)],
    ['of a fee that was paid', update({ feeBaseMsat: 1000 })],
    ['that no amount fits', update({ feeBaseMsat: 5000, htlcMinimumMsat: 5n, htlcMaximumMsat: 4n })],
  ])('an update %s is held against its channel and its node', (_, channelUpdate) => {
    const { knowledge } = failed(sent(), 1, feeInsufficient(channelUpdate)).sending;
    expect([...knowledge.excludedChannels]).toEqual(['3/0']);
    expect(knowledge.strikes.get(node(2))).toBe(2);
    expect(knowledge.channels.get('3/0')?.policy).toBeUndefined();
  });

  test('a node that asks for more again, after it was paid what it asked for, is left out', () => {
    let { sending } = failed(sent(), 1, feeInsufficient(update({ feeBaseMsat: 2000 })));
    ({ sending } = planSending(sending, contextWith([[route]])));
    const [, attempt] = sending.attempts;
    const more = failureFrom(attempt as Attempt, 1, feeInsufficient(update({ feeBaseMsat: 3000 })));
    ({ sending } = fail(sending, 1, more));
    expect([...sending.knowledge.excludedChannels]).toEqual(['3/0']);
    expect(sending.knowledge.strikes.get(node(2))).toBe(3);
  });

  test('a part that was on its way with the old terms is not held against the node', () => {
    const request = requestTo(4, {
      kind: { type: 'invoice', paymentSecret: new Uint8Array(32) },
      maxParts: 2,
    });
    const half = routeOver([1, 2, 3, 4], { amountMsat: 500_000n });
    let { sending } = planSending(beginSending(request, 0), contextWith([[half, half]]));
    const failure = feeInsufficient(update({ feeBaseMsat: 2000 }));
    for (const id of [0, 1])
      sending = fail(sending, id, failureFrom(sending.attempts[id] as Attempt, 1, failure)).sending;
    expect(sending.knowledge.excludedChannels.size).toBe(0);
    expect(sending.knowledge.strikes.get(node(2))).toBe(1);
  });

  test('an expiry beyond the limit is not risked, and told', () => {
    const failure: FailureMessage = {
      type: 'incorrect_cltv_expiry',
      cltvExpiry: 1,
      channelUpdate: update({ cltvExpiryDelta: 2000 }),
    };
    const { sending } = failed(sent(), 1, failure);
    const context = contextWith([[route], { type: 'none', reason: 'no_path' }]);
    expect(planSending(sending, context).sending.failure).toMatchObject({
      code: 'cltv_limit',
      details: { cltvDelta: 2160 },
    });
  });

  test('a fee above the limit is not paid, and told', () => {
    const { sending } = failed(sent(), 1, feeInsufficient(update({ feeBaseMsat: 9001 })));
    const context = contextWith([[route], { type: 'none', reason: 'no_path' }]);
    const { sending: over, attempts } = planSending(sending, context);
    expect(attempts).toEqual([]);
    expect(over.failure).toMatchObject({ code: 'fee_limit', details: { feeMsat: 11_010n } });
    expect(over.failure?.text).toBe(
      'a route exists that would cost 11.01 sat; your limit is 10 sat; ' +
        'the attempt failed at hop 2 of 4: fee_insufficient',
    );
  });
});

describe('failures that cannot be read', () => {
  /** A failure of the destination, whose bytes a hop changes before it passes it on. */
  const alteredBy = (sending: Sending, hopIndex: number) => {
    const secrets = sharedSecretsOf(sending.attempts[0] as Attempt, sessionKeyOf(0));
    const failure = failureSamples.temporary_node_failure;
    let made = createAttributedFailure({ sharedSecret: secrets[3] as Uint8Array, failure, holdTimeMs: 0 });
    for (let i = 2; i >= 0; i--) {
      if (i === hopIndex) made.reason[50] = (made.reason[50] as number) ^ 1;
      made = wrapAttributedFailure({ sharedSecret: secrets[i] as Uint8Array, ...made, holdTimeMs: 0 });
    }
    return { type: 'fail', ...made } as const;
  };

  test('without attribution data, whoever was there most often is left out, our peer last', () => {
    let sending = sent();
    const avoided: string[] = [];
    for (const [id, nodes] of [
      [1, 2, 3, 4],
      [1, 2, 5, 4],
      [1, 6, 4],
    ].entries()) {
      if (id > 0) ({ sending } = planSending(sending, contextWith([[routeOver(nodes)]])));
      ({ sending } = fail(sending, id, { type: 'fail', reason: new Uint8Array(292) }));
      avoided.push(...[...sending.knowledge.excludedNodes].filter((key) => !avoided.includes(key)));
    }
    expect(avoided).toEqual([node(3), node(2), node(1)]);
  });

  test('threat 25: a failure onion of 64 kB is nobody’s', () => {
    const { sending, observations } = fail(sent(), 0, { type: 'fail', reason: new Uint8Array(65_000) });
    expect(sending.attempts[0]?.failure).toEqual({ cause: 'unattributable' });
    expect(observations).toEqual([]);
  });

  test('with attribution data, the two nodes between which it was altered are to blame', () => {
    const sending = sent();
    const { sending: told, observations } = fail(sending, 0, alteredBy(sending, 1));
    expect(told.attempts[0]?.failure).toEqual({ cause: 'corrupted', hopIndex: 1 });
    expect([...told.knowledge.excludedChannels]).toEqual(['3/0']);
    expect([...told.knowledge.strikes]).toEqual([
      [node(2), 2],
      [node(3), 2],
    ]);
    expect(observations).toEqual(carried(2n));
  });

  test('the destination is never left out, whatever is altered beside it', () => {
    const sending = sent();
    const { knowledge } = fail(sending, 0, alteredBy(sending, 2)).sending;
    expect([...knowledge.excludedChannels]).toEqual(['4/0']);
    expect([...knowledge.strikes]).toEqual([[node(3), 2]]);
  });

  test('an onion that our peer could not read makes it a node to go around', () => {
    const malformed = {
      type: 'fail_malformed',
      sha256OfOnion: new Uint8Array(32),
      failureCode: 0xc005,
    } as const;
    const { sending, observations } = fail(sent(), 0, malformed);
    expect([...sending.knowledge.excludedNodes]).toEqual([node(1)]);
    expect(observations).toEqual([]);
    expect(sending.attempts[0]?.failure).toEqual({ cause: 'invalid_onion_hmac', hopIndex: 0 });
  });

  test('what came back from the chain after its expiry ends the payment', () => {
    const { sending } = fail(sent(), 0, { type: 'timed_out_on_chain' });
    expect(sending).toMatchObject({ status: 'failed', failure: { code: 'timed_out_on_chain' } });
  });
});
