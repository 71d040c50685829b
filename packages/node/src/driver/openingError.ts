import { RivuletError } from '@rivulet/core/bytes';

export type OpeningErrorCode =
  | 'peer_silent'
  | 'rejected_by_peer'
  | 'disconnected'
  | 'message_unexpected'
  | 'too_many_openings'
  /** This node takes nothing new now: its disk is full, or its channels cannot be backed up. */
  | 'not_accepting';

/** Why a channel was not opened. No coins were spent. */
export class OpeningError extends RivuletError<OpeningErrorCode> {}
