import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { JournalLdkStore } from './ldkStore.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-store-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(options = { commitEach: false }): JournalLdkStore {
  return new JournalLdkStore(folder, options);
}

function numbers(monitors: ReturnType<JournalLdkStore['readMonitors']>): number[][] {
  return monitors.map(({ monitor, updates }) => [monitor[0]!, ...updates.map((update) => update[0]!)]);
}

function fill(store: JournalLdkStore): void {
  store.writeManager(Uint8Array.of(1));
  store.writeMonitor('a', Uint8Array.of(2));
  store.appendUpdate('a', Uint8Array.of(3));
  store.appendOutput(Uint8Array.of(4));
}

test('what was committed is read again, and again after the journal was compacted', () => {
  const store = open();
  fill(store);
  store.commit();
  store.close();
  for (let round = 0; round < 2; round++) {
    const again = open();
    expect(again.readManager()).toEqual(Uint8Array.of(1));
    expect(numbers(again.readMonitors())).toEqual([[2, 3]]);
    expect(again.readOutputs()).toEqual([Uint8Array.of(4)]);
    again.close();
  }
});

test('a monitor that is written again forgets its updates', () => {
  const store = open({ commitEach: true });
  fill(store);
  store.writeMonitor('a', Uint8Array.of(5));
  store.appendUpdate('a', Uint8Array.of(6));
  store.close();
  expect(numbers(open().readMonitors())).toEqual([[5, 6]]);
});

test('a turn that was not committed, or not to its end, never happened', () => {
  const store = open();
  fill(store);
  store.commit();
  const length = readFileSync(join(folder, 'journal')).length;
  store.writeManager(Uint8Array.of(9));
  store.appendUpdate('a', Uint8Array.of(9));
  store.commit();
  store.appendUpdate('a', Uint8Array.of(10));
  store.close();
  const whole = readFileSync(join(folder, 'journal'));
  for (const cut of [length + 3, length + 12, whole.length - 1]) {
    writeFileSync(join(folder, 'journal'), whole.subarray(0, cut));
    const again = open();
    expect(again.readManager()).toEqual(Uint8Array.of(1));
    expect(numbers(again.readMonitors())).toEqual([[2, 3]]);
    again.close();
  }
});
