import type { Leg } from '@rivulet/keysend';
import type { Command } from 'commander';
import { CliError, exitCodes, usageError } from '../cliError.js';
import { formatMsat, parseFee } from '../format/amount.js';
import { printable } from '../format/text.js';
import { everyValue } from './registerCommand.js';
import { describeRecipient } from './valueInput.js';

/** Options of the commands that pay for episodes. */
export interface ValuePayingOptions {
  readonly name?: string;
  readonly maxFee?: string;
  readonly budget?: readonly string[];
  readonly feeShares?: boolean;
}

export function addValuePaying(command: Command): Command {
  return command
    .option('--name <name>', 'who you are, for the recipients')
    .option(
      '--max-fee <sats>',
      "the most that each payment may cost on its way (default: the wallet's limit)",
    )
    .option('--budget <name>', 'take it from this budget; may be given several times', everyValue)
    .option('--fee-shares', 'take fees as their share of all splits, instead of as percent of the whole');
}

/** What the options say of each payment. @throws CliError */
export function valuePayingOf({ name, maxFee, budget, feeShares }: ValuePayingOptions) {
  if (name !== undefined && name.length > 200) throw usageError('--name has at most 200 characters');
  const maxFeeMsat = maxFee === undefined ? undefined : parseFee(maxFee, '--max-fee');
  return {
    sender: { appName: 'Rivulet', appVersion: '0.1.0', ...(name === undefined ? {} : { senderName: name }) },
    feeMode: feeShares === true ? ('share' as const) : ('percent' as const),
    ...(maxFeeMsat === undefined ? {} : { maxFeeMsat: () => maxFeeMsat }),
    ...(budget === undefined ? {} : { budgets: budget }),
  };
}

/** A payment as programs read it: amounts as digits. */
export function legJson(leg: Leg): Readonly<Record<string, unknown>> {
  const { key, recipient, amountMsat, state, feeMsat, paymentHash, failure, heldFor } = leg;
  return {
    key,
    recipient,
    amountMsat: amountMsat.toString(),
    state,
    ...(feeMsat === undefined ? {} : { feeMsat: feeMsat.toString() }),
    ...(paymentHash === undefined ? {} : { paymentHash }),
    ...(failure === undefined || state === 'succeeded'
      ? {}
      : { failure: { ...failure, neededFeeMsat: failure.neededFeeMsat?.toString() } }),
    ...(heldFor === undefined ? {} : { heldFor }),
  };
}

/** Why a payment is not made, in a line. */
export function describeUnpaid({ recipient, amountMsat, state, failure, heldFor }: Leg): string {
  const needed =
    failure?.neededFeeMsat === undefined ? '' : ` (it would cost ${formatMsat(failure.neededFeeMsat)})`;
  const why = heldFor ?? failure?.message ?? 'not tried yet';
  return `${formatMsat(amountMsat)} to ${describeRecipient(recipient)}: ${state}, ${printable(why)}${needed}`;
}

/** @throws CliError where not all was paid. */
export function failUnlessAllPaid(unpaid: readonly Leg[], again: string): void {
  if (unpaid.length === 0) return;
  const amount = formatMsat(unpaid.reduce((sum, { amountMsat }) => sum + amountMsat, 0n));
  const what = `${unpaid.length} ${unpaid.length === 1 ? 'payment' : 'payments'} of ${amount}`;
  if (unpaid.some(({ state }) => state === 'unknown' || state === 'sending')) {
    throw new CliError('payment_outcome_unknown', `of ${what} it is not known what became of all; ${again}`, {
      exitCode: exitCodes.unknownOutcome,
    });
  }
  throw new CliError('payment_failed', `${what} not made; ${again}`);
}
