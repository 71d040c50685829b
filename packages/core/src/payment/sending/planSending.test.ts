import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../../bytes/index.js';
import type { NoRoute, Route } from '../../graph/index.js';
import { peelOnion, readFinalPayload, readForwardPayload } from '../../onion/index.js';
import { createKeysend, keysendRecordType } from '../keysend.js';
import { maxHopsOf, sharedSecretsOf } from './attemptOnion.js';
import { attemptFulfilled, attemptRefused } from './attemptOutcome.js';
import { type PaymentRequest, SendingError } from './paymentRequest.js';
import { type NewAttempt, planSending } from './planSending.js';
import {
  blockHeight,
  contextWith,
  fail,
  failureFrom,
  failureSamples,
  firstHop,
  nodeId,
  preimage,
  privateKeyOf,
  requestTo,
  routeOver,
  sessionKeyOf,
} from './samples.test.support.js';
import { type Attempt, beginSending, isOver, type Sending, sendingFeeMsat } from './sending.js';

const secret = new Uint8Array(32).fill(0x5e);
const invoice = { type: 'invoice', paymentSecret: secret, paymentMetadata: Uint8Array.of(1, 2) } as const;
const halves = [
  routeOver([1, 2, 4], { amountMsat: 400_000n }),
  routeOver([1, 3, 4], { amountMsat: 600_000n, channels: [1n, 12n, 13n] }),
];

function plan(request: PaymentRequest, routes: readonly Route[]) {
  return planSending(beginSending(request, 0), contextWith([routes]));
}

/** What each hop reads, and the secrets by which it answers. */
function peelAll({ htlc }: NewAttempt, nodes: readonly number[]) {
  const secrets: Uint8Array[] = [];
  let packet = htlc.onion;
  for (const number of nodes) {
    const associatedData = htlc.paymentHash;
    const peeled = peelOnion({ privateKey: privateKeyOf(number), packet, associatedData });
    if (peeled.type === 'final') {
      secrets.push(peeled.sharedSecret);
      return { final: readFinalPayload(peeled.payload), secrets };
    }
    if (peeled.type !== 'forward') throw new Error(peeled.type);
    readForwardPayload(peeled.payload);
    secrets.push(peeled.sharedSecret);
    packet = peeled.nextPacket;
  }
  throw new Error('the onion goes on behind the destination');
}

