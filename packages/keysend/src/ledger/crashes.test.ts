import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openToolkit } from '../sqlite/index.js';
import { memoryStore } from '../store/memoryStore.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import { budgetState, setBudget } from './budgets.js';
import {
  type Behaviour,
  Crash,
  legPlan,
  StoreFault,
  TestProcess,
  TestResolver,
  TestTime,
  TestWallet,
  testLedger,
} from './ledger.test.support.js';
import type { LegLedger } from './legLedger.js';

interface Story {
  readonly repeats: 'preimage' | 'lookup' | 'none';
  /** For each payment, what the wallet does with its tries, the last one for ever. */
  readonly behaviours: readonly (readonly Behaviour[])[];
  /** The steps at which one process after the other dies. */
  readonly deaths: readonly number[];
  /** Whether the next process begins while the one that dies is alive. */
  readonly together: boolean;
  readonly knowsTheDead: boolean;
  readonly byInvoice: boolean;
  readonly transitMs: number;
  readonly refusedCalls: readonly number[];
  readonly doubts: number;
  /** Commits of each process that are not made, while it lives on. */
  readonly faultsAt: readonly number[];
  /** By how much the clock is set forward or back when the next process begins; nobody's lease is true then. */
  readonly leapsMs: readonly number[];
  /** A person says of everything unknown that it was not paid, and has it sent again. */
  readonly hasty: boolean;
}

/** How many times as many stories as usual. */
const more = Number(process.env.RIVULET_LEDGER_RUNS ?? 1);
const hourMs = 3_600_000;
const afterMs = fc.constantFrom(0, 5, 400);
const feeMsat = fc.constantFrom(0n, 90n);
const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  fc.record({ does: fc.constant('pay' as const), afterMs, feeMsat }),
  fc.record({ does: fc.constant('fail' as const), afterMs, retryable: fc.boolean() }),
  fc.record({ does: fc.constant('pay unheard' as const), afterMs, feeMsat }),
  fc.record({ does: fc.constant('lose' as const), afterMs }),
  fc.record({
    does: fc.constant('linger' as const),
    forMs: fc.constantFrom(10, 3_000, 400_000),
    pays: fc.boolean(),
  }),
);

const story: fc.Arbitrary<Story> = fc.record({
  repeats: fc.constantFrom('preimage' as const, 'lookup' as const, 'none' as const),
  behaviours: fc.array(fc.array(behaviour, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 5 }),
  deaths: fc.array(fc.nat(45), { maxLength: 4 }),
  together: fc.boolean(),
  knowsTheDead: fc.boolean(),
  byInvoice: fc.boolean(),
  transitMs: fc.constantFrom(0, 20, 10_000),
  refusedCalls: fc.array(fc.nat(8), { maxLength: 3 }),
  doubts: fc.nat(3),
  faultsAt: fc.array(fc.nat(25), { maxLength: 3 }),
  leapsMs: fc.array(fc.constantFrom(0, -4 * hourMs, 4 * hourMs, 45_000), { maxLength: 4 }),
  hasty: fc.boolean(),
});

