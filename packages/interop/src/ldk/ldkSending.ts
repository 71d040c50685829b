import { randomBytes } from 'node:crypto';
import { bytesToHex } from '@rivulet/core/bytes';
import * as ldk from 'lightningdevkit';
import { LdkError } from './ldkError.js';
import type { LdkEventLog } from './ldkEventLog.js';
import type { LdkKeysend, LdkSendMany, LdkSendManyResult } from './ldkTypes.js';

/** LDK receives no payment that expires earlier than this many blocks from its tip. */
const defaultFinalCltvDelta = 42;

function recipientFields({ customRecords, withPaymentSecret }: LdkKeysend): ldk.RecipientOnionFields {
  const fields = withPaymentSecret
    ? ldk.RecipientOnionFields.constructor_secret_only(randomBytes(32))
    : ldk.RecipientOnionFields.constructor_spontaneous_empty();
  if (!customRecords || customRecords.size === 0) return fields;
  const records = [...customRecords].map(([type, value]) =>
    ldk.TwoTuple_u64CVec_u8ZZ.constructor_new(type, value),
  );
  const result = fields.with_custom_tlvs(records);
  if (!(result instanceof ldk.Result_RecipientOnionFieldsNoneZ_OK)) {
    throw new LdkError('ldk_refused', 'LDK refuses these custom records: their types must be 65536 or more');
  }
  return result.res;
}

/** Hands a keysend payment to LDK, over whatever channels it has; returns the id that its events carry. */
export function startKeysend(manager: ldk.ChannelManager, payment: LdkKeysend): Uint8Array {
  const paymentId = new Uint8Array(randomBytes(32));
  const preimage = payment.preimage ?? randomBytes(32);
  const parameters = ldk.PaymentParameters.constructor_for_keysend(
    payment.pubkey,
    payment.finalCltvDelta ?? defaultFinalCltvDelta,
    payment.withPaymentSecret ?? false,
  );
  const result = manager.send_spontaneous_payment(
    ldk.Option_ThirtyTwoBytesZ.constructor_some(preimage),
    recipientFields(payment),
    paymentId,
    ldk.RouteParameters.constructor_from_payment_params_and_value(parameters, payment.amountMsat),
    ldk.Retry.constructor_attempts(payment.retries ?? 0),
  );
  if (result instanceof ldk.Result_ThirtyTwoBytesRetryableSendFailureZ_Err) {
    const reason = ldk.RetryableSendFailure[result.err]?.replace('LDKRetryableSendFailure_', '') ?? 'unknown';
    throw new LdkError('ldk_payment_failed', `LDK does not send the payment: ${reason}`);
  }
  return paymentId;
}

/** Keeps `inFlight` payments under way until all have settled; the first failure ends it. */
export function sendMany({
  manager,
  log,
  request: { pubkey, amountMsat, payments, inFlight },
  afterStart,
}: {
  manager: ldk.ChannelManager;
  log: LdkEventLog;
  request: LdkSendMany;
  /** Called after payments have been handed to LDK, so that it sends its messages. */
  afterStart: () => void;
}): Promise<LdkSendManyResult> {
  const latenciesMs = new Float64Array(payments);
  const settledAtMs = new Float64Array(payments);
  const startedAt = new Map<string, number>();
  let started = 0;
  let settled = 0;
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const startMore = (): void => {
      while (started < payments && startedAt.size < inFlight) {
        const now = performance.now();
        startedAt.set(bytesToHex(startKeysend(manager, { pubkey, amountMsat })), now);
        started++;
      }
      afterStart();
    };
    const stop = log.onEvent((event) => {
      if (event.type !== 'paymentSent' && event.type !== 'paymentFailed') return;
      const id = bytesToHex(event.paymentId);
      const start = startedAt.get(id);
      if (start === undefined) return;
      if (event.type === 'paymentFailed') {
        stop();
        reject(new LdkError('ldk_payment_failed', `payment ${settled} of ${payments}: ${event.reason}`));
        return;
      }
      const now = performance.now();
      startedAt.delete(id);
      latenciesMs[settled] = now - start;
      settledAtMs[settled] = now - begin;
      settled++;
      if (settled === payments) {
        stop();
        resolve({ elapsedMs: now - begin, latenciesMs, settledAtMs });
        return;
      }
      try {
        startMore();
      } catch (error) {
        stop();
        reject(error);
      }
    });
    try {
      startMore();
    } catch (error) {
      stop();
      reject(error);
    }
  });
}
