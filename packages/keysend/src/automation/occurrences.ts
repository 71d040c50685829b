import { Cron } from 'croner';
import { KeysendError } from '../keysendError.js';
import { addDays, addMonths, parseWallTime, wallTimeMs } from './wallClock.js';

/** When something is due, again and again. All times are Unix milliseconds. */
export interface Occurrences {
  /** The last ones within (afterMs, untilMs], ascending, at most `limit`. */
  latest(range: { afterMs: number; untilMs: number; limit: number }): number[];
  /** The first one behind a time; `undefined` where there is none. */
  next(afterMs: number): number | undefined;
}

/**
 * What a cron line says: five fields (minute, hour, day, month, weekday) or a name such as `@monthly`. Where clocks
 * jump ahead, a time that they leave out is due behind the jump; a time that they show twice is due once.
 * @throws KeysendError `schedule_invalid`
 */
export function cronOccurrences(cron: string, timeZone: string): Occurrences {
  let job: Cron;
  try {
    job = new Cron(cron, { paused: true, timezone: timeZone, mode: '5-part' });
    job.nextRun(new Date(0));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/^Cron\w+: /, '').slice(0, 200) : '';
    throw new KeysendError(
      'schedule_invalid',
      `${JSON.stringify(cron)} in ${timeZone} is no schedule: ${why}`,
      {
        cause,
      },
    );
  }
  return {
    latest({ afterMs, untilMs, limit }) {
      const found: number[] = [];
      // Those strictly before the next full second: an occurrence of this very moment is due.
      let beforeMs = Math.floor(untilMs / 1000) * 1000 + 1000;
      for (let count = 2; found.length < limit; count *= 2) {
        // A few at first: looking back costs something for each, and mostly there is one.
        const times = job.previousRuns(count, new Date(beforeMs)).map((date) => date.getTime());
        const wanted = times.filter((timeMs) => timeMs > afterMs);
        found.push(...wanted);
        const last = times.at(-1);
        if (last === undefined || wanted.length < count) break;
        beforeMs = last;
      }
      return found.slice(0, limit).reverse();
    },
    next: (afterMs) => job.nextRun(new Date(afterMs))?.getTime(),
  };
}

/** A length of time in the calendar. */
export type Period =
  | { readonly days: number }
  | { readonly weeks: number }
  | { readonly months: number }
  | { readonly years: number };

const dayMs = 86_400_000;

/**
 * The start and every full period behind it, each counted from the start: what begins on the 31st is due on the last
 * day of shorter months, and on the 31st again afterwards.
 * @param given.start a date, or a date and a time, as a clock in the time zone shows it
 * @throws KeysendError `schedule_invalid`
 */
export function periodOccurrences(given: { start: string; every: Period; timeZone: string }): Occurrences {
  const { every, timeZone } = given;
  const start = parseWallTime(given.start);
  const { step, days } = stepOf(every);
  const at = (index: number): number =>
    wallTimeMs(step === 'months' ? addMonths(start, index * days) : addDays(start, index * days), timeZone);
  const startMs = at(0);
  const stepMs = step === 'months' ? days * 31 * dayMs : days * dayMs;
  /** The index of the last one at or before a time; -1 where there is none. */
  const indexAt = (timeMs: number): number => {
    if (timeMs < startMs) return -1;
    // Not too late, for months count with 31 days; a clock that was moved makes up for less than a day.
    let index = Math.max(0, Math.floor((timeMs - startMs) / stepMs) - 1);
    while (at(index + 1) <= timeMs) index++;
    return index;
  };
  return {
    latest({ afterMs, untilMs, limit }) {
      const found: number[] = [];
      for (let index = indexAt(untilMs); index >= 0 && found.length < limit; index--) {
        const timeMs = at(index);
        if (timeMs <= afterMs) break;
        found.push(timeMs);
      }
      return found.reverse();
    },
    next: (afterMs) => at(indexAt(afterMs) + 1),
  };
}

function stepOf(every: Period): { step: 'days' | 'months'; days: number } {
  if ('days' in every) return { step: 'days', days: every.days };
  if ('weeks' in every) return { step: 'days', days: every.weeks * 7 };
  if ('months' in every) return { step: 'months', days: every.months };
  return { step: 'months', days: every.years * 12 };
}

/** What becomes of occurrences that nobody was there for. */
export interface MissedPolicy {
  /** How many of them are made up for, the latest ones; the others are skipped. */
  readonly catchUp: number;
  /** What is later than this is missed; until then it is in time. */
  readonly graceMs: number;
}

/** More is never looked for: of the minutes of a day, all. */
const maxLooked = 1_500;

/** Which occurrences behind `afterMs` are to be paid now, ascending, and which are given up. */
export function dueOccurrences(
  occurrences: Occurrences,
  { afterMs, nowMs, missed }: { afterMs: number; nowMs: number; missed: MissedPolicy },
): { due: number[]; skipped: number[] } {
  const next = occurrences.next(afterMs);
  if (next === undefined || next > nowMs) return { due: [], skipped: [] };
  const all = occurrences.latest({ afterMs, untilMs: nowMs, limit: maxLooked });
  const late = all.filter((timeMs) => nowMs - timeMs > missed.graceMs);
  const madeUp = missed.catchUp === 0 ? [] : late.slice(-missed.catchUp);
  const due = [...madeUp, ...all.slice(late.length)];
  return { due, skipped: late.slice(0, late.length - madeUp.length) };
}
