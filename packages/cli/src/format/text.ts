/**
 * Text that came from somebody else, fit for a terminal: control characters could move its cursor or change
 * its colours, and marks of writing direction could make one text look like another.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** The first digits of an id: enough to tell it from others, and accepted wherever a channel is named. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}

const longestCell = 60;

/** What fits into a cell of a table. */
export function shorten(text: string): string {
  const characters = [...text];
  return characters.length <= longestCell ? text : `${characters.slice(0, longestCell - 1).join('')}…`;
}

/** `2026-11-21 14:03:59`, UTC. */
export function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ');
}

/** Rows under their headings; columns with `right` are aligned to the right. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = headings.map((heading) => heading.startsWith('>'));
  const lines = [headings.map((heading) => heading.replace(/^>/, '')), ...rows];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) =>
      widths
        .map((width, column) => {
          const cell = line[column] ?? '';
          return right[column] === true ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
