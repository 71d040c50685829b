import { bytesToUtf8, utf8ToBytes } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import type { AuditEntry } from '../ledger/auditSink.js';
import { setBudget } from '../ledger/budgets.js';
import {
  type Behaviour,
  TestResolver,
  TestTime,
  TestWallet,
  testLedger,
} from '../ledger/ledger.test.support.js';
import { messageRecordType } from '../records/recordTypes.js';
import { memoryStore } from '../store/memoryStore.js';
import { signDelivery } from './delivery.js';
import { type RuleEvent, RuleRunner } from './ruleRunner.js';

const alice = `02${'aa'.repeat(32)}`;
const bob = `03${'bb'.repeat(32)}`;
const toAlice = [{ recipient: alice }];

function world(behave?: (id: string, tries: number) => Behaviour) {
  const time = new TestTime();
  const store = memoryStore();
  const wallet = new TestWallet({ time, ...(behave && { behave }) });
  const resolver = new TestResolver(time);
  const audited: AuditEntry[] = [];
  const audit = { append: (_: unknown, entry: AuditEntry) => void audited.push(entry) };
  const events: RuleEvent[] = [];
  const newLedger = () => testLedger({ time, store, wallet, resolver, audit });
  const start = (ledger = newLedger()) =>
    new RuleRunner({
      store,
      ledger,
      now: time.now,
      schedule: time.schedule,
      audit,
      secret: new Uint8Array(32).fill(9),
      onEvent: (event) => events.push(event),
    });
  const at = (text: string): void => {
    time.nowMs = Date.parse(text);
  };
  const ledger = newLedger();
  return { time, store, wallet, audited, events, start, ledger, runner: start(ledger), at };
}

const hourly = { name: 'hourly', kind: 'schedule', cron: '0 * * * *', amount: '2.5', to: toAlice };
const rent = {
  name: 'rent',
  kind: 'subscription',
  every: { months: 1 },
  start: '2026-10-31',
  amount: 100,
  to: toAlice,
};
const traffic = { name: 'traffic', kind: 'meter', unit: 'GB', price: '1/3', payAt: 10, to: toAlice };
const bonus = {
  name: 'bonus',
  kind: 'trigger',
  amount: { path: 'bonus.sats', most: 500 },
  to: { path: 'who', allowed: [{ recipient: alice, name: 'Alice' }, { recipient: bob }] },
  when: [{ path: 'type', equals: 'goal' }],
  idPath: 'match',
};

describe('a rule', () => {
  test.each([
    [{ ...hourly, name: 'Hourly' }, /name: a name has/],
    [{ ...hourly, amount: 0 }, /amount: an amount cannot be zero/],
    [{ ...hourly, amount: '1.2345' }, /amount: "1.2345" is no number of satoshi/],
    [{ ...hourly, to: [] }, /to: /],
    [{ ...hourly, to: [{ recipient: 'nobody' }] }, /to\.0: recipient "nobody" is neither/],
    [{ ...hourly, every: { days: 1 } }, /every/],
    [{ ...hourly, cron: 'never' }, /"never" in UTC is no schedule/],
    [{ ...hourly, timeZone: 'Mars' }, /is no schedule/],
    [{ ...rent, start: '2026-02-31' }, /is no date/],
    [{ ...rent, every: { months: 0 } }, /every/],
    [{ ...traffic, price: '1/0' }, /price: "1\/0" is no number/],
    [{ ...bonus, amount: { path: 'a' } }, /amount/],
    [{ kind: 'else' }, /kind/],
    ['text', /this is no rule/],
  ])('%# that makes no sense is refused', (definition, says) => {
    const { runner } = world();
    expect(() => runner.book.add(definition)).toThrow(says);
    expect(runner.book.list()).toEqual([]);
  });

  test('is kept, changed and removed, and every change is in the audit log', () => {
    const { runner, audited } = world();
    runner.book.add({ ...hourly, approvalAbove: 5 }, { by: 'ann' });
    expect(() => runner.book.add(hourly)).toThrow(/there is a rule hourly/);
    runner.book.replace({ ...hourly, approvalAbove: 50, description: 'more' }, { by: 'ann' });
    expect(() => runner.book.replace({ ...rent, name: 'hourly' })).toThrow(/is a schedule/);
    runner.book.setEnabled('hourly', false, { by: 'bo' });
    expect(runner.book.get('hourly')).toMatchObject({ enabled: false, rule: { approvalAbove: 50_000n } });
    runner.book.remove('hourly', { by: 'bo' });
    expect(runner.book.get('hourly')).toBeUndefined();
    expect(() => runner.book.remove('hourly')).toThrow(/there is no rule "hourly"/);
    expect(audited.map(({ type, actor }) => [type, actor])).toEqual([
      ['rule_changed', 'ann'],
      ['rule_changed', 'ann'],
      ['limit_changed', 'ann'],
      ['rule_changed', 'bo'],
      ['rule_changed', 'bo'],
    ]);
    expect(audited[2]?.data).toMatchObject({
      name: 'rule:hourly',
      before: expect.stringMatching(/"approvalAbove":"5000"/),
      after: expect.stringMatching(/"approvalAbove":"50000"/),
    });
  });
});

