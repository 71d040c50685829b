/**
 * The characters of a text as people count them: a flag, a family or a letter with its accents is one. Where the
 * platform cannot tell (`Intl.Segmenter`), code points.
 */
export function graphemes(text: string): string[] {
  if (typeof Intl === 'undefined' || Intl.Segmenter === undefined) return [...text];
  return Array.from(
    new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text),
    (s) => s.segment,
  );
}

/** The beginning of a text: whole characters, as long as `measure` of all of them is at most `limit`. */
export function cutGraphemes(
  characters: readonly string[],
  { limit, measure }: { limit: number; measure: (character: string) => number },
): string[] {
  const kept: string[] = [];
  let left = limit;
  for (const character of characters) {
    left -= measure(character);
    if (left < 0) break;
    kept.push(character);
  }
  return kept;
}
