import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { killAll, spawnRivulet } from './daemonProcess.test.support.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-signals-'));
});

afterEach(() => {
  killAll();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

const inFolder = () => ['--json', '--data-dir', folder];
const up = () => spawnRivulet(['up', ...inFolder(), '--listen-port', '0', '--api-port', '0']);

/** Processes that still have the test's folder on their command line. */
function leftOver(): string[] {
  const all = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n');
  return all.filter((line) => line.includes(folder));
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s ends a daemon in order, and the next one starts at once',
  async (signal) => {
    const first = up();
    await first.firstLine;
    first.process.kill(signal);
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(first.printed.err).toBe('');
    for (const name of ['api.json', 'rivulet.db-wal', 'rivulet.db-shm']) {
      expect(existsSync(join(folder, name)), name).toBe(false);
    }
    const second = up();
    await second.firstLine;
    second.process.kill(signal);
    expect(await second.exited).toEqual({ code: 0, signal: null });
  },
);

test('a daemon that was killed leaves nothing in the way of the next', async () => {
  const first = up();
  await first.firstLine;
  first.process.kill('SIGKILL');
  await first.exited;
  expect(existsSync(join(folder, 'api.json'))).toBe(true);
  const second = up();
  await second.firstLine;
  second.process.kill('SIGINT');
  expect(await second.exited).toEqual({ code: 0, signal: null });
});

test('Ctrl-C ends listen and leaves its daemon alone; a daemon that stops ends it too', async () => {
  const daemon = up();
  await daemon.firstLine;
  const listening = async () => {
    const listen = spawnRivulet(['listen', '--all', ...inFolder()]);
    // It shows that it listens: blocks are events.
    const mine = spawnRivulet(['mine', ...inFolder()]);
    await mine.exited;
    return listen;
  };
  let first = await listening();
  while (first.printed.out === '') {
    first.process.kill('SIGKILL');
    first = await listening();
  }
  first.process.kill('SIGINT');
  expect(await first.exited).toEqual({ code: 0, signal: null });
  const second = await listening();
  const stop = spawnRivulet(['stop', ...inFolder()]);
  expect(await stop.exited).toMatchObject({ code: 0 });
  expect(await second.exited).toMatchObject({ code: 3 });
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
});

test('Ctrl-C ends regtest, and the next one has its blocks', async () => {
  const first = spawnRivulet(['regtest', ...inFolder()]);
  await first.firstLine;
  const another = spawnRivulet(['regtest', ...inFolder()]);
  expect(await another.exited).toMatchObject({ code: 1 });
  expect(JSON.parse(another.printed.err).error.code).toBe('chain_folder_in_use');
  expect(existsSync(join(folder, 'regtest', '.cookie'))).toBe(true);
  first.process.kill('SIGINT');
  expect(await first.exited).toEqual({ code: 0, signal: null });
  const second = spawnRivulet(['regtest', ...inFolder()]);
  await second.firstLine;
  second.process.kill('SIGTERM');
  expect(await second.exited).toEqual({ code: 0, signal: null });
});

test('a demo is alone in its folder, and Ctrl-C ends it with its daemons', async () => {
  const first = spawnRivulet(['demo', '--data-dir', folder]);
  await first.firstLine;
  const second = spawnRivulet(['demo', '--data-dir', folder]);
  expect(await second.exited).toEqual({ code: 1, signal: null });
  expect(second.printed.err).toMatch(
    /^error: process \d+ uses the folder .* choose another folder with --data-dir\n$/,
  );
  // In the middle of the story, when at least one of its daemons runs.
  await first.printedLine(/^ {2}spring/);
  first.process.kill('SIGINT');
  expect(await first.exited).toEqual({ code: 130, signal: null });
  expect(leftOver()).toEqual([]);
});

test('a demo that has told its story ends with Ctrl-C, and another takes its folder', async () => {
  for (const signal of ['SIGINT', 'SIGHUP'] as const) {
    const demo = spawnRivulet(['demo', '--data-dir', folder]);
    await demo.printedLine(/Ctrl-C ends the demo/);
    demo.process.kill(signal);
    expect(await demo.exited).toEqual({ code: 0, signal: null });
    expect(demo.printed.err).toBe('');
    expect(leftOver()).toEqual([]);
  }
});