describe('what is sent', () => {
  test('a keysend to a peer is byte for byte the one that was always sent', () => {
    const customRecords = new Map([[7629169n, new Uint8Array(300).fill(7)]]);
    const request = requestTo(1, { customRecords, paymentSecret: secret, maxParts: 4 });
    const { attempts } = plan(request, [routeOver([1])]);
    const { htlc } = createKeysend({
      destination: request.destination,
      amountMsat: request.amountMsat,
      preimage,
      sessionKey: sessionKeyOf(0),
      blockHeight,
      customRecords,
    });
    expect(attempts.map((attempt) => attempt.htlc)).toEqual([htlc]);
  });

  test('each hop is told what the next one gets, and the destination the amount', () => {
    const { attempts } = plan(requestTo(4), [routeOver([1, 2, 4])]);
    const [attempt] = attempts as [NewAttempt];
    expect(attempt.htlc).toMatchObject({ amountMsat: 1_002_000n, cltvExpiry: blockHeight + 160 });
    const { final, secrets } = peelAll(attempt, [1, 2, 4]);
    expect(final).toEqual({
      amountToForwardMsat: 1_000_000n,
      outgoingCltvValue: blockHeight + 80,
      customRecords: new Map([[keysendRecordType, preimage]]),
    });
    expect(sharedSecretsOf(attempt, sessionKeyOf(0))).toEqual(secrets);
  });

  test.each([
    ['an invoice', { kind: invoice }, { paymentMetadata: invoice.paymentMetadata }],
    [
      'a keysend with a secret',
      { paymentSecret: secret },
      { customRecords: new Map([[keysendRecordType, preimage]]) },
    ],
  ] as const)('%s in parts tells the total with each part', (_, change, more) => {
    const { sending, attempts } = plan(requestTo(4, { ...change, maxParts: 2 }), halves);
    expect(attempts.map(({ id, shortChannelId }) => [id, shortChannelId])).toEqual([
      [0, 1n],
      [1, 1n],
    ]);
    const nodes = [
      [1, 2, 4],
      [1, 3, 4],
    ];
    for (const attempt of attempts) {
      expect(peelAll(attempt, nodes[attempt.id] ?? []).final).toMatchObject({
        amountToForwardMsat: attempt.route.amountMsat,
        paymentData: { paymentSecret: secret, totalMsat: 1_000_000n },
        ...more,
      });
    }
    expect(sendingFeeMsat(sending)).toBe(4000n);
  });

  test('a keysend without a secret, and a probe, ask for one part', () => {
    for (const change of [{}, { kind: { type: 'probe' } as const, paymentSecret: secret }]) {
      const context = contextWith([[routeOver([1, 2, 4])]]);
      planSending(beginSending(requestTo(4, { ...change, maxParts: 9 }), 0), context);
      expect(context.asked[0]?.maxParts).toBe(1);
    }
  });

  test('nothing more is asked for while all is in flight, and only the rest when a part came back', () => {
    const request = requestTo(4, { kind: invoice, maxParts: 3 });
    const { sending } = plan(request, halves);
    const idle = contextWith([]);
    expect(planSending(sending, idle)).toEqual({ sending, attempts: [] });
    expect(idle.asked).toEqual([]);
    const [, attempt] = sending.attempts as [Attempt, Attempt];
    const { sending: rest } = fail(
      sending,
      1,
      failureFrom(attempt, 1, failureSamples.temporary_node_failure),
    );
    const context = contextWith([{ type: 'none', reason: 'no_path' }]);
    expect(planSending(rest, context)).toEqual({ sending: rest, attempts: [] });
    expect(context.asked[0]).toMatchObject({ amountMsat: 600_000n, maxParts: 2, maxFeeMsat: 8000n });
  });

  test('expiries are padded within the limit', () => {
    const begun = beginSending(requestTo(4, { maxCltvDelta: 170 }), 0);
    for (const [random, blocks] of [
      [0, 0],
      [0.5, 5],
      [0.999, 10],
    ] as const) {
      const context = contextWith([[routeOver([1, 2, 4])]], { paddingRandom: () => random });
      const [attempt] = planSending(begun, context).attempts as [NewAttempt];
      expect(attempt.route.hops.map(({ cltvDelta }) => cltvDelta - blocks)).toEqual([160, 120, 80]);
      expect(attempt.htlc.cltvExpiry).toBe(blockHeight + 160 + blocks);
    }
  });

  test('a route may have as many hops as the onion has room for beside the records', () => {
    const at = { blockHeight, inParts: false };
    const withRecord = (bytes: number) =>
      requestTo(4, { customRecords: new Map([[7629169n, new Uint8Array(bytes)]]) });
    expect(maxHopsOf(requestTo(4), at)).toBe(20);
    expect(maxHopsOf(withRecord(934), at)).toBe(6);
    expect(maxHopsOf(withRecord(1205), at)).toBe(1);
    expect(maxHopsOf(withRecord(1206), at)).toBe(0);
    for (let bytes = 0; bytes <= 1205; bytes += 43) {
      const request = withRecord(bytes);
      const hops = maxHopsOf(request, at);
      const nodes = Array.from({ length: hops }, (_, i) => i + 1);
      const destination = { ...request, destination: nodeId(hops) };
      const route = routeOver(nodes, { feeMsat: 100n });
      expect(plan({ ...destination, maxCltvDelta: 2016 }, [route]).attempts).toHaveLength(1);
    }
  });

  test('records that leave no room for parts go in one', () => {
    const customRecords = new Map([[7629169n, new Uint8Array(1180)]]);
    const request = requestTo(1, { customRecords, paymentSecret: secret, maxParts: 5 });
    const context = contextWith([[routeOver([1])]]);
    expect(planSending(beginSending(request, 0), context).attempts).toHaveLength(1);
    expect(context.asked).toMatchObject([{ maxParts: 1, maxHops: 1 }]);
  });

  test('what the payment excludes is excluded in the search', () => {
    const excludedNodes = new Set(['02'.padEnd(66, '0')]);
    const request = requestTo(4, {
      excludedNodes,
      excludedChannels: new Set(['7/1']),
      firstHops: new Set([2n]),
    });
    const two = firstHop({ shortChannelId: 2n });
    const context = contextWith([{ type: 'none', reason: 'no_path' }], { firstHops: [firstHop(), two] });
    planSending(beginSending(request, 0), context);
    expect(context.asked[0]).toMatchObject({
      excludedNodes,
      excludedChannels: new Set(['7/1']),
      firstHops: [two],
    });
  });
});

