import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { type NodeStorage, StorageError } from '@rivulet/storage';
import { createDice } from '../interop/dice.js';
import { tearWal } from './tornWal.js';

/** What goes wrong with the transaction that is the `after`-th from now, counted from 1. */
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
    const { inner, die, onFault } = this.#options;
    const fault = this.#fault;
    if (fault === undefined || --this.#left > 0) return inner.transaction(body);
    switch (fault.kind) {
      case 'die': {
        if (fault.when === 'before_begin') die();
        const result = inner.transaction((tx) => {
          const result = body(tx);
          if (fault.when === 'before_commit') die();
          return result;
        });
        if (fault.when === 'after_commit') die();
        // What the turn lets out is let out before this turn of the event loop ends.
        process.nextTick(die);
        return result;
      }
      case 'torn_commit':
        return this.#tear(body, fault.seed);
      case 'disk_full': {
        // As often as it was asked for, from here on.
        if (this.#left <= 1 - fault.times) this.#fault = undefined;
        onFault(fault);
        const full = () => new StorageError('disk_full', 'no room on the disk (chaos)');
        return inner.transaction((tx) => {
          if (fault.when === 'first_write') throw full();
          body(tx);
          throw full();
        });
      }
      case 'io': {
        this.#fault = undefined;
        if (fault.when === 'lost_answer') inner.transaction(body);
        this.#failed = new StorageError('io', 'the disk failed (chaos); restart the node');
        onFault(fault);
        throw this.#failed;
      }
    }
  };

  #tear(body: Parameters<NodeStorage['transaction']>[0], seed: number): never {
    const { inner, path, die } = this.#options;
    const wal = `${path}-wal`;
    let before = new Uint8Array();
    let changed = 0n;
    inner.transaction((tx) => {
      body(tx);
      before = Uint8Array.from(readFileSync(wal));
      changed = statSync(path, { bigint: true }).mtimeNs;
    });
    // A commit that went on to copy the log into the file had synced the log before: it may not be torn.
    if (statSync(path, { bigint: true }).mtimeNs === changed) {
      writeFileSync(wal, tearWal(before, readFileSync(wal), createDice(seed)));
    }
    return die();
  }
}
