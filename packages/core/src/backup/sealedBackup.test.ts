import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hexToBytes } from '../bytes/index.js';
import { encryptAead } from '../crypto/index.js';
import { backupOf, backups, seed } from './backup.test.support.js';
import { encodeBackup } from './backupCodec.js';
import { BackupError } from './backupError.js';
import { type ChannelBackup, firstHeightOf } from './channelBackup.js';
import { backupV1Hex } from './fixtures/backupV1.js';
import {
  backupKeyId,
  deriveBackupKey,
  openBackup,
  peerStorageLength,
  readBackupHeader,
  sealBackup,
  sealForPeer,
} from './sealedBackup.js';

const key = deriveBackupKey(seed);
const nonce = new Uint8Array(12).fill(9);
const seal = (backup: ChannelBackup, length?: number) =>
  sealBackup(backup, { key, nonce, ...(length === undefined ? {} : { length }) });

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof BackupError) return error.code;
    throw error;
  }
  return 'none';
}

/** Content that we have sealed ourselves, whatever it is. */
function sealContent(plaintext: Uint8Array): Uint8Array {
  const associatedData = seal(backupOf(0)).slice(0, 18);
  return Uint8Array.from([
    ...associatedData,
    ...nonce,
    ...encryptAead({ key, nonce, associatedData, plaintext }),
  ]);
}

describe('a sealed backup', () => {
  test('gives back what was sealed, and the same content gives the same bytes', () => {
    fc.assert(
      fc.property(backups, (backup) => {
        const sealed = seal(backup);
        expect(openBackup(sealed, key)).toEqual(backup);
        expect(seal(openBackup(sealed, key))).toEqual(sealed);
        expect(readBackupHeader(sealed)).toEqual({ network: backup.network, keyId: backupKeyId(key) });
      }),
      { numRuns: 60 },
    );
  });

  test('shows nothing of its channels', () => {
    const text = String.fromCharCode(...seal(backupOf(3)));
    expect(text).not.toContain('203.0.113.7');
  });

  test('of other words is told as that', () => {
    const other = deriveBackupKey(new Uint8Array(32).fill(1));
    expect(codeOf(() => openBackup(seal(backupOf(1)), other))).toBe('backup_other_node');
  });

  test('that was changed anywhere, or cut off anywhere, is never believed', () => {
    const sealed = seal(backupOf(2));
    fc.assert(
      fc.property(
        fc.nat({ max: sealed.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (position, change) => {
          const changed = Uint8Array.from(sealed);
          changed[position] = (changed[position] as number) ^ change;
          expect(codeOf(() => openBackup(changed, key))).not.toBe('none');
          expect(codeOf(() => openBackup(sealed.slice(0, position), key))).not.toBe('none');
        },
      ),
    );
    expect(codeOf(() => openBackup(sealed.slice(0, -1), key))).toBe('backup_damaged');
    expect(codeOf(() => openBackup(sealed.slice(0, 20), key))).toBe('backup_damaged');
    expect(codeOf(() => openBackup(Uint8Array.from([...sealed, 0]), key))).toBe('backup_damaged');
  });

  test('is told from other files, and from later versions', () => {
    expect(codeOf(() => openBackup(new Uint8Array(500), key))).toBe('backup_unrecognized');
    expect(codeOf(() => openBackup(new Uint8Array(0), key))).toBe('backup_unrecognized');
    const later = seal(backupOf(1));
    later[8] = 2;
    expect(codeOf(() => openBackup(later, key))).toBe('backup_version');
    expect(codeOf(() => openBackup(new Uint8Array(16 * 1024 * 1024 + 1), key))).toBe('backup_too_large');
  });

  test('fails with one of the codes for any bytes, also for those that we sealed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(codeOf(() => openBackup(bytes, key))).not.toBe('none');
        codeOf(() => openBackup(sealContent(bytes), key));
      }),
    );
    const content = encodeBackup(backupOf(2));
    fc.assert(
      fc.property(fc.nat({ max: content.length - 1 }), fc.nat({ max: 255 }), (position, byte) => {
        const changed = Uint8Array.from(content);
        changed[position] = byte;
        const length = [0, 0, changed.length >> 8, changed.length & 0xff];
        expect(['none', 'backup_invalid']).toContain(
          codeOf(() => openBackup(sealContent(Uint8Array.from([...length, ...changed])), key)),
        );
      }),
    );
  });

  test('with the same channel twice is refused', () => {
    const backup = backupOf(1);
    const twice = { ...backup, channels: [...backup.channels, ...backup.channels] };
    expect(codeOf(() => openBackup(seal(twice), key))).toBe('backup_invalid');
  });
});

test('a backup that version 1 sealed opens for ever', () => {
  expect(openBackup(hexToBytes(backupV1Hex), key)).toEqual({ ...backupOf(2), birthHeight: 12 });
});

describe('a backup for a peer to keep', () => {
  test('has always the same length', () => {
    for (const count of [0, 1, 100]) {
      const { blob, backup } = sealForPeer(backupOf(count), { key, nonce });
      expect(blob.length).toBe(peerStorageLength);
      expect(openBackup(blob, key)).toEqual(backup);
      expect(backup).toEqual(backupOf(count));
    }
  });

  test('has the largest channels where not all have room, and says how many are missing', () => {
    const whole = backupOf(400);
    const { blob, backup } = sealForPeer(whole, { key, nonce });
    expect(blob.length).toBe(peerStorageLength);
    const read = openBackup(blob, key);
    expect(read).toEqual(backup);
    expect(read.channels.length).toBeGreaterThan(120);
    expect(read.omitted).toBe(400 - read.channels.length);
    expect(read.channels).toEqual(whole.channels.slice(400 - read.channels.length));
  });

  test('cannot be sealed into less than it needs', () => {
    expect(codeOf(() => seal(backupOf(10), 1_000))).toBe('backup_too_large');
  });
});

describe('the block from which the chain is read again', () => {
  test('is before each funding, and before all blocks after the backup for what was not confirmed then', () => {
    expect(firstHeightOf(backupOf(3))).toBe(394);
    expect(firstHeightOf(backupOf(0))).toBe(494);
    expect(firstHeightOf({ ...backupOf(3), birthHeight: 100 })).toBe(94);
    expect(firstHeightOf({ ...backupOf(3), birthHeight: 450 })).toBe(394);
    expect(firstHeightOf({ ...backupOf(0), birthHeight: 2 })).toBe(0);
    const { fundingConfirmed: _, ...unconfirmed } = backupOf(1).channels[0]!;
    expect(firstHeightOf({ ...backupOf(1), channels: [unconfirmed] })).toBe(494);
  });
});
