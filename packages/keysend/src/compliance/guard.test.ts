import { describe, expect, test } from 'vitest';
import type { GuardVerdict, JudgedPayment } from '../ledger/auditSink.js';
import { memoryStore } from '../store/memoryStore.js';
import { AuditLog } from './auditLog.js';
import { CounterpartyBook, type CounterpartyChange } from './counterparties.js';
import { FlagBook } from './flags.js';
import { createGuard } from './guard.js';
import { MonitorBook } from './monitors.js';
import { verifyAudit } from './verifyAudit.js';

const ann = 'ann@host.example';
const minuteMs = 60_000;
const dayMs = 86_400_000;

function guarding(...monitors: object[]) {
  const store = memoryStore();
  const clock = { nowMs: Date.UTC(2026, 0, 31, 12) };
  const audit = new AuditLog({ store });
  const parts = { store, audit, now: () => clock.nowMs };
  const book = new CounterpartyBook(parts);
  const monitorBook = new MonitorBook(parts);
  for (const monitor of monitors)
    monitorBook.set({ direction: 'outgoing', action: 'hold', ...monitor }, 'user');
  const flags = new FlagBook(parts);
  const guard = createGuard({ audit });
  let count = 0;
  const judge = (given: Partial<JudgedPayment> = {}): GuardVerdict =>
    store.transaction((tx) =>
      guard.judge(tx, {
        direction: 'outgoing',
        counterparty: ann,
        amountMsat: 1_000n,
        atMs: clock.nowMs,
        id: `leg-${++count}`,
        ...given,
      }),
    );
  const actions = (times: number, given: Partial<JudgedPayment> = {}) =>
    Array.from({ length: times }, () => judge(given).action);
  return { store, clock, audit, book, monitorBook, flags, guard, judge, actions };
}

describe('monitors', () => {
  test('of velocity count payments in a window that moves', () => {
    const { actions, clock } = guarding({
      name: 'fast',
      kind: 'velocity',
      scope: 'all',
      windowSeconds: 60,
      maxCount: 3,
      action: 'refuse',
    });
    expect(actions(5)).toEqual(['allow', 'allow', 'allow', 'refuse', 'refuse']);
    clock.nowMs += 30_000;
    expect(actions(1)).toEqual(['refuse']);
    clock.nowMs += 33_000;
    expect(actions(4)).toEqual(['allow', 'allow', 'allow', 'refuse']);
    // A clock that is set back opens no gap.
    clock.nowMs -= 30_000;
    expect(actions(1)).toEqual(['refuse']);
  });

  test('of velocity add up amounts, of each counterparty apart', () => {
    const { judge } = guarding({
      name: 'much',
      kind: 'velocity',
      scope: 'counterparty',
      windowSeconds: 3_600,
      maxMsat: '2500',
    });
    expect(
      [judge(), judge(), judge({ counterparty: 'bob@host.example' })].map(({ action }) => action),
    ).toEqual(['allow', 'allow', 'allow']);
    expect(judge()).toEqual({ action: 'hold', reason: 'much: more than 2.5 sat in 3600 s' });
    expect(judge({ amountMsat: 500n, counterparty: 'bob@host.example' }).action).toBe('allow');
  });

  test('of a threshold find what is above it', () => {
    const { judge } = guarding({ name: 'large', kind: 'threshold', aboveMsat: '5000', action: 'flag' });
    expect(judge({ amountMsat: 5_000n })).toEqual({ action: 'allow', flags: [] });
    expect(judge({ amountMsat: 5_001n })).toEqual({ action: 'allow', flags: ['large'] });
  });

  test('of new counterparties find large payments to who is known for less than a time', () => {
    const { judge, clock } = guarding({ name: 'new', kind: 'new_counterparty', aboveMsat: '5000' });
    expect(judge({ amountMsat: 6_000n }).action).toBe('hold');
    expect(judge({ counterparty: 'bob@host.example' }).action).toBe('allow');
    expect(judge({ counterparty: 'bob@host.example', amountMsat: 6_000n }).action).toBe('hold');
    clock.nowMs += dayMs;
    expect(judge({ counterparty: 'bob@host.example', amountMsat: 6_000n }).action).toBe('allow');
    expect(judge({ counterparty: 'unknown', amountMsat: 6_000n }).action).toBe('hold');
    clock.nowMs += dayMs;
    expect(judge({ counterparty: 'unknown', amountMsat: 6_000n }).action).toBe('hold');
  });

  test('of structuring find payments that stay just below an amount', () => {
    const { judge } = guarding({
      name: 'split',
      kind: 'structuring',
      scope: 'counterparty',
      belowMsat: '10000',
      percent: 10,
      windowSeconds: 3_600,
      count: 3,
    });
    const of = (amountMsat: bigint) => judge({ amountMsat }).action;
    expect([9_000n, 8_999n, 10_000n, 9_999n, 100n].map(of)).toEqual([
      'allow',
      'allow',
      'allow',
      'allow',
      'allow',
    ]);
    expect(of(9_500n)).toBe('hold');
  });

  test('look at their own direction', () => {
    const { judge, monitorBook } = guarding({
      name: 'large',
      kind: 'threshold',
      aboveMsat: '1',
      direction: 'incoming',
    });
    expect(judge().action).toBe('allow');
    monitorBook.set(
      { name: 'large', kind: 'threshold', aboveMsat: '1', direction: 'both', action: 'refuse' },
      'user',
    );
    expect(judge().action).toBe('refuse');
    monitorBook.remove('large', 'user');
    expect(judge().action).toBe('allow');
    expect(() => monitorBook.remove('large', 'user')).toThrow(/no monitor/);
  });

  test.each([
    [{ name: 'x', kind: 'velocity', scope: 'all', windowSeconds: 60 }, /maxCount/],
    [{ name: 'x', kind: 'velocity', scope: 'all', windowSeconds: 0, maxCount: 1 }, /windowSeconds/],
    [{ name: 'a/b', kind: 'threshold', aboveMsat: '1' }, /name/],
    [{ name: 'x', kind: 'threshold', aboveMsat: '-1' }, /aboveMsat/],
    [{ name: 'x', kind: 'threshold', aboveMsat: '1', more: 1 }, /no monitor/],
    [{ name: 'x', kind: 'magic' }, /kind/],
  ])('%j is none', (monitor, reason) => {
    expect(() => guarding(monitor)).toThrow(reason);
  });
});

