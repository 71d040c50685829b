import { randomBytes } from 'node:crypto';
import { bytesToHex } from '@rivulet/core/bytes';
import * as ldk from 'lightningdevkit';
import { LdkError } from './ldkError.js';
import type { LdkEventLog } from './ldkEventLog.js';
import { parseInvoice } from './ldkInvoices.js';
import type { LdkPayInvoice, LdkProbe, LdkRoutingLimits } from './ldkNetworkTypes.js';
import { refusal } from './ldkRuntime.js';
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

function routeParameters(
  parameters: ldk.PaymentParameters,
  { amountMsat, ...limits }: LdkRoutingLimits & { amountMsat: bigint },
): ldk.RouteParameters {
  if (limits.maxParts !== undefined) parameters.set_max_path_count(limits.maxParts);
  if (limits.maxTotalCltvDelta !== undefined) {
    parameters.set_max_total_cltv_expiry_delta(limits.maxTotalCltvDelta);
  }
  if (limits.maxSaturationPowerOfHalf !== undefined) {
    parameters.set_max_channel_saturation_power_of_half(limits.maxSaturationPowerOfHalf);
  }
  const route = ldk.RouteParameters.constructor_from_payment_params_and_value(parameters, amountMsat);
  if (limits.maxFeeMsat !== undefined) {
    route.set_max_total_routing_fee_msat(ldk.Option_u64Z.constructor_some(limits.maxFeeMsat));
  }
  return route;
}

function sendFailure(failure: ldk.RetryableSendFailure): LdkError {
  const reason = ldk.RetryableSendFailure[failure]?.replace('LDKRetryableSendFailure_', '') ?? 'unknown';
  return new LdkError('ldk_payment_failed', `LDK does not send the payment: ${reason}`);
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
    routeParameters(parameters, payment),
    ldk.Retry.constructor_attempts(payment.retries ?? 0),
  );
  if (result instanceof ldk.Result_ThirtyTwoBytesRetryableSendFailureZ_Err) throw sendFailure(result.err);
  return paymentId;
}

/** Hands the payment of an invoice to LDK; returns the id that its events carry. */
export function startInvoicePayment(manager: ldk.ChannelManager, payment: LdkPayInvoice): Uint8Array {
  const invoice = parseInvoice(payment.invoice);
  const parsed =
    payment.amountMsat === undefined
      ? ldk.UtilMethods.constructor_payment_parameters_from_invoice(invoice)
      : ldk.UtilMethods.constructor_payment_parameters_from_variable_amount_invoice(
          invoice,
          payment.amountMsat,
        );
  if (!(parsed instanceof ldk.Result_C3Tuple_ThirtyTwoBytesRecipientOnionFieldsRouteParametersZNoneZ_OK)) {
    const problem = payment.amountMsat === undefined ? 'leaves the amount open' : 'names an amount itself';
    throw new LdkError('ldk_refused', `LDK does not pay the invoice: it ${problem}`);
  }
  const route = parsed.res.get_c();
  const paymentId = new Uint8Array(randomBytes(32));
  const result = manager.send_payment(
    parsed.res.get_a(),
    parsed.res.get_b(),
    paymentId,
    routeParameters(route.get_payment_params(), { ...payment, amountMsat: route.get_final_value_msat() }),
    ldk.Retry.constructor_attempts(payment.retries ?? 0),
  );
  if (result instanceof ldk.Result_NoneRetryableSendFailureZ_Err) throw sendFailure(result.err);
  return paymentId;
}

/** Probes the paths that a keysend would take; returns an id for each. */
export function sendProbes(
  manager: ldk.ChannelManager,
  { pubkey, amountMsat, finalCltvDelta }: LdkProbe,
): Uint8Array[] {
  const result = manager.send_spontaneous_preflight_probes(
    pubkey,
    amountMsat,
    finalCltvDelta ?? defaultFinalCltvDelta,
    ldk.Option_u64Z.constructor_none(),
  );
  if (!(result instanceof ldk.Result_CVec_C2Tuple_ThirtyTwoBytesThirtyTwoBytesZZProbeSendFailureZ_OK)) {
    throw refusal('send probes', result);
  }
  return result.res.map((probe) => probe.get_b());
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