/** Lives through it, and checks that every payment was made once or not at all. */
async function live(story: Story, store: ToolkitStore): Promise<void> {
  const time = new TestTime();
  const { repeats, behaviours, deaths, together, byInvoice, faultsAt } = story;
  const leapsMs = together ? [] : story.leapsMs;
  // Whoever knows that its owner is dead, and when it was sent by the same clock, does not wait for long.
  const knowsTheDead = story.knowsTheDead && leapsMs.length === 0;
  const wallet = new TestWallet({
    time,
    repeats,
    behave: (key, tries) => {
      const own = behaviours[Number(key.slice(4))] ?? [];
      return own[Math.min(tries, own.length - 1)] as Behaviour;
    },
  });
  wallet.transitMs = story.transitMs;
  wallet.refusedCalls = story.refusedCalls;
  wallet.doubts = story.doubts;
  const resolver = new TestResolver(time);
  resolver.keyOf = (address) => `leg-${address.slice(1, 2)}`;
  const budgets = ['all'];
  const amountMsat = 100_000n;
  store.transaction((tx) => setBudget(tx, { name: 'all', amountMsat, period: 'total' }));
  const plans = behaviours.map((_, n) =>
    legPlan(n, {
      budgets,
      maxFeeMsat: 100n,
      ...(byInvoice && n % 2 === 1
        ? { recipient: { type: 'lnaddress' as const, address: `x${n}@host` } }
        : {}),
    }),
  );
  const names = new Set<string>();
  let leaptMs = 0;
  const now = (): number => time.nowMs + leaptMs;
  const begin = (process: TestProcess, n: number): { ledger: LegLedger; done: Promise<unknown> } => {
    const owner = `process-${n}`;
    leaptMs += leapsMs[n] ?? 0;
    const ledger = testLedger({
      ...{ time, store, wallet, process, resolver, owner, now },
      ...(knowsTheDead ? { isOwnerAlive: (id: string) => names.has(id) } : {}),
    });
    names.add(owner);
    void process.died.then(() => names.delete(owner));
    const work = async (): Promise<void> => {
      ledger.plan(plans);
      await ledger.run();
    };
    const worked = work().catch((error) => {
      if (!(error instanceof Crash || error instanceof StoreFault)) throw error;
    });
    return { ledger, done: Promise.race([worked, process.died]) };
  };
  const others: Promise<unknown>[] = [];
  let n = 0;
  for (const dieAt of deaths) {
    const { done } = begin(new TestProcess({ dieAt, faultsAt }), n++);
    if (together) others.push(done);
    else await done;
  }
  const last = begin(new TestProcess(), n++);
  await last.done;
  await Promise.all(others);
  if (story.hasty && repeats !== 'none') {
    for (const { key } of last.ledger.list({ state: 'unknown' })) {
      try {
        last.ledger.resolve(key, 'not_paid', 'me');
        last.ledger.retry([key]);
      } catch (error) {
        // Somebody is asking the wallet at this moment.
        expect(error).toMatchObject({ code: 'state_conflict' });
      }
    }
    await last.ledger.run();
  }
  // Whoever was stopped by somebody else's lease, or gave up looking, is asked once more.
  for (let runs = 0; runs < 20; runs++) {
    await time.sleep(600_000);
    await last.ledger.run();
  }
  await time.sleep(120_000);

  let cost = 0n;
  let open = 0n;
  for (const { key, amountMsat } of plans) {
    const leg = last.ledger.get(key);
    const paid = wallet.paid.get(key);
    expect(paid?.times ?? 0).toBeLessThanOrEqual(1);
    if (leg?.state !== 'unknown') expect(leg?.state).toBe(paid === undefined ? 'failed' : 'succeeded');
    else {
      expect(repeats).toBe('none');
      open += amountMsat + 100n;
    }
    if (leg?.state === 'succeeded') cost += amountMsat + (paid?.feeMsat ?? 0n);
  }
  expect(budgetState(store, { name: 'all', atMs: time.nowMs })).toMatchObject({
    usedMsat: cost,
    reservedMsat: open,
  });
  const counted = last.ledger.summary();
  expect(counted.legs).toBe(plans.length);
  for (const [state, { legs }] of Object.entries(counted.states)) {
    expect(last.ledger.list({ state: state as never })).toHaveLength(legs);
  }
}

describe('a ledger whose processes die', () => {
  test('pays each payment once or says that it was not paid, wherever they die', async () => {
    await fc.assert(
      fc.asyncProperty(story, (each) => live(each, memoryStore())),
      { numRuns: 400 * more },
    );
  });

  test('does so over a file', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (each) => {
        const folder = mkdtempSync(join(tmpdir(), 'rivulet-ledger-'));
        const { store, close } = openToolkit({ path: join(folder, 'toolkit.sqlite') });
        try {
          await live(each, store);
        } finally {
          close();
          rmSync(folder, { recursive: true });
        }
      }),
      { numRuns: 15 * more },
    );
  });
});