describe('a payment', () => {
  test('counts once, however often it is judged', () => {
    const { judge, actions } = guarding({
      name: 'fast',
      kind: 'velocity',
      scope: 'all',
      windowSeconds: 60,
      maxCount: 2,
    });
    for (let i = 0; i < 5; i++) expect(judge({ id: 'same' })).toEqual({ action: 'allow', flags: [] });
    expect(actions(2)).toEqual(['allow', 'hold']);
  });

  test('that is held counts, says so again, and has one flag', () => {
    const { judge, flags } = guarding({ name: 'large', kind: 'threshold', aboveMsat: '500' });
    const held = { action: 'hold', reason: 'large: more than 0.5 sat' };
    expect([judge({ id: 'a' }), judge({ id: 'a' })]).toEqual([held, held]);
    expect(flags.list()).toMatchObject([
      { id: 1, monitor: 'large', action: 'hold', payment: 'a', amountMsat: '1000' },
    ]);
  });

  test('that was refused is judged anew, and counts when it leaves', () => {
    const { judge, monitorBook, flags } = guarding({
      name: 'large',
      kind: 'threshold',
      aboveMsat: '500',
      action: 'refuse',
    });
    expect(judge({ id: 'a' }).action).toBe('refuse');
    expect(judge({ id: 'a' }).action).toBe('refuse');
    monitorBook.remove('large', 'user');
    expect(judge({ id: 'a' })).toEqual({ action: 'allow', flags: ['large'] });
    expect(flags.list()).toHaveLength(1);
  });

  test('is refused where anything refuses, and held before it is only flagged', () => {
    const threshold = { kind: 'threshold', aboveMsat: '500' };
    const { judge, monitorBook } = guarding(
      { ...threshold, name: 'a', action: 'flag' },
      { ...threshold, name: 'b', action: 'hold' },
    );
    expect(judge()).toEqual({ action: 'hold', reason: 'b: more than 0.5 sat' });
    monitorBook.set({ ...threshold, name: 'c', action: 'refuse', direction: 'both' }, 'user');
    expect(judge()).toEqual({ action: 'refuse', reason: 'c: more than 0.5 sat' });
  });

  test('is forgotten after two months', () => {
    const { judge, clock, store } = guarding();
    for (let i = 0; i < 6; i++) judge();
    clock.nowMs += 63 * dayMs;
    for (let i = 0; i < 3; i++) judge();
    expect(
      store.list({ prefix: 'guardJudged' }).filter(({ key }) => key.startsWith('guardJudged/')),
    ).toHaveLength(3);
    expect(store.list({ prefix: 'guardJudgedAt/' })).toHaveLength(3);
  });
});

