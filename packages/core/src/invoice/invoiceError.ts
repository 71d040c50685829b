import { RivuletError } from '../bytes/index.js';

export type InvoiceErrorCode =
  // Not to be read.
  | 'too_long'
  | 'too_short'
  /** A character that bech32 does not have, or no separator. */
  | 'not_bech32'
  | 'mixed_case'
  | 'checksum_invalid'
  /** Not an invoice of a network that we know. */
  | 'prefix_unknown'
  | 'amount_invalid'
  /** A tagged field that is longer than what is left. */
  | 'field_truncated'
  | 'field_invalid'
  | 'field_missing'
  | 'signature_invalid'
  // Readable, but not to be paid.
  | 'currency_wrong'
  | 'expired'
  | 'payment_secret_missing'
  | 'field_length_wrong'
  | 'feature_unknown'
  | 'feature_dependency_missing';

/** An invoice that cannot be read, made or paid (BOLT 11). */
export class InvoiceError extends RivuletError<InvoiceErrorCode> {}
