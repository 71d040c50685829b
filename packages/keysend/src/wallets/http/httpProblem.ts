import { KeysendError, type KeysendErrorCode } from '../../keysendError.js';
import type { PaymentOutcome, WalletFailure } from '../wallet.js';

interface HttpProblemFields {
  readonly certain: boolean;
  readonly failure: WalletFailure;
  readonly retryable?: boolean;
  readonly aborted?: boolean;
  readonly status?: number;
  readonly body?: string;
  readonly cause?: unknown;
}

/**
 * Why a call of a wallet's server gave no result. `certain` is what money hangs on: the request was certainly not
 * carried out. Where it is false, nobody knows.
 */
export class HttpProblem extends Error {
  readonly certain: boolean;
  readonly failure: WalletFailure;
  readonly retryable: boolean;
  /** The caller's signal ended it. */
  readonly aborted: boolean;
  /** Where the server answered. */
  readonly status: number | undefined;
  /** What it said: may be long, and is not for people. */
  readonly body: string | undefined;

  constructor(message: string, fields: HttpProblemFields) {
    super(message, fields.cause === undefined ? {} : { cause: fields.cause });
    this.name = 'HttpProblem';
    this.certain = fields.certain;
    this.failure = fields.failure;
    this.retryable = fields.retryable ?? false;
    this.aborted = fields.aborted ?? false;
    this.status = fields.status;
    this.body = fields.body;
  }
}

/** What is to be said of a payment whose request ended like this: anything but an HttpProblem leaves it open. */
export function outcomeOfProblem(problem: unknown): PaymentOutcome {
  if (!(problem instanceof HttpProblem)) {
    return { status: 'unknown', message: 'the wallet failed in the middle of the payment: look it up' };
  }
  const { message, failure, retryable } = problem;
  return problem.certain
    ? { status: 'failed', failure, message, retryable }
    : { status: 'unknown', message: `${message}; whether it was paid is not known yet` };
}

const codes: Partial<Record<WalletFailure, KeysendErrorCode>> = {
  unauthorized: 'wallet_unauthorized',
  unreachable: 'wallet_unreachable',
  timeout: 'wallet_unreachable',
  rate_limited: 'wallet_unreachable',
  wallet_cannot: 'wallet_cannot',
  request_invalid: 'request_invalid',
};

/** The same for calls that pay nothing: what they reject with. */
export function errorOfProblem(problem: unknown): KeysendError {
  if (problem instanceof KeysendError) return problem;
  if (!(problem instanceof HttpProblem)) {
    return new KeysendError('wallet_failed', 'the wallet gave an answer that was not understood', {
      cause: problem,
    });
  }
  const code = problem.aborted ? 'stopped' : (codes[problem.failure] ?? 'wallet_failed');
  return new KeysendError(code, problem.message, { cause: problem.cause });
}

const failures: Partial<Record<KeysendErrorCode, WalletFailure>> = {
  wallet_unauthorized: 'unauthorized',
  wallet_unreachable: 'unreachable',
  wallet_cannot: 'wallet_cannot',
  request_invalid: 'request_invalid',
};

/** Of a payment that was not sent, since what had to be asked before it was refused like this. */
export function outcomeBefore(problem: unknown): PaymentOutcome {
  if (problem instanceof HttpProblem) {
    const { failure, message, retryable } = problem;
    return { status: 'failed', failure, message: `${message}; nothing was paid`, retryable };
  }
  const { code, message } = errorOfProblem(problem);
  const failure = failures[code] ?? 'other';
  const retryable = failure === 'unreachable' || failure === 'other';
  return { status: 'failed', failure, message: `${message}; nothing was paid`, retryable };
}
