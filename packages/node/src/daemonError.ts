import { RivuletError } from '@rivulet/core/bytes';

export type DaemonErrorCode =
  /** The file with the wallet's words cannot be read or holds no words. */
  | 'words_invalid'
  | 'words_unreadable'
  | 'data_folder'
  | 'mining_failed'
  /** The backend follows another network than the one that is configured. */
  | 'wrong_network';

/** Why a daemon could not start or do what was asked. */
export class DaemonError extends RivuletError<DaemonErrorCode> {}
