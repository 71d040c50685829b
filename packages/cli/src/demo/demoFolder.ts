import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from '../cliError.js';

/** Says that a folder was made by the demo and may be made anew by it. */
const markerName = 'rivulet-demo';

/**
 * The demo's folder, empty. What an earlier demo left in it is removed; a folder of anybody else is not.
 * @throws CliError
 */
export function prepareDemoFolder(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    if (!existsSync(join(folder, markerName))) {
      throw new CliError(
        'not_available',
        `the folder ${folder} holds something that is not a demo's: choose another with --data-dir, or remove it`,
      );
    }
    rmSync(folder, { recursive: true });
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, markerName), 'Made by `rivulet demo`, which removes it when it starts again.\n');
}
