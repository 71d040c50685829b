import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Network } from '@rivulet/chain';
import {
  type BackupNetwork,
  type ChannelBackup,
  firstHeightOf,
  openBackup,
  readBackupHeader,
  restoredChannels,
} from '@rivulet/core/backup';
import { ByteReader, ByteWriter, bytesToHex, bytesToUtf8, utf8ToBytes } from '@rivulet/core/bytes';
import { type Channel, encodeChannel } from '@rivulet/core/channel';
import { initCrypto } from '@rivulet/core/crypto';
import { type NodeStorage, openStorage, restoreCopy, type StorageReader } from '@rivulet/storage';
import { loadChannels } from '../driver/channelStore.js';
import { FundingStore } from '../driver/fundingStore.js';
import { claimStorage } from '../ownership.js';
import { wordsToSeed } from '../wallet/index.js';
import { wordsFileName } from '../walletWords.js';
import { BackupFolderError } from './backupFolderError.js';
import { backupKeysOf } from './backupKeys.js';
import { backupFileName } from './channelBackups.js';
import { createFile, nodeFileSteps } from './durableFile.js';
import { storeSurroundings } from './importBackup.js';
import { markUnproven } from './unproven.js';
import { writeWalletCounts } from './walletCounts.js';

const databaseFileName = 'rivulet.db';
const birthHeightKey = 'restored/birth-height';
/** What may lie in a folder that a node is restored into: settings are not lost by it. */
const harmless = new Set(['rivulet.json']);

/** What was restored, and what happens next. */
export interface RestoredFolder {
  readonly dataDir: string;
  readonly network: Network;
  readonly nodeId: string;
  readonly channels: number;
  /** From where on the chain is read at the next start; absent for a copy, which knows by itself. */
  readonly birthHeight?: number;
}

/** The height at which a node that was restored begins to read the chain; for its first start. */
export function restoredBirthHeight(storage: StorageReader): number | undefined {
  const value = storage.getValue(birthHeightKey);
  return value === undefined ? undefined : new ByteReader(value).u32();
}

/** Reads a file that a person named. @throws BackupFolderError */
export function readGiven(path: string, what: string): Uint8Array {
  try {
    return Uint8Array.from(readFileSync(path));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
    throw new BackupFolderError(
      isMissing ? 'file_missing' : 'file_unreadable',
      isMissing ? `${what} is not there: ${path}` : `${what} cannot be read (${code}): ${path}`,
      { cause },
    );
  }
}

/** @throws BackupFolderError `folder_not_empty`, `folder_unusable` */
function requireEmpty(dataDir: string): void {
  const found = existsSync(dataDir)
    ? usable(dataDir, () => readdirSync(dataDir)).filter((name) => !harmless.has(name))
    : [];
  if (found.length === 0) return;
  throw new BackupFolderError(
    'folder_not_empty',
    `${dataDir} is not empty (${found.slice(0, 3).join(', ')}${found.length > 3 ? ', …' : ''}): a node is restored ` +
      'into an empty folder alone, so that nothing that is left of it is lost. Choose another with --data-dir',
  );
}

/** @throws BackupFolderError `folder_unusable` */
function usable<T>(dataDir: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new BackupFolderError(
      'folder_unusable',
      `${dataDir} cannot be used as a data folder (${code}): choose another with --data-dir, or give this user the right to write there`,
      { cause },
    );
  }
}

/** Leaves nothing behind of what did not succeed: the next attempt finds the folder empty. */
function intoEmptyFolder<T>(dataDir: string, work: () => T): T {
  requireEmpty(dataDir);
  usable(dataDir, () => mkdirSync(dataDir, { recursive: true, mode: 0o700 }));
  try {
    return work();
  } catch (error) {
    for (const name of readdirSync(dataDir)) {
      if (!harmless.has(name)) rmSync(join(dataDir, name), { force: true, recursive: true });
    }
    throw error;
  }
}

function openBackupOf(sealed: Uint8Array, words: string): { backup: ChannelBackup; seed: Uint8Array } {
  const seed = wordsToSeed(words);
  const { network } = readBackupHeader(sealed);
  return { backup: openBackup(sealed, backupKeysOf(seed, network).key), seed };
}

/**
 * Makes a data folder of a node's words and a backup of its channels: at its next start it asks their peers to
 * close them and collects what is ours.
 * @param birthHeight the block of the wallet's first coin, where it is earlier than what the backup knows.
 * @throws BackupError, WalletError (words), BackupFolderError; then the folder is as it was.
 */
export async function restoreFromBackup(given: {
  dataDir: string;
  words: string;
  sealed: Uint8Array;
  birthHeight?: number;
}): Promise<RestoredFolder> {
  const { words, sealed } = given;
  const dataDir = resolve(given.dataDir);
  await initCrypto();
  const { backup, seed } = openBackupOf(sealed, words);
  const { network } = backup;
  const { basepointsOf, nodeId } = backupKeysOf(seed, network);
  const channels = restoredChannels(backup, basepointsOf);
  const birthHeight = Math.min(firstHeightOf(backup), given.birthHeight ?? Number.MAX_SAFE_INTEGER);
  intoEmptyFolder(dataDir, () => {
    const wordsFile = join(dataDir, wordsFileName);
    withStorage(dataDir, (storage) => {
      claimStorage(storage, { seed, network, wordsFile, dataDir });
      const fundings = new FundingStore(storage);
      storage.transaction((tx) => {
        for (const channel of channels) {
          const { channelId, remoteNodeId } = channel.params;
          tx.putChannel({ channelId, remoteNodeId, state: encodeChannel(channel) });
        }
        storeSurroundings(tx, { backup, channels, fundings });
        writeWalletCounts(tx, backup.walletNext);
        tx.putValue(birthHeightKey, new ByteWriter(4).u32(birthHeight).finish());
      });
    });
    createFile(join(dataDir, backupFileName), sealed);
    // The words last: without them nothing can be started of what was left half done.
    createFile(wordsFile, utf8ToBytes(`${words.trim()}\n`));
  });
  return { dataDir, network, nodeId: bytesToHex(nodeId), channels: channels.length, birthHeight };
}

