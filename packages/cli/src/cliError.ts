import { RivuletError } from '@rivulet/core/bytes';

/** What the process ends with. */
export const exitCodes = {
  ok: 0,
  /** The daemon refused, or a payment failed. */
  failed: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** No daemon answers. */
  notRunning: 3,
  /** A payment may or may not have been made. */
  unknownOutcome: 4,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export type CliErrorCode =
  | 'argument_invalid'
  | 'daemon_not_running'
  | 'data_dir_forbidden'
  | 'payment_failed'
  | 'payment_pending'
  | 'payment_outcome_unknown'
  | 'payment_declined'
  | 'probe_failed'
  | 'channel_not_found'
  | 'invoice_not_found'
  | 'keysend_not_held'
  | 'tower_not_found'
  | 'boost_not_found'
  | 'delivery_failed'
  | 'wallet_failed'
  | 'simulation_failed'
  | 'payout_key_unknown'
  | 'log_empty'
  | 'not_available';

/** A command that ends without success, in a sentence for the person who typed it. */
export class CliError extends RivuletError<CliErrorCode> {
  readonly exitCode: ExitCode;

  constructor(code: CliErrorCode, message: string, given: { exitCode?: ExitCode; cause?: unknown } = {}) {
    super(code, message, { cause: given.cause });
    this.exitCode = given.exitCode ?? exitCodes.failed;
  }
}

/** An argument or option that makes no sense. */
export function usageError(message: string): CliError {
  return new CliError('argument_invalid', message, { exitCode: exitCodes.usage });
}
