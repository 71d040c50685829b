import { bytesToUtf8 } from '@rivulet/core/bytes';
import { isJsonObject, type JsonObject, type JsonValue, jsonField, parseJson } from '../records/json.js';
import { maxRecordBytes } from '../records/readRecord.js';
import { lastCustomType } from '../records/recordTypes.js';
import {
  type BoostAction,
  type Boostagram,
  type BoostagramField,
  boostagramFieldNames,
  boostagramFields,
  fieldAliases,
  maxExtraFields,
  maxFieldLength,
  maxNumber,
  wireNames,
} from './boostagram.js';

export type BoostagramProblemKind =
  /** Broken characters were replaced. */
  | 'utf8_invalid'
  | 'json_invalid'
  | 'json_too_deep'
  | 'too_large'
  | 'not_object'
  /** A list, of which the first entry is read. */
  | 'several'
  /** Understood, though it is not of the type that it should be. */
  | 'converted'
  | 'wrong_type'
  | 'out_of_range'
  /** Cut off. */
  | 'too_long'
  | 'too_many'
  | 'action_unknown';

export interface BoostagramProblem {
  /** Its name in the JSON; empty for the record as a whole. */
  readonly field: string;
  readonly problem: BoostagramProblemKind;
}

/** `boostagram` is absent where the record is none; a field that made no sense is left out, and told. */
export interface BoostagramReading {
  readonly boostagram?: Boostagram;
  readonly problems: readonly BoostagramProblem[];
}

/**
 * Reads record 7629169 (bLIP 10) as apps really write it: numbers as text and text as numbers, `streaming`, `feedId`,
 * lists, trailing newlines, broken characters. No action means stream. Never throws.
 */
export function readBoostagram(bytes: Uint8Array): BoostagramReading {
  if (bytes.length > maxRecordBytes) return { problems: [{ field: '', problem: 'too_large' }] };
  const problems: BoostagramProblem[] = [];
  const object = readObject(bytes, problems);
  return object === undefined ? { problems } : { boostagram: fieldsOf(object, problems), problems };
}

/** The same for JSON that was read already. */
export function readBoostagramJson(json: JsonValue): BoostagramReading {
  const problems: BoostagramProblem[] = [];
  const object = objectOf(json, problems);
  return object === undefined ? { problems } : { boostagram: fieldsOf(object, problems), problems };
}

const lenientDecoder = new TextDecoder('utf-8');

function readObject(bytes: Uint8Array, problems: BoostagramProblem[]): JsonObject | undefined {
  let text = bytesToUtf8(bytes);
  if (text === undefined) {
    problems.push({ field: '', problem: 'utf8_invalid' });
    text = lenientDecoder.decode(bytes);
  }
  // Some apps end their text as C does.
  const parsed = parseJson(text.replace(/^\ufeff|\0+$/g, ''));
  if ('problem' in parsed) {
    problems.push({ field: '', problem: parsed.problem });
    return undefined;
  }
  return objectOf(parsed.json, problems);
}

function objectOf(json: JsonValue, problems: BoostagramProblem[]): JsonObject | undefined {
  if (isJsonObject(json)) return json;
  // The registry of satoshis.stream: a list of such objects is allowed
  const first = Array.isArray(json) ? (json as readonly JsonValue[]).find(isJsonObject) : undefined;
  problems.push({ field: '', problem: first === undefined ? 'not_object' : 'several' });
  return first;
}

type Fields = { -readonly [F in keyof Boostagram]?: Boostagram[F] };

function fieldsOf(object: JsonObject, problems: BoostagramProblem[]): Boostagram {
  const fields: Fields = {};
  const used = new Set<string>();
  for (const field of boostagramFieldNames) {
    const name = nameOf(object, field);
    if (name === undefined) continue;
    used.add(name);
    const value = jsonField(object, name);
    if (value === undefined || value === null) continue;
    const problem = (kind: BoostagramProblemKind): void => {
      problems.push({ field: name, problem: kind });
    };
    readField({ field, value, fields, problem });
  }
  const extra = readExtra(object, used, problems);
  return {
    ...fields,
    action: fields.action ?? 'stream',
    ...(extra === undefined ? {} : { extra }),
  };
}

