import * as ldk from 'lightningdevkit';
import { LdkError } from './ldkError.js';
import type { LdkCreateInvoice, LdkInvoice, LdkRouteHint } from './ldkNetworkTypes.js';
import { featureBits, isNull, optional } from './ldkRuntime.js';

function describeHint(hint: ldk.RouteHint): LdkRouteHint[] {
  return hint.get_a().map((hop) => ({
    nodeId: hop.get_src_node_id(),
    shortChannelId: hop.get_short_channel_id(),
    feeBaseMsat: hop.get_fees().get_base_msat(),
    feeProportionalMillionths: hop.get_fees().get_proportional_millionths(),
    cltvExpiryDelta: hop.get_cltv_expiry_delta(),
  }));
}

/** An invoice as plain data. */
export function describeInvoice(invoice: ldk.Bolt11Invoice): LdkInvoice {
  const description = invoice.into_signed_raw().raw_invoice().description();
  const amountMsat = optional<bigint>(invoice.amount_milli_satoshis());
  return {
    text: invoice.to_str(),
    payee: invoice.get_payee_pub_key(),
    paymentHash: invoice.payment_hash(),
    paymentSecret: invoice.payment_secret(),
    ...(amountMsat !== undefined && { amountMsat }),
    ...(!isNull(description) && { description: description.to_str() }),
    timestamp: invoice.duration_since_epoch(),
    expirySeconds: invoice.expiry_time(),
    minFinalCltvDelta: invoice.min_final_cltv_expiry_delta(),
    features: featureBits(invoice.features().le_flags()),
    routeHints: invoice.route_hints().map(describeHint),
  };
}

/** @throws LdkError `ldk_refused` with what LDK says of the text. */
export function parseInvoice(text: string): ldk.Bolt11Invoice {
  const result = ldk.Bolt11Invoice.constructor_from_str(text);
  if (result instanceof ldk.Result_Bolt11InvoiceParseOrSemanticErrorZ_OK) return result.res;
  const reason =
    result instanceof ldk.Result_Bolt11InvoiceParseOrSemanticErrorZ_Err ? result.err.to_str() : 'unknown';
  throw new LdkError('ldk_refused', `LDK cannot read the invoice: ${reason}`);
}

/** Makes an invoice, which LDK does not have to keep: its secret tells all about it. */
export function createInvoice(manager: ldk.ChannelManager, request: LdkCreateInvoice): LdkInvoice {
  const { amountMsat, description, expirySeconds = 3600, minFinalCltvDelta, paymentHash } = request;
  const amount =
    amountMsat === undefined
      ? ldk.Option_u64Z.constructor_none()
      : ldk.Option_u64Z.constructor_some(amountMsat);
  const delta =
    minFinalCltvDelta === undefined
      ? ldk.Option_u16Z.constructor_none()
      : ldk.Option_u16Z.constructor_some(minFinalCltvDelta);
  const methods = ldk.UtilMethods;
  const result = paymentHash
    ? methods.constructor_create_invoice_from_channelmanager_with_payment_hash(
        manager,
        amount,
        description,
        expirySeconds,
        paymentHash,
        delta,
      )
    : methods.constructor_create_invoice_from_channelmanager(
        manager,
        amount,
        description,
        expirySeconds,
        delta,
      );
  if (result instanceof ldk.Result_Bolt11InvoiceSignOrCreationErrorZ_OK) return describeInvoice(result.res);
  const reason =
    result instanceof ldk.Result_Bolt11InvoiceSignOrCreationErrorZ_Err ? result.err.to_str() : 'unknown';
  throw new LdkError('ldk_refused', `LDK does not create the invoice: ${reason}`);
}
