import { ClientError, type Payment } from '@rivulet/sdk';
import type { Command } from 'commander';
import type { CliContext } from '../cliContext.js';
import { CliError, exitCodes, usageError } from '../cliError.js';
import { formatMsat, parseFee } from '../format/amount.js';
import { parseWholeNumber } from '../format/number.js';
import { printable, shortId } from '../format/text.js';
import { styler } from '../output.js';

/** What a payment may cost and how it may go, as it is typed. */
export interface LimitOptions {
  readonly maxFee?: string;
  readonly maxDelay?: string;
  readonly maxParts?: string;
}

/** Adds the options of all commands that look for a way through the network. */
export function addLimits(command: Command): Command {
  return command
    .option(
      '--max-fee <sats>',
      "the most that the nodes on the way may take (default: the daemon's, see payments.maxFeePercent; up to 1,000 sat as much as is paid)",
    )
    .option(
      '--max-delay <blocks>',
      'the longest that it may be locked (default: payments.maxDelayBlocks of the daemon)',
    )
    .option(
      '--max-parts <number>',
      'in how many parts it may be split, up to 64, where the receiver takes parts',
    );
}

/** @throws CliError */
export function parseLimits({ maxFee, maxDelay, maxParts }: LimitOptions): {
  maxFeeMsat?: bigint;
  maxDelayBlocks?: number;
  maxParts?: number;
} {
  return {
    ...(maxFee === undefined ? {} : { maxFeeMsat: parseFee(maxFee, '--max-fee') }),
    ...(maxDelay === undefined
      ? {}
      : { maxDelayBlocks: parseWholeNumber(maxDelay, { what: '--max-delay', minimum: 1, maximum: 2_016 }) }),
    ...(maxParts === undefined
      ? {}
      : { maxParts: parseWholeNumber(maxParts, { what: '--max-parts', minimum: 1, maximum: 64 }) }),
  };
}

/** How long a command waits for a payment: `--wait`. @throws CliError */
export function parseWait(text: string | undefined): number {
  return parseWholeNumber(text ?? '60', { what: '--wait', minimum: 0, maximum: 600 });
}

/**
 * After the request has gone out, silence is not failure: nobody must pay twice because of it.
 * @param given.repeat how the payment can be asked for again without paying twice.
 */
export function unknownOutcome(cause: unknown, { repeat }: { repeat: string }): unknown {
  if (cause instanceof ClientError && cause.code === 'outcome_unknown') {
    return new CliError('payment_outcome_unknown', cause.message, {
      exitCode: exitCodes.unknownOutcome,
      cause,
    });
  }
  const interrupted = cause instanceof Error && cause.name === 'AbortError';
  if (!interrupted && !(cause instanceof ClientError && cause.code === 'connection_lost')) return cause;
  const message = `${interrupted ? 'interrupted' : 'the connection to the daemon broke'}: the payment may or may not have been made. Look at rivulet payments${repeat === '' ? '' : `, or ${repeat}`}`;
  return new CliError('payment_outcome_unknown', message, { exitCode: exitCodes.unknownOutcome, cause });
}

/** @throws CliError for a payment that failed, or is still under way. */
export function failUnlessPaid(payment: Payment): void {
  const amount = formatMsat(payment.amountMsat);
  switch (payment.status) {
    case 'succeeded':
      return;
    case 'failed':
      throw new CliError(
        'payment_failed',
        `${amount} were not paid: ${payment.failure?.message ?? 'no reason given'}`,
      );
    case 'pending': {
      const message = `the payment of ${amount} is still under way and may yet succeed; see: rivulet payments`;
      throw new CliError('payment_pending', message, { exitCode: exitCodes.unknownOutcome });
    }
  }
}

export function describePaid(context: CliContext, payment: Payment): string {
  const style = styler(context, 'out');
  const { parts = 1 } = payment;
  const how = `fee ${formatMsat(payment.feeMsat)}${parts > 1 ? `, in ${parts} parts` : ''}`;
  return [
    `${style('green', 'paid')} ${formatMsat(payment.amountMsat)} to ${shortId(payment.nodeId ?? '')} (${how})`,
    `payment hash  ${payment.paymentHash}`,
    `preimage      ${payment.preimage ?? ''}`,
  ].join('\n');
}

/** A payment hash or preimage as it is typed. @throws CliError */
export function parseHash(text: string, what: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw usageError(`${what} has 64 hex digits, and ${JSON.stringify(printable(text.slice(0, 80)))} is none`);
}
