import type { Payment } from '@rivulet/sdk';
import { describe, expect, test } from 'vitest';
import { auditPayments } from './audit.js';
import type { ChaosNodeBooks } from './chaosChildProtocol.js';
import type { AskedPayment } from './paymentLedger.js';

const hash = '11'.repeat(32);
const asked: AskedPayment = {
  key: 'chaos-1',
  from: 0,
  to: 1,
  kind: 'keysend',
  amountMsat: 5_000_000n,
  told: 'succeeded',
  attempts: 1,
};

function row(direction: Payment['direction'], changes: Partial<Payment> = {}): Payment {
  return {
    sequence: 1,
    direction,
    status: 'succeeded',
    paymentHash: hash,
    amountMsat: 5_000_000n,
    feeMsat: 0n,
    createdAtMs: 0,
    records: new Map(),
    ...(direction === 'outgoing' ? { idempotencyKey: 'chaos-1' } : {}),
    ...changes,
  };
}

function verdict(given: {
  sent?: Payment[];
  received?: Payment[];
  asked?: Partial<AskedPayment>;
  forcedCloses?: boolean;
}) {
  const books = [given.sent ?? [row('outgoing')], given.received ?? [row('incoming')]].map(
    (payments): ChaosNodeBooks => ({
      payments,
      forwardFeeMsat: 0n,
      walletScripts: [],
      walletCoins: [],
      integrity: [],
    }),
  );
  return auditPayments({
    asked: [{ ...asked, ...given.asked }],
    books,
    forcedCloses: given.forcedCloses ?? false,
  });
}

describe('the audit of payments', () => {
  test('finds nothing where both sides tell the same, once', () => {
    const { lost, doubled, stuck, contradicted, succeeded } = verdict({});
    expect([lost, doubled, stuck, contradicted]).toEqual([[], [], [], []]);
    expect(succeeded).toBe(1);
  });

  test('finds what was paid and did not arrive, or arrived in part', () => {
    expect(verdict({ received: [] }).lost).toHaveLength(1);
    expect(verdict({ received: [row('incoming', { amountMsat: 4_999_999n })] }).lost).toHaveLength(1);
  });

  test('finds what was promised and is listed nowhere', () => {
    expect(verdict({ sent: [], received: [] }).lost).toHaveLength(1);
  });

  test('finds what was sent or received twice, and what nobody asked for', () => {
    expect(verdict({ sent: [row('outgoing'), row('outgoing')] }).doubled).toHaveLength(1);
    expect(verdict({ received: [row('incoming'), row('incoming')] }).doubled).toHaveLength(1);
    const stray = row('incoming', { paymentHash: '22'.repeat(32) });
    expect(verdict({ received: [row('incoming'), stray] }).doubled).toHaveLength(1);
  });

  test('lets an invoice be tried again that failed, and no keysend', () => {
    const failed = row('outgoing', { status: 'failed' });
    const sent = [failed, row('outgoing')];
    expect(verdict({ sent }).doubled).toHaveLength(1);
    const invoice = { kind: 'invoice', paymentHash: hash } as const;
    expect(verdict({ sent, asked: invoice }).doubled).toEqual([]);
    expect(verdict({ sent, asked: invoice }).succeeded).toBe(1);
  });

  test('finds what never ended', () => {
    expect(verdict({ sent: [row('outgoing', { status: 'pending' })] }).stuck).toHaveLength(1);
  });

  test('finds what failed for one and arrived for the other', () => {
    const failed = row('outgoing', { status: 'failed' });
    expect(verdict({ sent: [failed], asked: { told: 'failed' } }).lost).toHaveLength(1);
  });

  test('lets dust be lost in a channel that was closed by force, and counts it', () => {
    const dust = { amountMsat: 300_000n };
    const { lost, dustLost } = verdict({
      sent: [row('outgoing', { ...dust, status: 'failed' })],
      received: [row('incoming', dust)],
      asked: { ...dust, told: 'failed' },
      forcedCloses: true,
    });
    expect(lost).toEqual([]);
    expect(dustLost).toHaveLength(1);
  });

  test('finds what ended in another way than its asker was told', () => {
    expect(verdict({ asked: { told: 'refused' } }).contradicted).toHaveLength(1);
    expect(verdict({ asked: { told: 'failed' } }).contradicted).toHaveLength(1);
    expect(
      verdict({ sent: [row('outgoing', { status: 'failed' })], received: [] }).contradicted,
    ).toHaveLength(1);
  });
});
