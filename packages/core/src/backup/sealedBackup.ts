import { ByteReader, ByteWriter, concatBytes, equalBytes, utf8ToBytes } from '../bytes/index.js';
import { CryptoError, decryptAead, encryptAead, hmacSha256 } from '../crypto/index.js';
import { decodeBackup, encodeBackup } from './backupCodec.js';
import { BackupError } from './backupError.js';
import { type BackupNetwork, backupNetworks, type ChannelBackup } from './channelBackup.js';

/*
 * A sealed backup: magic (8), version (1), network (1), key id (8), nonce (12), then ChaCha20-Poly1305 of the
 * content's length (u32), the content and zeros up to the length that was asked for. What comes before the nonce
 * is authenticated too.
 */
const magic = utf8ToBytes('RVLTBKUP');
const version = 1;
const keyIdLength = 8;
const nonceLength = 12;
const tagLength = 16;
const authenticatedLength = magic.length + 2 + keyIdLength;
const headerLength = authenticatedLength + nonceLength;
const shortest = headerLength + 4 + tagLength;

/** What a peer keeps for us (BOLT 1: peer_storage); each blob has this length, so that it tells nothing. */
export const peerStorageLength = 65_531;

/** More is no backup of ours: some 35,000 channels. */
export const maxBackupLength = 16 * 1024 * 1024;

// Backups depend on these labels: they never change.
const keyLabel = utf8ToBytes('rivulet channel backup v1: key');
const keyIdLabel = utf8ToBytes('rivulet channel backup v1: key id');

/** The key of a node's backups, 32 bytes, from its channel seed. Never leaves the node. */
export function deriveBackupKey(channelSeed: Uint8Array): Uint8Array {
  return hmacSha256(channelSeed, keyLabel);
}

/** Tells the backups of one node from those of others, without the key. */
export function backupKeyId(key: Uint8Array): Uint8Array {
  return hmacSha256(key, keyIdLabel).slice(0, keyIdLength);
}

/** What everybody can read of a sealed backup. */
export interface BackupHeader {
  readonly network: BackupNetwork;
  readonly keyId: Uint8Array;
}

/**
 * @param nonce 12 random bytes, never twice with the same key.
 * @param length of the result; as long as it has to be where it is absent.
 * @throws BackupError `backup_too_large` where the content is longer than `length` allows.
 */
export function sealBackup(
  backup: ChannelBackup,
  { key, nonce, length }: { key: Uint8Array; nonce: Uint8Array; length?: number },
): Uint8Array {
  const content = encodeBackup(backup);
  const sealedLength = length ?? shortest + content.length;
  const room = sealedLength - shortest;
  if (content.length > room) {
    throw new BackupError(
      'backup_too_large',
      `the backup of ${backup.channels.length} channels has ${content.length} bytes, there is room for ${room}`,
    );
  }
  const plaintext = new Uint8Array(4 + room);
  plaintext.set(new ByteWriter(4).u32(content.length).finish());
  plaintext.set(content, 4);
  const associatedData = new ByteWriter(authenticatedLength)
    .bytes(magic)
    .u8(version)
    .u8(backupNetworks.indexOf(backup.network))
    .bytes(backupKeyId(key))
    .finish();
  return concatBytes(associatedData, nonce, encryptAead({ key, nonce, associatedData, plaintext }));
}

/**
 * A backup for a peer to keep: of exactly `peerStorageLength` bytes, with as many channels as fit, the largest
 * ones.
 * @returns with what the result says that it has.
 */
export function sealForPeer(
  backup: ChannelBackup,
  sealing: { key: Uint8Array; nonce: Uint8Array },
): { blob: Uint8Array; backup: ChannelBackup } {
  const bySize = [...backup.channels].sort((a, b) =>
    a.fundingSat === b.fundingSat ? 0 : a.fundingSat > b.fundingSat ? -1 : 1,
  );
  let kept = backup;
  while (shortest + encodeBackup(kept).length > peerStorageLength) {
    // Entries are of similar length: a tenth less each time is soon enough, and close enough.
    const count = Math.floor(kept.channels.length * 0.9);
    const largest = new Set(bySize.slice(0, count));
    const channels = backup.channels.filter((channel) => largest.has(channel));
    kept = { ...backup, channels, omitted: backup.omitted + backup.channels.length - count };
  }
  return { blob: sealBackup(kept, { ...sealing, length: peerStorageLength }), backup: kept };
}

/** @throws BackupError `backup_unrecognized`, `backup_version`, `backup_damaged` */
export function readBackupHeader(sealed: Uint8Array): BackupHeader {
  const start = sealed.subarray(0, magic.length);
  if (!equalBytes(start, magic.subarray(0, start.length)) || start.length === 0) {
    throw new BackupError('backup_unrecognized', 'this is no channel backup of Rivulet');
  }
  if (sealed.length < shortest) {
    throw new BackupError(
      'backup_damaged',
      `the backup ends after ${sealed.length} bytes: the rest is missing`,
    );
  }
  const reader = new ByteReader(sealed.subarray(magic.length, authenticatedLength));
  const found = reader.u8();
  if (found !== version) {
    throw new BackupError(
      'backup_version',
      `the backup has version ${found}; this Rivulet reads version ${version}: take the Rivulet that made it, or a later one`,
    );
  }
  const network = backupNetworks[reader.u8()];
  if (network === undefined) throw new BackupError('backup_damaged', 'the backup is of no known network');
  return { network, keyId: reader.bytes(keyIdLength) };
}

/**
 * Decrypts, authenticates and reads a backup. Nothing of it is believed before it is known to be ours.
 * @throws BackupError with any of its codes but `backup_too_large` for what is longer than any backup.
 */
export function openBackup(sealed: Uint8Array, key: Uint8Array): ChannelBackup {
  if (sealed.length > maxBackupLength) {
    throw new BackupError('backup_too_large', `${sealed.length} bytes are more than any backup has`);
  }
  const { network, keyId } = readBackupHeader(sealed);
  if (!equalBytes(keyId, backupKeyId(key))) {
    throw new BackupError(
      'backup_other_node',
      `the backup is of another node on ${network}: other words belong to it`,
    );
  }
  const reader = new ByteReader(decrypt(sealed, key));
  const length = reader.u32();
  if (length > reader.left) throw new BackupError('backup_invalid', 'the backup claims more than it has');
  return decodeBackup(reader.bytes(length), network);
}

function decrypt(sealed: Uint8Array, key: Uint8Array): Uint8Array {
  try {
    return decryptAead({
      key,
      nonce: sealed.slice(authenticatedLength, headerLength),
      associatedData: sealed.slice(0, authenticatedLength),
      ciphertext: sealed.subarray(headerLength),
    });
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new BackupError('backup_damaged', 'the backup was changed or is not complete: take another copy', {
      cause,
    });
  }
}
