import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startRegtest } from './startRegtest.js';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'rivulet-claim-'));
});

afterEach(() => rmSync(dataDir, { recursive: true }));

test('a folder has one chain at a time, and the second does the first no harm', async () => {
  const first = await startRegtest({ dataDir });
  const cookie = readFileSync(first.cookiePath as string);
  await expect(startRegtest({ dataDir })).rejects.toMatchObject({ code: 'chain_folder_in_use' });
  expect(readFileSync(first.cookiePath as string)).toEqual(cookie);
  await first.stop();
  await (await startRegtest({ dataDir })).stop();
});

test('a port that is taken is named, and the folder is free again', async () => {
  const other = await startRegtest();
  const rpcPort = Number(new URL(other.rpcUrl).port);
  await expect(startRegtest({ dataDir, rpcPort })).rejects.toMatchObject({
    code: 'chain_port_in_use',
    message: expect.stringContaining(`port ${rpcPort} (another program uses it)`),
  });
  await other.stop();
  await (await startRegtest({ dataDir })).stop();
});

test.each([
  ['a process that is gone', '2147483646'],
  ['an earlier process of the same number', String(process.pid)],
  ['a write that was cut off', ''],
])('what %s left behind is no obstacle', async (_, content) => {
  writeFileSync(join(dataDir, 'running.pid'), content);
  await (await startRegtest({ dataDir })).stop();
});
