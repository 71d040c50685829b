import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../crypto/index.js';
import type { RouteRequest } from '../../graph/index.js';
import { sharedSecretsOf } from './attemptOnion.js';
import { attemptFailed, attemptFulfilled, attemptRefused } from './attemptOutcome.js';
import { Dice } from './dice.test.support.js';
import { FakeNetwork, type NetworkOptions } from './fakeNetwork.test.support.js';
import type { PaymentKind, PaymentRequest } from './paymentRequest.js';
import { planSending, type SendingContext } from './planSending.js';
import { blockHeight, nodeId, preimage, requestTo, sessionKeyOf } from './samples.test.support.js';
import { attemptsInFlight, beginSending, isOver, liveMsat, type Sending, sendingFeeMsat } from './sending.js';
import { decodeSending, encodeSending } from './sendingCodec.js';

interface Run {
  readonly sending: Sending;
  readonly network: FakeNetwork;
}

/** Checks after each command what must never be otherwise, from the network's side. */
class Watch {
  #ended: Sending['status'] = 'pending';
  #attempts = 0;
  #endings = 0;

  check(sending: Sending, network: FakeNetwork): void {
    const { request } = sending;
    const { amountMsat, feeMsat, inFlight } = network.exposure();
    expect(amountMsat).toBeLessThanOrEqual(request.amountMsat);
    expect(feeMsat).toBeLessThanOrEqual(request.maxFeeMsat);
    expect(liveMsat(sending)).toBe(amountMsat);
    expect(sendingFeeMsat(sending)).toBe(feeMsat);
    expect(attemptsInFlight(sending)).toHaveLength(inFlight);
    expect(inFlight).toBeLessThanOrEqual(request.maxParts);
    expect(sending.attempts.length).toBeLessThanOrEqual(request.maxAttempts);
    if (
      request.kind.type === 'probe' ||
      (request.kind.type === 'keysend' && request.paymentSecret === undefined)
    ) {
      expect(inFlight).toBeLessThanOrEqual(1);
    }
    if (this.#ended !== 'pending') {
      expect(sending.status).toBe(this.#ended);
      expect(sending.attempts).toHaveLength(this.#attempts);
    } else if (sending.status !== 'pending') this.#endings++;
    this.#ended = sending.status;
    this.#attempts = sending.attempts.length;
    // A failed payment never took money, and none of its money is on the way any more.
    if (sending.status === 'failed') expect(amountMsat).toBe(0n);
    expect(this.#endings).toBeLessThanOrEqual(1);
  }
}

function restarted(sending: Sending): Sending {
  const again = decodeSending(encodeSending(sending));
  expect(again).toEqual(sending);
  return again;
}

/** Makes a payment over a network until nothing happens any more, with a restart after each command. */
function pay(
  request: PaymentRequest,
  { network, dice, padding = true }: { network: FakeNetwork; dice: Dice; padding?: boolean },
): Run {
  const watch = new Watch();
  let nowMs = 1000;
  const context = (): SendingContext => ({
    blockHeight,
    nowMs,
    source: nodeId(0),
    firstHops: network.firstHops(),
    inFlightMsat: network.inFlightMsat(),
    findRoutes: (routeRequest: RouteRequest) => network.findRoutes(routeRequest),
    sessionKeyOf,
    ...(padding ? { paddingRandom: () => dice.next() } : {}),
  });
  let sending = restarted(beginSending(request, nowMs));
  for (let steps = 0; steps < 500; steps++) {
    nowMs += dice.below(500);
    // A crash before the commit: the plan is lost, and made again.
    if (dice.chance(0.2)) planSending(sending, context());
    const planned = planSending(sending, context());
    sending = restarted(planned.sending);
    let refusals = 0;
    for (const attempt of planned.attempts) {
      const reason = network.add(attempt);
      if (reason === undefined) continue;
      refusals++;
      sending = restarted(attemptRefused(sending, { id: attempt.id, reason, nowMs }));
    }
    watch.check(sending, network);
    if (refusals > 0) continue;
    const outcome = network.next(request.amountMsat);
    if (outcome === undefined) break;
    const { id } = outcome;
    const attempt = sending.attempts[id];
    if (attempt === undefined) throw new Error('an attempt is lost');
    const sharedSecrets = sharedSecretsOf(attempt, sessionKeyOf(id));
    const report = (current: Sending) =>
      outcome.type === 'fulfilled'
        ? attemptFulfilled(current, { id, preimage, nowMs })
        : attemptFailed(current, { id, settlement: outcome.settlement, sharedSecrets, nowMs });
    const { sending: told, observations } = report(sending);
    network.observe(observations);
    sending = restarted(told);
    // The channel may tell again after a restart.
    if (dice.chance(0.3)) expect(report(sending)).toEqual({ sending, observations: [] });
    watch.check(sending, network);
  }
  return { sending, network };
}

function kindOf(dice: Dice): Pick<PaymentRequest, 'kind' | 'paymentSecret'> {
  const secret = dice.bytes(32);
  const kinds: readonly { kind: PaymentKind; paymentSecret?: Uint8Array }[] = [
    { kind: { type: 'keysend', preimage } },
    { kind: { type: 'keysend', preimage }, paymentSecret: secret },
    { kind: { type: 'invoice', paymentSecret: secret } },
    { kind: { type: 'invoice', paymentSecret: secret, paymentMetadata: dice.bytes(20) } },
  ];
  return dice.pick(kinds);
}

function searchFor(request: PaymentRequest, network: FakeNetwork): RouteRequest {
  return {
    ...request,
    source: nodeId(0),
    firstHops: network.firstHops(),
    maxHops: 20,
    excludedNodes: new Set(),
    excludedChannels: new Set(),
    inFlightMsat: new Map(),
    nowMs: 1,
    blockHeight,
  };
}

const amountMsat = 1_000_000n;

function honest(change: Partial<NetworkOptions> = {}): NetworkOptions {
  return {
    nodes: 6,
    channels: 12,
    hostile: new Set(),
    stale: 0.3,
    updates: 0.8,
    destination: 5,
    destinationRefuses: false,
    attributed: true,
    amountMsat,
    ...change,
  };
}

describe('a payment over a network', () => {
  test('never pays twice, never above its fee limit, ends once, whatever nodes answer and whenever it restarts', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const dice = new Dice(seed);
        const hostile = new Set([1, 2, 3, 4].filter(() => dice.chance(0.4)));
        const options = honest({
          hostile,
          attributed: dice.chance(0.5),
          destinationRefuses: dice.chance(0.1),
          amountMsat: dice.chance(0.8) ? amountMsat : 7n,
        });
        const network = new FakeNetwork(dice, options);
        if (dice.chance(0.5)) network.useRealSearch();
        const request = requestTo(5, {
          ...kindOf(dice),
          amountMsat: options.amountMsat,
          maxParts: 1 + dice.below(6),
          maxAttempts: 1 + dice.below(20),
          maxFeeMsat: BigInt(dice.below(60_000)),
          maxCltvDelta: 300 + dice.below(300),
          deadlineMs: dice.chance(0.2) ? 1000 + dice.below(3000) : 10_000_000,
        });
        const { sending } = pay(request, { network, dice });
        expect(isOver(sending)).toBe(true);
        expect(sending.status === 'succeeded').toBe(network.paid.htlcs > 0);
        expect(sending.failure?.code).not.toBe('internal');
        expect(sending.failure !== undefined).toBe(sending.status === 'failed');
        expect(sending.preimage).toEqual(sending.status === 'succeeded' ? preimage : undefined);
      }),
      { numRuns: 200 },
    );
  });

