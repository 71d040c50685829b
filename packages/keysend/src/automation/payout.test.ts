import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../ledger/auditSink.js';
import { budgetState, setBudget } from '../ledger/budgets.js';
import {
  type Behaviour,
  TestResolver,
  TestTime,
  TestWallet,
  testLedger,
} from '../ledger/ledger.test.support.js';
import { openToolkit } from '../sqlite/openToolkit.js';
import { memoryStore } from '../store/memoryStore.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import {
  type CreatePayout,
  createPayout,
  listPayouts,
  payoutLegKey,
  previewPayout,
  readPayout,
  runPayout,
} from './payout.js';
import { PayoutFileError, readPayoutFile as readFile } from './payoutFile.js';
import { formatPayoutCsv, formatPayoutJson, payoutRows } from './payoutReport.js';

const alice = `02${'aa'.repeat(32)}`;

function csv(count: number, from = 0): string {
  const rows = Array.from({ length: count }, (_, i) => `k${from + i},${alice},${from + i + 1}`);
  return `key,recipient,amount\n${rows.join('\n')}\n`;
}

function linesOf(text: string) {
  return readFile(text, 'csv').lines;
}

function world(given: { behave?: (id: string, tries: number) => Behaviour; store?: ToolkitStore } = {}) {
  const { behave, store = memoryStore() } = given;
  const time = new TestTime();
  const wallet = new TestWallet({ time, ...(behave && { behave }) });
  const resolver = new TestResolver(time);
  const audited: AuditEntry[] = [];
  const audit = { append: (_: unknown, entry: AuditEntry) => void audited.push(entry) };
  const makeLedger = () => testLedger({ time, store, wallet, resolver, audit });
  const ledger = makeLedger();
  const base = { ledger, store, now: time.now, audit };
  const create = (name: string, text: string, more: Partial<CreatePayout> = {}) =>
    createPayout({ ...base, name, lines: linesOf(text), ...more });
  return { time, store, wallet, ledger, makeLedger, create, audited, audit };
}

