import { RivuletError } from '../bytes/index.js';

export type GossipErrorCode =
  /** What we were asked to announce breaks a rule of BOLT 7 for the origin node. */
  | 'announcement_invalid'
  /** A limit or a number that cannot be used. */
  | 'gossip_argument_invalid'
  /** A query was to be started while the answers to the last one of its kind are still coming. */
  | 'query_outstanding';

/** A mistake of our own about gossip. What a peer does wrong is never thrown: it is a GossipFault. */
export class GossipError extends RivuletError<GossipErrorCode> {}