describe('a schedule', () => {
  test('pays each occurrence once, whoever looks and however often', async () => {
    const { runner, start, wallet, at } = world();
    at('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, message: 'hello' });
    expect(runner.due()).toMatchObject([{ occurrences: [], nextMs: Date.parse('2026-07-01T10:00Z') }]);
    at('2026-07-01T10:00Z');
    expect(runner.due()).toMatchObject([
      { occurrences: [{ occurrence: '2026-07-01T10:00:00Z', amountMsat: 2_500n }] },
    ]);
    expect(runner.planDue()).toMatchObject([{ status: 'planned', amountMsat: 2_500n }]);
    expect(runner.planDue()).toEqual([]);
    const other = start();
    expect(other.planDue()).toEqual([]);
    await other.pay();
    await runner.pay();
    expect(wallet.requests).toHaveLength(1);
    expect(wallet.requests[0]).toMatchObject({ nodeId: alice, amountMsat: 2_500n });
    const records = wallet.requests.flatMap((request) => ('records' in request ? [request.records] : []));
    expect(bytesToUtf8(records[0]?.get(messageRecordType) ?? new Uint8Array())).toBe('hello');
  });

  test('that is removed and added again pays nothing a second time', () => {
    const { runner, at, store } = world();
    at('2026-07-01T09:30Z');
    runner.book.add(hourly);
    at('2026-07-01T10:00Z');
    runner.planDue();
    runner.book.remove('hourly');
    at('2026-07-01T09:59Z');
    runner.book.add(hourly);
    at('2026-07-01T10:01Z');
    expect(runner.planDue().filter(({ status }) => status === 'planned')).toEqual([]);
    // Not even where its state was lost.
    store.transaction((tx) => tx.delete('rule/state/hourly/schedule'));
    at('2026-07-01T10:02Z');
    expect(runner.planDue().map(({ status }) => status)).toContain('repeated');
    expect(runner.planDue()).toEqual([]);
  });

  test('skips what was missed, or makes up for the last ones', () => {
    for (const [missed, times, skipped] of [
      [undefined, ['13:00'], 3],
      [{ catchUp: 2 }, ['11:00', '12:00', '13:00'], 1],
      [{ catchUp: 0, graceMinutes: 90 }, ['12:00', '13:00'], 2],
    ] as const) {
      const { runner, at, events } = world();
      at('2026-07-01T09:30Z');
      runner.book.add({ ...hourly, missed });
      at('2026-07-01T13:01Z');
      const planned = runner.planDue();
      expect(planned.map(({ occurrence }) => occurrence.slice(11, 16))).toEqual(times);
      expect(events.find(({ type }) => type === 'skipped')).toMatchObject({ count: skipped });
      expect(runner.book.get('hourly')?.state).toMatchObject({ planned: times.length, skipped });
    }
  });

  test('that was disabled meanwhile pays nothing of that time', () => {
    const { runner, at } = world();
    at('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, missed: { catchUp: 100 } });
    runner.book.setEnabled('hourly', false);
    at('2026-07-01T12:30Z');
    expect(runner.planDue()).toEqual([]);
    runner.book.setEnabled('hourly', true);
    expect(runner.planDue()).toEqual([]);
    at('2026-07-01T13:00Z');
    expect(runner.planDue()).toHaveLength(1);
  });

  test('ends at its time, and after as many times as it was meant to', () => {
    const { runner, at } = world();
    at('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, name: 'a', times: 2, missed: { catchUp: 9 } });
    runner.book.add({ ...hourly, name: 'b', until: '2026-07-01T11:00', missed: { catchUp: 9 } });
    runner.book.add({ ...hourly, name: 'c', from: '2026-07-01T12:00', missed: { catchUp: 9 } });
    at('2026-07-01T12:30Z');
    const hours = (rule: string) =>
      planned.filter((one) => one.rule === rule).map(({ occurrence }) => occurrence.slice(11, 13));
    const planned = runner.planDue();
    expect(hours('a')).toEqual(['10', '11']);
    expect(hours('b')).toEqual(['10', '11']);
    expect(hours('c')).toEqual(['12']);
    const next = new Map(runner.due().map(({ rule, nextMs }) => [rule, nextMs]));
    expect([next.get('a'), next.get('b'), next.get('c')]).toEqual([
      undefined,
      undefined,
      Date.parse('2026-07-01T13:00Z'),
    ]);
  });

  test('waits for its budget, and plans as much as it has', () => {
    const { runner, at, store, events } = world();
    const budget = (amountMsat: bigint) =>
      store.transaction((tx) => setBudget(tx, { name: 'fun', amountMsat, period: 'total' }));
    budget(5_000n);
    at('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, budgets: ['fun'], maxFee: 0, missed: { catchUp: 9 } });
    at('2026-07-01T12:30Z');
    expect(runner.planDue().map(({ occurrence }) => occurrence.slice(11, 13))).toEqual(['10', '11']);
    expect(events).toContainEqual(expect.objectContaining({ type: 'problem', code: 'budget_exceeded' }));
    expect(runner.planDue()).toEqual([]);
    budget(7_500n);
    expect(runner.planDue().map(({ occurrence }) => occurrence.slice(11, 13))).toEqual(['12']);
  });

  test('divides its amount by shares, to the msat', () => {
    const { runner, at, store } = world();
    at('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, amount: '0.01', to: [{ recipient: alice, share: 2 }, { recipient: bob }] });
    at('2026-07-01T10:00Z');
    const [payment] = runner.planDue();
    const legs = payment?.keys.map((key) => JSON.parse(store.get(`leg/${key}`) ?? '{}'));
    expect(legs?.map(({ content }) => content.amountMsat)).toEqual(['7', '3']);
  });

  test('only says what it would pay, as long as it is tried', () => {
    const { runner, at, store } = world();
    at('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, dryRun: true, times: 1 });
    at('2026-07-01T10:00Z');
    expect(runner.planDue()).toMatchObject([{ status: 'dry_run', amountMsat: 2_500n }]);
    expect(runner.planDue()).toEqual([]);
    expect(store.list({ prefix: 'leg' })).toEqual([]);
  });

  test('above an amount waits for somebody who approves', async () => {
    const { runner, at, wallet, audited, ledger } = world();
    at('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, approvalAbove: 2 });
    at('2026-07-01T10:00Z');
    const [payment] = runner.planDue();
    expect(payment).toMatchObject({ status: 'held' });
    await runner.pay();
    expect(wallet.requests).toEqual([]);
    expect(audited.at(-1)).toMatchObject({ type: 'leg_held', actor: 'rule:hourly' });
    ledger.approve(payment?.keys ?? [], 'ann');
    await runner.pay();
    expect(wallet.requests).toHaveLength(1);
  });
});

describe('a subscription', () => {
  test('is paid on the last day of short months, and a missed one is made up for', () => {
    const { runner, at } = world();
    at('2026-10-31T15:00Z');
    runner.book.add(rent);
    const planned: string[] = [];
    for (const day of ['2026-10-31T15:00Z', '2026-11-30T00:00Z', '2027-02-27T12:00Z', '2027-03-02T00:00Z']) {
      at(day);
      planned.push(...runner.planDue().map(({ occurrence }) => occurrence.slice(0, 10)));
    }
    expect(planned).toEqual(['2026-10-31', '2026-11-30', '2027-01-31', '2027-02-28']);
    expect(runner.book.get('rent')?.state).toMatchObject({ planned: 4, skipped: 1 });
  });

  test('that began long ago does not pay for the past', () => {
    const { runner, at } = world();
    at('2026-10-31T15:00Z');
    runner.book.add({ ...rent, start: '2020-01-15', missed: { catchUp: 12 } });
    expect(runner.planDue()).toEqual([]);
    expect(new Date(runner.nextMs() ?? 0).toISOString()).toBe('2026-11-15T00:00:00.000Z');
  });
});

describe('a meter', () => {
  test('counts each report once, pays when enough is owed, and carries the rest', async () => {
    const { runner, wallet } = world();
    runner.book.add(traffic);
    const report = (reportId: string, units: string | number) =>
      runner.reportUnits({ rule: 'traffic', reportId, units });
    expect(report('a', 29)).toEqual({ status: 'counted', payments: [] });
    expect(report('a', 29)).toEqual({ status: 'repeated', payments: [] });
    expect(() => report('a', 30)).toThrow(/counted 29 GB before/);
    expect(runner.book.get('traffic')?.state).toMatchObject({ owed: '29000/3', units: '29' });
    expect(report('b', '1.001')).toMatchObject({ payments: [{ amountMsat: 10_000n, occurrence: '1' }] });
    expect(runner.book.get('traffic')?.state).toMatchObject({ owed: '1/3', units: '30001/1000' });
    report('c', '31');
    await runner.pay();
    expect(wallet.requests.map(({ amountMsat }) => amountMsat)).toEqual([10_000n, 10_333n]);
    // 61.001 GB at 1/3 sat each: 20333.66… msat.
    expect(runner.book.get('traffic')?.state.owed).toBe('2/3');
    expect(runner.payOwed('traffic')).toEqual([]);
  });

  test('that is disabled counts, and pays later', () => {
    const { runner } = world();
    runner.book.add(traffic, { enabled: false });
    expect(runner.reportUnits({ rule: 'traffic', reportId: 'a', units: 90n }).payments).toEqual([]);
    runner.book.setEnabled('traffic', true);
    expect(runner.planDue()).toMatchObject([{ amountMsat: 30_000n }]);
  });

  test('refuses what cannot be', () => {
    const { runner } = world();
    runner.book.add({ ...traffic, mostPerReport: 100 });
    runner.book.add(hourly);
    const report = (rule: string, reportId: string, units: string | number) => () =>
      runner.reportUnits({ rule, reportId, units });
    expect(report('traffic', 'a', 101)).toThrow(/more than the 100/);
    expect(report('traffic', '', 1)).toThrow(/1 to 128/);
    expect(report('traffic', 'a', -1)).toThrow(/is no number/);
    expect(report('traffic', 'a', 0.5)).toThrow(/no whole number/);
    expect(report('hourly', 'a', 1)).toThrow(/only a meter counts/);
    expect(report('nothing', 'a', 1)).toThrow(/there is no rule/);
  });

  test('keeps what is owed while its budget is used up', () => {
    const { runner, store } = world();
    store.transaction((tx) => setBudget(tx, { name: 'net', amountMsat: 1n, period: 'total' }));
    runner.book.add({ ...traffic, budgets: ['net'], maxFee: 0 });
    expect(runner.reportUnits({ rule: 'traffic', reportId: 'a', units: 30 })).toEqual({
      status: 'counted',
      payments: [],
    });
    store.transaction((tx) => setBudget(tx, { name: 'net', amountMsat: 10_000n, period: 'total' }));
    expect(runner.planDue()).toMatchObject([{ amountMsat: 10_000n }]);
  });
});

describe('a trigger', () => {
  const goal = { type: 'goal', match: 'm1', who: alice, bonus: { sats: 100 } };

  function triggered() {
    const given = world();
    const { runner, time } = given;
    runner.book.add(bonus);
    const deliver = (document: unknown, { id = 'd1', ageSeconds = 0, rule = 'bonus' } = {}) => {
      const body = utf8ToBytes(typeof document === 'string' ? document : JSON.stringify(document));
      const timestampSeconds = Math.floor(time.nowMs / 1000) - ageSeconds;
      const headers = signDelivery({ secret: runner.triggerSecret('bonus'), id, timestampSeconds, body });
      return runner.deliver({ rule, headers: { ...headers }, body });
    };
    return { ...given, deliver };
  }

  test('pays what a webhook says, once for what it is about', async () => {
    const { deliver, runner, wallet } = triggered();
    expect(deliver(goal)).toMatchObject({ status: 'planned', payment: { amountMsat: 100_000n } });
    expect(deliver(goal)).toMatchObject({ status: 'repeated' });
    expect(deliver({ ...goal, bonus: { sats: 200 } }, { id: 'd2' })).toMatchObject({ status: 'repeated' });
    expect(deliver({ ...goal, match: 'm2', who: 'Alice' }, { id: 'd3' })).toMatchObject({
      status: 'planned',
    });
    expect(deliver({ ...goal, type: 'corner' }, { id: 'd4' })).toEqual({
      status: 'ignored',
      reason: 'type is something else',
    });
    await runner.pay();
    expect(wallet.requests).toHaveLength(2);
  });

  test.each([
    [{ ...goal, bonus: { sats: 501 } }, /bonus.sats is above/],
    [{ ...goal, bonus: { sats: '1e3' } }, /no amount/],
    [{ ...goal, bonus: { sats: -1 } }, /no amount/],
    [{ ...goal, bonus: { sats: 0 } }, /below/],
    [{ ...goal, bonus: {} }, /no amount/],
    [{ ...goal, who: `02${'cc'.repeat(32)}` }, /none of the recipients/],
    [{ ...goal, who: [alice] }, /none of the recipients/],
    [{ ...goal, match: null }, /match does not say/],
    ['no json', /is no JSON/],
  ])('%# beyond its bounds is refused', (document, says) => {
    const { deliver, store } = triggered();
    expect(() => deliver(document)).toThrow(says);
    expect(store.list({ prefix: 'leg' })).toEqual([]);
  });

  test('finds nothing that a document did not say itself', () => {
    const { runner, time } = world();
    runner.book.add({ ...bonus, idPath: 'constructor.name', when: [] });
    const body = utf8ToBytes(JSON.stringify(goal));
    const headers = signDelivery({
      secret: runner.triggerSecret('bonus'),
      id: 'd',
      timestampSeconds: Math.floor(time.nowMs / 1000),
      body,
    });
    expect(() => runner.deliver({ rule: 'bonus', headers: { ...headers }, body })).toThrow(/does not say/);
  });

  test('that is too old, or of another sender, is refused', () => {
    const { deliver, runner, time } = triggered();
    expect(() => deliver(goal, { ageSeconds: 301 })).toThrow(/too far from now/);
    expect(() => deliver(goal, { ageSeconds: -301 })).toThrow(/too far from now/);
    expect(() => deliver(goal, { rule: 'other' })).toThrow(/signature is none/);
    const body = utf8ToBytes(JSON.stringify(goal));
    const timestampSeconds = Math.floor(time.nowMs / 1000);
    const sound = signDelivery({ secret: runner.triggerSecret('bonus'), id: 'd', timestampSeconds, body });
    const tries: Record<string, string | string[] | undefined>[] = [
      { 'webhook-id': 'e' },
      { 'webhook-timestamp': String(timestampSeconds + 1) },
      { 'webhook-signature': sound['webhook-signature'].replace('v1,', 'v2,') },
      { 'webhook-signature': 'v1,AAAA' },
      { 'webhook-signature': 'v1,!' },
      { 'webhook-signature': undefined },
      { 'webhook-id': [sound['webhook-id'], 'x'] },
      { 'webhook-id': 'a b' },
      { 'webhook-timestamp': 'now' },
    ];
    for (const change of tries) {
      const attempt = () => runner.deliver({ rule: 'bonus', headers: { ...sound, ...change }, body });
      expect(attempt).toThrow(expect.objectContaining({ code: 'signature_invalid' }));
    }
    const changed = utf8ToBytes(JSON.stringify({ ...goal, bonus: { sats: 499 } }));
    expect(() => runner.deliver({ rule: 'bonus', headers: { ...sound }, body: changed })).toThrow(
      /signature/,
    );
    const several = { ...sound, 'webhook-signature': `v1,AAAA ${sound['webhook-signature']}` };
    expect(runner.deliver({ rule: 'bonus', headers: several, body })).toMatchObject({ status: 'planned' });
  });

  test('that is disabled is refused, and works when it is sent again', () => {
    const { deliver, runner } = triggered();
    runner.book.setEnabled('bonus', false);
    expect(() => deliver(goal)).toThrow(/is disabled/);
    runner.book.setEnabled('bonus', true);
    expect(deliver(goal)).toMatchObject({ status: 'planned' });
  });
});

describe('rules that run by themselves', () => {
  test('plan and pay at their times, and one that waits keeps no other waiting', async () => {
    const { runner, time, wallet, events } = world((key, tries) =>
      key.startsWith('rule:slow') && tries < 3 ? { does: 'fail', retryable: true } : { does: 'pay' },
    );
    time.nowMs = Date.parse('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, name: 'slow' });
    runner.book.add({ ...hourly, name: 'quick', cron: '*/10 * * * *' });
    const stop = new AbortController();
    const running = runner.run(stop.signal);
    await time.sleep(Date.parse('2026-07-01T12:05Z') - time.nowMs);
    stop.abort();
    await running;
    const paid = [...wallet.paid.values()];
    expect(paid.every(({ times }) => times === 1)).toBe(true);
    const keys = [...wallet.paid.keys()];
    expect(keys.filter((key) => key.startsWith('rule:slow'))).toHaveLength(3);
    expect(keys.filter((key) => key.startsWith('rule:quick'))).toHaveLength(15);
    expect(events.filter(({ type }) => type === 'problem')).toEqual([]);
  });

  test('pay at once what a webhook has planned', async () => {
    const { runner, time, wallet } = world();
    runner.book.add({ ...bonus, when: [], idPath: undefined });
    const stop = new AbortController();
    const running = runner.run(stop.signal);
    await time.sleep(1_000);
    const body = utf8ToBytes(JSON.stringify({ who: bob, bonus: { sats: 5 } }));
    const timestampSeconds = Math.floor(time.nowMs / 1000);
    const headers = signDelivery({ secret: runner.triggerSecret('bonus'), id: 'd', timestampSeconds, body });
    runner.deliver({ rule: 'bonus', headers: { ...headers }, body });
    await time.sleep(100);
    expect(wallet.paid.size).toBe(1);
    stop.abort();
    await running;
  });

  test('of two processes pay each occurrence once', async () => {
    const { runner, start, time, wallet } = world();
    time.nowMs = Date.parse('2026-07-01T09:30Z');
    runner.book.add({ ...hourly, cron: '* * * * *' });
    const stop = new AbortController();
    const running = [runner.run(stop.signal), start().run(stop.signal)];
    await time.sleep(60 * 60_000 - 30_000);
    stop.abort();
    await Promise.all(running);
    expect(wallet.paid.size).toBe(59);
    expect([...wallet.paid.values()].every(({ times }) => times === 1)).toBe(true);
  });
});
