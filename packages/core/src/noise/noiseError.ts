import { RivuletError } from '../bytes/rivuletError.js';

/** The errors of the handshake are named as in BOLT 8, appendix A. */
export type NoiseErrorCode =
  | 'act1_read_failed'
  | 'act1_bad_version'
  | 'act1_bad_pubkey'
  | 'act1_bad_tag'
  | 'act2_read_failed'
  | 'act2_bad_version'
  | 'act2_bad_pubkey'
  | 'act2_bad_tag'
  | 'act3_read_failed'
  | 'act3_bad_version'
  | 'act3_bad_ciphertext'
  | 'act3_bad_pubkey'
  | 'act3_bad_tag'
  /** `receive` before `start`, after the end or after an error. */
  | 'handshake_out_of_order'
  /** Only 65535 bytes fit into a message. */
  | 'message_too_long'
  | 'length_bad_tag'
  | 'message_bad_tag'
  /** The session failed earlier: nothing that follows can be read. */
  | 'session_failed';

/** A failed handshake or session. BOLT 8: close the connection without sending anything more. */
export class NoiseError extends RivuletError<NoiseErrorCode> {}
