import { RivuletError } from '@rivulet/core/bytes';

export type TowerErrorCode =
  /** The tower cannot listen there. */
  | 'tower_address_unavailable'
  /** The file of the tower's key holds no key. */
  | 'tower_key_invalid'
  /** What was given is not `HOST:PORT/tower_id`. */
  | 'tower_uri_invalid'
  | 'tower_unknown'
  /** The tower does not answer, or with something else than the protocol's answers. */
  | 'tower_unreachable'
  /** It answered with an error of the protocol. */
  | 'tower_refused'
  /** It signed with another key than its own, or something else than it was to sign. */
  | 'tower_misbehaved';

export class TowerError extends RivuletError<TowerErrorCode> {}
