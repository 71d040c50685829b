import { RivuletError } from '@rivulet/core/bytes';

export type BackupFolderErrorCode =
  /** A folder to restore into has something in it. */
  | 'folder_not_empty'
  /** It is no folder, or cannot be written. */
  | 'folder_unusable'
  /** There is no backup, no copy, or no words where they were said to be. */
  | 'file_missing'
  | 'file_unreadable'
  /** A file is there that must not be replaced. */
  | 'file_exists'
  /** The words belong to another node than what is restored. */
  | 'words_wrong'
  /** A copy of a database that is not one, or is damaged. */
  | 'copy_invalid';

/** Why a folder was not restored, or a backup not copied. Nothing was changed. */
export class BackupFolderError extends RivuletError<BackupFolderErrorCode> {}
