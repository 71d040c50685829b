import { RivuletError } from '@rivulet/core/bytes';
import type { SendingFailure, SendingFailureCode } from '@rivulet/core/payment';

export type PaymentErrorCode =
  | SendingFailureCode
  | 'request_invalid'
  | 'idempotency_conflict'
  /** An invoice of ours that is not in the state for what was asked. */
  | 'invoice_state'
  /** It failed in an earlier run of the node; the reason is in the list of payments. */
  | 'failed_before'
  /** The node takes nothing new: its disk is full. */
  | 'not_accepting'
  /** The node could not store it; nothing was sent. */
  | 'not_stored'
  /** The database failed in the middle: it may have been stored, and be sent after a restart. */
  | 'outcome_unknown';

/** Why a payment did not happen. No money moved. */
export class PaymentError extends RivuletError<PaymentErrorCode> {
  /** What the search for a way found out, where it came to that. */
  readonly failure: SendingFailure | undefined;

  constructor(
    code: PaymentErrorCode,
    message: string,
    { failure, cause }: { failure?: SendingFailure; cause?: unknown } = {},
  ) {
    super(code, message, { cause });
    this.failure = failure;
  }

  /** For programs that read the API's errors. */
  get details(): SendingFailure['details'] | undefined {
    return this.failure?.details;
  }
}
