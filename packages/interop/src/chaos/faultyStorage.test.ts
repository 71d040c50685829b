import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStorage } from '@rivulet/storage';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FaultyStorage, type StorageFault } from './faultyStorage.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-faulty-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

class Dead extends Error {}

function open(path = join(folder, 'one.db')) {
  const inner = openStorage({ path });
  const struck: StorageFault[] = [];
  const faulty = new FaultyStorage({
    inner,
    path,
    die: () => {
      throw new Dead();
    },
    onFault: (fault) => struck.push(fault),
  });
  const channel = { channelId: new Uint8Array(32), remoteNodeId: new Uint8Array(33) };
  const put = (number: number) =>
    faulty.storage.transaction((tx) => {
      tx.putValue('number', Uint8Array.of(number));
      tx.putChannel({ ...channel, state: Uint8Array.of(number) });
    });
  const number = () => inner.getValue('number')?.[0];
  return { inner, faulty, struck, put, number, path };
}

describe('a storage that is told to fail', () => {
  test('lets everything pass until its transaction has come', () => {
    const { faulty, put, number, inner } = open();
    faulty.arm({ kind: 'die', when: 'before_begin', after: 3 });
    put(1);
    put(2);
    expect(() => put(3)).toThrow(Dead);
    expect(number()).toBe(2);
    inner.close();
  });

  test('counts those transactions alone that write a channel, where its body is to have run', () => {
    const { faulty, put, number, inner } = open();
    faulty.arm({ kind: 'die', when: 'after_commit', after: 2 });
    put(1);
    faulty.storage.transaction((tx) => tx.putValue('other', Uint8Array.of(1)));
    faulty.storage.transaction((tx) => tx.putValue('other', Uint8Array.of(2)));
    expect(() => put(2)).toThrow(Dead);
    expect(number()).toBe(2);
    inner.close();
  });

  test.each([
    ['before_begin', 1],
    ['before_commit', 1],
    ['after_commit', 2],
  ] as const)('dies %s, with what is durable then', (when, stored) => {
    const { faulty, put, number, inner } = open();
    put(1);
    faulty.arm({ kind: 'die', when, after: 1 });
    expect(() => put(2)).toThrow(Dead);
    expect(number()).toBe(stored);
    inner.close();
  });

  test('has a full disk as often as it was asked for, and room again afterwards', () => {
    const { faulty, put, number, struck, inner } = open();
    put(1);
    faulty.arm({ kind: 'disk_full', when: 'commit', after: 1, times: 2 });
    expect(() => put(2)).toThrow(/no room/);
    expect(() => put(3)).toThrow(/no room/);
    put(4);
    expect(number()).toBe(4);
    expect(struck).toHaveLength(2);
    inner.close();
  });

  test('is dead after its disk failed, also where the commit had been written', () => {
    const { faulty, put, number, inner } = open();
    faulty.arm({ kind: 'io', when: 'lost_answer', after: 1 });
    expect(() => put(2)).toThrow(/disk failed/);
    expect(() => put(3)).toThrow(/disk failed/);
    expect(() => faulty.storage.getValue('number')).toThrow(/disk failed/);
    expect(number()).toBe(2);
    inner.close();
  });

  test('tears a commit that never returns', () => {
    const { faulty, put, path } = open();
    put(1);
    faulty.arm({ kind: 'torn_commit', after: 1, seed: 5 });
    expect(() => put(2)).toThrow(Dead);
    expect(existsSync(`${path}-wal`)).toBe(true);
  });
});
