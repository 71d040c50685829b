import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { claimFolder, claimName } from '@rivulet/chain';
import { CliError } from '../cliError.js';

/** Says that a folder was made by the demo and may be made anew by it. */
const markerName = 'rivulet-demo';

/**
 * The demo's folder, empty and kept from other demos. What an earlier demo left in it is removed; a folder of
 * anybody else is not, nor that of a demo that runs.
 * @returns what gives the folder back.
 * @throws CliError, ChainError
 */
export function prepareDemoFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = readdirSync(folder);
  if (found.length > 0 && !found.includes(markerName)) {
    throw new CliError(
      'not_available',
      `the folder ${folder} holds something that is not a demo's: choose another with --data-dir, or remove it`,
    );
  }
  // Before the claim: what is cut off here must not look like somebody else's folder.
  writeFileSync(join(folder, markerName), 'Made by `rivulet demo`, which empties it when it starts again.\n');
  const release = claimFolder(folder);
  for (const name of found) {
    if (name !== markerName && name !== claimName) rmSync(join(folder, name), { recursive: true });
  }
  return release;
}
