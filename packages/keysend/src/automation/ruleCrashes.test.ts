import { utf8ToBytes } from '@rivulet/core/bytes';
import { expect, test } from 'vitest';
import {
  Crash,
  TestProcess,
  TestResolver,
  TestTime,
  TestWallet,
  testLedger,
} from '../ledger/ledger.test.support.js';
import { memoryStore } from '../store/memoryStore.js';
import { signDelivery } from './delivery.js';
import { RuleRunner } from './ruleRunner.js';

const alice = `02${'aa'.repeat(32)}`;
const bob = `03${'bb'.repeat(32)}`;
const startMs = Date.parse('2026-07-01T09:30Z');

/**
 * One life of a process that runs rules, told of two reports and two webhooks again and again, as whoever sends
 * them does until somebody has answered.
 */
async function live(world: ReturnType<typeof newWorld>, process: TestProcess): Promise<void> {
  const { time, store, wallet, resolver } = world;
  const runner = new RuleRunner({
    store: process.store(store),
    ledger: testLedger({ time, store, wallet, resolver, process, leaseMs: 5_000 }),
    now: time.now,
    schedule: process.schedule(time.schedule),
    secret: new Uint8Array(32).fill(9),
    pollMs: 600_000,
  });
  const stop = new AbortController();
  const tell = (): void => {
    for (const id of ['m1', 'm2']) {
      runner.reportUnits({ rule: 'meter', reportId: id, units: 15 });
      const body = utf8ToBytes(JSON.stringify({ id, sats: 7 }));
      const timestampSeconds = Math.floor(time.nowMs / 1000);
      const headers = signDelivery({
        secret: runner.triggerSecret('hook'),
        id: `${id}-${time.nowMs}`,
        timestampSeconds,
        body,
      });
      runner.deliver({ rule: 'hook', headers: { ...headers }, body });
    }
  };
  try {
    const running = runner.run(stop.signal);
    running.catch(() => {});
    tell();
    await Promise.race([process.died, time.sleep(Math.max(0, startMs + 3 * 3_600_000 - time.nowMs))]);
    if (!process.dead) tell();
    if (!process.dead) await Promise.race([process.died, time.sleep(120_000)]);
    stop.abort();
    await Promise.race([process.died, running]);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
}

function newWorld() {
  const time = new TestTime();
  time.nowMs = startMs;
  const store = memoryStore();
  const wallet = new TestWallet({ time });
  return { time, store, wallet, resolver: new TestResolver(time) };
}

/** Lives of processes that die at a step each, until one lives on. @returns how many steps the last one made. */
async function survive(dieAt: number): Promise<{ world: ReturnType<typeof newWorld>; steps: number }> {
  const world = newWorld();
  const { book } = new RuleRunner({
    ...world,
    ledger: testLedger(world),
    now: world.time.now,
    schedule: world.time.schedule,
    secret: new Uint8Array(32),
  });
  const to = [{ recipient: alice }, { recipient: bob, share: 2 }];
  book.add({ name: 'hourly', kind: 'schedule', cron: '0 * * * *', amount: 3, to, missed: { catchUp: 9 } });
  book.add({ name: 'meter', kind: 'meter', price: 1, payAt: 10, to: [{ recipient: alice }] });
  book.add({
    name: 'hook',
    kind: 'trigger',
    amount: { path: 'sats', most: 9 },
    idPath: 'id',
    to: [{ recipient: bob }],
  });
  for (const at of [dieAt, dieAt]) {
    const process = new TestProcess({ dieAt: at });
    await live(world, process);
    if (!process.dead) return { world, steps: process.steps };
  }
  const last = new TestProcess();
  await live(world, last);
  return { world, steps: last.steps };
}

test('each occurrence, report and webhook is paid once, wherever two processes in a row die', async () => {
  const { steps } = await survive(Number.POSITIVE_INFINITY);
  expect(steps).toBeGreaterThan(20);
  for (let dieAt = 0; dieAt < steps; dieAt++) {
    const { world } = await survive(dieAt);
    const paid = [...world.wallet.paid.entries()];
    expect(
      paid.filter(([, { times }]) => times !== 1),
      `died at ${dieAt}`,
    ).toEqual([]);
    const of = (rule: string) => paid.filter(([key]) => key.startsWith(`rule:${rule}:`));
    expect(of('hourly').length, `died at ${dieAt}`).toBe(6);
    expect(of('meter').reduce((sum, [, { amountMsat }]) => sum + amountMsat, 0n)).toBe(30_000n);
    expect(of('hook').map(([, { amountMsat }]) => amountMsat)).toEqual([7_000n, 7_000n]);
  }
});
