import { RivuletError } from '@rivulet/core/bytes';

export type ChainErrorCode =
  /** No connection, or the connection broke. Worth trying again. */
  | 'chain_unreachable'
  /** No answer in time. Worth trying again. */
  | 'chain_timeout'
  /** The user, password or cookie was refused. */
  | 'chain_unauthorized'
  /** An answer that is not what the protocol promises. */
  | 'chain_bad_response'
  /** The server answered with an error of its own. */
  | 'chain_server_error'
  /** The backend is on another network than the one that was asked for. */
  | 'chain_wrong_network'
  /** The embedded chain cannot listen on the port that was asked for. */
  | 'chain_port_in_use'
  /** Another process runs the embedded chain of this folder. */
  | 'chain_folder_in_use'
  /** The backend was closed. */
  | 'chain_closed';

/** A chain backend that cannot answer. A rejected transaction is no ChainError but a BroadcastResult. */
export class ChainError extends RivuletError<ChainErrorCode> {
  /** The server's own error number: of JSON-RPC, or the HTTP status. */
  readonly serverCode: number | undefined;

  constructor(code: ChainErrorCode, message: string, options?: { cause?: unknown; serverCode?: number }) {
    super(code, message, options);
    this.serverCode = options?.serverCode;
  }
}