function withStorage<T>(dataDir: string, work: (storage: NodeStorage) => T): T {
  const storage = openStorage({ path: join(dataDir, databaseFileName) });
  try {
    return work(storage);
  } finally {
    storage.close();
  }
}

/**
 * Makes a data folder of a copy of another one's database, of unknown age. Nothing of its channels is published
 * before their peers have shown that the copy is the latest.
 * @param copyDir the folder of a live copy, or a copy of a data folder. @param words where there are none beside it.
 * @throws BackupFolderError, StorageError, WalletError (words); then the folder is as it was.
 */
export async function restoreFromCopy(given: {
  dataDir: string;
  copyDir: string;
  words?: string;
}): Promise<RestoredFolder> {
  const dataDir = resolve(given.dataDir);
  const copyDir = resolve(given.copyDir);
  await initCrypto();
  const words = given.words ?? readText(join(copyDir, wordsFileName), 'the file of words beside the copy');
  const seed = wordsToSeed(words);
  return intoEmptyFolder(dataDir, () => {
    const whole = join(copyDir, databaseFileName);
    // Where no node opens it, as long as it is not marked: not even when this ends halfway.
    const unfinished = join(dataDir, 'restoring');
    mkdirSync(unfinished, { mode: 0o700 });
    restoreCopy({ from: existsSync(whole) ? whole : copyDir, to: join(unfinished, databaseFileName) });
    const wordsFile = join(dataDir, wordsFileName);
    const restored = withStorage(unfinished, (storage) => {
      const network = ownerNetwork(storage);
      const { nodeId } = backupKeysOf(seed, network);
      claimStorage(storage, { seed, network, wordsFile: 'the words that were given', dataDir });
      const channels = loadChannels(storage).filter(({ phase }) => phase.name !== 'closed');
      storage.transaction((tx) =>
        markUnproven(
          tx,
          channels.filter(mayBeRevoked).map(({ params }) => params.channelId),
        ),
      );
      return { dataDir, network, nodeId: bytesToHex(nodeId), channels: channels.length };
    });
    // A log that was left goes first: the file alone would lack what is in it.
    for (const name of [`${databaseFileName}-wal`, databaseFileName]) {
      if (existsSync(join(unfinished, name))) renameSync(join(unfinished, name), join(dataDir, name));
    }
    rmSync(unfinished, { recursive: true });
    nodeFileSteps.syncFolder(dataDir);
    createFile(wordsFile, utf8ToBytes(`${words.trim()}\n`));
    return restored;
  });
}

/** Of one that had failed in the copy nothing was signed or revoked since: its commitment is the latest. */
function mayBeRevoked({ phase }: Channel): boolean {
  return phase.name !== 'failed';
}

function readText(path: string, what: string): string {
  return bytesToUtf8(readGiven(path, what)) ?? '';
}

/** @throws BackupFolderError `copy_invalid` */
function ownerNetwork(storage: StorageReader): Network {
  const [network] = (bytesToUtf8(storage.getValue('owner') ?? new Uint8Array(0)) ?? '').split(' ');
  switch (network) {
    case 'mainnet':
    case 'testnet4':
    case 'signet':
    case 'regtest':
      return network;
    default:
      throw new BackupFolderError('copy_invalid', 'the copy is the database of no node');
  }
}

/** A copy of the backup of a data folder, whether its daemon runs or not. @throws BackupError, BackupFolderError */
export function copyBackup({ dataDir, to }: { dataDir: string; to: string }): {
  readonly path: string;
  readonly network: BackupNetwork;
  readonly bytes: number;
} {
  const source = join(dataDir, backupFileName);
  const sealed = readGiven(source, 'the backup of the channels (it is made when the daemon starts)');
  const { network } = readBackupHeader(sealed);
  const path = resolve(to);
  try {
    createFile(path, sealed);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      throw new BackupFolderError('file_exists', `${path} is there already, and is not replaced`, { cause });
    }
    if (code !== 'EPERM' && code !== 'ENOTSUP') {
      throw new BackupFolderError('file_unreadable', `${path} cannot be written (${code})`, { cause });
    }
    // A file system without hard links, as on many sticks.
    if (existsSync(path)) {
      throw new BackupFolderError('file_exists', `${path} is there already, and is not replaced`, { cause });
    }
    nodeFileSteps.write(path, sealed);
  }
  return { path, network, bytes: sealed.length };
}

/** Reads a backup with the words of its node. @throws BackupError, WalletError (words) */
export async function verifyBackup({
  sealed,
  words,
}: {
  sealed: Uint8Array;
  words: string;
}): Promise<ChannelBackup> {
  await initCrypto();
  return openBackupOf(sealed, words).backup;
}