describe('parts that share a channel', () => {
  const request = requestTo(4, { kind: invoice, maxParts: 4, maxFeeMsat: 100_000n });
  const part = (amountMsat: bigint, channels = [1n, 2n, 3n]) =>
    routeOver([1, 2, 4], { amountMsat, channels });

  test('do not ask it together for what it refused', () => {
    let { sending } = plan(request, [part(1_000_000n)]);
    const failure = failureFrom(sending.attempts[0] as Attempt, 1, failureSamples.temporary_channel_failure);
    ({ sending } = fail(sending, 0, failure));
    const context = contextWith([
      [part(500_000n), part(500_000n)],
      [part(500_000n, [1n, 8n, 9n]), part(500_000n, [1n, 8n, 9n])],
    ]);
    const { attempts } = planSending(sending, context);
    expect(attempts.map(({ route }) => route.hops[1]?.shortChannelId)).toEqual([8n, 8n]);
    expect(context.asked[1]?.excludedChannels).toEqual(new Set(['3/0']));
  });

  test('count together where one of them is refused', () => {
    const { sending } = plan(request, [part(600_000n), part(400_000n)]);
    const failure = failureFrom(sending.attempts[1] as Attempt, 1, failureSamples.temporary_channel_failure);
    const { sending: told, observations } = fail(sending, 1, failure);
    expect(told.knowledge.channels.get('3/0')?.refusedMsat).toBe(1_000_000n);
    expect(observations.at(-1)).toEqual({
      shortChannelId: 3n,
      direction: 0,
      amountMsat: 400_000n,
      outcome: 'refused',
    });
  });

  test('do not take more of our own than is there', () => {
    const firstHops = [firstHop({ spendableMsat: 1_003_999n }), firstHop({ shortChannelId: 7n })];
    const context = contextWith([[part(600_000n), part(400_000n)], [part(1_000_000n, [7n, 2n, 3n])]], {
      firstHops,
    });
    const { attempts } = planSending(beginSending(request, 0), context);
    expect(attempts.map(({ shortChannelId }) => shortChannelId)).toEqual([7n]);
    expect(context.asked[1]?.firstHops).toEqual([firstHops[1]]);
  });
});

describe('channels of our own that refuse', () => {
  const refusal = { code: 'peer_offline', message: 'the peer is not connected' };
  const route = routeOver([1, 2, 4]);
  const over = (code: string): Sending =>
    attemptRefused(plan(requestTo(4), [route]).sending, { id: 0, reason: { ...refusal, code }, nowMs: 5 });

  test.each([
    ['peer_offline', undefined],
    ['dust_exposure', undefined],
    ['amount_unaffordable', 751_499n],
    ['in_flight_limit', 751_499n],
  ])('%s leaves %s to be tried through it', (code, spendableMsat) => {
    const context = contextWith([{ type: 'none', reason: 'no_path' }]);
    planSending(over(code), context);
    expect(context.asked[0]?.firstHops.map((hop) => hop.spendableMsat)).toEqual(
      spendableMsat === undefined ? [] : [spendableMsat],
    );
  });

  test('what they say is the answer, where nothing else was tried', () => {
    const { sending } = planSending(
      over('peer_offline'),
      contextWith([{ type: 'none', reason: 'no_channels' }]),
    );
    expect(sending).toMatchObject({
      status: 'failed',
      failure: { code: 'refused_by_channel', text: 'the peer is not connected', details: { attempts: 1 } },
    });
  });
});

