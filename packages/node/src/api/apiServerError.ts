import { RivuletError } from '@rivulet/core/bytes';
import { type ServerErrorCode, serverErrorStatus } from '@rivulet/sdk';

/** A request that the server itself refuses. */
export class RequestError extends RivuletError<ServerErrorCode> {
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ServerErrorCode, message: string, details?: Readonly<Record<string, unknown>>) {
    super(code, message);
    this.details = details;
  }

  get status(): number {
    return serverErrorStatus[this.code];
  }
}

export type ApiServerErrorCode =
  /** Somebody else listens there. */
  | 'api_address_in_use'
  | 'api_address_unavailable'
  /** The token's file is there but holds no token. */
  | 'api_token_invalid';

/** An API that cannot start. */
export class ApiServerError extends RivuletError<ApiServerErrorCode> {}