  test('arrives over honest nodes wherever a way with enough money exists, old terms notwithstanding', () => {
    let arrived = 0;
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const dice = new Dice(seed);
        const network = new FakeNetwork(dice, honest({ channels: 9, updates: 1 }));
        const request = requestTo(5, {
          kind: { type: 'invoice', paymentSecret: dice.bytes(32) },
          maxFeeMsat: 1_000_000n,
          maxAttempts: 1000,
          deadlineMs: 10_000_000,
        });
        const way = network.findRoutes(searchFor(request, network), 'truth');
        if (dice.chance(0.5)) network.useRealSearch();
        // Our own channels refuse by chance, which may take the only way.
        network.refusals = 0;
        const { sending } = pay(request, { network, dice });
        if (way.type === 'none') return;
        expect(sending.status).toBe('succeeded');
        arrived++;
      }),
      { numRuns: 100 },
    );
    expect(arrived).toBeGreaterThan(20);
  });

  test('arrives in parts where no channel carries the whole', () => {
    let inParts = 0;
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const dice = new Dice(seed);
        const network = new FakeNetwork(dice, honest({ nodes: 4, channels: 14, destination: 3, stale: 0.2 }));
        const generous = requestTo(3, {
          kind: { type: 'invoice', paymentSecret: dice.bytes(32) },
          amountMsat: 2_000_000n,
          maxFeeMsat: 1_000_000n,
          maxParts: 8,
          maxAttempts: 100,
          deadlineMs: 10_000_000,
        });
        if (dice.chance(0.5)) network.useRealSearch();
        // Half of the payments may cost hardly more than what is announced.
        const first = network.findRoutes(searchFor(generous, network));
        const feeMsat =
          first.type === 'found' ? first.routes.reduce((sum, route) => sum + route.feeMsat, 0n) : 0n;
        const tight = feeMsat + BigInt(dice.below(2000));
        const request = dice.chance(0.5) ? generous : { ...generous, maxFeeMsat: tight };
        const { sending } = pay(request, { network, dice });
        if (sending.status === 'succeeded' && network.paid.htlcs > 1) inParts++;
        if (sending.status === 'succeeded') expect(network.paid.amountMsat).toBe(request.amountMsat);
      }),
      { numRuns: 100 },
    );
    expect(inParts).toBeGreaterThan(5);
  });

  test('a probe reaches its destination without any money moving', () => {
    let reached = 0;
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const dice = new Dice(seed);
        const network = new FakeNetwork(dice, honest({ destinationRefuses: true }));
        const request = requestTo(5, {
          kind: { type: 'probe' },
          paymentHash: sha256(dice.bytes(32)),
          maxParts: 4,
          maxFeeMsat: 100_000n,
          maxAttempts: 50,
          deadlineMs: 10_000_000,
        });
        const { sending } = pay(request, { network, dice });
        expect(isOver(sending)).toBe(true);
        expect(sending.preimage).toBeUndefined();
        expect(network.paid.htlcs).toBe(0);
        if (sending.status === 'succeeded') reached++;
      }),
      { numRuns: 50 },
    );
    expect(reached).toBeGreaterThan(10);
  });
});