describe('how payments end', () => {
  test.each<[NoRoute, Partial<PaymentRequest>, string, string]>([
    [
      { reason: 'no_channels' },
      {},
      'no_channels',
      'none of our channels can send now: open one, or wait until its peer is connected',
    ],
    [
      { reason: 'no_channels' },
      { firstHops: new Set([9n]) },
      'no_channels',
      'none of the channels that the payment may begin with can send now',
    ],
    [
      { reason: 'insufficient_balance', spendableMsat: 987_654n },
      {},
      'insufficient_balance',
      'our channels can send 987.654 sat now in one part; the payment needs 1,000 sat and the fees',
    ],
    [
      { reason: 'insufficient_balance', spendableMsat: 1_234_567_000n },
      {},
      'insufficient_balance',
      'those of our channels that lead to this node can send less than 1,000 sat and the fees now',
    ],
    [
      { reason: 'destination_unknown' },
      {},
      'destination_unknown',
      'no channel is known that leads to this node: it may have none, or none that is public; pay an invoice with hints, or open a channel with it',
    ],
    [{ reason: 'no_path' }, {}, 'no_route', 'there is no route that carries 1,000 sat to this node'],
    [
      { reason: 'fee_limit', feeMsat: 1204n },
      { maxFeeMsat: 1000n },
      'fee_limit',
      'a route exists that would cost 1.204 sat; your limit is 1 sat',
    ],
    [
      { reason: 'cltv_limit', cltvDelta: 2300 },
      {},
      'cltv_limit',
      'a route exists that could hold the money for 2,300 blocks (about 16 days); your limit is 2,016 blocks (about 14 days)',
    ],
    [
      { reason: 'too_many_hops', hops: 7 },
      { customRecords: new Map([[7629169n, new Uint8Array(934)]]) },
      'records_too_large',
      'the custom records do not fit into the onion: record 7629169 has 934 bytes, 887 fit on the route to this node (7 hops)',
    ],
    [
      { reason: 'too_many_hops', hops: 21 },
      {},
      'no_route',
      'the shortest route has 21 hops, more than an onion has room for',
    ],
  ])('%o', (noRoute, change, code, text) => {
    const { sending, attempts } = planSending(
      beginSending(requestTo(4, change), 0),
      contextWith([{ type: 'none', ...noRoute }]),
    );
    expect(attempts).toEqual([]);
    expect(sending.failure).toMatchObject({ code, text });
    expect(sending.status).toBe('failed');
    expect(isOver(sending)).toBe(true);
  });

  test('records that fit into no onion are told of before any search', () => {
    const context = contextWith([]);
    const customRecords = new Map([[7629169n, new Uint8Array(5000)]]);
    const { sending } = planSending(beginSending(requestTo(4, { customRecords }), 0), context);
    expect(context.asked).toEqual([]);
    expect(sending.failure).toMatchObject({ code: 'records_too_large', details: { roomBytes: 1205 } });
  });

  test('at the deadline nothing is sent any more, and what is in flight is waited for', () => {
    const late = { nowMs: 100_000 };
    const begun = beginSending(requestTo(4, { kind: invoice, maxParts: 2 }), 0);
    expect(planSending(begun, contextWith([halves], late)).sending).toMatchObject({
      status: 'failed',
      failure: { code: 'expired' },
    });
    const { sending } = planSending(begun, contextWith([halves]));
    const [attempt] = sending.attempts as [Attempt];
    const rest = fail(sending, 0, failureFrom(attempt, 0, failureSamples.temporary_node_failure)).sending;
    const over = planSending(rest, contextWith([halves], late)).sending;
    expect(over).toMatchObject({ status: 'pending', failure: { code: 'expired' } });
    const other = failureFrom(over.attempts[1] as Attempt, 0, failureSamples.temporary_node_failure);
    expect(fail(over, 1, other).sending.status).toBe('failed');
    const paid = attemptFulfilled(over, { id: 1, preimage, nowMs: 1 }).sending;
    expect(paid).toMatchObject({ status: 'succeeded', preimage });
    expect(paid.failure).toBeUndefined();
  });

  test('attempts are counted', () => {
    const context = contextWith([[routeOver([1, 2, 4])]]);
    let { sending } = planSending(beginSending(requestTo(4, { maxAttempts: 1 }), 0), context);
    const failure = failureFrom(sending.attempts[0] as Attempt, 0, failureSamples.channel_disabled);
    sending = planSending(fail(sending, 0, failure).sending, context).sending;
    expect(sending.failure).toMatchObject({
      code: 'too_many_attempts',
      text:
        'the payment was tried once, and no more attempts are allowed; ' +
        'the attempt failed at hop 1 of 3: channel_disabled',
      details: { attempts: 1, cause: 'channel_disabled', channel: '2/0' },
    });
    expect(context.asked).toHaveLength(1);
  });

  test('after a final failure nothing is sent, also while other parts are in flight', () => {
    const { sending } = plan(requestTo(4, { kind: invoice, maxParts: 2 }), halves);
    const [attempt] = sending.attempts as [Attempt];
    const refusal = failureFrom(attempt, 2, failureSamples.incorrect_or_unknown_payment_details);
    const refused = fail(sending, 0, refusal).sending;
    expect(refused).toMatchObject({ status: 'pending', failure: { code: 'refused_by_destination' } });
    expect(planSending(refused, contextWith([halves]))).toEqual({ sending: refused, attempts: [] });
    expect(isOver(refused)).toBe(false);
  });

  test('the first preimage is the success; parts that come back later change only the fee', () => {
    const { sending } = plan(requestTo(4, { kind: invoice, maxParts: 2 }), halves);
    const paid = attemptFulfilled(sending, { id: 1, preimage, nowMs: 7 });
    expect(paid.sending).toMatchObject({ status: 'succeeded', preimage });
    expect(paid.observations).toEqual([
      { shortChannelId: 12n, direction: 0, amountMsat: 601_000n, outcome: 'settled' },
      { shortChannelId: 13n, direction: 0, amountMsat: 600_000n, outcome: 'settled' },
    ]);
    expect(isOver(paid.sending)).toBe(false);
    const refusal = failureFrom(sending.attempts[0] as Attempt, 2, failureSamples.mpp_timeout);
    const over = fail(paid.sending, 0, refusal).sending;
    expect(over).toMatchObject({ status: 'succeeded', preimage });
    expect(over.failure).toBeUndefined();
    expect(sendingFeeMsat(over)).toBe(2000n);
    expect(isOver(over)).toBe(true);
    expect(planSending(over, contextWith([halves])).attempts).toEqual([]);
  });

  test('a wrong preimage proves nothing', () => {
    const { sending } = plan(requestTo(4), [routeOver([1, 2, 4])]);
    expect(() => attemptFulfilled(sending, { id: 0, preimage: secret, nowMs: 1 })).toThrow(SendingError);
    expect(() => attemptFulfilled(sending, { id: 5, preimage, nowMs: 1 })).toThrow(
      'the payment has no attempt 5',
    );
  });

  test.each<[string, (route: Route) => Route[]]>([
    ['none', () => []],
    ['of more than is left', (route) => [route, route]],
    ['to another node', (route) => [{ ...route, hops: route.hops.slice(0, 2) }]],
    ['that shrinks backwards', (route) => [{ ...route, hops: [...route.hops].reverse() }]],
    ['of a wrong fee', (route) => [{ ...route, feeMsat: 1n }]],
    ['from a channel that is not ours', () => [routeOver([1, 2, 4], { channels: [99n, 2n, 3n] })]],
    [
      'with too little time',
      (route) => [{ ...route, hops: route.hops.map((hop) => ({ ...hop, cltvDelta: 10 })) }],
    ],
    ['above the fee limit', () => [routeOver([1, 2, 4], { feeMsat: 6000n })]],
  ])('routes %s are never sent', (_, routes) => {
    const given = routes(routeOver([1, 2, 4]));
    const { sending, attempts } = plan(requestTo(4, { kind: invoice, maxParts: 3 }), given);
    expect(attempts).toEqual([]);
    expect(sending.failure?.code).toBe('internal');
  });
});

