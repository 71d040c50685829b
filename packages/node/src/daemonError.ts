import { RivuletError } from '@rivulet/core/bytes';

export type DaemonErrorCode =
  /** The file with the wallet's words cannot be read or holds no words. */
  | 'words_invalid'
  | 'words_unreadable'
  /** There is a database and no words: they are lost or were moved. */
  | 'words_missing'
  /** The database was begun with other words. */
  | 'words_changed'
  | 'data_folder'
  | 'mining_failed'
  | 'port_taken'
  /** The backend, or the database, is of another network than the one that is configured. */
  | 'wrong_network';

/** Why a daemon could not start or do what was asked. */
export class DaemonError extends RivuletError<DaemonErrorCode> {}
