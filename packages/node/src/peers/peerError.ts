import { RivuletError } from '@rivulet/core/bytes';

export type PeerErrorCode =
  /** Somebody else listens on that address and port. */
  | 'address_in_use'
  /** The address or port cannot be listened on: not of this machine, or not permitted. */
  | 'address_unavailable'
  | 'connection_refused'
  | 'connect_timeout'
  | 'unknown_host'
  | 'host_unreachable'
  /** The other side owns another key than the node id that was asked for, or speaks no BOLT 8. */
  | 'wrong_node_key'
  /** BOLT 8: the handshake failed or did not end in time. */
  | 'handshake_failed'
  | 'handshake_timeout'
  /** Bytes on an established connection that are not authentic. */
  | 'transport_broken'
  /** BOLT 1: `init` was not the first message, came twice or not in time, or cannot be accepted. */
  | 'init_invalid'
  | 'features_incompatible'
  | 'chain_incompatible'
  /** A message that BOLT 1 answers with closing the connection. */
  | 'message_invalid'
  | 'message_unknown'
  /** Too many pings or other messages that ask for work and bring nothing. */
  | 'flood'
  /** No answer to a ping. */
  | 'peer_silent'
  /** The peer reads too slowly: more waits for it than may be buffered. */
  | 'slow_reader'
  /** A newer connection to the same node took this one's place. */
  | 'replaced'
  /** A limit on inbound connections. */
  | 'too_many_connections'
  | 'closed_by_peer'
  | 'socket_error'
  /** We closed it, because we were asked to. */
  | 'closed_by_us'
  /** Not a point on the curve in 66 hex digits. */
  | 'node_id_invalid'
  | 'self_connect'
  /** The code that takes the messages threw. */
  | 'listener_failed'
  | 'manager_closed';

/** Why a connection could not be made or ended. Also the `reason` of a disconnection. */
export class PeerError extends RivuletError<PeerErrorCode> {}
