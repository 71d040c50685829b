import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Database } from '../database.js';
import { COPY_NAME } from './replicaCopy.js';

/** Everything that a database holds, as text; and whether SQLite finds it sound. */
export function contentOf(path: string): { content: string; commits: number; problems: string[] } {
  const database = new Database(path);
  try {
    return readContent(database);
  } finally {
    database.close();
  }
}

export function readContent(database: Database): { content: string; commits: number; problems: string[] } {
  const tables = database
    .prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
    .all()
    .map(([name]) => String(name));
  const content = tables.map((name) => [name, database.prepare(`SELECT * FROM ${name}`).all()]);
  return {
    content: JSON.stringify(content, (_, value) => {
      if (typeof value === 'bigint') return `${value}n`;
      return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
    }),
    commits: Number(database.pragma('user_version')) >>> 0,
    problems: database
      .prepare('PRAGMA integrity_check')
      .all()
      .map(([line]) => String(line))
      .filter((line) => line !== 'ok'),
  };
}

/** Writes the copy that a disk in memory holds into a folder; the path of its database, if there is one. */
export function writeOut(files: ReadonlyMap<string, Uint8Array>, folder: string): string | undefined {
  mkdirSync(folder, { recursive: true });
  for (const [path, bytes] of files) writeFileSync(join(folder, basename(path)), bytes);
  return [...files.keys()].some((path) => basename(path) === COPY_NAME) ? join(folder, COPY_NAME) : undefined;
}

/** A small generator of numbers in [0, 1), so that a test that fails can be run again. */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
