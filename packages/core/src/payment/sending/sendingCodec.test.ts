import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../../bytes/index.js';
import type { FailureMessage } from '../../onion/index.js';
import { attemptFulfilled, attemptRefused } from './attemptOutcome.js';
import { sendingsV1 } from './fixtures/sendingsV1.test.support.js';
import { planSending } from './planSending.js';
import {
  contextWith,
  fail,
  failureFrom,
  failureSamples,
  nodeId,
  preimage,
  requestTo,
  routeOver,
  updateFor,
} from './samples.test.support.js';
import { type Attempt, beginSending, type Sending } from './sending.js';
import { decodeSending, encodeSending, SendingCodecError } from './sendingCodec.js';
import type { SendingFailure } from './sendingFailure.js';

const secret = new Uint8Array(32).fill(0x5e);

/** Payments that have every field between them. */
function samples(): Record<keyof typeof sendingsV1, Sending> {
  const invoice = requestTo(4, {
    kind: { type: 'invoice', paymentSecret: secret, paymentMetadata: Uint8Array.of(1, 2, 3) },
    maxParts: 4,
    hints: [
      [
        {
          nodeId: nodeId(3),
          shortChannelId: 7n,
          feeBaseMsat: 1,
          feeProportionalMillionths: 2,
          cltvExpiryDelta: 3,
        },
        {
          nodeId: nodeId(2),
          shortChannelId: 8n,
          feeBaseMsat: 4,
          feeProportionalMillionths: 5,
          cltvExpiryDelta: 6,
          htlcMinimumMsat: 7n,
          htlcMaximumMsat: 8_000_000n,
        },
      ],
    ],
    firstHops: new Set([1n, 2n]),
    excludedNodes: new Set([bytesToHex(nodeId(9))]),
    excludedChannels: new Set(['77/1']),
  });
  const thirds = [
    routeOver([1, 2, 4], { amountMsat: 300_000n }),
    routeOver([1, 3, 4], { amountMsat: 300_000n, channels: [1n, 12n, 13n] }),
    routeOver([1, 5, 6, 4], { amountMsat: 400_000n, channels: [2n, 22n, 23n, 24n] }),
  ];
  const hops = [1n, 2n].map((shortChannelId) => ({ ...contextWith([]).firstHops[0], shortChannelId }));
  const context = contextWith([thirds], { firstHops: hops as never });
  let { sending } = planSending(beginSending(invoice, 5), context);
  const first = sending.attempts[0] as Attempt;
  const update = updateFor({ shortChannelId: 2n, direction: 0 }, { feeBaseMsat: 1500 });
  const failure: FailureMessage = { type: 'fee_insufficient', htlcMsat: 1n, channelUpdate: update };
  sending = fail(sending, 0, failureFrom(first, 0, failure)).sending;
  const second = sending.attempts[1] as Attempt;
  sending = fail(sending, 1, failureFrom(second, 0, failureSamples.temporary_channel_failure)).sending;
  const parts = sending;
  const reason = { code: 'in_flight_limit', message: 'too much is in flight' };
  const refused = attemptRefused(sending, { id: 2, reason, nowMs: 9 });
  const failed = planSending(
    refused,
    contextWith([{ type: 'none', reason: 'fee_limit', feeMsat: 1204n }]),
  ).sending;
  const keysend = requestTo(1, {
    customRecords: new Map([[7629169n, Uint8Array.of(123, 125)]]),
    paymentSecret: secret,
  });
  const sent = planSending(beginSending(keysend, 5), contextWith([[routeOver([1])]])).sending;
  return {
    begun: beginSending(requestTo(4, { kind: { type: 'probe' } }), 5),
    parts,
    // Its words are those that were frozen with it; what is said today may be put better.
    failed: { ...failed, failure: { ...(failed.failure as SendingFailure), text: frozenText } },
    succeeded: attemptFulfilled(sent, { id: 0, preimage, nowMs: 11 }).sending,
  };
}

const frozenText =
  'a route exists that would cost 1,204 msat; your limit is 10 sat; ' +
  'the last of 3 attempts failed at hop 1 of 3: temporary_channel_failure';

describe('stored payments', () => {
  test.each(Object.entries(samples()))('%s: comes back as it was', (_, sending) => {
    expect(decodeSending(encodeSending(sending))).toEqual(sending);
  });

  test.each(Object.entries(samples()))('%s: the bytes of version 1 stay readable', (name, sending) => {
    expect(decodeSending(hexToBytes(sendingsV1[name as keyof typeof sendingsV1]))).toEqual(sending);
  });

  test('an attempt takes little room: a node is written once', () => {
    const { begun, succeeded } = samples();
    expect(encodeSending(begun).length).toBeLessThan(140);
    const [attempt] = succeeded.attempts as [Attempt];
    const long = { ...attempt, route: routeOver([1, 2, 3, 4, 5]) };
    const attempts = Array.from({ length: 50 }, (_, id) => ({ ...long, id, status: 'failed' as const }));
    expect(encodeSending({ ...succeeded, attempts }).length).toBeLessThan(50 * 130 + 500);
  });

  test('bytes of another version, and too many, are refused', () => {
    const bytes = encodeSending(samples().begun);
    expect(() => decodeSending(Uint8Array.of(2, ...bytes.subarray(1)))).toThrow(/version 2, and 1 is known/);
    expect(() => decodeSending(Uint8Array.of(...bytes, 0))).toThrow(SendingCodecError);
  });

  test('every shorter form is refused', () => {
    for (const sending of Object.values(samples())) {
      const bytes = encodeSending(sending);
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decodeSending(bytes.subarray(0, length))).toThrow(SendingCodecError);
      }
    }
  });

  test('a payment with more on the way than it is worth is refused', () => {
    const { parts } = samples();
    const attempts = parts.attempts.map((attempt) => ({ ...attempt, status: 'in_flight' as const }));
    const doubled = { ...parts, request: { ...parts.request, amountMsat: 999_999n }, attempts };
    expect(() => decodeSending(encodeSending(doubled))).toThrow(/more is on the way/);
  });

  test('whatever bytes: a payment or a typed error', () => {
    const all = Object.values(samples()).map(encodeSending);
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (bytes, changes) => {
          const changed = Uint8Array.from(bytes);
          for (const [at, value] of changes) changed[at % changed.length] = value;
          try {
            const sending = decodeSending(changed);
            expect(decodeSending(encodeSending(sending))).toEqual(sending);
          } catch (error) {
            expect(error).toBeInstanceOf(SendingCodecError);
          }
        },
      ),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(() => decodeSending(bytes)).toThrow(SendingCodecError);
        expect(() => decodeSending(Uint8Array.of(1, ...bytes))).toThrow(SendingCodecError);
      }),
    );
  });
});
