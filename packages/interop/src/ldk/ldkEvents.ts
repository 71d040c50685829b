import * as ldk from 'lightningdevkit';
import { optional, variantName } from './ldkRuntime.js';
import type { LdkChannelType, LdkEvent, LdkReceivedPayment } from './ldkTypes.js';

export function channelTypeOf(features: ldk.ChannelTypeFeatures): LdkChannelType {
  if (features.requires_anchors_zero_fee_htlc_tx()) return 'anchors';
  return features.requires_static_remote_key() ? 'static_remotekey' : 'other';
}

function receivedPayment(event: ldk.Event_PaymentClaimable): LdkReceivedPayment {
  const customRecords = new Map<bigint, Uint8Array>();
  for (const record of event.onion_fields.custom_tlvs()) customRecords.set(record.get_a(), record.get_b());
  const preimage =
    event.purpose instanceof ldk.PaymentPurpose_SpontaneousPayment
      ? event.purpose.spontaneous_payment
      : optional<Uint8Array>(event.purpose.preimage());
  const paymentSecret = optional<Uint8Array>(event.onion_fields.get_payment_secret());
  return {
    paymentHash: event.payment_hash,
    amountMsat: event.amount_msat,
    ...(preimage && { preimage }),
    ...(paymentSecret && { paymentSecret }),
    customRecords,
  };
}

function closureReason(reason: ldk.ClosureReason): string {
  if (reason instanceof ldk.ClosureReason_CounterpartyForceClosed) {
    return `CounterpartyForceClosed: ${reason.peer_msg.get_a()}`;
  }
  if (reason instanceof ldk.ClosureReason_ProcessingError) return `ProcessingError: ${reason.err}`;
  return variantName(reason);
}

function failureReason(reason: ldk.Option_PaymentFailureReasonZ): string {
  const value = optional<ldk.PaymentFailureReason>(reason);
  if (value === undefined) return 'unknown';
  return ldk.PaymentFailureReason[value]?.replace('LDKPaymentFailureReason_', '') ?? 'unknown';
}

function pathFailure(failure: ldk.PathFailure): string {
  if (!(failure instanceof ldk.PathFailure_InitialSend)) return 'on_path';
  const { err } = failure;
  return err instanceof ldk.APIError_ChannelUnavailable ? `initial_send: ${err.err}` : 'initial_send';
}

function spendableValue(descriptor: ldk.SpendableOutputDescriptor): bigint {
  if (descriptor instanceof ldk.SpendableOutputDescriptor_StaticOutput) return descriptor.output.value;
  if (descriptor instanceof ldk.SpendableOutputDescriptor_DelayedPaymentOutput) {
    return descriptor.delayed_payment_output.get_output().value;
  }
  if (descriptor instanceof ldk.SpendableOutputDescriptor_StaticPaymentOutput) {
    return descriptor.static_payment_output.get_output().value;
  }
  return 0n;
}

function describeChannelEvent(event: ldk.Event): LdkEvent | undefined {
  if (event instanceof ldk.Event_ChannelPending) {
    return {
      type: 'channelPending',
      channelId: event.channel_id.get_a(),
      userChannelId: event.user_channel_id,
      pubkey: event.counterparty_node_id,
      fundingTxid: event.funding_txo.get_txid(),
      fundingIndex: event.funding_txo.get_index(),
    };
  }
  if (event instanceof ldk.Event_ChannelReady) {
    return {
      type: 'channelReady',
      channelId: event.channel_id.get_a(),
      userChannelId: event.user_channel_id,
      pubkey: event.counterparty_node_id,
    };
  }
  if (event instanceof ldk.Event_ChannelClosed) {
    return {
      type: 'channelClosed',
      channelId: event.channel_id.get_a(),
      userChannelId: event.user_channel_id,
      pubkey: event.counterparty_node_id,
      reason: closureReason(event.reason),
    };
  }
  if (event instanceof ldk.Event_SpendableOutputs) {
    return { type: 'spendableOutputs', valuesSat: event.outputs.map(spendableValue) };
  }
  if (event instanceof ldk.Event_BumpTransaction) {
    const commitment = event.bump_transaction instanceof ldk.BumpTransactionEvent_ChannelClose;
    return { type: 'bumpTransaction', kind: commitment ? 'commitment' : 'htlcs' };
  }
  return undefined;
}

function describePaymentEvent(event: ldk.Event): LdkEvent | undefined {
  if (event instanceof ldk.Event_PaymentClaimable)
    return { type: 'paymentClaimable', ...receivedPayment(event) };
  if (event instanceof ldk.Event_PaymentClaimed) {
    return { type: 'paymentClaimed', paymentHash: event.payment_hash, amountMsat: event.amount_msat };
  }
  if (event instanceof ldk.Event_PaymentSent) {
    return {
      type: 'paymentSent',
      paymentId: optional<Uint8Array>(event.payment_id) ?? new Uint8Array(32),
      paymentHash: event.payment_hash,
      preimage: event.payment_preimage,
      feeMsat: optional<bigint>(event.fee_paid_msat) ?? 0n,
    };
  }
  if (event instanceof ldk.Event_PaymentFailed) {
    return { type: 'paymentFailed', paymentId: event.payment_id, reason: failureReason(event.reason) };
  }
  if (event instanceof ldk.Event_PaymentPathFailed) {
    const paymentId = optional<Uint8Array>(event.payment_id);
    const shortChannelId = optional<bigint>(event.short_channel_id);
    return {
      type: 'paymentPathFailed',
      ...(paymentId && { paymentId }),
      paymentHash: event.payment_hash,
      permanent: Boolean(event.payment_failed_permanently),
      reason: pathFailure(event.failure),
      ...(shortChannelId !== undefined && { shortChannelId }),
    };
  }
  if (event instanceof ldk.Event_PaymentForwarded) {
    const feeMsat = optional<bigint>(event.total_fee_earned_msat);
    const amountMsat = optional<bigint>(event.outbound_amount_forwarded_msat);
    return {
      type: 'paymentForwarded',
      ...(feeMsat !== undefined && { feeMsat }),
      ...(amountMsat !== undefined && { amountMsat }),
    };
  }
  if (event instanceof ldk.Event_HTLCHandlingFailed) {
    return {
      type: 'htlcHandlingFailed',
      channelId: event.prev_channel_id.get_a(),
      reason: variantName(event.failed_next_destination),
    };
  }
  return undefined;
}

/** An event as plain data; those the node acts on without telling anyone are `other`. */
export function describeEvent(event: ldk.Event): LdkEvent {
  return (
    describeChannelEvent(event) ?? describePaymentEvent(event) ?? { type: 'other', name: variantName(event) }
  );
}
