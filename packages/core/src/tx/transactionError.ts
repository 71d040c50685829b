import { RivuletError } from '../bytes/index.js';

/** Bytes that are no valid transaction, script or signature, or a transaction that cannot be built. */
export class TransactionError extends RivuletError<'transaction_invalid'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('transaction_invalid', message, options);
  }
}
