import { foldForMatch } from './foldForMatch.js';

interface Word {
  readonly text: string;
  readonly openStart: boolean;
  readonly openEnd: boolean;
}

/**
 * Words and phrases that are looked for. Found as whole words, with `*` at an end also as the beginning or the end of
 * one. Searched for one by one: the time is the words' number times the text's length, whatever they are.
 */
export class WordList {
  readonly #words: readonly Word[];

  constructor(words: readonly string[]) {
    this.#words = words
      .map((word) => {
        const openStart = word.startsWith('*');
        const openEnd = word.endsWith('*');
        const text = foldForMatch(word.slice(openStart ? 1 : 0, openEnd ? -1 : undefined)).trim();
        return { text, openStart, openEnd };
      })
      // Of what is not seen nothing is left, and nothing is in every text.
      .filter(({ text }) => text !== '');
  }

  /** @param folded by `foldForMatch`. */
  isIn(folded: string): boolean {
    return this.#words.some((word) => isWordIn(word, folded));
  }
}

function isWordIn({ text, openStart, openEnd }: Word, folded: string): boolean {
  for (let at = folded.indexOf(text); at !== -1; at = folded.indexOf(text, at + 1)) {
    const startsWord = openStart || !isLetter(folded, at - 1) || !isLetter(folded, at);
    const end = at + text.length;
    const endsWord = openEnd || !isLetter(folded, end) || !isLetter(folded, end - 1);
    if (startsWord && endsWord) return true;
  }
  return false;
}

const LETTER = /[\p{L}\p{N}]/u;
/** Scripts that put no spaces between words: there, a word is found wherever it stands. */
const UNSPACED = /[\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}]/u;

function isLetter(text: string, at: number): boolean {
  const char = text[at];
  if (char === undefined) return false;
  const code = char.charCodeAt(0);
  if (code < 0x80) return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
  return LETTER.test(char) && !UNSPACED.test(char);
}