function nameOf(object: JsonObject, field: BoostagramField): string | undefined {
  const { wire } = boostagramFields[field];
  if (Object.hasOwn(object, wire)) return wire;
  for (const [alias, meant] of fieldAliases)
    if (meant === field && Object.hasOwn(object, alias)) return alias;
  return undefined;
}

function readField({
  field,
  value,
  fields,
  problem,
}: {
  field: BoostagramField;
  value: Exclude<JsonValue, null>;
  fields: Fields;
  problem: (kind: BoostagramProblemKind) => void;
}): void {
  const { kind } = boostagramFields[field];
  const set = (read: unknown): void => {
    if (read !== undefined) (fields as Record<string, unknown>)[field] = read;
  };
  switch (kind) {
    case 'action':
      set(readAction(value, problem));
      return;
    case 'text':
      set(readText(value, problem));
      return;
    case 'number': {
      // Breez: the guid of the episode in place of its number
      if (field === 'itemId' && typeof value === 'string' && !/^[\s\d.]*$/.test(value)) {
        problem('converted');
        fields.episodeGuid ??= readText(value, problem);
        return;
      }
      const read = readInteger(value, { max: maxNumber, problem });
      set(read === undefined ? undefined : Number(read));
      return;
    }
    case 'msat':
      set(readInteger(value, { max: maxNumber, problem }));
      return;
    case 'type':
      set(readInteger(value, { max: lastCustomType, problem }));
      return;
  }
}

function readAction(
  value: JsonValue,
  problem: (kind: BoostagramProblemKind) => void,
): BoostAction | undefined {
  if (typeof value !== 'string') {
    problem('wrong_type');
    return undefined;
  }
  const action = value.trim().toLowerCase();
  if (action === 'boost' || action === 'stream' || action === 'auto') {
    if (action !== value) problem('converted');
    return action;
  }
  if (action === '') return undefined;
  const meant = action.startsWith('boost')
    ? 'boost'
    : action.startsWith('stream')
      ? 'stream'
      : action.startsWith('auto')
        ? 'auto'
        : undefined;
  problem(meant === undefined ? 'action_unknown' : 'converted');
  // Somebody meant something by it: what is shown as a stream is easily overlooked.
  return meant ?? 'boost';
}

function readText(value: JsonValue, problem: (kind: BoostagramProblemKind) => void): string | undefined {
  if (typeof value === 'number') {
    problem('converted');
    return String(value);
  }
  if (typeof value !== 'string') {
    problem('wrong_type');
    return undefined;
  }
  if (value.length <= maxFieldLength) return value;
  problem('too_long');
  return cutText(value, maxFieldLength);
}

/** The beginning of a text, without half a character at its end. */
export function cutText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const last = text.charCodeAt(maxLength - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? maxLength - 1 : maxLength);
}

function readInteger(
  value: JsonValue,
  { max, problem }: { max: bigint; problem: (kind: BoostagramProblemKind) => void },
): bigint | undefined {
  let read: bigint | undefined;
  let converted = false;
  if (typeof value === 'number') {
    const whole = Math.floor(value);
    converted = whole !== value;
    // What is above was rounded when it was parsed.
    if (Number.isSafeInteger(whole)) read = BigInt(whole);
  } else if (typeof value === 'string') {
    if (value.trim() === '') return undefined;
    const digits = /^\s*(\d{1,20})(?:\.\d*)?\s*$/.exec(value)?.[1];
    if (digits === undefined) {
      problem('wrong_type');
      return undefined;
    }
    converted = true;
    read = BigInt(digits);
  } else {
    problem('wrong_type');
    return undefined;
  }
  if (read === undefined || read < 0n || read > max) {
    problem('out_of_range');
    return undefined;
  }
  if (converted) problem('converted');
  return read;
}

function readExtra(
  object: JsonObject,
  used: ReadonlySet<string>,
  problems: BoostagramProblem[],
): JsonObject | undefined {
  const names = Object.keys(object).filter((name) => !used.has(name) && !isKnownName(name));
  if (names.length === 0) return undefined;
  if (names.length > maxExtraFields) problems.push({ field: '', problem: 'too_many' });
  return Object.fromEntries(
    names.slice(0, maxExtraFields).map((name) => [name, jsonField(object, name) as JsonValue]),
  );
}

/** Whether a name is one of the fields', or stands for one. */
export function isKnownName(name: string): boolean {
  return wireNames.has(name) || fieldAliases.has(name);
}
