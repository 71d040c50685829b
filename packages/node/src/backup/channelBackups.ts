import { randomBytes as systemRandomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BackupAddress,
  backedUpParams,
  type ChannelBackup,
  encodeBackedUpChannel,
  sealBackup,
} from '@rivulet/core/backup';
import { ByteReader, ByteWriter, bytesToHex, equalBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { NodeStorage } from '@rivulet/storage';
import { FundingStore } from '../driver/fundingStore.js';
import type { NodePart } from '../driver/nodePart.js';
import type { ChannelKey, Turns } from '../driver/turns.js';
import { channelLogger, type Logger } from '../logging/logger.js';
import type { PeerInfo, Scheduler } from '../peers/index.js';
import { BackupFile, type BackupFileStatus } from './backupFile.js';
import { type BackupKeys, backupKeysOf } from './backupKeys.js';
import { type BackupRecord, isSameChannel, recordOf, sameEntries } from './backupRecord.js';
import { type FileSteps, nodeFileSteps } from './durableFile.js';
import { readWalletCounts } from './walletCounts.js';

export const backupFileName = 'channels.backup';
const birthHeightKey = 'backup/birth-height';
const retryMs = 3_600_000;
const askedRetryMs = 10_000;
/** How many addresses the wallet may give out before the backup is written anew for them: half of its gap. */
const addressMargin = 10;

export interface ChannelBackupsOptions {
  /** The wallet's, 64 bytes. */
  readonly seed: Uint8Array;
  readonly network: BackupKeys['network'];
  /** Where the first file is: the data folder. */
  readonly dataDir: string;
  /** Further files, or folders (in which the file has the node's id in its name). */
  readonly paths?: readonly string[];
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly scheduler: Scheduler;
  readonly now: () => number;
  readonly logger: Logger;
  /** Where a node says that it can be reached, as `host:port`. */
  readonly addressesOf?: (nodeId: Uint8Array) => readonly string[];
  readonly randomBytes?: (count: number) => Uint8Array;
  readonly files?: FileSteps;
}

/**
 * Keeps a sealed list of all channels that are not closed, in files that are replaced whenever a channel comes,
 * goes, or confirms: before the funding transaction of a new one is broadcast, or its peer hears of it. Payments
 * change nothing of it. What it recovers is in docs/operations.md.
 */
export class ChannelBackups implements NodePart {
  readonly keys: BackupKeys;
  readonly #options: ChannelBackupsOptions;
  readonly #files: readonly BackupFile[];
  readonly #logger: Logger;
  readonly #records = new Map<ChannelKey, BackupRecord>();
  readonly #dialed = new Map<string, BackupAddress>();
  readonly #listeners: (() => void)[] = [];
  /** The storage was empty when we came: the first block that it gets is where the node began. */
  #birthHeight: number | 'unknown' | 'awaited';
  #current: ChannelBackup | undefined;
  #cancelRetry: () => void = () => {};
  #stopped = false;
  #triedAt = 0;

  constructor(options: ChannelBackupsOptions) {
    const { seed, network, dataDir, storage } = options;
    this.#options = options;
    this.#logger = options.logger;
    this.keys = backupKeysOf(seed, network);
    const steps = options.files ?? nodeFileSteps;
    const countUnknown = (backup: ChannelBackup) => this.unknownChannels(backup).length;
    const paths = [join(dataDir, backupFileName), ...(options.paths ?? []).map((path) => this.#pathOf(path))];
    this.#files = paths.map(
      (path) => new BackupFile({ path, key: this.keys.key, steps, logger: options.logger, countUnknown }),
    );
    const stored = storage.getValue(birthHeightKey);
    if (stored !== undefined) this.#birthHeight = new ByteReader(stored).u32();
    else this.#birthHeight = storage.getTip() === undefined ? 'awaited' : 'unknown';
    for (const { nodeId, host, port } of storage.loadPeers()) {
      this.#dialed.set(bytesToHex(nodeId), { host, port });
    }
  }

  /** In a folder that several nodes may share each has a file of its own. */
  #pathOf(path: string): string {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    return isFolder ? join(path, `channels-${bytesToHex(this.keys.nodeId).slice(0, 16)}.backup`) : path;
  }

  /** What the backup says now; `undefined` before the stored channels were read. */
  get current(): ChannelBackup | undefined {
    return this.#current;
  }

  /** Calls after each change of what the backup says. */
  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  status(): BackupFileStatus[] {
    return this.#files.map(({ status }) => status);
  }

  /** Why no channel can be opened now, for people: there would be no backup of it. May have tried again. */
  whyNoChannels(): string | undefined {
    const isFailing = () => this.#files.every((file) => file.isFailing);
    if (!isFailing()) return undefined;
    // Peers ask for channels too: they do not decide how often the disk is tried.
    if (this.#options.scheduler.now() - this.#triedAt >= askedRetryMs) this.retry();
    if (!isFailing()) return undefined;
    const [first] = this.status();
    return `the backup of the channels cannot be written (${first?.error}): no channel is opened until it can`;
  }

  onCommitted(changed: ReadonlySet<ChannelKey>): void {
    if (this.#current === undefined) {
      this.#begin();
      return;
    }
    this.#noteBirth();
    if (changed.size > 0 && this.#refresh(changed)) this.#changed();
  }

  /** The peer may have been found at another address. */
  peerConnected({ nodeId, inbound, address }: PeerInfo): void {
    if (inbound) return;
    const known = this.#dialed.get(nodeId);
    if (known?.host === address.host && known.port === address.port) return;
    this.#dialed.set(nodeId, { host: address.host, port: address.port });
    if (this.#current === undefined) return;
    const concerned = [...this.#records].filter(
      ([, { params }]) => bytesToHex(params.remoteNodeId) === nodeId,
    );
    if (concerned.length === 0) return;
    for (const [key] of concerned) this.#records.delete(key);
    this.#refresh(new Set(concerned.map(([key]) => key)));
    this.#changed();
  }

  onCaughtUp(): void {
    if (this.#current === undefined) return;
    const counts = readWalletCounts(this.#options.storage);
    const { walletNext } = this.#current;
    if (counts.some((count, i) => count >= (walletNext[i] ?? 0) + addressMargin)) this.#changed();
  }

  start(): void {
    if (this.#current === undefined) this.#begin();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry();
  }

  /** Writes the files that could not be written, now. */
  retry(): void {
    if (this.#current === undefined) return;
    this.#writeWhere((file) => file.isFailing);
  }

  /** The first block that the storage got is where the node began. */
  #noteBirth(): void {
    if (this.#birthHeight !== 'awaited') return;
    const height = this.#options.storage.getTip()?.height;
    if (height === undefined) return;
    this.#birthHeight = height;
    const value = new ByteWriter(4).u32(height).finish();
    this.#options.turns.enqueue({ run: (turn) => turn.tx.putValue(birthHeightKey, value) });
    this.#changed();
  }

  /** Before anything of this run is let out: what is stored and what the files say is compared. */
  #begin(): void {
    this.#refresh(new Set(this.#options.turns.channels.keys()));
    const existing = this.#files.map((file) => file.look());
    const fresh = this.#sinceBefore(this.#describe(), existing);
    const same = existing.find((backup) => backup !== undefined && this.#says(backup, fresh));
    this.#current = same === undefined ? fresh : { ...fresh, createdAtMs: same.createdAtMs };
    // One that says the same stays as it is.
    this.#writeWhere((file) => {
      const backup = existing[this.#files.indexOf(file)];
      return backup === undefined || !this.#says(backup, fresh);
    });
    this.#tell();
    this.#noteBirth();
  }

  /** A node that was restored and has seen no block yet knows less of blocks than its backup. */
  #sinceBefore(fresh: ChannelBackup, existing: readonly (ChannelBackup | undefined)[]): ChannelBackup {
    const before = existing.find((backup) => backup !== undefined);
    if (before === undefined || this.#options.storage.getTip() !== undefined) return fresh;
    const { height, birthHeight } = before;
    return { ...fresh, height, ...(birthHeight === undefined ? {} : { birthHeight }) };
  }

  /** Channels that a backup of ours has and the database does not. */
  unknownChannels(backup: ChannelBackup): Uint8Array[] {
    return backup.channels
      .map((entry) => backedUpParams(entry, this.keys.basepointsOf).channelId)
      .filter((channelId) => !this.#options.turns.channels.has(bytesToHex(channelId)));
  }

  /** Whether a backup says the same as another, but for times. */
  #says(backup: ChannelBackup, other: ChannelBackup): boolean {
    return (
      backup.birthHeight === other.birthHeight &&
      other.walletNext.every((count, i) => count < (backup.walletNext[i] ?? 0) + addressMargin) &&
      sameEntries(backup.channels.map(encodeBackedUpChannel), other.channels.map(encodeBackedUpChannel))
    );
  }

  /** Takes over what changed. Says whether the backup has to say something else now. */
  #refresh(keys: ReadonlySet<ChannelKey>): boolean {
    const { turns, storage } = this.#options;
    let fundings: FundingStore | undefined;
    let changed = false;
    for (const key of keys) {
      const channel = turns.channels.get(key);
      if (channel === undefined || channel.phase.name === 'closed') {
        changed = this.#records.delete(key) || changed;
        continue;
      }
      const known = this.#records.get(key);
      if (known !== undefined && isSameChannel(known, channel)) continue;
      fundings ??= new FundingStore(storage);
      const record = this.#recordOf(channel, fundings);
      if (record === undefined) continue;
      this.#records.set(key, record);
      if (known === undefined || !equalBytes(known.bytes, record.bytes)) changed = true;
    }
    return changed;
  }

  /** What cannot be backed up for a fault of ours must not keep the others from it. */
  #recordOf(channel: Channel, fundings: FundingStore): BackupRecord | undefined {
    const { channelId, remoteNodeId } = channel.params;
    try {
      return recordOf(channel, {
        closingScript: fundings.closingScript(channelId),
        addresses: this.#addressesOf(remoteNodeId),
      });
    } catch (err) {
      channelLogger(this.#logger, channelId).error({ err }, 'this channel cannot be backed up; report it');
      return undefined;
    }
  }

  #addressesOf(nodeId: Uint8Array): BackupAddress[] {
    const dialed = this.#dialed.get(bytesToHex(nodeId));
    const announced = (this.#options.addressesOf?.(nodeId) ?? []).flatMap((text) => {
      const colon = text.lastIndexOf(':');
      const port = Number(text.slice(colon + 1));
      const host = text.slice(0, colon).replace(/^\[|\]$/g, '');
      return colon > 0 && host.length < 256 && port > 0 ? [{ host, port }] : [];
    });
    const all = dialed === undefined ? announced : [dialed, ...announced];
    return all.filter(
      ({ host, port }, i) => all.findIndex((other) => other.host === host && other.port === port) === i,
    );
  }

  #describe(): ChannelBackup {
    const { storage, now } = this.#options;
    const { network, nodeId } = this.keys;
    return {
      network,
      nodeId,
      createdAtMs: now(),
      height: storage.getTip()?.height ?? 0,
      ...(typeof this.#birthHeight === 'number' ? { birthHeight: this.#birthHeight } : {}),
      walletNext: readWalletCounts(storage),
      omitted: 0,
      channels: [...this.#records.values()].map(({ entry }) => entry),
    };
  }

  #changed(): void {
    this.#current = this.#describe();
    this.#writeWhere(() => true);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #writeWhere(isMeant: (file: BackupFile) => boolean): void {
    const backup = this.#current;
    if (backup === undefined) return;
    this.#triedAt = this.#options.scheduler.now();
    const nonce = Uint8Array.from((this.#options.randomBytes ?? systemRandomBytes)(12));
    const sealed = sealBackup(backup, { key: this.keys.key, nonce });
    const written = { channels: backup.channels.length, nowMs: this.#options.now() };
    for (const file of this.#files) if (isMeant(file)) file.write(sealed, written);
    this.#cancelRetry();
    if (this.#stopped || !this.#files.some((file) => file.isToBeTriedAgain)) return;
    this.#cancelRetry = this.#options.scheduler.schedule(retryMs, () => this.retry());
  }
}
