import { RivuletError } from '@rivulet/core/bytes';
import type { ServerErrorCode, ServiceErrorCode } from '../contract/apiError.js';

/** A code of the daemon, or one of the client's own. */
export type ClientErrorCode =
  /** Nothing answers at the daemon's address: the request was not sent. */
  | 'daemon_unreachable'
  /** The connection broke before the answer came: the request may or may not have been carried out. */
  | 'connection_lost'
  /** An answer that the contract does not know: another version, or no Rivulet daemon. */
  | 'response_invalid'
  /** The request does not fit the contract; it was not sent. */
  | 'request_invalid'
  /** This reader of events was too slow and missed some. */
  | 'events_lagged'
  | ServerErrorCode
  | ServiceErrorCode
  | (string & {});

/** Why a call of the daemon failed. */
export class ClientError extends RivuletError<ClientErrorCode> {
  /** The HTTP status, where the daemon answered. */
  readonly status: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(
    code: ClientErrorCode,
    message: string,
    given: { status?: number; details?: Record<string, unknown> | undefined; cause?: unknown } = {},
  ) {
    super(code, message, { cause: given.cause });
    this.status = given.status;
    this.details = given.details;
  }
}
