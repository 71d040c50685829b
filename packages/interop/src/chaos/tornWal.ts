/** What a disk writes as one: a sector is there or it is not. */
const sectorBytes = 512;
const walHeaderBytes = 32;

type Dice = (sides: number) => number;

/**
 * A write-ahead log as a power cut may leave it in the middle of a commit: of what that commit wrote some sectors
 * are on the disk and some are not, the file may have grown or not, and what it grew by may be anything. What
 * earlier commits wrote was synced before they returned and stays. The same holds for the log's header:
 * SQLite syncs a new one before the first frame under it is written.
 * @param before the file when the commit began
 * @param after the file when all of the commit was written
 */
export function tearWal(before: Uint8Array, after: Uint8Array, roll: Dice): Uint8Array {
  const torn = Uint8Array.from(after);
  for (let start = 0; start < after.length; start += sectorBytes) {
    const end = Math.min(start + sectorBytes, after.length);
    const isNew = end > before.length;
    if (!isNew && same(before, after, { start, end })) continue;
    const kind = roll(4);
    if (kind < 2) continue;
    const from = start === 0 ? walHeaderBytes : start;
    for (let i = from; i < end; i++) {
      if (i < before.length) torn[i] = before[i] as number;
      else torn[i] = kind === 2 ? 0 : roll(256);
    }
  }
  const grownBy = after.length - before.length;
  if (grownBy <= 0 || roll(2) === 0) return torn;
  const length = Math.max(before.length, walHeaderBytes) + roll(grownBy + 1);
  return torn.slice(0, Math.min(length, after.length));
}

function same(a: Uint8Array, b: Uint8Array, { start, end }: { start: number; end: number }): boolean {
  for (let i = start; i < end; i++) if (a[i] !== b[i]) return false;
  return true;
}