describe('counterparties', () => {
  test.each<[string, CounterpartyChange, string[]]>([
    ['a payment', { outgoing: { perPaymentMsat: 999n } }, ['refuse', 'refuse', 'refuse']],
    ['a day', { outgoing: { perDayMsat: 2_000n } }, ['allow', 'allow', 'refuse']],
    ['a month', { outgoing: { perMonthMsat: 1_000n }, whenOver: 'hold' }, ['allow', 'hold', 'hold']],
    ['nothing that comes in', { incoming: { perPaymentMsat: 0n } }, ['allow', 'allow', 'allow']],
  ])('have limits of %s', (_, change, expected) => {
    const { book, actions } = guarding();
    book.set(ann, change, 'user');
    expect(actions(3)).toEqual(expected);
  });

  test('have their limits anew each day and each month of UTC', () => {
    const { book, judge, clock } = guarding();
    book.set(ann, { outgoing: { perDayMsat: 1_000n, perMonthMsat: 3_000n } }, 'user');
    expect([judge().action, judge().action]).toEqual(['allow', 'refuse']);
    clock.nowMs = Date.UTC(2026, 1, 1);
    expect([judge().action, judge().action]).toEqual(['allow', 'refuse']);
    clock.nowMs = Date.UTC(2026, 1, 2);
    expect(judge().action).toBe('allow');
    clock.nowMs = Date.UTC(2026, 1, 3);
    expect(judge().action).toBe('allow');
    clock.nowMs = Date.UTC(2026, 1, 4);
    expect(judge()).toEqual({ action: 'refuse', reason: `${ann} has a limit of 3 sat a month` });
    clock.nowMs = Date.UTC(2026, 2, 1);
    expect(judge().action).toBe('allow');
  });

  test('that are blocked get nothing, not even what was allowed before and is tried again', () => {
    const { book, judge, flags } = guarding();
    expect(judge({ id: 'a' }).action).toBe('allow');
    book.set(ann, { name: 'Ann', blocked: 'outgoing' }, 'user');
    expect(judge({ id: 'a' })).toEqual({ action: 'refuse', reason: 'Ann is blocked' });
    expect(judge({ direction: 'incoming' }).action).toBe('allow');
    expect(flags.list()).toMatchObject([{ monitor: 'blocked', action: 'refuse', payment: 'a' }]);
    book.set(ann, { blocked: null }, 'user');
    expect(judge({ id: 'a' }).action).toBe('allow');
  });

  test('are kept with what is known of them, and every change is in the log', () => {
    const { book, audit, store } = guarding();
    book.set(
      `${ann.toUpperCase()}`,
      { name: 'Ann', tags: ['podcast', 'friend'], outgoing: { perDayMsat: 10n ** 18n } },
      'user',
    );
    const set = book.set(ann, { note: 'paid on Mondays', name: null }, 'rule:x');
    expect(set).toMatchObject({
      id: ann,
      tags: ['podcast', 'friend'],
      note: 'paid on Mondays',
      outgoing: { perDayMsat: 10n ** 18n },
    });
    expect(set.name).toBeUndefined();
    expect(book.get(ann)).toEqual(set);
    expect(book.list({ tag: 'friend' })).toEqual([set]);
    expect(book.list({ tag: 'foe' })).toEqual([]);
    book.remove(ann, 'user');
    expect(() => book.remove(ann, 'user')).toThrow(/not in the book/);
    expect(
      Array.from(audit.records(), ({ type, actor, data }) => [
        type,
        actor,
        data.before !== null,
        data.after !== null,
      ]),
    ).toEqual([
      ['counterparty_changed', 'user', false, true],
      ['counterparty_changed', 'rule:x', true, true],
      ['counterparty_changed', 'user', true, false],
    ]);
    expect(verifyAudit(store).status).toBe('intact');
    expect(() => book.set('ann', {}, 'user')).toThrow(/name@host/);
    expect(() => book.set(ann, { tags: ['a b'] }, 'user')).toThrow(/tags/);
  });
});

