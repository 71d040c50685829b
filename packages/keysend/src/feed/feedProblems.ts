/** Something in a feed that was read leniently, or not at all: for a person to read, and for the feed's author. */
export interface FeedProblem {
  /** `channel`, `item 3 "Title"`, `item 3 "Title", value, recipient 2`… */
  readonly where: string;
  readonly what: string;
  /** Which of the feed's items it concerns. */
  readonly item?: number;
}

const MAX_PROBLEMS = 500;
const MAX_LENGTH = 200;

/** Collects problems, and no more than a person would read. */
export class FeedProblems {
  readonly #problems: FeedProblem[] = [];
  #left = 0;

  add(where: Where, what: string): void {
    if (this.#problems.length === MAX_PROBLEMS) {
      this.#left++;
      return;
    }
    this.#problems.push({
      where: shorten(where.path),
      what: shorten(what),
      ...(where.item === undefined ? {} : { item: where.item }),
    });
  }

  list(): readonly FeedProblem[] {
    if (this.#left === 0) return this.#problems;
    return [...this.#problems, { where: 'feed', what: `${this.#left} more problems are not listed` }];
  }
}

/** Where in the feed the reader is. */
export interface Where {
  readonly path: string;
  readonly item?: number;
}

export function within(where: Where, part: string): Where {
  return { ...where, path: `${where.path}, ${part}` };
}

/** What a feed says, made fit for a message: short, on one line. */
export function quoted(text: string): string {
  const line = text.replace(/\p{C}+/gu, ' ');
  return line.length > 60 ? `"${line.slice(0, 60)}…"` : `"${line}"`;
}

function shorten(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
}
