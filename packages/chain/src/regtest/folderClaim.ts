import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChainError } from '../chainError.js';

/** The file that says which process uses a folder. */
export const claimName = 'running.pid';
/** Claims of this process: a file that names it and is not among them was left by one of the same number. */
const held = new Set<string>();

/**
 * Keeps a second process off a folder, such as that of a chain: two would write into one file. The claim of a
 * process that was killed is taken over.
 * @returns what gives the folder back.
 * @throws ChainError `chain_folder_in_use`
 */
export function claimFolder(folder: string): () => void {
  const file = join(folder, claimName);
  mkdirSync(folder, { recursive: true });
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      held.add(file);
      return () => {
        if (held.delete(file)) rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = ownerOf(file);
    if (owner !== undefined && (owner === process.pid ? held.has(file) : isAlive(owner))) {
      throw new ChainError(
        'chain_folder_in_use',
        `process ${owner} uses the folder ${folder} already: stop that one, or choose another folder with --data-dir`,
      );
    }
    rmSync(file, { force: true });
  }
}

function ownerOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is alive too.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
