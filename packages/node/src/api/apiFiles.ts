import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiFileName, tokenFileName } from '@rivulet/sdk';
import { ApiServerError } from './apiServerError.js';

/** The API's token: 32 random bytes in hex, made at the first start. @throws ApiServerError */
export function loadOrCreateToken(dataDir: string): string {
  const file = join(dataDir, tokenFileName);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const fresh = randomBytes(32).toString('hex');
  try {
    // Fails if there is one: two daemons that start together must not replace each other's.
    writeFileSync(file, `${fresh}\n`, { mode: 0o600, flag: 'wx' });
    return fresh;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const token = readFileSync(file, 'utf8').trim();
  if (/^[0-9a-f]{64}$/.test(token)) return token;
  const message = `${file} holds no token (64 hex digits): remove the file, and a new one is made at the next start`;
  throw new ApiServerError('api_token_invalid', message);
}

/** Tells programs on this machine where the daemon of this data folder listens. */
export function writeApiFile(dataDir: string, api: { url: string; pid: number }): void {
  const file = join(dataDir, apiFileName);
  const temporary = `${file}.${api.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(api)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}

export function removeApiFile(dataDir: string): void {
  rmSync(join(dataDir, apiFileName), { force: true });
}

/** Whether a token is the right one, in time that depends on neither. */
export function isSameToken(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
