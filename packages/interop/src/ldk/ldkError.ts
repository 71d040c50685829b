import { RivuletError } from '@rivulet/core/bytes';

export type LdkErrorCode =
  /** LDK refused a call: wrong state, unknown channel, no route. */
  | 'ldk_refused'
  /** What was awaited did not happen in time. */
  | 'ldk_timeout'
  | 'ldk_payment_failed'
  | 'ldk_not_running'
  /** The child process ended, or could not be started. */
  | 'ldk_process'
  /** What was persisted does not load. */
  | 'ldk_persistence';

/** A failure of the LDK peer, or of what drives it. */
export class LdkError extends RivuletError<LdkErrorCode> {}
