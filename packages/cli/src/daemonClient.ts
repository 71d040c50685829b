import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findDataDir } from '@rivulet/node/config';
import {
  apiFile,
  apiFileName,
  ClientError,
  createClient,
  type RivuletClient,
  tokenFileName,
} from '@rivulet/sdk';
import type { CliContext, GlobalOptions } from './cliContext.js';
import { CliError, exitCodes } from './cliError.js';

/** The data folder that this command is about. */
export function dataDirOf(context: CliContext, options: GlobalOptions): string {
  const { env, homeDir } = context;
  return findDataDir({ env, homeDir, flags: { dataDir: options.dataDir } });
}

function notRunning(dataDir: string, cause: unknown): CliError {
  const message = `no daemon runs for the data folder ${dataDir}`;
  return new CliError('daemon_not_running', message, { exitCode: exitCodes.notRunning, cause });
}

/** A client of the daemon that runs for the data folder. @throws CliError `daemon_not_running`, `data_dir_forbidden` */
export function openClient(dataDir: string): RivuletClient {
  let url: string;
  let token: string;
  try {
    ({ url } = apiFile.parse(JSON.parse(readFileSync(join(dataDir, apiFileName), 'utf8'))));
    token = readFileSync(join(dataDir, tokenFileName), 'utf8').trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      const message = `the data folder ${dataDir} belongs to another user (${code}): run this as the user who runs the daemon`;
      throw new CliError('data_dir_forbidden', message, { cause });
    }
    throw notRunning(dataDir, cause);
  }
  return createClient({ url, token });
}

/** Calls the daemon. @throws CliError, ClientError */
export async function withDaemon<T>(
  context: CliContext,
  options: GlobalOptions,
  work: (client: RivuletClient) => Promise<T>,
): Promise<T> {
  const dataDir = dataDirOf(context, options);
  const client = openClient(dataDir);
  try {
    return await work(client);
  } catch (cause) {
    // It is killed or gone, and its api.json was left behind.
    if (cause instanceof ClientError && cause.code === 'daemon_unreachable') throw notRunning(dataDir, cause);
    throw cause;
  }
}
