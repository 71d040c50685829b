import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RegtestChain } from '@rivulet/chain';
import { afterEach, expect, test, vi } from 'vitest';
import { aliceWords, BackupWorld, newFolder } from './backup.test.support.js';
import { restoreFromCopy } from './restoreFolder.js';
import { isUnproven, markUnproven } from './unproven.js';

vi.mock('./unproven.js', async (original) => {
  const real = await original<typeof import('./unproven.js')>();
  return { ...real, markUnproven: vi.fn(real.markUnproven) };
});

let world: BackupWorld | undefined;
afterEach(() => world?.stop());

test('a copy is nowhere that a node would open it before its channels are marked', async () => {
  world = await new BackupWorld(new RegtestChain({})).start();
  const { alice } = world;
  await world.open();
  await alice.stop();
  const copyDir = alice.dataDir;
  alice.dataDir = join(newFolder(), 'new');
  const database = join(alice.dataDir, 'rivulet.db');
  let thereBefore: boolean | undefined;
  const { markUnproven: real } = await vi.importActual<typeof import('./unproven.js')>('./unproven.js');
  vi.mocked(markUnproven).mockImplementation((...given) => {
    thereBefore = existsSync(database);
    real(...given);
  });
  await restoreFromCopy({ dataDir: alice.dataDir, copyDir, words: aliceWords });
  expect(thereBefore).toBe(false);
  expect(readdirSync(alice.dataDir)).toEqual(expect.arrayContaining(['rivulet.db', 'wallet-words']));
  expect(existsSync(join(alice.dataDir, 'restoring'))).toBe(false);
  await alice.run();
  expect(isUnproven(alice.node.storage, alice.channel!.params.channelId)).toBe(true);
});
