import { describe, expect, test } from 'vitest';
import { createKeysend } from '../keysend.js';
import { attemptFulfilled } from './attemptOutcome.js';
import { planSending } from './planSending.js';
import {
  blockHeight,
  contextWith,
  preimage,
  requestTo,
  routeOver,
  sessionKeyOf,
} from './samples.test.support.js';
import { beginSending, isOver } from './sending.js';
import { decodeSending, encodeSending } from './sendingCodec.js';

describe('planning a payment', () => {
  test('a keysend to a peer is byte for byte the one that was always sent', () => {
    const customRecords = new Map([[7629169n, new Uint8Array(300).fill(7)]]);
    const request = requestTo(1, { customRecords, paymentSecret: new Uint8Array(32).fill(1), maxParts: 4 });
    const { sending, attempts } = planSending(beginSending(request, 1), contextWith([[routeOver([1])]]));
    const { htlc } = createKeysend({
      destination: request.destination,
      amountMsat: request.amountMsat,
      preimage,
      sessionKey: sessionKeyOf(0),
      blockHeight,
      customRecords,
    });
    expect(attempts.map((attempt) => attempt.htlc)).toEqual([htlc]);
    const { sending: paid } = attemptFulfilled(sending, { id: 0, preimage, nowMs: 2 });
    expect(paid.status).toBe('succeeded');
    expect(isOver(paid)).toBe(true);
    expect(decodeSending(encodeSending(paid))).toEqual(paid);
  });
});
