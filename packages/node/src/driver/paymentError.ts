import { RivuletError } from '@rivulet/core/bytes';

export type PaymentErrorCode =
  /** Nothing was sent. */
  | 'no_channel'
  | 'channel_unavailable'
  | 'refused_by_channel'
  | 'request_invalid'
  | 'idempotency_conflict'
  /** It was sent and came back. */
  | 'failed_by_receiver'
  /** The node could not store it; nothing was sent. */
  | 'not_stored';

/** Why a payment did not happen. No money moved. */
export class PaymentError extends RivuletError<PaymentErrorCode> {}
