import { RivuletError } from '../bytes/index.js';

export type BackupErrorCode =
  /** Another kind of file. */
  | 'backup_unrecognized'
  /** Of a later Rivulet. */
  | 'backup_version'
  /** It was sealed with the key of another node, or of the same words on another network. */
  | 'backup_other_node'
  /** It ends too early, or something in it was changed. */
  | 'backup_damaged'
  /** It was sealed by us and contradicts itself: a fault of what wrote it. */
  | 'backup_invalid'
  /** More than fits where it has to go. */
  | 'backup_too_large';

/** Bytes that are no channel backup, or none that can be read here. */
export class BackupError extends RivuletError<BackupErrorCode> {}
