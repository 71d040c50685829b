import { RivuletError } from '@rivulet/core/bytes';

export type ChainErrorCode =
  /** No connection, or the connection broke. Worth trying again. */
  | 'chain_unreachable'
  /** No answer in time. Worth trying again. */
  | 'chain_timeout'
  /** The user, password or cookie was refused, or what was asked is not allowed to them. */
  | 'chain_unauthorized'
  /** The server has too much to do (HTTP 429, or 503 of bitcoind's full work queue). Worth trying again. */
  | 'chain_busy'
  /** bitcoind is starting and still reads its block index. Worth trying again. */
  | 'chain_warming_up'
  /** A pruned node has not kept the block, and no peer gave it back: see BlockPrunedError. */
  | 'chain_block_pruned'
  /** What a server said is not what the proof of work stands for: it lies, or it is broken. */
  | 'chain_invalid_data'
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

/** A block that a pruned bitcoind threw away and could not get back from its peers. */
export class BlockPrunedError extends ChainError {
  readonly height: number;

  constructor(height: number, options?: { cause?: unknown }) {
    super(
      'chain_block_pruned',
      `bitcoind has pruned block ${height} and its peers did not give it back: ` +
        'try again later, or use a node that is not pruned, or one with a larger prune setting',
      options,
    );
    this.height = height;
  }
}
