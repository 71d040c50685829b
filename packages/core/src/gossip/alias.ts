import { utf8ToBytes } from '../bytes/index.js';

/** BOLT 7: `alias` has 32 bytes, UTF-8, filled up with zeros. */
const ALIAS_BYTES = 32;

/**
 * Control characters, and those that are not seen but change how text beside them is shown (direction marks,
 * joiners, line separators), private ones, and lone surrogates.
 */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function clean(text: string): string {
  return text.replace(unseen, '').replace(/\s+/gu, ' ').trim();
}

/**
 * The alias of a node as text for a terminal or a log: it comes from a stranger and says nothing of who the node
 * is. Zeros at its end and a character that was cut in two there are dropped; bytes that are no UTF-8 become
 * U+FFFD; unseen characters are removed. May be empty. Text for HTML must still be escaped.
 */
export function displayAlias(alias: Uint8Array): string {
  let end = alias.length;
  while (end > 0 && alias[end - 1] === 0) end--;
  return clean(decoder.decode(alias.subarray(0, wholeCharacters(alias, end))));
}

/** Our own alias as its 32 bytes: cut between characters where it is too long, filled up with zeros. */
export function encodeAlias(text: string): Uint8Array {
  const bytes = utf8ToBytes(clean(text.normalize('NFC')));
  const alias = new Uint8Array(ALIAS_BYTES);
  const end = bytes.length <= ALIAS_BYTES ? bytes.length : wholeCharacters(bytes, ALIAS_BYTES);
  alias.set(bytes.subarray(0, end));
  return alias;
}

/** The greatest length up to `end` that does not end inside a character of UTF-8. */
function wholeCharacters(bytes: Uint8Array, end: number): number {
  // A character has a first byte and at most three that continue it.
  for (let start = end - 1; start >= 0 && start >= end - 4; start--) {
    const byte = bytes[start] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return start + length > end ? start : end;
  }
  return end;
}
