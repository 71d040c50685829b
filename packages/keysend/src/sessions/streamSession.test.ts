import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readBoostagram } from '../boostagram/index.js';
import { setBudget } from '../ledger/index.js';
import { Crash, TestProcess } from '../ledger/ledger.test.support.js';
import { boostagramRecordType } from '../records/index.js';
import { carriedMsat } from '../value/index.js';
import { paidBy, SessionWorld, sharesAt, testPlan } from './sessions.test.support.js';
import { type StreamReport, StreamSession, type StreamSessionOptions } from './streamSession.js';

const rateMsatPerMinute = 100_000n;

function open(world: SessionWorld, changes: Partial<StreamSessionOptions> & { process?: TestProcess } = {}) {
  const { process, ...options } = changes;
  return StreamSession.open({
    ledger: world.ledger(process),
    name: 's',
    plan: testPlan,
    rateMsatPerMinute,
    now: world.time.now,
    ...options,
  });
}

/** Plays from one position to another, every so many seconds. */
function play(session: StreamSession, from: number, to: number, step = 1): void {
  for (let position = from; position < to; position += step) session.playing(position);
  session.playing(to);
}

/** What each has earned, exactly, in ten-thousandths of a millisatoshi times 60,000. */
function earned(heard: readonly (readonly [fromMs: number, toMs: number])[]): Map<number, bigint> {
  const dues = new Map<number, bigint>();
  const edges = [0, 90_000, 240_500, 300_000, 360_000, Number.POSITIVE_INFINITY];
  for (const [fromMs, toMs] of heard) {
    for (const [i, edge] of edges.slice(0, -1).entries()) {
      const ms = Math.min(toMs, edges[i + 1] as number) - Math.max(fromMs, edge);
      if (ms <= 0) continue;
      for (const [n, share] of Object.entries(sharesAt(edge / 1_000))) {
        const due = rateMsatPerMinute * BigInt(ms) * BigInt(share);
        dues.set(Number(n), (dues.get(Number(n)) ?? 0n) + due);
      }
    }
  }
  return dues;
}

/** Checks that each was paid what they have earned, but for what is carried, and nothing else. */
function expectExact(
  world: SessionWorld,
  report: StreamReport,
  heard: readonly (readonly [fromMs: number, toMs: number])[],
): void {
  const dues = earned(heard);
  const paid = paidBy(world.wallet);
  const totalMs = heard.reduce((sum, [fromMs, toMs]) => sum + toMs - fromMs, 0);
  const totalMsat = (rateMsatPerMinute * BigInt(totalMs)) / 60_000n;
  const allPaid = Object.values(paid).reduce((sum, amount) => sum + amount, 0n);
  expect(allPaid + carriedMsat(report.carried)).toBe(totalMsat);
  expect(report.owedMsat).toBe(totalMsat);
  expect(new Set(Object.keys(paid).map(Number))).toEqual(
    new Set([...dues].filter(([, due]) => due >= 1_000n * 600_000_000n).map(([n]) => n)),
  );
  for (const { recipient, paidMsat, plannedMsat, carriedMsat: waiting } of report.recipients) {
    const n = Number(BigInt(`0x${recipient.address.slice(2)}`));
    expect(plannedMsat).toBe(paidMsat);
    expect(paidMsat).toBe(paid[n] ?? 0n);
    expect(Number(waiting)).toBeGreaterThan(-1);
    expect(Number(waiting)).toBeLessThan(1_000);
    const due = Number(dues.get(n) ?? 0n) / 600_000_000;
    // Less than a millisatoshi of an interval belongs to the next one.
    expect(Math.abs(Number(paidMsat) + Number(waiting) - due)).toBeLessThan(1);
  }
}

