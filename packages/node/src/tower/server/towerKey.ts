import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import { TowerError } from '../towerError.js';

const fileName = 'tower.key';

/**
 * The key that a tower signs its receipts with: in a file of its own, made at the first start. Who loses it loses
 * the name under which users know the tower.
 * @throws TowerError `tower_key_invalid`
 */
export function loadOrCreateTowerKey(dataDir: string): Uint8Array {
  const path = join(dataDir, fileName);
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return createKey(path);
  }
  const key = /^[0-9a-f]{64}$/.test(text) ? hexToBytes(text) : undefined;
  if (key !== undefined && secp256k1.isPrivateKey(key)) return key;
  throw new TowerError('tower_key_invalid', `${path} holds no key: put the tower's own back, from your copy`);
}

function createKey(path: string): Uint8Array {
  const key = Uint8Array.from(randomBytes(32));
  writeFileSync(path, `${bytesToHex(key)}\n`, { mode: 0o600, flag: 'wx', flush: true });
  return key;
}
