import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeysendLog } from './keysendLog.js';

const hashOf = (seed: number) => seed.toString(16).padStart(64, '0');
const keysend = (seed: number) => ({
  hash: hashOf(seed),
  msat: '1000',
  atMs: seed,
  records: [['70001', 'ab']] as const,
});
const lineOf = (value: unknown): string => {
  const json = JSON.stringify(value);
  return `${createHash('sha256').update(json).digest('hex').slice(0, 8)} ${json}\n`;
};

describe('the list of keysends of the plugin', () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysend-log-'));
    path = join(folder, 'keysends.log');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is written anew when most of it is over, and keeps its name, its indexes and what is open', () => {
    const log = KeysendLog.open(path, 'abcd');
    for (const seed of [1, 2, 3]) {
      log.arrived(keysend(seed));
      log.settled(hashOf(seed), { msat: BigInt(seed), atMs: seed });
    }
    log.arrived(keysend(4));
    log.close();
    // Keysends that were never paid: what somebody may fill the disk with.
    const value = 'cd'.repeat(1_000);
    let dead = '';
    for (let seed = 100; seed < 4_100; seed++) {
      dead += lineOf({ is: 'arrived', hash: hashOf(seed), msat: '1', atMs: 1, records: [['70001', value]] });
      dead += lineOf({ is: 'dropped', hash: hashOf(seed) });
    }
    writeFileSync(path, readFileSync(path, 'utf8') + dead);
    expect(statSync(path).size).toBeGreaterThan(8_000_000);
    const again = KeysendLog.open(path, 'other');
    expect(statSync(path).size).toBeLessThan(10_000);
    expect(again.id).toBe('abcd');
    expect(again.list(0, 10).map(({ index, hash, msat }) => [index, hash, msat])).toEqual([
      [1, hashOf(1), '1'],
      [2, hashOf(2), '2'],
      [3, hashOf(3), '3'],
    ]);
    expect(again.pending.map(({ hash }) => hash)).toEqual([hashOf(4)]);
    again.settled(hashOf(4), { msat: 4n, atMs: 4 });
    expect(again.last).toBe(4);
    again.close();
    const third = KeysendLog.open(path, 'other');
    expect(third.list(3, 10)).toEqual([{ is: 'settled', index: 4, ...keysend(4), msat: '4' }]);
    third.close();
  });

  test('does not fill the disk while it is used with what is never paid (threat 27)', () => {
    const log = KeysendLog.open(path, 'abcd', { opened: 1_000, used: 20_000 });
    log.arrived(keysend(1));
    log.settled(hashOf(1), { msat: 1n, atMs: 1 });
    log.arrived(keysend(2));
    const records = [['70001', 'cd'.repeat(500)]] as const;
    for (let seed = 100; seed < 300; seed++) {
      log.arrived({ ...keysend(seed), records });
      log.dropped(hashOf(seed));
    }
    expect(statSync(path).size).toBeLessThan(30_000);
    log.settled(hashOf(2), { msat: 2n, atMs: 2 });
    expect(log.list(0, 10).map(({ index, hash }) => [index, hash])).toEqual([
      [1, hashOf(1)],
      [2, hashOf(2)],
    ]);
    log.close();
    const again = KeysendLog.open(path, 'other');
    expect([again.id, again.last, again.damaged]).toEqual(['abcd', 2, 0]);
    again.close();
  });

  test('keeps in mind no more than so many that are never paid, also after a start', () => {
    let text = lineOf({ is: 'log', version: 1, id: 'abcd' });
    for (let seed = 1; seed <= 20_050; seed++) text += lineOf({ is: 'arrived', ...keysend(seed) });
    writeFileSync(path, text);
    const log = KeysendLog.open(path, 'other');
    expect(log.pending).toHaveLength(20_000);
    expect(log.isKnown(hashOf(20_050))).toBe(true);
    log.close();
  });

  test('takes the records of the last try under a hash', () => {
    const log = KeysendLog.open(path, 'abcd');
    log.arrived({ ...keysend(1), records: [['70001', 'abcdef']] });
    log.arrived({ ...keysend(1), records: [['70001', 'ab']] });
    const { size } = statSync(path);
    log.arrived({ ...keysend(1), records: [['70001', 'ab']] });
    expect(statSync(path).size).toBe(size);
    log.close();
    const again = KeysendLog.open(path, 'other');
    again.settled(hashOf(1), { msat: 1n, atMs: 1 });
    expect(again.list(0, 1)[0]?.records).toEqual([['70001', 'ab']]);
    again.arrived({ ...keysend(1), records: [['70001', '00']] });
    expect(again.list(0, 1)[0]?.records).toEqual([['70001', 'ab']]);
    again.close();
  });

  test('has another name once a line was lost, whose index may be given out again', () => {
    const log = KeysendLog.open(path, 'abcd');
    for (const seed of [1, 2]) {
      log.arrived(keysend(seed));
      log.settled(hashOf(seed), { msat: 1n, atMs: seed });
    }
    log.close();
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"is":"settled","index":2', '"is":"settled","index":8'));
    const again = KeysendLog.open(path, 'ef01');
    expect([again.id, again.last, again.damaged]).toEqual(['ef01', 1, 1]);
    again.settled(hashOf(2), { msat: 1n, atMs: 2 });
    again.close();
    // Once is enough.
    const third = KeysendLog.open(path, '2345');
    expect([third.id, third.last]).toEqual(['ef01', 2]);
    third.close();
  });

  test('keeps nothing of what the disk did not take, and goes on after it', () => {
    const log = KeysendLog.open(path, 'abcd');
    log.arrived(keysend(1));
    const before = readFileSync(path, 'utf8');
    log.close();
    // Its file is closed: nothing can be written.
    expect(() => log.arrived(keysend(2))).toThrow();
    expect(log.isKnown(hashOf(2))).toBe(false);
    expect(() => log.settled(hashOf(1), { msat: 1n, atMs: 1 })).toThrow();
    expect(log.last).toBe(0);
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  test('reads lines that are longer than what is read at once', () => {
    const log = KeysendLog.open(path, 'abcd');
    const long = { ...keysend(1), records: [['70001', 'ab'.repeat(40_000)]] as const };
    log.arrived(long);
    log.settled(hashOf(1), { msat: 1_000n, atMs: 1 });
    expect(log.list(0, 1)).toMatchObject([long]);
    log.close();
  });
});
