import { utf8ToBytes } from '@rivulet/core/bytes';
import type { ReceivedPayment } from '../wallets/wallet.js';
import { readBoost } from './readBoost.js';
import type { NewBoost } from './receivedBoost.js';

/** 64 hex digits of their own for every number. */
export function hashOf(n: number): string {
  return n.toString(16).padStart(64, '0');
}

export const noon = Date.UTC(2026, 10, 21, 12);

/** A payment with a boostagram, if one is given. */
export function paymentWith(
  n: number,
  given: {
    boostagram?: Readonly<Record<string, unknown>> | undefined;
    amountMsat?: bigint | undefined;
    receivedAtMs?: number | undefined;
    records?: readonly (readonly [bigint, Uint8Array])[] | undefined;
  } = {},
): ReceivedPayment {
  const { boostagram, amountMsat = 1_000n, receivedAtMs = noon + n, records = [] } = given;
  return {
    paymentHash: hashOf(n),
    amountMsat,
    receivedAtMs,
    records: new Map([
      ...(boostagram === undefined ? [] : [[7629169n, utf8ToBytes(JSON.stringify(boostagram))] as const]),
      ...records,
    ]),
    cursor: String(n),
  };
}

export function boostOf(
  n: number,
  given: Parameters<typeof paymentWith>[1] & { source?: string; provenKey?: string | undefined } = {},
): NewBoost {
  const { source = 'main', provenKey } = given;
  return readBoost(paymentWith(n, given), { source, provenKey });
}
