import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { BackupError, type ChannelBackup, openBackup } from '@rivulet/core/backup';
import type { Logger } from '../logging/logger.js';
import { type FileSteps, replaceFile } from './durableFile.js';

/** How one file of the backup is. */
export interface BackupFileStatus {
  readonly path: string;
  /** When it was written last, as far as is known. */
  readonly writtenAtMs: number | undefined;
  /** In the file. */
  readonly channels: number;
  /** Why the last attempt to write it failed. */
  readonly error?: string;
}

export interface BackupFileOptions {
  readonly path: string;
  readonly key: Uint8Array;
  readonly steps: FileSteps;
  readonly logger: Logger;
  /** How many channels of a backup of ours the database does not have. */
  readonly countUnknown: (backup: ChannelBackup) => number;
}

/** One place of the backup. What is there from before is looked at before it is replaced, and never lost. */
export class BackupFile {
  readonly path: string;
  readonly #options: BackupFileOptions;
  #looked = false;
  #writtenAtMs: number | undefined;
  #channels = 0;
  #error: string | undefined;
  /** It is somebody else's: never replaced. */
  #refused = false;

  constructor(options: BackupFileOptions) {
    this.path = options.path;
    this.#options = options;
  }

  get status(): BackupFileStatus {
    return {
      path: this.path,
      writtenAtMs: this.#writtenAtMs,
      channels: this.#channels,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  get isFailing(): boolean {
    return this.#error !== undefined;
  }

  /** Whether another attempt may help. */
  get isToBeTriedAgain(): boolean {
    return this.isFailing && !this.#refused;
  }

  /** What it has that was there before us; `undefined` where that is nothing that we could use. */
  look(): ChannelBackup | undefined {
    if (this.#looked) return undefined;
    let sealed: Uint8Array;
    let mtimeMs: number;
    try {
      sealed = readFileSync(this.path);
      ({ mtimeMs } = statSync(this.path));
      this.#looked = true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Without its folder it is a disk that is not there: what is on that is looked at when it comes.
      if (code === 'ENOENT' && existsSync(dirname(this.path))) this.#looked = true;
      else this.#fail(error);
      return undefined;
    }
    try {
      const backup = openBackup(sealed, this.#options.key);
      this.#writtenAtMs = Math.round(mtimeMs);
      this.#channels = backup.channels.length;
      const unknown = this.#options.countUnknown(backup);
      if (unknown > 0) this.#keep({ sealed, backup, unknown });
      return backup;
    } catch (error) {
      if (!(error instanceof BackupError)) {
        this.#fail(error);
        return undefined;
      }
      // Ours and torn is of no use to anybody; anything else may be dear to somebody.
      if (error.code !== 'backup_damaged' && error.code !== 'backup_invalid') {
        this.#refuse(new Error(`there is another file: ${error.message}. It is not replaced`));
      }
      return undefined;
    }
  }

  write(sealed: Uint8Array, { channels, nowMs }: { channels: number; nowMs: number }): void {
    if (!this.#looked) this.look();
    if (!this.#looked || this.#refused) return;
    try {
      replaceFile(this.path, sealed, this.#options.steps);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.isFailing) {
      this.#options.logger.info({ path: this.path }, 'the backup of the channels is written again');
    }
    this.#error = undefined;
    this.#writtenAtMs = nowMs;
    this.#channels = channels;
  }

  /** The database lacks channels that the file has: what is in the file must not be lost too. */
  #keep({ sealed, backup, unknown }: { sealed: Uint8Array; backup: ChannelBackup; unknown: number }): void {
    const kept = `${this.path}.lost-${backup.createdAtMs}`;
    try {
      replaceFile(kept, sealed, this.#options.steps);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    this.#options.logger.error(
      { path: kept, channels: unknown },
      'the backup has channels that the database does not have: data was lost. The backup is kept: stop the ' +
        'node, and restore it into an empty folder with rivulet restore',
    );
  }

  #refuse(error: unknown): void {
    this.#refused = true;
    this.#fail(error);
  }

  #fail(error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException;
    this.#error = code ?? message;
    this.#options.logger.warn(
      { err: error, path: this.path },
      'the backup of the channels cannot be written there: make room, mount the disk, or give this user the ' +
        'right to write; it is tried again at the next change and each hour',
    );
  }
}
