import { RivuletError } from '../bytes/index.js';

/** Why a command was refused: nothing changed, and the caller may do something else. */
export type RefusalCode =
  | 'channel_not_open'
  | 'channel_closing'
  | 'peer_offline'
  | 'amount_zero'
  | 'amount_below_minimum'
  | 'amount_unaffordable'
  | 'remote_cannot_afford_fee'
  | 'too_many_htlcs'
  | 'in_flight_limit'
  | 'dust_exposure'
  | 'expiry_invalid'
  | 'htlc_unknown'
  | 'htlc_not_committed'
  | 'htlc_already_settled'
  | 'preimage_wrong'
  | 'not_opener'
  | 'feerate_invalid'
  | 'feerate_unaffordable'
  | 'feerate_pending'
  | 'script_invalid'
  | 'opening_invalid'
  | 'data_lost'
  | 'data_unproven';

/** What the peer did against the protocol, or what else ends a channel. */
export type ProtocolErrorCode =
  | 'open_rejected'
  | 'message_unexpected'
  | 'htlc_invalid'
  | 'htlc_unknown_to_peer'
  | 'htlc_limit_exceeded'
  | 'htlc_unaffordable'
  | 'preimage_mismatch'
  | 'signature_invalid'
  | 'signature_count'
  | 'revocation_invalid'
  | 'fee_update_invalid'
  | 'reestablish_invalid'
  | 'shutdown_invalid'
  | 'closing_invalid'
  | 'announcement_invalid'
  | 'peer_error'
  | 'htlc_timed_out'
  | 'closed_by_us'
  | 'remote_data_lost'
  | 'internal';

/** How a protocol error is answered (BOLT 1: error and warning messages). */
export type ErrorResponse =
  /** Send `error`, publish our commitment. */
  | 'fail_channel'
  /** Send `warning` and close the connection; the channel stays as it was committed. */
  | 'warn_and_disconnect';

export class ChannelRefusal extends RivuletError<RefusalCode> {}

export class ChannelError extends RivuletError<ProtocolErrorCode> {
  readonly response: ErrorResponse;

  constructor(code: ProtocolErrorCode, message: string, response: ErrorResponse = 'fail_channel') {
    super(code, message);
    this.response = response;
  }
}
