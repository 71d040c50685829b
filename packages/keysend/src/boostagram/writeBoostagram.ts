import { utf8ToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../keysendError.js';
import { isJsonValue, isWellFormed } from '../records/json.js';
import { lastCustomType } from '../records/recordTypes.js';
import {
  type Boostagram,
  type BoostagramField,
  boostagramFieldNames,
  boostagramFields,
  maxExtraFields,
  maxFieldLength,
  maxNumber,
} from './boostagram.js';
import { isKnownName } from './readBoostagram.js';

/** A piece of the JSON: `"ts":33`. */
export interface FieldText {
  readonly field: BoostagramField | 'extra';
  /** Its name in the JSON. */
  readonly name: string;
  /** Name, colon and value. */
  readonly text: string;
}

/**
 * The bytes of record 7629169 (bLIP 10): JSON without spaces, the fields in one fixed order, the unknown ones after
 * them by name. The same boostagram always gives the same bytes.
 * @throws KeysendError `record_invalid` for what a reader would not understand.
 */
export function writeBoostagram(boostagram: Boostagram): Uint8Array {
  return utf8ToBytes(joinFields(boostagramTexts(boostagram)));
}

export function joinFields(fields: readonly FieldText[]): string {
  return `{${fields.map(({ text }) => text).join(',')}}`;
}

/** The pieces that a boostagram's JSON has. @throws KeysendError `record_invalid` */
export function boostagramTexts(boostagram: Boostagram): FieldText[] {
  if (boostagram.action === undefined) throw invalid('action', 'is missing');
  const written: FieldText[] = [];
  for (const field of boostagramFieldNames) {
    const value = boostagram[field];
    if (value === undefined) continue;
    const { wire } = boostagramFields[field];
    written.push({ field, name: wire, text: `${JSON.stringify(wire)}:${valueText(field, value)}` });
  }
  const extra = Object.entries(boostagram.extra ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (extra.length > maxExtraFields) throw invalid('extra', `has more than ${maxExtraFields} fields`);
  for (const [name, value] of extra) {
    if (isKnownName(name)) throw invalid(name, 'is a field of its own and cannot be in `extra`');
    if (name === '__proto__' || !isWellFormed(name) || !isJsonValue(value, 1)) {
      throw invalid(name.slice(0, 40), 'is not what JSON can say');
    }
    written.push({ field: 'extra', name, text: `${JSON.stringify(name)}:${JSON.stringify(value)}` });
  }
  return written;
}

function valueText(field: BoostagramField, value: string | number | bigint): string {
  const { wire, kind } = boostagramFields[field];
  switch (kind) {
    case 'action':
      if (value !== 'boost' && value !== 'stream' && value !== 'auto') {
        throw invalid(wire, 'is boost, stream or auto');
      }
      return JSON.stringify(value);
    case 'text':
      if (typeof value !== 'string') throw invalid(wire, 'is a text');
      if (value.length > maxFieldLength) throw invalid(wire, `has more than ${maxFieldLength} characters`);
      if (!isWellFormed(value)) throw invalid(wire, 'has half a character (a lone surrogate)');
      return JSON.stringify(value);
    case 'number':
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
        throw invalid(wire, 'is a whole number from 0 to 2^53 - 1');
      }
      return String(value === 0 ? 0 : value);
    case 'msat':
      if (typeof value !== 'bigint' || value < 0n || value > maxNumber) {
        throw invalid(wire, 'is a bigint from 0 to 2^53 - 1');
      }
      return value.toString();
    case 'type':
      if (typeof value !== 'bigint' || value < 0n || value > lastCustomType) {
        throw invalid(wire, 'is a bigint from 0 to 2^64 - 1');
      }
      // Most readers of JSON would round it.
      return value > maxNumber ? `"${value}"` : value.toString();
  }
}

function invalid(name: string, reason: string): KeysendError {
  return new KeysendError('record_invalid', `the boostagram's ${name} ${reason}`);
}
