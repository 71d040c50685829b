import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256 } from '@rivulet/core/crypto';
import { KeysendError } from '../keysendError.js';
import type { ToolkitStore } from '../store/toolkitStore.js';

const markKey = 'secret/mark';

/**
 * The secret that the preimages of payments derive from: 32 bytes in a file that only this user may read; made
 * where there is none yet. The store knows it by a mark: with another secret a payment that is under way could be
 * made a second time, so that is refused.
 * @throws KeysendError `store_invalid`
 */
export function loadToolkitSecret({ path, store }: { path: string; store: ToolkitStore }): Uint8Array {
  const known = store.get(markKey);
  const found = readSecret(path);
  if (found === undefined && known !== undefined) {
    throw new KeysendError(
      'store_invalid',
      `the file ${path} is missing, and payments that are under way depend on it: bring it back from a copy`,
    );
  }
  const secret = found ?? makeSecret(path);
  const mark = bytesToHex(hmacSha256(secret, utf8ToBytes('rivulet toolkit secret mark')).subarray(0, 8));
  const stored = store.transaction((tx) => {
    const before = tx.get(markKey);
    if (before === undefined) tx.put(markKey, mark);
    return before ?? mark;
  });
  if (stored !== mark) {
    throw new KeysendError(
      'store_invalid',
      `the secret in ${path} is not the one that this toolkit's payments were made with: bring the other one back`,
    );
  }
  return secret;
}

function readSecret(path: string): Uint8Array | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new KeysendError('store_invalid', `${path} cannot be read: check that it belongs to this user`, {
      cause,
    });
  }
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new KeysendError('store_invalid', `${path} does not hold a secret: bring it back from a copy`);
  }
  return hexToBytes(text);
}

/** Whole and on the disk before its name is there; another process may have been faster. */
function makeSecret(path: string): Uint8Array {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, `${randomBytes(32).toString('hex')}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(temporary, path);
    const folder = openSync(dirname(path), 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary);
  }
  return readSecret(path) as Uint8Array;
}
