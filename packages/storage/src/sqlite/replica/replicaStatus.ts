import type { ReplicaFiles } from './replicaFiles.js';

/** Where a live copy of the database is kept. */
export interface ReplicaOptions {
  /**
   * A folder of its own, on another disk or another machine. It is made when it is not there. The copy in it
   * consists of `rivulet.sqlite` and `rivulet.sqlite-wal`; to restore it, copy both. A file system of a network is
   * best mounted so that it gives an error when its machine is gone: one that waits makes the node wait.
   */
  readonly folder: string;
  /**
   * Rather stop than go on without the copy. A transaction is refused (`copy_behind`) while the copy is not in
   * step; if the copy fails after a transaction was committed here, the storage takes no more (`copy_lost`).
   */
  readonly required?: boolean | undefined;
  /** Called whenever the state changes, inside of what changed it, possibly a transaction. What it throws is lost. */
  readonly onChange?: ((status: ReplicaStatus) => void) | undefined;
  /** Milliseconds; says when to try again. */
  readonly now?: (() => number) | undefined;
  /** The place's files, for tests that make it fail. */
  readonly files?: ReplicaFiles | undefined;
}

/**
 * - `in_step`: the copy has every transaction that has returned.
 * - `behind`: the copy is sound, and of an earlier transaction: its disk is full, or was away.
 * - `failed`: there is no copy that is known to be sound: the folder is not there, is not ours, or was tampered with.
 */
export type ReplicaState = 'in_step' | 'behind' | 'failed';

export interface ReplicaStatus {
  /** The folder. */
  readonly path: string;
  readonly state: ReplicaState;
  readonly required: boolean;
  /** When this state began, in milliseconds since 1970. */
  readonly since: number;
  /** What failed last, with what to do; kept until the copy is in step again. */
  readonly lastError: string | undefined;
  /** Bytes written since the storage was opened. */
  readonly copiedBytes: number;
  /** The number of the last transaction here, and of the last one in the copy as far as it is known. */
  readonly commits: number;
  readonly copiedCommits: number | undefined;
  /** How many times the whole database was copied since the storage was opened. */
  readonly snapshots: number;
  /** The folder is on the disk that the database is on: what takes that disk takes both. */
  readonly sameDisk: boolean;
}