describe('what comes in', () => {
  test('and was settled is flagged whatever the monitor would do, once', () => {
    const { guard, store, clock, flags } = guarding({
      name: 'large',
      kind: 'threshold',
      aboveMsat: '500',
      action: 'refuse',
      direction: 'incoming',
    });
    const payment = { counterparty: 'unknown', amountMsat: 1_000n, atMs: clock.nowMs, id: 'hash' };
    const review = () => store.transaction((tx) => guard.reviewIncoming(tx, payment));
    expect([review(), review()]).toEqual([['large'], ['large']]);
    expect(flags.list()).toMatchObject([{ action: 'flag', direction: 'incoming', payment: 'hash' }]);
  });

  test('and is sent back leaves nothing in the store', () => {
    const { judge, store } = guarding({
      name: 'large',
      kind: 'threshold',
      aboveMsat: '500',
      action: 'refuse',
      direction: 'incoming',
    });
    const before = store.list({ prefix: '' });
    expect(judge({ direction: 'incoming' }).action).toBe('refuse');
    expect(store.list({ prefix: '' })).toEqual(before);
  });
});

describe('flags', () => {
  test('are open until somebody says what was found', () => {
    const { judge, flags, audit, clock } = guarding({
      name: 'large',
      kind: 'threshold',
      aboveMsat: '500',
      action: 'flag',
    });
    for (let i = 0; i < 3; i++) judge();
    clock.nowMs += minuteMs;
    expect(() => flags.acknowledge(2, { by: 'user', note: ' ' })).toThrow(/say in a note/);
    expect(() => flags.acknowledge(9, { by: 'user', note: 'x' })).toThrow(/no flag 9/);
    const done = flags.acknowledge(2, { by: 'user', note: 'a known partner' });
    expect(done.acknowledged).toEqual({ atMs: clock.nowMs, by: 'user', note: 'a known partner' });
    expect(flags.list({ open: true }).map(({ id }) => id)).toEqual([3, 1]);
    expect(flags.list({ limit: 2 }).map(({ id }) => id)).toEqual([3, 2]);
    expect(flags.list({ before: 2 }).map(({ id }) => id)).toEqual([1]);
    expect([...audit.records()].at(-1)).toMatchObject({
      type: 'flag_acknowledged',
      data: { id: 2, note: 'a known partner' },
    });
  });
});

describe('what did not leave', () => {
  const limited = { outgoing: { perDayMsat: 3_000n }, whenOver: 'refuse' } as const;

  test('uses up no limit: it is forgotten once, and judged again when it is tried again', () => {
    const { actions, guard, book, store, clock, judge } = guarding({
      name: 'fast',
      kind: 'velocity',
      scope: 'all',
      windowSeconds: 60,
      maxCount: 3,
      action: 'refuse',
    });
    book.set(ann, limited, 'user');
    const payment = { direction: 'outgoing', counterparty: ann, amountMsat: 1_000n } as const;
    const forget = (id: string) =>
      store.transaction((tx) => guard.forget?.(tx, { ...payment, atMs: clock.nowMs, id }));
    expect(actions(4)).toEqual(['allow', 'allow', 'allow', 'refuse']);
    clock.nowMs += 20_000;
    for (const id of ['leg-2', 'leg-2', 'leg-4', 'nobody']) forget(id);
    expect(judge({ id: 'leg-2' }).action).toBe('allow');
    expect(judge({ id: 'leg-5' }).action).toBe('refuse');
    forget('leg-1');
    expect(judge({ id: 'leg-5' }).action).toBe('allow');
    expect(actions(1)).toEqual(['refuse']);
  });
});

describe('somebody who is blocked', () => {
  test('is not paid in capital letters, nor behind an address', () => {
    const { book, judge } = guarding();
    const nodeId = `02${'ab'.repeat(32)}`;
    book.set(nodeId, { blocked: 'both' }, 'user');
    book.set(ann, { blocked: 'outgoing' }, 'user');
    expect(judge({ counterparty: nodeId.toUpperCase() }).action).toBe('refuse');
    expect(judge({ counterparty: 'Ann@Host.example' }).action).toBe('refuse');
    expect(judge({ counterparty: 'bob@host.example' }).action).toBe('allow');
    expect(judge({ counterparty: 'bob@host.example', nodeId }).action).toBe('refuse');
  });
});
