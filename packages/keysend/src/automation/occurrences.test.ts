import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cronOccurrences, dueOccurrences, type Occurrences, periodOccurrences } from './occurrences.js';

const ms = (text: string): number => Date.parse(text);
const iso = (times: readonly number[]): string[] =>
  times.map((time) => new Date(time).toISOString().slice(0, 16));

/** The first so many, one after the other. */
function first(occurrences: Occurrences, afterMs: number, count: number): string[] {
  const times: number[] = [];
  let at = afterMs;
  while (times.length < count) {
    const next = occurrences.next(at);
    if (next === undefined) break;
    times.push(next);
    at = next;
  }
  return iso(times);
}

describe('a period from a start on', () => {
  test('that begins on the 31st is due on the last day of shorter months, and on the 31st again', () => {
    const monthly = periodOccurrences({ start: '2027-10-31', every: { months: 1 }, timeZone: 'UTC' });
    expect(first(monthly, 0, 6)).toEqual([
      '2027-10-31T00:00',
      '2027-11-30T00:00',
      '2027-12-31T00:00',
      '2028-01-31T00:00',
      '2028-02-29T00:00',
      '2028-03-31T00:00',
    ]);
  });

  test('of years begins on 29 February and is due on the 28th in between', () => {
    const yearly = periodOccurrences({ start: '2024-02-29T12:00', every: { years: 1 }, timeZone: 'UTC' });
    expect(first(yearly, 0, 5)).toEqual([
      '2024-02-29T12:00',
      '2025-02-28T12:00',
      '2026-02-28T12:00',
      '2027-02-28T12:00',
      '2028-02-29T12:00',
    ]);
  });

  test('keeps its time of the day when the clocks are moved', () => {
    const daily = periodOccurrences({
      start: '2026-03-28T09:00',
      every: { days: 1 },
      timeZone: 'Europe/Berlin',
    });
    expect(first(daily, 0, 3)).toEqual(['2026-03-28T08:00', '2026-03-29T07:00', '2026-03-30T07:00']);
  });

  test('is due once at a time that the clocks leave out, and once at one that they show twice', () => {
    const spring = periodOccurrences({
      start: '2026-03-28T02:30',
      every: { days: 1 },
      timeZone: 'Europe/Berlin',
    });
    const times = first(spring, 0, 3);
    expect(times[0]).toBe('2026-03-28T01:30');
    expect(times[1]).toMatch(/^2026-03-29T0[01]:[03]0$/);
    expect(times[2]).toBe('2026-03-30T00:30');
    const autumn = periodOccurrences({
      start: '2026-10-24T02:30',
      every: { days: 1 },
      timeZone: 'Europe/Berlin',
    });
    expect(first(autumn, 0, 3)).toEqual(['2026-10-24T00:30', '2026-10-25T00:30', '2026-10-26T01:30']);
  });

  test('counts weeks', () => {
    const fortnightly = periodOccurrences({ start: '2026-07-03', every: { weeks: 2 }, timeZone: 'UTC' });
    expect(first(fortnightly, ms('2026-07-03T00:00Z'), 2)).toEqual(['2026-07-17T00:00', '2026-07-31T00:00']);
  });

  test.each(['2026-02-30', '2026-13-01', '26-01-01', '2026-01-01T24:00', 'tomorrow'])(
    'does not begin on %s',
    (start) => {
      expect(() => periodOccurrences({ start, every: { days: 1 }, timeZone: 'UTC' })).toThrow(/is no date/);
    },
  );

  test('needs a time zone that exists', () => {
    expect(() =>
      periodOccurrences({ start: '2026-01-01', every: { days: 1 }, timeZone: 'Mars/Base' }),
    ).toThrow(/Mars\/Base is no time zone/);
  });

  test('finds backwards exactly what it finds forwards', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 31 }),
        fc.constantFrom({ days: 1 }, { days: 3 }, { weeks: 1 }, { months: 1 }, { months: 5 }, { years: 1 }),
        fc.constantFrom('UTC', 'America/New_York', 'Australia/Lord_Howe'),
        fc.integer({ min: 0, max: 900 }),
        (day, every, timeZone, length) => {
          const start = `2025-01-${String(day).padStart(2, '0')}T02:15`;
          const occurrences = periodOccurrences({ start, every, timeZone });
          const untilMs = ms('2025-01-01T00:00Z') + length * 86_400_000;
          const forwards: number[] = [];
          for (let at = occurrences.next(0); at !== undefined && at <= untilMs; at = occurrences.next(at)) {
            forwards.push(at);
          }
          expect(occurrences.latest({ afterMs: 0, untilMs, limit: 10_000 })).toEqual(forwards);
          expect([...forwards].sort((a, b) => a - b)).toEqual(forwards);
          expect(new Set(forwards).size).toBe(forwards.length);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a cron line', () => {
  test('is due in its time zone', () => {
    const mondays = cronOccurrences('0 9 * * 1', 'America/New_York');
    expect(first(mondays, ms('2026-10-20T00:00Z'), 3)).toEqual([
      '2026-10-26T13:00',
      '2026-11-02T14:00',
      '2026-11-09T14:00',
    ]);
  });

  test('is due at the very minute', () => {
    const hourly = cronOccurrences('0 * * * *', 'UTC');
    const untilMs = ms('2026-07-01T10:00:00Z');
    expect(iso(hourly.latest({ afterMs: untilMs - 3_600_000, untilMs, limit: 5 }))).toEqual([
      '2026-07-01T10:00',
    ]);
    expect(hourly.latest({ afterMs: untilMs, untilMs: untilMs + 1, limit: 5 })).toEqual([]);
    expect(hourly.latest({ afterMs: untilMs - 1, untilMs: untilMs - 1, limit: 5 })).toEqual([]);
  });

  test.each(['', '* * *', '61 * * * *', '* * * * * *', 'every day'])('%j is refused', (cron) => {
    expect(() => cronOccurrences(cron, 'UTC')).toThrow(/is no schedule/);
  });

  test('that is never due has no next time', () => {
    expect(cronOccurrences('0 0 30 2 *', 'UTC').next(0)).toBeUndefined();
  });
});

describe('what is due', () => {
  const hourly = cronOccurrences('0 * * * *', 'UTC');
  const nowMs = ms('2026-07-01T12:30Z');
  const due = (missed: { catchUp: number; graceMs: number }, after: string) => {
    const found = dueOccurrences(hourly, { afterMs: ms(after), nowMs, missed });
    return { due: iso(found.due), skipped: found.skipped.length };
  };

  test('in time is paid, what was missed is skipped', () => {
    expect(due({ catchUp: 0, graceMs: 3_600_000 }, '2026-07-01T06:30Z')).toEqual({
      due: ['2026-07-01T12:00'],
      skipped: 5,
    });
  });

  test('and what was missed is made up for, the latest first of all', () => {
    expect(due({ catchUp: 2, graceMs: 3_600_000 }, '2026-07-01T06:30Z')).toEqual({
      due: ['2026-07-01T10:00', '2026-07-01T11:00', '2026-07-01T12:00'],
      skipped: 3,
    });
  });

  test('of many years is bounded', () => {
    const { due: times, skipped } = dueOccurrences(cronOccurrences('* * * * *', 'UTC'), {
      afterMs: 0,
      nowMs,
      missed: { catchUp: 3, graceMs: 0 },
    });
    expect(times).toHaveLength(3 + 0 + 1);
    expect(skipped.length).toBeLessThan(1_500);
  });
});