describe('requests', () => {
  test.each<[string, Partial<PaymentRequest>]>([
    ['no amount', { amountMsat: 0n }],
    ['more than there is', { amountMsat: 10n ** 19n }],
    ['a destination that is no key', { destination: new Uint8Array(33) }],
    ['a hash of another preimage', { paymentHash: secret }],
    ['a preimage in the records', { customRecords: new Map([[keysendRecordType, secret]]) }],
    ['a record of the protocol', { customRecords: new Map([[8n, secret]]) }],
    ['a negative fee limit', { maxFeeMsat: -1n }],
    ['a CLTV limit below the final delta', { maxCltvDelta: 79 }],
    ['no parts', { maxParts: 0 }],
    ['no attempts', { maxAttempts: 0 }],
    ['too many attempts', { maxAttempts: 1001 }],
    ['the destination left out', { excludedNodes: new Set([bytesToHex(nodeId(4))]) }],
    ['a node that is none', { excludedNodes: new Set(['02ab']) }],
    ['a channel that is none', { excludedChannels: new Set(['x/0' as '1/0']) }],
    ['a channel of ours that is none', { firstHops: new Set([-1n]) }],
    ['an empty hint', { hints: [[]] }],
  ])('with %s are refused', (_, change) => {
    expect(() => beginSending(requestTo(4, change), 0)).toThrow(SendingError);
  });
});
