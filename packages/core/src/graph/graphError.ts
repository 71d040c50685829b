import { RivuletError } from '../bytes/index.js';

export type GraphErrorCode =
  /** Not 33 bytes. */
  | 'node_id_invalid'
  /** `node_id_1` must be the lesser of both (BOLT 7, channel_announcement). */
  | 'nodes_out_of_order'
  /** An amount below zero, or beyond all coins that there can be. */
  | 'amount_invalid'
  /** A number that its field of `channel_update` cannot hold. */
  | 'policy_invalid';

/** What no channel or node of a graph can be. */
export class GraphError extends RivuletError<GraphErrorCode> {}
