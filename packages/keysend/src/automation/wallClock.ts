import { Cron } from 'croner';
import { KeysendError } from '../keysendError.js';

/** A time as a clock on the wall shows it. */
export interface WallTime {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
}

/** `2026-07-31` or `2026-07-31T09:30`. @throws KeysendError `schedule_invalid` */
export function parseWallTime(text: string): WallTime {
  const [, ...digits] = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d))?$/.exec(text) ?? [];
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = digits.map((part) => Number(part ?? 0));
  const sound =
    year >= 1970 &&
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysOf(year, month) &&
    hour <= 23 &&
    minute <= 59;
  if (sound) return { year, month, day, hour, minute };
  throw new KeysendError(
    'schedule_invalid',
    `${JSON.stringify(text.slice(0, 40))} is no date: write 2026-07-31, or 2026-07-31T09:30`,
  );
}

function daysOf(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** The same time of the day so many days later. */
export function addDays({ year, month, day, hour, minute }: WallTime, days: number): WallTime {
  const date = new Date(Date.UTC(year, month - 1, day + days));
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour,
    minute,
  };
}

/** So many months later: the same day, or the last one of a month that is too short for it. */
export function addMonths({ year, month, day, hour, minute }: WallTime, months: number): WallTime {
  const index = year * 12 + (month - 1) + months;
  const next = { year: Math.floor(index / 12), month: (index % 12) + 1 };
  return { ...next, day: Math.min(day, daysOf(next.year, next.month)), hour, minute };
}

/**
 * When a clock in that time zone shows it, in Unix milliseconds. A time that a clock jumps over is the moment of
 * the jump or shortly behind it; of a time that it shows twice, the first.
 * @throws KeysendError `schedule_invalid` for a time zone that does not exist.
 */
export function wallTimeMs(wall: WallTime, timeZone: string): number {
  const utcMs = Date.UTC(wall.year, wall.month - 1, wall.day, wall.hour, wall.minute);
  if (timeZone === 'UTC') return utcMs;
  const text = `${new Date(utcMs).toISOString().slice(0, 19)}`;
  try {
    const date = new Cron(text, { paused: true, timezone: timeZone }).getOnce();
    if (date !== null) return date.getTime();
  } catch {
    // Said below.
  }
  throw new KeysendError('schedule_invalid', `${timeZone} is no time zone: write for example Europe/Berlin`);
}