describe('a stream', () => {
  test('pays each minute of content to whom it belongs, cut where a time split begins and ends', async () => {
    const world = new SessionWorld();
    const session = open(world);
    play(session, 0, 600);
    const report = await session.stop(600);
    const paid = paidBy(world.wallet);
    expect(paid[3]).toBe(20_000n);
    expect(paid[5]).toBe(98_000n);
    // 150.5 seconds: 250,833 msat; 88.2 % of it.
    expect(
      (paid[4] ?? 0n) +
        BigInt(
          Math.floor(Number(report.recipients.find(({ recipient }) => recipient.name === 'r4')?.carriedMsat)),
        ),
    ).toBe(221_234n);
    expect(report).toMatchObject({ heardSeconds: 600, openSeconds: 0, owedMsat: 1_000_000n, unpaid: [] });
    expectExact(world, report, [[0, 600_000]]);
  });

  test('pays those of a time split no longer than it lasts, where its end is no round number', async () => {
    const world = new SessionWorld();
    const [split] = testPlan.block.timeSplits.slice(1);
    // 1.1 + 2.2 is more than 3.3 in floating point.
    const timeSplits = split === undefined ? [] : [{ ...split, startSeconds: 1.1, durationSeconds: 2.2 }];
    const session = open(world, {
      plan: { ...testPlan, block: { ...testPlan.block, timeSplits }, remotes: [] },
    });
    play(session, 0, 600);
    await session.stop();
    // 98 % of 2.2 seconds at 100 sat a minute.
    expect(paidBy(world.wallet)[5]).toBe(3_593n);
  });

  test('says in each boostagram what is paid for', async () => {
    const world = new SessionWorld();
    const session = open(world, { sender: { appName: 'test' } });
    session.speed = 1.5;
    play(session, 30, 100);
    await session.stop(100);
    const legs = world.ledger().list({ group: session.group });
    const grams = legs.map(({ records }) => {
      const bytes = records.get(boostagramRecordType) as Uint8Array;
      return readBoostagram(bytes).boostagram;
    });
    expect(grams[0]).toMatchObject({
      action: 'stream',
      ts: 90,
      secondsBack: 60,
      speed: '1.5',
      valueMsatTotal: 100_000n,
      appName: 'test',
    });
    expect(grams.at(-1)).toMatchObject({ ts: 100, secondsBack: 10, valueMsatTotal: 16_666n });
    expect(grams.some((gram) => gram?.remoteFeedGuid === 'music-guid')).toBe(true);
  });

  test('counts what is heard, at whatever speed, and not what is skipped', async () => {
    const world = new SessionWorld();
    const session = open(world);
    play(session, 0, 20, 0.25);
    session.seeked(20, 250);
    play(session, 250, 270, 7);
    session.paused(270);
    session.seeked(270, 10);
    play(session, 10, 40, 2);
    // A leap that nobody announced, forward and back.
    session.playing(590);
    session.playing(595);
    session.playing(100);
    session.playing(105);
    session.ended(105);
    const report = await session.stop();
    expectExact(world, report, [
      [0, 20_000],
      [250_000, 270_000],
      [10_000, 40_000],
      [590_000, 595_000],
      [100_000, 105_000],
    ]);
  });

  test('pays several minutes at once', async () => {
    const world = new SessionWorld();
    const session = open(world, { intervalSeconds: 300 });
    play(session, 0, 600, 5);
    expectExact(world, await session.stop(600), [[0, 600_000]]);
    expect(world.wallet.requests).toHaveLength(12);
  });

  test('goes on after a crash, and pays no minute twice', async () => {
    const world = new SessionWorld();
    const process = new TestProcess();
    const first = open(world, { process });
    play(first, 0, 119);
    process.die();
    const second = open(world);
    expect(second.positionSeconds).toBe(60);
    play(second, second.positionSeconds, 600);
    expectExact(world, await second.stop(600), [[0, 600_000]]);
  });

  test('keeps what was heard when it is paused, and when it is told to', async () => {
    const world = new SessionWorld();
    const process = new TestProcess();
    const first = open(world, { process });
    play(first, 0, 30);
    first.paused(30);
    play(first, 100, 110);
    first.checkpoint();
    play(first, 110, 120);
    process.die();
    const second = open(world);
    expect(second.positionSeconds).toBe(110);
    expect(second.report().openSeconds).toBe(40);
    expectExact(world, await second.stop(), [
      [0, 30_000],
      [100_000, 110_000],
    ]);
  });

  test('is played by one player at a time', async () => {
    const world = new SessionWorld();
    const first = open(world);
    const second = open(world);
    play(first, 0, 60);
    expect(() => play(second, 0, 60)).toThrow(/somewhere else/);
    await Promise.all([first.settled(), second.settled()]);
    expectExact(world, first.report(), [[0, 60_000]]);
    expect(() => open(world, { rateMsatPerMinute: 1n })).toThrow(/100 sat a minute/);
  });

  test('keeps what the budget does not allow, says so, and pays it when it does', async () => {
    const world = new SessionWorld();
    const day = { name: 'listening', period: 'day' as const };
    world.store.transaction((tx) => setBudget(tx, { ...day, amountMsat: 150_000n }));
    const problems: string[] = [];
    const session = open(world, {
      budgets: ['listening'],
      maxFeeMsat: () => 0n,
      onProblem: (error) => problems.push(String(error)),
    });
    for (let minute = 0; minute < 4; minute++) {
      play(session, minute * 60, minute * 60 + 60);
      await session.settled();
    }
    expect(problems).toHaveLength(3);
    const blocked = session.report();
    expect(blocked.paidMsat + carriedMsat(blocked.carried)).toBe(400_000n);
    expect(blocked.paidMsat).toBeLessThanOrEqual(150_000n);
    expect(blocked.blocked).toContain('budget listening');
    world.store.transaction((tx) => setBudget(tx, { ...day, amountMsat: 1_000_000n }));
    session.retry();
    await session.settled();
    expect(session.report().blocked).toBeUndefined();
    expectExact(world, session.report(), [[0, 240_000]]);
  });

  test('pays for today what the budget allows, though more is owed than a day ever has', async () => {
    const world = new SessionWorld();
    world.store.transaction((tx) =>
      setBudget(tx, { name: 'listening', period: 'day', amountMsat: 250_000n }),
    );
    const session = open(world, { budgets: ['listening'], maxFeeMsat: () => 0n });
    for (let day = 0; day < 3; day++) {
      const before = session.report().paidMsat;
      for (let minute = 0; minute < 6; minute++) {
        play(session, minute * 60, minute * 60 + 60, 10);
        await session.settled();
      }
      session.paused(360);
      const { paidMsat, carried, owedMsat, blocked } = session.report();
      expect(paidMsat - before).toBeGreaterThan(190_000n);
      expect(paidMsat - before).toBeLessThanOrEqual(250_000n);
      expect(paidMsat + carriedMsat(carried)).toBe(owedMsat);
      expect(owedMsat).toBe(600_000n * BigInt(day + 1));
      expect(blocked).toContain('budget');
      world.time.nowMs += 24 * 3_600_000;
    }
    world.store.transaction((tx) =>
      setBudget(tx, { name: 'listening', period: 'day', amountMsat: 5_000_000n }),
    );
    session.retry();
    await session.settled();
    expectExact(world, session.report(), [
      [0, 360_000],
      [0, 360_000],
      [0, 360_000],
    ]);
  });

  test('pays no minute twice where whoever is told of a problem stumbles', async () => {
    const world = new SessionWorld();
    const day = { name: 'listening', period: 'day' as const };
    world.store.transaction((tx) => setBudget(tx, { ...day, amountMsat: 1n }));
    const session = open(world, {
      budgets: ['listening'],
      onProblem: () => {
        throw new Error('stumbled');
      },
    });
    for (let second = 0; second <= 120; second++) {
      try {
        session.playing(second);
      } catch {
        // The next call counts it, if it was not counted.
      }
    }
    world.store.transaction((tx) => setBudget(tx, { ...day, amountMsat: 10_000_000n }));
    session.retry();
    expectExact(world, await session.stop(), [[0, 120_000]]);
  });

  test('keeps what was heard when it is paused after a leap', async () => {
    const world = new SessionWorld();
    const process = new TestProcess();
    const first = open(world, { process });
    play(first, 0, 30);
    first.paused(5_000);
    process.die();
    const second = open(world);
    expect(second.positionSeconds).toBe(5_000);
    expectExact(world, await second.stop(), [[0, 30_000]]);
  });

  test('says what was not paid, keeps it, and tries it again', async () => {
    let works = false;
    const world = new SessionWorld(() => (works ? { does: 'pay' } : { does: 'fail', retryable: false }));
    const session = open(world);
    play(session, 0, 60);
    await session.settled();
    expect(session.unpaid().map(({ amountMsat, failure }) => [amountMsat, failure?.code])).toEqual([
      [58_800n, 'no_route'],
      [39_200n, 'no_route'],
      [2_000n, 'no_route'],
    ]);
    works = true;
    session.retry();
    expectExact(world, await session.stop(), [[0, 60_000]]);
  });

  test('is exact for everybody, however it is listened to and wherever it crashes', async () => {
    const events = fc.array(
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.record({
            does: fc.constant('play' as const),
            ms: fc.integer({ min: 1, max: 90_000 }),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            does: fc.constant('seek' as const),
            ms: fc.integer({ min: 0, max: 600_000 }),
          }),
        },
        { weight: 1, arbitrary: fc.record({ does: fc.constant('pause' as const) }) },
        { weight: 1, arbitrary: fc.record({ does: fc.constant('crash' as const), in: fc.nat(12) }) },
      ),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(events, fc.constantFrom(60, 7, 200), async (story, intervalSeconds) => {
        const world = new SessionWorld((key, tries) =>
          key.endsWith('1') && tries === 0 ? { does: 'pay unheard' } : { does: 'pay', afterMs: 20 },
        );
        let process = new TestProcess();
        let session = open(world, { process, intervalSeconds });
        /** What the player has played, as far as the session has it stored. */
        let heard: [number, number][] = [];
        let stored = 0;
        let at = 0;
        const survive = async (act: () => void): Promise<boolean> => {
          try {
            act();
            await new Promise((resolve) => setImmediate(resolve));
          } catch (error) {
            if (!(error instanceof Crash)) throw error;
          }
          if (!process.dead) return true;
          // A new process: it goes on where the store says.
          process = new TestProcess();
          session = open(world, { process, intervalSeconds });
          at = Math.round(session.positionSeconds * 1_000);
          return false;
        };
        const hear = async (toMs: number): Promise<void> => {
          const before = at;
          at = toMs;
          const lived = await survive(() => {
            session.playing(before / 1_000);
            session.playing(toMs / 1_000);
          });
          if (lived) heard.push([before, toMs]);
        };
        for (const event of story) {
          switch (event.does) {
            case 'play':
              await hear(at + event.ms);
              break;
            case 'seek': {
              const from = at;
              at = event.ms;
              await survive(() => session.seeked(from / 1_000, event.ms / 1_000));
              break;
            }
            case 'pause':
              await survive(() => session.paused(at / 1_000));
              break;
            case 'crash':
              process.die();
              await survive(() => {});
              break;
          }
          stored = Math.round(session.heardSeconds * 1_000);
          heard = heard.filter(([from, to]) => to > from);
        }
        const report = await session.stop(at / 1_000);
        expect(Math.round(report.heardSeconds * 1_000)).toBeGreaterThanOrEqual(stored);
        const paid = Object.values(paidBy(world.wallet)).reduce((sum, amount) => sum + amount, 0n);
        const total = (rateMsatPerMinute * BigInt(Math.round(report.heardSeconds * 1_000))) / 60_000n;
        expect(paid + carriedMsat(report.carried)).toBe(total);
        expect([...world.wallet.paid.values()].every(({ times }) => times === 1)).toBe(true);
        if (!story.some(({ does }) => does === 'crash')) expectExact(world, report, heard);
      }),
      { numRuns: 100 },
    );
  });
});
