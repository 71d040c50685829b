import { RivuletError } from '@rivulet/core/bytes';

export type KeysendErrorCode =
  /** What the caller gave makes no sense. */
  | 'request_invalid'
  | 'record_invalid'
  | 'records_too_large'
  | 'feed_invalid'
  | 'item_unknown'
  | 'value_missing'
  | 'address_invalid'
  | 'address_unknown'
  | 'address_unreachable'
  | 'fetch_refused'
  | 'fetch_failed'
  | 'wallet_invalid'
  | 'wallet_unreachable'
  | 'wallet_unauthorized'
  | 'wallet_cannot'
  | 'wallet_failed'
  | 'budget_exceeded'
  | 'key_conflict'
  | 'not_found'
  | 'state_conflict'
  | 'approval_needed'
  | 'file_invalid'
  | 'schedule_invalid'
  | 'signature_invalid'
  | 'receipt_invalid'
  | 'log_damaged'
  | 'store_invalid'
  | 'stopped';

/** What the toolkit throws: says what is wrong, where, and what to do. */
export class KeysendError extends RivuletError<KeysendErrorCode> {}
