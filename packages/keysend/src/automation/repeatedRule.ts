import {
  cronOccurrences,
  dueOccurrences,
  type MissedPolicy,
  type Occurrences,
  periodOccurrences,
} from './occurrences.js';
import type { Rule, RuleOf } from './rule.js';
import { parseWallTime, wallTimeMs } from './wallClock.js';

/** A rule that is due at times. */
export type RepeatedRule = RuleOf<'schedule'> | RuleOf<'subscription'>;

export function isRepeated(rule: Rule): rule is RepeatedRule {
  return rule.kind === 'schedule' || rule.kind === 'subscription';
}

const dayMs = 86_400_000;

/** From where on a rule that is added now looks for what is due. */
export function initialCursorMs(rule: Rule, nowMs: number): number {
  if (rule.kind !== 'subscription') return nowMs;
  // "From today on" is meant to include today.
  const startMs = wallTimeMs(parseWallTime(rule.start), rule.timeZone);
  return startMs > nowMs - dayMs ? Math.min(startMs - 1, nowMs) : nowMs;
}

/** Which occurrences a rule pays now, ascending, and how many it gives up. */
export function dueNow(
  rule: RepeatedRule,
  { cursorMs, planned, nowMs }: { cursorMs: number; planned: number; nowMs: number },
): { due: number[]; skipped: number[] } {
  const bounds = boundsOf(rule);
  const { due, skipped } = dueOccurrences(occurrencesOf(rule), {
    afterMs: Math.max(cursorMs, bounds.fromMs - 1),
    nowMs,
    missed: missedOf(rule),
  });
  const left = rule.times === undefined ? due.length : Math.max(0, rule.times - planned);
  return {
    due: due.filter((timeMs) => timeMs <= bounds.untilMs).slice(0, left),
    skipped: left === 0 ? [] : skipped.filter((timeMs) => timeMs <= bounds.untilMs),
  };
}

/** When a rule is due next; `undefined` when it is over. */
export function nextDueMs(
  rule: RepeatedRule,
  { afterMs, planned }: { afterMs: number; planned: number },
): number | undefined {
  if (rule.times !== undefined && planned >= rule.times) return undefined;
  const { fromMs, untilMs } = boundsOf(rule);
  const next = occurrencesOf(rule).next(Math.max(afterMs, fromMs - 1));
  return next !== undefined && next <= untilMs ? next : undefined;
}

function occurrencesOf(rule: RepeatedRule): Occurrences {
  return rule.kind === 'schedule' ? cronOccurrences(rule.cron, rule.timeZone) : periodOccurrences(rule);
}

function boundsOf(rule: RepeatedRule): { fromMs: number; untilMs: number } {
  const { timeZone, until } = rule;
  const from = rule.kind === 'schedule' ? rule.from : undefined;
  const endOfDay = until !== undefined && !until.includes('T') ? dayMs - 1 : 0;
  return {
    fromMs: from === undefined ? 0 : wallTimeMs(parseWallTime(from), timeZone),
    untilMs:
      until === undefined ? Number.POSITIVE_INFINITY : wallTimeMs(parseWallTime(until), timeZone) + endOfDay,
  };
}

/** A subscription is owed even where nobody was there in time; a schedule is for its moment. */
function missedOf({ kind, missed }: RepeatedRule): MissedPolicy {
  const { catchUp = kind === 'subscription' ? 1 : 0, graceMinutes } = missed;
  return { catchUp, graceMs: graceMinutes * 60_000 };
}
