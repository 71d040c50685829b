import { utf8ToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../keysendError.js';
import { type Boostagram, type BoostagramField, boostagramFields } from './boostagram.js';
import { cutGraphemes, graphemes } from './graphemes.js';
import { boostagramTexts, type FieldText, joinFields, writeBoostagram } from './writeBoostagram.js';

/** What became of a field that did not fit, in characters as people count them. */
export interface TrimmedField {
  /** Its name in the JSON: `message`, `episode`… */
  readonly field: string;
  /** 0 where it was left out. */
  readonly kept: number;
  readonly lost: number;
}

export interface TrimmedBoostagram {
  /** Never more than the room. */
  readonly bytes: Uint8Array;
  /** What they say. */
  readonly boostagram: Boostagram;
  /** To be told to the sender; empty where all of it fitted. */
  readonly trimmed: readonly TrimmedField[];
}

type Part = BoostagramField | 'extra';

/** What goes first: before a character of the message does. Those in one line go together. */
const cheap: readonly (readonly Part[])[] = [
  ['extra'],
  ['speed'],
  ['appVersion'],
  ['time'],
  ['pubkey'],
  ['boostLink'],
  ['url'],
  ['name'],
  ['signature', 'sigFields'],
];
/** What goes where that saves the message, or half of it where all of it cannot be saved. */
const useful: readonly (readonly Part[])[] = [
  ['episode'],
  ['podcast'],
  ['senderKey'],
  ['secondsBack'],
  ['replyAddress', 'replyCustomKey', 'replyCustomValue'],
  ['uuid'],
  ['senderId'],
];
/** What goes only when there is no message left. */
const needed: readonly (readonly Part[])[] = [
  ['time'],
  ['appName'],
  ['itemId'],
  ['feedId'],
  ['ts'],
  ['senderName'],
  ['boostUuid'],
];

/** What shows that a text goes on. */
const ellipsis = '…';

/**
 * Fits a boostagram into the room that the onion has (`recordRoom`): leaves fields out by their worth, then shortens
 * the message by whole characters. Amounts, action, the guids of show and episode, and whatever else alone says which
 * show and episode are meant, always stay (of a title, at least the beginning).
 * @throws KeysendError `records_too_large` where what has to stay does not fit; `record_invalid`
 */
export function trimBoostagram(
  boostagram: Boostagram,
  { roomBytes }: { roomBytes: number },
): TrimmedBoostagram {
  const parts = boostagramTexts(boostagram);
  if (sizeOf(parts) <= roomBytes) return result(boostagram, boostagram);
  const whole = withoutAFew(boostagram, parts, roomBytes);
  const trimmed =
    whole ?? withShorterMessage(boostagram, roomBytes) ?? withShorterTitles(boostagram, roomBytes);
  if (trimmed !== undefined) return result(boostagram, trimmed);
  throw new KeysendError(
    'records_too_large',
    `the boostagram does not fit into the ${Math.max(0, roomBytes)} bytes that are left on this route, ` +
      'even without its message: send fewer other records',
  );
}

/** Everything that matters is there: fields are left out only as far as they have to be. */
function withoutAFew(
  boostagram: Boostagram,
  parts: readonly FieldText[],
  roomBytes: number,
): Boostagram | undefined {
  const order = droppable(boostagram, [...cheap, ...useful]);
  const dropped: (readonly Part[])[] = [];
  const fits = (): boolean => sizeOf(without(parts, dropped.flat())) <= roomBytes;
  for (const group of order) {
    dropped.push(group);
    if (fits()) break;
  }
  if (!fits()) return undefined;
  // A late large field may have made room for earlier small ones.
  for (const group of dropped.slice(0, -1).reverse()) {
    const at = dropped.indexOf(group);
    dropped.splice(at, 1);
    if (!fits()) dropped.splice(at, 0, group);
  }
  return omit(boostagram, dropped.flat());
}

/** The message is shortened; fields of use go only while less than half of it is left. */
function withShorterMessage(boostagram: Boostagram, roomBytes: number): Boostagram | undefined {
  const { message } = boostagram;
  if (message === undefined) return undefined;
  let trimmed = omit(boostagram, droppable(boostagram, cheap).flat());
  let cut = cutMessage(trimmed, message, roomBytes);
  for (const group of droppable(boostagram, useful)) {
    if (cut !== undefined && cut.length >= message.length / 2) break;
    trimmed = omit(trimmed, group);
    cut = cutMessage(trimmed, message, roomBytes);
  }
  return cut === undefined ? undefined : { ...trimmed, message: cut };
}

function cutMessage(boostagram: Boostagram, message: string, roomBytes: number): string | undefined {
  return cutText(message, roomBytes - writeBoostagram({ ...boostagram, message: '' }).length);
}

/** There is no room for a message: fields that are needed go as well, and titles that have to stay get shorter. */
function withShorterTitles(boostagram: Boostagram, roomBytes: number): Boostagram | undefined {
  let trimmed = omit(boostagram, ['message', ...droppable(boostagram, [...cheap, ...useful]).flat()]);
  const fits = (): boolean => writeBoostagram(trimmed).length <= roomBytes;
  const uuid: readonly Part[] = ['boostUuid'];
  for (const group of droppable(boostagram, needed)) {
    if (fits()) return trimmed;
    if (group[0] !== uuid[0]) trimmed = omit(trimmed, group);
  }
  for (const withUuid of [true, false]) {
    if (!withUuid) trimmed = omit(trimmed, uuid);
    if (fits()) return trimmed;
    const shorter = shortenTitles(trimmed, roomBytes);
    if (shorter !== undefined) return shorter;
  }
  return undefined;
}

function shortenTitles(boostagram: Boostagram, roomBytes: number): Boostagram | undefined {
  let shorter = boostagram;
  for (const field of ['episode', 'podcast'] as const) {
    const title = boostagram[field];
    if (title === undefined || title === '') continue;
    const others = writeBoostagram({ ...shorter, [field]: '' }).length;
    const first = graphemes(title)[0] ?? '';
    const cut = cutText(title, roomBytes - others) ?? (first === title ? title : first + ellipsis);
    shorter = { ...shorter, [field]: cut };
    if (writeBoostagram(shorter).length <= roomBytes) return shorter;
  }
  return undefined;
}

/** As much of a text as takes so many bytes in JSON, an ellipsis included; `undefined` where not a character does. */
function cutText(text: string, limit: number): string | undefined {
  if (jsonLength(text) <= limit) return text;
  const kept = cutGraphemes(graphemes(text), { limit: limit - jsonLength(ellipsis), measure: jsonLength });
  return kept.length === 0 ? undefined : kept.join('') + ellipsis;
}

/** Bytes of a text inside the quotes. Characters that are whole are escaped one by one, so lengths add up. */
function jsonLength(text: string): number {
  return utf8ToBytes(JSON.stringify(text)).length - 2;
}

function sizeOf(parts: readonly FieldText[]): number {
  return utf8ToBytes(joinFields(parts)).length;
}

function without(parts: readonly FieldText[], fields: readonly Part[]): FieldText[] {
  return parts.filter(({ field }) => !fields.includes(field));
}

function omit(boostagram: Boostagram, fields: readonly Part[]): Boostagram {
  return Object.fromEntries(
    Object.entries(boostagram).filter(([field]) => !fields.includes(field as Part)),
  ) as unknown as Boostagram;
}

/** The groups that are there and that may go. */
function droppable(
  boostagram: Boostagram,
  groups: readonly (readonly Part[])[],
): readonly (readonly Part[])[] {
  const kept = identifying(boostagram);
  // Where nothing else says at which place in the episode, it is not cheap.
  if (boostagram.ts === undefined && groups !== needed) kept.add('time');
  return groups.filter((group) => group.some((field) => boostagram[field] !== undefined && !kept.has(field)));
}

/** What alone says which show and which episode are meant. */
function identifying({ guid, feedId, url, podcast, episodeGuid, itemId, episode }: Boostagram): Set<Part> {
  const kept = new Set<Part>();
  if (guid === undefined) {
    if (feedId !== undefined) kept.add('feedId');
    else if (url !== undefined) kept.add('url');
    else if (podcast !== undefined) kept.add('podcast');
  }
  if (episodeGuid === undefined) {
    if (itemId !== undefined) kept.add('itemId');
    else if (episode !== undefined) kept.add('episode');
  }
  return kept;
}

function result(before: Boostagram, after: Boostagram): TrimmedBoostagram {
  const trimmed: TrimmedField[] = [];
  for (const [key, value] of Object.entries(before)) {
    if (value === undefined) continue;
    const field = key as Part;
    const left = after[field];
    if (left === value) continue;
    const name = field === 'extra' ? 'extra' : boostagramFields[field].wire;
    const length = graphemes(textOf(value)).length;
    const kept = left === undefined ? 0 : graphemes(textOf(left).slice(0, -ellipsis.length)).length;
    trimmed.push({ field: name, kept, lost: length - kept });
  }
  return { bytes: writeBoostagram(after), boostagram: after, trimmed };
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
