import { RivuletError } from '@rivulet/core/bytes';

/**
 * - `locked`: another process has this node's storage open.
 * - `newer_version`: the file was written by a newer Rivulet; nothing was changed.
 * - `disk_full`: nothing of the transaction was kept; the storage is usable again once there is room.
 * - `io`, `corrupt`: the disk failed or the file is damaged. The storage refuses every later call,
 *   because what is durable is no longer known; open it again after the cause is gone.
 * - `duplicate`: a row with this key exists already (a payment hash, an idempotency key).
 * - `not_found`: the row that should change is not there.
 * - `out_of_range`: a value that the column cannot hold; amounts are 0 to 2^63 - 1.
 * - `wrong_use`: a call that a correct program never makes (nested transaction, use after close).
 * - `copy_behind`: the live copy is required and not in step; the transaction was not begun.
 * - `copy_lost`: the transaction is stored, but not in the live copy, which is required. The storage takes no
 *   transaction after it: nothing of it may be let out, and the next start goes on from what is stored.
 * - `copy_conflict`: the copy's folder holds another database, or a newer state of this one; nothing was changed.
 * - `failed`: any other failure of the database.
 */
export type StorageErrorCode =
  | 'locked'
  | 'newer_version'
  | 'disk_full'
  | 'io'
  | 'corrupt'
  | 'duplicate'
  | 'not_found'
  | 'out_of_range'
  | 'wrong_use'
  | 'copy_behind'
  | 'copy_lost'
  | 'copy_conflict'
  | 'failed';

/** Every failure of the storage. A transaction that throws one, `copy_lost` excepted, has changed nothing. */
export class StorageError extends RivuletError<StorageErrorCode> {}
