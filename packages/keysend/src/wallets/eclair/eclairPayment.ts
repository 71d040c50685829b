import * as z from '../../schema/index.js';
import { failed } from '../checkKeysend.js';
import type { PaymentOutcome } from '../wallet.js';

/** One attempt of a payment, as `/getsentinfo` lists them: amounts are numbers of msat. */
export const eclairAttempt = z.object({
  id: z.string(),
  paymentHash: z.string(),
  recipientAmount: z.optional(z.int()),
  status: z.discriminatedUnion('type', [
    z.object({ type: z.literal('pending') }),
    z.object({ type: z.literal('sent'), paymentPreimage: z.string(), feesPaid: z.int() }),
    z.object({
      type: z.literal('failed'),
      failures: z.array(z.object({ failureType: z.optional(z.string()), failureMessage: z.string() })),
    }),
  ]),
});

export type EclairAttempt = z.output<typeof eclairAttempt>;

/** What the attempts together say; a failure is only final where a second look finds the same. */
export function outcomeOfAttempts(attempts: readonly EclairAttempt[]): PaymentOutcome {
  let feeMsat = 0n;
  let sent: { paymentHash: string; preimage: string } | undefined;
  for (const { status, paymentHash } of attempts) {
    if (status.type === 'pending')
      return { status: 'pending', message: 'the Eclair node is still paying it' };
    if (status.type !== 'sent') continue;
    sent = { paymentHash, preimage: status.paymentPreimage };
    feeMsat += BigInt(status.feesPaid);
  }
  if (sent !== undefined) return { status: 'succeeded', ...sent, feeMsat };
  return failureOf(attempts);
}

function failureOf(attempts: readonly EclairAttempt[]): PaymentOutcome {
  const messages = attempts.flatMap(({ status }) =>
    status.type === 'failed' ? status.failures.map(({ failureMessage }) => failureMessage) : [],
  );
  // That no route is left is what every search ends with: what was said before it tells more.
  const telling = messages.findLast((message) => !/route not found/i.test(message)) ?? messages.at(-1) ?? '';
  if (/balance too low/i.test(telling)) {
    return failed('insufficient_balance', 'the channels of the Eclair node have less than that', true);
  }
  if (/incorrect payment details|unknown payment hash|incorrect payment amount/i.test(telling)) {
    return failed('refused_by_destination', 'the destination refused it: it may take no keysends');
  }
  const message = 'no route was found, or none that carries it within the limit of its fee';
  if (telling === '' || /route not found/i.test(telling)) return failed('no_route', message, true);
  return failed('no_route', 'no route carried it', true);
}
