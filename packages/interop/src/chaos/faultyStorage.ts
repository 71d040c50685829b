import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { type NodeStorage, StorageError } from '@rivulet/storage';
import { createDice } from '../interop/dice.js';
import { tearWal } from './tornWal.js';

/**
 * What goes wrong with the transaction that is the `after`-th from now, counted from 1: of all that there are, where it
 * fails before its body runs, otherwise of those that write a channel.
 */
export type StorageFault =
  | {
      readonly kind: 'die';
      /** `after_commit`: all of it is stored, nothing of it was let out; `after_release`: it was let out. */
      readonly when: 'before_begin' | 'before_commit' | 'after_commit' | 'after_release';
      readonly after: number;
    }
  /** The process and the machine die while the commit is written: it never returns. */
  | { readonly kind: 'torn_commit'; readonly after: number; readonly seed: number }
  /** As a full disk: these transactions fail and leave nothing, later ones succeed again. */
  | {
      readonly kind: 'disk_full';
      readonly when: 'first_write' | 'commit';
      readonly after: number;
      readonly times: number;
    }
  /** The storage fails for good; with `lost_answer` the transaction is durable all the same. */
  | { readonly kind: 'io'; readonly when: 'before' | 'lost_answer'; readonly after: number };

interface FaultyStorageOptions {
  readonly inner: NodeStorage;
  /** The database file. */
  readonly path: string;
  /** Ends this process at once; does not return. */
  readonly die: () => never;
  /** A fault has struck, and the process lives on. */
  readonly onFault: (fault: StorageFault) => void;
}

/** The node's storage, which can be told to fail, or to take the process with it, at a transaction to come. */
export class FaultyStorage {
  readonly storage: NodeStorage;
  readonly #options: FaultyStorageOptions;
  #fault: StorageFault | undefined;
  #left = 0;
  #failed: StorageError | undefined;

  constructor(options: FaultyStorageOptions) {
    this.#options = options;
    const { inner } = options;
    const methods = (Object.keys(inner) as (keyof NodeStorage)[]).map((name) => [
      name,
      (...args: readonly unknown[]) => {
        if (this.#failed !== undefined && name !== 'close') throw this.#failed;
        return (inner[name] as (...args: readonly unknown[]) => unknown)(...args);
      },
    ]);
    const transaction: NodeStorage['transaction'] = (body) => this.#transaction(body);
    this.storage = { ...(Object.fromEntries(methods) as NodeStorage), transaction };
  }

  /** Instead of a fault that has not struck yet. */
  arm(fault: StorageFault | undefined): void {
    this.#fault = fault;
    this.#left = fault?.after ?? 0;
  }

  #transaction: NodeStorage['transaction'] = (body) => {
    if (this.#failed !== undefined) throw this.#failed;
    const { inner, path, die } = this.#options;
    const fault = this.#fault;
    if (fault === undefined) return inner.transaction(body);
    if (isBeforeBody(fault) && this.#isNow()) return this.#failBefore(fault, body);
    let strikes = false;
    let before = new Uint8Array();
    let changed = 0n;
    const result = inner.transaction((tx) => {
      let writesChannel = false;
      const result = body({
        ...tx,
        putChannel: (channel) => {
          writesChannel = true;
          tx.putChannel(channel);
        },
      });
      strikes = writesChannel && !isBeforeBody(fault) && this.#isNow();
      if (!strikes) return result;
      if (fault.kind === 'die' && fault.when === 'before_commit') die();
      if (fault.kind === 'disk_full') this.#diskFull(fault);
      if (fault.kind === 'torn_commit') {
        before = Uint8Array.from(readFileSync(`${path}-wal`));
        changed = changedAt(path);
      }
      return result;
    });
    if (!strikes) return result;
    if (fault.kind === 'torn_commit') {
      // A commit that went on to copy the log into the file had synced the log before: it may not be torn.
      if (changedAt(path) === changed) {
        const wal = `${path}-wal`;
        writeFileSync(wal, tearWal(before, readFileSync(wal), createDice(fault.seed)));
      }
      return die();
    }
    if (fault.kind === 'io') return this.#diskFails(fault);
    if (fault.kind === 'die' && fault.when === 'after_commit') return die();
    // What the turn lets out is let out before this turn of the event loop ends.
    process.nextTick(die);
    return result;
  };

  /** Counts down. */
  #isNow(): boolean {
    this.#left--;
    return this.#left <= 0;
  }

  #failBefore(fault: StorageFault, body: Parameters<NodeStorage['transaction']>[0]): never {
    const { inner, die } = this.#options;
    if (fault.kind === 'die') die();
    if (fault.kind === 'io') this.#diskFails(fault);
    return inner.transaction((tx) => {
      if (fault.kind === 'disk_full') this.#diskFull(fault);
      // It is never come to: each of these throws.
      return body(tx) as never;
    });
  }

  #diskFull(fault: Extract<StorageFault, { kind: 'disk_full' }>): never {
    // As often as it was asked for, from the first time on.
    if (this.#left <= 1 - fault.times) this.#fault = undefined;
    this.#options.onFault(fault);
    throw new StorageError('disk_full', 'no room on the disk (chaos)');
  }

  #diskFails(fault: Extract<StorageFault, { kind: 'io' }>): never {
    this.#fault = undefined;
    this.#failed = new StorageError('io', 'the disk failed (chaos); restart the node');
    this.#options.onFault(fault);
    throw this.#failed;
  }
}

function isBeforeBody(fault: StorageFault): boolean {
  switch (fault.kind) {
    case 'die':
      return fault.when === 'before_begin';
    case 'torn_commit':
      return false;
    case 'disk_full':
      return fault.when === 'first_write';
    case 'io':
      return fault.when === 'before';
  }
}

function changedAt(path: string): bigint {
  return statSync(path, { bigint: true }).mtimeNs;
}