describe('a payout', () => {
  test('pays every line once, however often it is made and run', async () => {
    const { create, ledger, wallet, time, store } = world();
    create('july', csv(20));
    const progress: string[] = [];
    const run = () =>
      runPayout({
        ledger,
        name: 'july',
        now: time.now,
        onProgress: ({ done, total }) => progress.push(`${done}/${total}`),
      });
    const summary = await run();
    expect(summary.states.succeeded).toEqual({ legs: 20, amountMsat: 210_000n });
    expect(progress.at(-1)).toBe('20/20');
    const again = create('july', csv(20));
    expect(again.fresh).toHaveLength(0);
    expect(again.known.every(({ state }) => state === 'succeeded')).toBe(true);
    await run();
    expect(wallet.requests).toHaveLength(20);
    expect(listPayouts(store).map(({ name, summary: { legs } }) => [name, legs])).toEqual([['july', 20]]);
  });

  test('of another name pays no key a second time, and says where it was paid', async () => {
    const { create, ledger, wallet, time } = world();
    create('july', csv(3));
    await runPayout({ ledger, name: 'july', now: time.now });
    const renamed = create('july-2', csv(5));
    expect(renamed.fresh.map(({ key }) => key)).toEqual(['k3', 'k4']);
    expect(renamed.known.map(({ line, payout, state }) => [line.key, payout, state])).toEqual([
      ['k0', 'july', 'succeeded'],
      ['k1', 'july', 'succeeded'],
      ['k2', 'july', 'succeeded'],
    ]);
    await runPayout({ ledger, name: 'july-2', now: time.now });
    expect(wallet.requests).toHaveLength(5);
  });

  test('pays nothing where one key stands for something else', () => {
    const { create, ledger } = world();
    create('july', csv(2));
    const text = `key,recipient,amount\nnew,${alice},1\nk1,${alice},3\n`;
    expect(() => create('august', text)).toThrow(PayoutFileError);
    expect(() => create('august', text)).toThrow(
      /line 3: the key "k1" stands for another payment in payout july/,
    );
    expect(ledger.get(payoutLegKey('new'))).toBeUndefined();
  });

  test('is planned as a whole or not at all', () => {
    const { create, store, ledger, time } = world();
    store.transaction((tx) => setBudget(tx, { name: 'salaries', amountMsat: 5_000n, period: 'total' }));
    expect(() => create('july', csv(3), { budgets: ['salaries'], maxFeeMsat: 0n })).toThrow(
      /budget salaries/,
    );
    expect(ledger.summary().legs).toBe(0);
    expect(listPayouts(store)).toEqual([]);
    create('july', csv(2), { budgets: ['salaries'], maxFeeMsat: 0n });
    const left = budgetState(store, { name: 'salaries', atMs: time.nowMs });
    expect(left).toMatchObject({ reservedMsat: 3_000n, remainingMsat: 2_000n });
  });

  test('holds what is above a limit until somebody has approved it', async () => {
    const { create, ledger, wallet, time, audited, store } = world();
    create('july', csv(3), { approvalAboveMsat: 2_000n, by: 'bo' });
    const run = () => runPayout({ ledger, name: 'july', now: time.now });
    const summary = await run();
    expect(summary.states).toMatchObject({ succeeded: { legs: 2 }, held: { legs: 1, amountMsat: 3_000n } });
    expect(payoutRows(store, { name: 'july' })[2]).toMatchObject({
      state: 'held',
      reason: 'above 2 sat somebody has to approve',
    });
    ledger.approve([payoutLegKey('k2')], 'ann');
    await run();
    expect(wallet.requests).toHaveLength(3);
    expect(payoutRows(store, { keys: ['k2'] })).toMatchObject([{ state: 'succeeded', approved_by: 'ann' }]);
    const decisions = audited.filter(({ type }) => /held|approved/.test(type));
    expect(decisions.map(({ type, actor }) => [type, actor])).toEqual([
      ['leg_held', 'bo'],
      ['leg_approved', 'ann'],
    ]);
  });

  test('can be looked at before, and that changes nothing', () => {
    const { store, create } = world();
    const lines = linesOf(csv(2));
    expect(previewPayout(store, lines)).toMatchObject({ freshMsat: 3_000n, known: [], conflicts: [] });
    expect(store.list({ prefix: '' })).toEqual([]);
    create('july', csv(1));
    expect(previewPayout(store, lines)).toMatchObject({ freshMsat: 2_000n, known: [{ payout: 'july' }] });
  });

  test('has a name that is fit for a file', () => {
    const { create, store } = world();
    expect(() => create('../july', csv(1))).toThrow(/name of a payout/);
    expect(() => readPayout(store, 'never')).toThrow(/there is no payout "never"/);
  });

  test('says of each key what became of it, and runs nothing in a spreadsheet', async () => {
    const { create, ledger, time, store } = world({
      behave: (key) =>
        key.endsWith('b') ? { does: 'fail', retryable: false } : { does: 'pay', feeMsat: 7n },
    });
    create(
      'july',
      `key,recipient,amount,name,note\na,${alice},1.5,"=HYPERLINK(""http://x"")","one, ""two"""\nb,${alice},2,,+1\n`,
    );
    await runPayout({ ledger, name: 'july', now: time.now });
    const rows = payoutRows(store, { name: 'july' });
    expect(rows).toMatchObject([
      { key: 'a', amount: '1.5', amount_msat: '1500', state: 'succeeded', fee_msat: '7' },
      { key: 'b', amount: '2', state: 'failed', reason: expect.stringMatching(/./) },
    ]);
    const text = formatPayoutCsv(rows);
    expect(text).toContain(`a,july,${alice},"'=HYPERLINK(""http://x"")",1.5,1500,succeeded,7,`);
    expect(text).toContain(',"one, ""two"""\r\n');
    expect(text).toMatch(/,'\+1\r\n$/);
    expect(JSON.parse(formatPayoutJson(rows))).toEqual(rows);
    expect(JSON.parse(formatPayoutJson([]))).toEqual([]);
  });
});

describe('a payout of 10,000', () => {
  let folder: string | undefined;
  afterEach(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  test('is planned on disk at once, and paid once each through runs that end in the middle', async () => {
    folder = mkdtempSync(join(tmpdir(), 'rivulet-payout-'));
    const toolkit = openToolkit({ path: join(folder, 'toolkit.sqlite') });
    const { create, makeLedger, wallet, time } = world({ store: toolkit.store });
    const count = Number(process.env.RIVULET_PAYOUT_LINES ?? 4_000);
    const text = `${csv(count)}${csv(count / 20).replace(/^.*\n/, '')}`;
    const startedMs = performance.now();
    create('big', text);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    for (let runs = 0; ; runs++) {
      const stop = new AbortController();
      const ledger = makeLedger();
      let left = Math.ceil(count * 0.3);
      const summary = await runPayout({
        ledger,
        name: 'big',
        now: time.now,
        signal: stop.signal,
        onLeg: () => {
          if (--left === 0) stop.abort();
        },
      });
      if (summary.states.succeeded.legs === count) break;
      expect(runs).toBeLessThan(10);
    }
    expect(wallet.paid.size).toBe(count);
    expect([...wallet.paid.values()].every(({ times }) => times === 1)).toBe(true);
    const sum = [...wallet.paid.values()].reduce((total, { amountMsat }) => total + amountMsat, 0n);
    expect(sum).toBe(BigInt((count * (count + 1)) / 2) * 1_000n);
    toolkit.close();
  });
});
