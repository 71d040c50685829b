import { memoryStore, type ToolkitStore } from '@rivulet/keysend';
import { AuditLog, type AuditRecord, verifyAudit } from '@rivulet/keysend/compliance';
import { beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../logging/index.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { PolicyJournal } from './policyJournal.js';

const startMs = 1_800_000_000_000;
const minuteMs = 60_000;
let scheduler: ManualScheduler;
let store: ToolkitStore;
let full: boolean;
let transactions: number;
let journal: PolicyJournal;

beforeEach(() => {
  scheduler = new ManualScheduler();
  const memory = memoryStore();
  full = false;
  transactions = 0;
  store = {
    ...memory,
    transaction: (body) => {
      transactions++;
      if (full) throw new Error('no room on the disk');
      return memory.transaction(body);
    },
  };
  journal = new PolicyJournal({ scheduler, now: () => startMs + scheduler.now(), logger: silentLogger });
  journal.bind({ store, audit: new AuditLog({ store }) });
});

const entries = (): AuditRecord[] => [...new AuditLog({ store }).records()];
const told = () => entries().map(({ type, actor, data }) => ({ type, actor, data }));
const entry = (digit: string, amountMsat = 1_000n) => ({
  paymentHash: digit.repeat(64),
  amountMsat,
  rule: 'hold_amount',
});

describe('refusals', () => {
  test('are one entry for each rule, a minute after the first', () => {
    for (let i = 0; i < 5_000; i++) journal.refused('message_links', 7n);
    journal.refused('minimum', 1n);
    scheduler.advance(minuteMs - 1);
    expect(transactions).toBe(0);
    scheduler.advance(1);
    const data = { counterparty: 'unknown', sinceMs: startMs };
    expect(told()).toEqual([
      {
        type: 'payment_refused',
        actor: 'policy',
        data: { ...data, rule: 'message_links', count: 5_000, amountMsat: '35000' },
      },
      {
        type: 'payment_refused',
        actor: 'policy',
        data: { ...data, rule: 'minimum', count: 1, amountMsat: '1' },
      },
    ]);
    expect(verifyAudit(store).status).toBe('intact');
  });

  test('of a flood that goes on for a day are some dozens of entries, and none of them is missed', () => {
    const seconds = 86_400;
    for (let i = 0; i < seconds; i++) {
      journal.refused('minimum', 1n);
      scheduler.advance(1_000);
    }
    journal.close();
    const counts = entries().map(({ data }) => Number(data.count));
    expect(counts.length).toBeLessThan(35);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(seconds);
    expect(scheduler.pending).toBe(0);
  });

  test('after a quiet time are told of within a minute again', () => {
    for (let i = 0; i < 3_600; i++) {
      journal.refused('minimum', 1n);
      scheduler.advance(1_000);
    }
    scheduler.advance(3 * 3_600_000);
    const before = entries().length;
    journal.refused('minimum', 1n);
    scheduler.advance(minuteMs);
    expect(entries().length).toBe(before + 1);
  });
});

describe('keysends that are held', () => {
  test('have entries of their own, and so has what a person decides', () => {
    journal.held(entry('a'));
    expect(transactions).toBe(0);
    scheduler.advance(0);
    journal.decided({ ...entry('a'), accept: true });
    journal.decided({ ...entry('b'), accept: false });
    scheduler.advance(0);
    const data = { counterparty: 'unknown', amountMsat: '1000', rule: 'hold_amount' };
    expect(told()).toEqual([
      { type: 'payment_held', actor: 'policy', data: { ...data, paymentHash: 'a'.repeat(64) } },
      { type: 'payment_released', actor: 'user', data: { ...data, paymentHash: 'a'.repeat(64) } },
      { type: 'payment_refused', actor: 'user', data: { ...data, paymentHash: 'b'.repeat(64) } },
    ]);
  });

  test('are summed where there are very many of them', () => {
    for (let i = 0; i < 1_000; i++) {
      journal.held(entry('a'));
      scheduler.advance(1);
    }
    scheduler.advance(minuteMs);
    const held = entries().filter(({ type }) => type === 'payment_held');
    expect(held).toHaveLength(101);
    expect(held.at(-1)?.data).toMatchObject({ count: 900 });
  });
});

describe('where the file fails', () => {
  test('all waits, and is told once it can be', () => {
    full = true;
    journal.held(entry('a'));
    for (let i = 0; i < 10; i++) journal.refused('minimum', 1n);
    scheduler.advance(10 * minuteMs);
    // Tried now and then, not all the time.
    expect(transactions).toBeLessThan(25);
    expect(entries()).toEqual([]);
    full = false;
    scheduler.advance(minuteMs);
    expect(told()).toMatchObject([
      { type: 'payment_held', data: { paymentHash: 'a'.repeat(64) } },
      { type: 'payment_refused', data: { count: 10 } },
    ]);
    scheduler.advance(minuteMs);
    expect(scheduler.pending).toBe(0);
    expect(entries()).toHaveLength(2);
  });

  test('what waits is bounded', () => {
    journal.bind(undefined);
    for (let i = 0; i < 5_000; i++) journal.decided({ ...entry('a', BigInt(i)), accept: true });
    journal.bind({ store, audit: new AuditLog({ store }) });
    scheduler.advance(minuteMs);
    const amounts = entries().map(({ data }) => data.amountMsat);
    expect(amounts).toHaveLength(1_000);
    expect(amounts.at(-1)).toBe('4999');
  });

  test('closing does not throw', () => {
    full = true;
    journal.refused('minimum', 1n);
    journal.close();
    journal.refused('minimum', 1n);
    journal.decided({ ...entry('a'), accept: true });
    expect(scheduler.pending).toBe(0);
  });
});
