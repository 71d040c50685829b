import type { IncomingKeysend } from './incomingKeysend.js';

const encoder = new TextEncoder();
let made = 0;

/** A payment with a hash of its own; what it says as a boostagram. */
export function keysend(
  options: Partial<IncomingKeysend> & { boostagram?: Record<string, unknown> } = {},
): IncomingKeysend {
  const { boostagram, ...rest } = options;
  const records = new Map<bigint, Uint8Array>();
  if (boostagram !== undefined) records.set(7_629_169n, encoder.encode(JSON.stringify(boostagram)));
  return {
    paymentHash: (++made).toString(16).padStart(64, '0'),
    amountMsat: 10_000n,
    records,
    channelId: channel(1),
    recipient: `02${'11'.repeat(32)}`,
    nowMs: 1_700_000_000_000,
    ...rest,
  };
}

export function channel(number: number): string {
  return number.toString(16).padStart(64, 'c');
}
