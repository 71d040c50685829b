/** Text as it is compared: case does not count, nor how letters with accents are composed. */
export function foldText(text: string): string {
  return wellFormed(text).normalize('NFC').toLowerCase();
}

/** Without what no database and no UTF-8 can hold: halves of surrogate pairs, and NUL. */
export function wellFormed(text: string): string {
  return text.replace(/[\p{Cs}\0]/gu, '\ufffd');
}
