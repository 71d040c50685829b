import type { PolicyRate, PolicySettings } from '@rivulet/keysend/policy';
import { usageError } from '../cliError.js';
import { parseSatsToMsat } from '../format/amount.js';
import { parseSeconds, parseWholeNumber } from '../format/number.js';

/** Flags that change single settings; the others stay as they are. */
export interface PolicyFlags {
  readonly clear?: boolean;
  readonly minimum?: string;
  readonly minimumWithMessage?: string;
  readonly rate?: string;
  readonly channelRate?: string;
  readonly maxMessage?: string;
  readonly links?: string;
  readonly requireSignature?: boolean;
  readonly holdAbove?: string;
  readonly holdUnknown?: boolean;
  readonly holdSeconds?: string;
}

type Lists = NonNullable<PolicySettings['allow']>;
type List = keyof Lists;

/** Who is let in, or kept out. */
export interface PolicyEntry {
  readonly list: List;
  readonly value: string;
}

const none = 'none';

/** The settings with what the flags say. @throws CliError */
export function changedPolicy(before: PolicySettings, flags: PolicyFlags): PolicySettings {
  const { clear, minimum, minimumWithMessage, rate, channelRate, requireSignature } = flags;
  const settings: PolicySettings = clear === true ? { version: 1 } : before;
  return clean({
    ...settings,
    ...(minimum === undefined ? {} : { minimumMsat: parseLimit(minimum, '--minimum') }),
    ...(minimumWithMessage === undefined
      ? {}
      : { minimumWithMessageMsat: parseLimit(minimumWithMessage, '--minimum-with-message') }),
    ...(rate === undefined
      ? {}
      : { totalRate: parseRate(rate, { what: '--rate', before: settings.totalRate }) }),
    ...(channelRate === undefined
      ? {}
      : { channelRate: parseRate(channelRate, { what: '--channel-rate', before: settings.channelRate }) }),
    ...(requireSignature === undefined ? {} : { signature: requireSignature ? 'required' : undefined }),
    message: changedMessage(settings.message, flags),
    hold: changedHold(settings.hold, flags),
  });
}

/** The settings with somebody in one list, and not in the other; or, to remove him, not in this one. */
export function changedLists(
  before: PolicySettings,
  given: { readonly list: 'allow' | 'deny'; readonly entry: PolicyEntry; readonly remove: boolean },
): PolicySettings {
  const { list, entry, remove } = given;
  const other = list === 'allow' ? 'deny' : 'allow';
  if (remove) return clean({ ...before, [list]: without(before[list], entry) });
  return clean({
    ...before,
    [list]: withEntry(without(before[list], entry), entry),
    [other]: without(before[other], entry),
  });
}

function changedMessage(before: PolicySettings['message'], { maxMessage, links }: PolicyFlags) {
  return {
    ...before,
    ...(maxMessage === undefined
      ? {}
      : {
          maxLength:
            maxMessage === none
              ? undefined
              : parseWholeNumber(maxMessage, { what: '--max-message', minimum: 0, maximum: 10_000 }),
        }),
    ...(links === undefined ? {} : { links: parseLinks(links) }),
  };
}

function changedHold(
  before: PolicySettings['hold'],
  { holdAbove, holdUnknown, holdSeconds, clear, links }: PolicyFlags,
): PolicySettings['hold'] {
  if (holdAbove === undefined && holdUnknown === undefined && holdSeconds === undefined) {
    if (links === 'hold' && before === undefined) {
      throw usageError('say for how long payments are held: --hold-seconds 3600');
    }
    return before;
  }
  const seconds =
    holdSeconds === undefined
      ? before?.seconds
      : parseWholeNumber(holdSeconds, { what: '--hold-seconds', minimum: 1, maximum: 14_400 });
  if (seconds === undefined) {
    if (holdAbove === none || clear === true) return undefined;
    throw usageError('say for how long payments are held: --hold-seconds 3600');
  }
  return {
    ...before,
    seconds,
    ...(holdAbove === undefined ? {} : { aboveMsat: parseLimit(holdAbove, '--hold-above') }),
    ...(holdUnknown === undefined ? {} : { unknownSenders: holdUnknown ? true : undefined }),
  };
}

/** Digits of millisatoshi; nothing for `none` and 0. */
function parseLimit(text: string, what: string): string | undefined {
  return text === none || text === '0' ? undefined : parseSatsToMsat(text, what).toString();
}

function parseRate(
  text: string,
  { what, before }: { what: string; before: PolicyRate | undefined },
): PolicyRate | undefined {
  if (text === none) return undefined;
  const [, payments, time] = /^([\d,_]+)\/(.+)$/.exec(text) ?? [];
  if (payments === undefined || time === undefined) {
    throw usageError(`${what} is a number of payments in a time, such as 60/60 or 100/1h, or none`);
  }
  return {
    ...before,
    payments: parseWholeNumber(payments, { what, minimum: 1, maximum: 1_000_000_000 }),
    perSeconds: parseSeconds(time, what),
  };
}

function parseLinks(text: string): 'hold' | 'refuse' | undefined {
  if (text === 'allow') return undefined;
  if (text === 'hold' || text === 'refuse') return text;
  throw usageError('--links is allow, hold or refuse');
}

function without(lists: Lists | undefined, { list, value }: PolicyEntry): Lists {
  return { ...lists, [list]: (lists?.[list] ?? []).filter((one) => one !== value) };
}

function withEntry(lists: Lists, { list, value }: PolicyEntry): Lists {
  return { ...lists, [list]: [...(lists[list] ?? []), value] };
}

/** Without what says nothing: fields that are not there, lists and groups that are empty. */
function clean(settings: object): PolicySettings {
  return (cleaned(settings) ?? {}) as PolicySettings;
}

function cleaned(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value;
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).flatMap(([name, one]) => {
    const kept = cleaned(one);
    return kept === undefined ? [] : [[name, kept] as const];
  });
  return fields.length === 0 ? undefined : Object.fromEntries(fields);
}
