import { bytesToHex } from '@rivulet/core/bytes';
import * as z from '../../schema/index.js';
import { failed } from '../checkKeysend.js';
import { fromBase64 } from '../http/index.js';
import type { PaymentOutcome } from '../wallet.js';
import { int64 } from './lndHttp.js';

/** lnrpc.Payment, as far as it is used. Amounts are in msat; hash and preimage are hex digits here. */
export const lndPayment = z.object({
  payment_hash: z.string(),
  payment_preimage: z.optional(z.string()),
  value_msat: z.optional(int64),
  fee_msat: z.optional(int64),
  status: z.enum(['UNKNOWN', 'IN_FLIGHT', 'SUCCEEDED', 'FAILED', 'INITIATED']),
  failure_reason: z.optional(z.string()),
  payment_index: z.optional(int64),
  creation_time_ns: z.optional(int64),
  creation_date: z.optional(int64),
});

export type LndPayment = z.output<typeof lndPayment>;

/** A line of `/v2/router/send` and `/v2/router/track`. */
export const paymentLine = z.object({ result: lndPayment });

/** The answer of the old `/v1/channels/transactions`. */
export const oldAnswer = z.object({
  payment_error: z.optional(z.string()),
  payment_preimage: z.optional(z.string()),
  payment_route: z.nullish(z.object({ total_fees_msat: z.optional(int64) })),
});

function failureOf(reason: string | undefined): PaymentOutcome {
  switch (reason) {
    case 'FAILURE_REASON_TIMEOUT':
      return failed('timeout', 'no route carried it within its time', true);
    case 'FAILURE_REASON_NO_ROUTE':
      return failed(
        'no_route',
        'no route was found, or none that carries it within the limit of its fee',
        true,
      );
    case 'FAILURE_REASON_INCORRECT_PAYMENT_DETAILS':
      return failed('refused_by_destination', 'the destination refused it: it may take no keysends', false);
    case 'FAILURE_REASON_INSUFFICIENT_BALANCE':
      return failed('insufficient_balance', 'the channels of the LND node have less than that', true);
    default:
      return failed('other', `the LND node gave up (${reason ?? 'no reason'})`, true);
  }
}

/** Whether LND will not change this any more. */
export function isFinal({ status }: LndPayment): boolean {
  return status === 'SUCCEEDED' || status === 'FAILED';
}

export function outcomeOfPayment(payment: LndPayment): PaymentOutcome {
  switch (payment.status) {
    case 'SUCCEEDED': {
      const { payment_hash: paymentHash, payment_preimage: preimage = '' } = payment;
      const feeMsat = payment.fee_msat ?? 0n;
      return { status: 'succeeded', paymentHash, ...(preimage === '' ? {} : { preimage }), feeMsat };
    }
    case 'FAILED':
      return failureOf(payment.failure_reason);
    case 'IN_FLIGHT':
    case 'INITIATED':
      return { status: 'pending', message: 'the LND node is still paying it' };
    case 'UNKNOWN':
      return { status: 'unknown', message: 'the LND node does not say what became of it' };
  }
}

/** LND's old call says all in one answer, and in words why it failed. */
export function outcomeOfOldAnswer(
  {
    payment_error: error = '',
    payment_preimage: preimage = '',
    payment_route: route,
  }: z.output<typeof oldAnswer>,
  paymentHash: string,
): PaymentOutcome {
  if (error === '' && preimage !== '') {
    const feeMsat = route?.total_fees_msat ?? 0n;
    // Base64 in this call.
    return { status: 'succeeded', paymentHash, preimage: bytesToHex(fromBase64(preimage)), feeMsat };
  }
  if (/no_route|unable to find a path|no_path/i.test(error)) return failureOf('FAILURE_REASON_NO_ROUTE');
  if (/insufficient/i.test(error)) return failureOf('FAILURE_REASON_INSUFFICIENT_BALANCE');
  if (/incorrect_payment_details|IncorrectOrUnknownPaymentDetails/i.test(error)) {
    return failureOf('FAILURE_REASON_INCORRECT_PAYMENT_DETAILS');
  }
  return { status: 'unknown', message: 'the LND node did not say clearly what became of it' };
}
