/** What JSON can say. Objects are read by `jsonField`: nothing of theirs is inherited. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [name: string]: JsonValue;
}

export type JsonProblem = 'json_invalid' | 'json_too_deep';

/** Deeper than anything that is sent; parsers and printers recurse. */
const maxDepth = 16;

/**
 * Reads JSON from strangers: bounded in depth (its size is bounded by who reads it), without `__proto__`, which would
 * change an object that it is copied into, and without what cannot be written again: halves of characters are replaced,
 * numbers beyond all bounds are null. Never throws.
 */
export function parseJson(text: string): { readonly json: JsonValue } | { readonly problem: JsonProblem } {
  if (isTooDeep(text)) return { problem: 'json_too_deep' };
  try {
    return { json: JSON.parse(text, revive) as JsonValue };
  } catch {
    return { problem: 'json_invalid' };
  }
}

function revive(name: string, value: JsonValue): JsonValue | undefined {
  if (name === '__proto__' || !isWellFormed(name)) return undefined;
  if (typeof value === 'string') return wellFormed(value);
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

/** Looks at brackets outside of strings. What it says of text that is no JSON does not matter. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (inString) {
      if (character === '\\') i++;
      else if (character === '"') inString = false;
    } else if (character === '"') {
      inString = true;
    } else if (character === '{' || character === '[') {
      depth++;
      if (depth > maxDepth) return true;
    } else if (character === '}' || character === ']') {
      depth--;
    }
  }
  return false;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field of an object's own. */
export function jsonField(object: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Whether a value can be written as JSON and read back as it was. */
export function isJsonValue(value: unknown, depth = 0): value is JsonValue {
  if (depth > maxDepth) return false;
  switch (typeof value) {
    case 'string':
      return isWellFormed(value);
    case 'number':
      return Number.isFinite(value);
    case 'boolean':
      return true;
    case 'object': {
      if (value === null) return true;
      if (Array.isArray(value)) return value.every((item) => isJsonValue(item, depth + 1));
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) return false;
      return Object.entries(value).every(
        ([name, item]) => name !== '__proto__' && isWellFormed(name) && isJsonValue(item, depth + 1),
      );
    }
    default:
      return false;
  }
}

/** For `JSON.stringify`: whole numbers of any size as text, in digits. */
export function bigintAsDigits(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

const loneSurrogate = /\p{Surrogate}/u;
const loneSurrogates = /\p{Surrogate}/gu;

/** Whether a text has no halves of characters, which UTF-8 cannot say. */
export function isWellFormed(text: string): boolean {
  return !loneSurrogate.test(text);
}

/** A text with a replacement character for every half of one. */
function wellFormed(text: string): string {
  return isWellFormed(text) ? text : text.replace(loneSurrogates, '\ufffd');
}
