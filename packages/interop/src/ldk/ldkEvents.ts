import * as ldk from 'lightningdevkit';
import type { LdkNetworkUpdate, LdkPathHop } from './ldkNetworkTypes.js';
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
  const claimDeadline = optional<number>(event.claim_deadline);
  return {
    paymentHash: event.payment_hash,
    amountMsat: event.amount_msat,
    ...(preimage && { preimage }),
    ...(paymentSecret && { paymentSecret }),
    customRecords,
    ...(claimDeadline !== undefined && { claimDeadline }),
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

function networkUpdate(failure: ldk.PathFailure): LdkNetworkUpdate | undefined {
  if (!(failure instanceof ldk.PathFailure_OnPath)) return undefined;
  const update = optional<ldk.NetworkUpdate>(failure.network_update);
  if (update instanceof ldk.NetworkUpdate_ChannelFailure) {
    return {
      kind: 'channel',
      shortChannelId: update.short_channel_id,
      permanent: Boolean(update.is_permanent),
    };
  }
  if (update instanceof ldk.NetworkUpdate_NodeFailure) {
    return { kind: 'node', nodeId: update.node_id, permanent: Boolean(update.is_permanent) };
  }
  return undefined;
}

function describePath(path: ldk.Path): LdkPathHop[] {
  return path.get_hops().map((hop) => ({
    nodeId: hop.get_pubkey(),
    shortChannelId: hop.get_short_channel_id(),
    feeMsat: hop.get_fee_msat(),
    cltvExpiryDelta: hop.get_cltv_expiry_delta(),
  }));
}

function describeHandlingFailure(event: ldk.Event_HTLCHandlingFailed): LdkEvent {
  const { failed_next_destination: next } = event;
  return {
    type: 'htlcHandlingFailed',
    channelId: event.prev_channel_id.get_a(),
    reason: variantName(next),
    ...(next instanceof ldk.HTLCDestination_NextHopChannel && { nextChannelId: next.channel_id.get_a() }),
    ...((next instanceof ldk.HTLCDestination_UnknownNextHop ||
      next instanceof ldk.HTLCDestination_InvalidForward) && {
      nextShortChannelId: next.requested_forward_scid,
    }),
  };
}

function describeProbe(event: ldk.Event): LdkEvent | undefined {
  if (event instanceof ldk.Event_ProbeSuccessful) {
    return { type: 'probeSuccessful', paymentId: event.payment_id, path: describePath(event.path) };
  }
  if (event instanceof ldk.Event_ProbeFailed) {
    const shortChannelId = optional<bigint>(event.short_channel_id);
    return {
      type: 'probeFailed',
      paymentId: event.payment_id,
      path: describePath(event.path),
      ...(shortChannelId !== undefined && { shortChannelId }),
    };
  }
  return undefined;
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

function describePaymentEvent(event: ldk.Event, eventPaths: boolean): LdkEvent | undefined {
  if (event instanceof ldk.Event_PaymentClaimable)
    return { type: 'paymentClaimable', ...receivedPayment(event) };
  if (event instanceof ldk.Event_PaymentClaimed) {
    return {
      type: 'paymentClaimed',
      paymentHash: event.payment_hash,
      amountMsat: event.amount_msat,
      parts: event.htlcs.map((part) => ({
        channelId: part.get_channel_id().get_a(),
        valueMsat: part.get_value_msat(),
        cltvExpiry: part.get_cltv_expiry(),
      })),
    };
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
    const update = networkUpdate(event.failure);
    return {
      type: 'paymentPathFailed',
      ...(paymentId && { paymentId }),
      paymentHash: event.payment_hash,
      permanent: Boolean(event.payment_failed_permanently),
      reason: pathFailure(event.failure),
      ...(shortChannelId !== undefined && { shortChannelId }),
      ...(update && { networkUpdate: update }),
      path: describePath(event.path),
    };
  }
  if (event instanceof ldk.Event_PaymentPathSuccessful) {
    const paymentHash = optional<Uint8Array>(event.payment_hash);
    return {
      type: 'paymentPathSuccessful',
      paymentId: event.payment_id,
      ...(paymentHash && { paymentHash }),
      path: eventPaths ? describePath(event.path) : [],
    };
  }
  if (event instanceof ldk.Event_PaymentForwarded) {
    const feeMsat = optional<bigint>(event.total_fee_earned_msat);
    const amountMsat = optional<bigint>(event.outbound_amount_forwarded_msat);
    return {
      type: 'paymentForwarded',
      fromChannelId: event.prev_channel_id.get_a(),
      toChannelId: event.next_channel_id.get_a(),
      ...(feeMsat !== undefined && { feeMsat }),
      ...(amountMsat !== undefined && { amountMsat }),
    };
  }
  if (event instanceof ldk.Event_HTLCHandlingFailed) return describeHandlingFailure(event);
  return undefined;
}

/** An event as plain data; those the node acts on without telling anyone are `other`. */
export function describeEvent(event: ldk.Event, { eventPaths = true } = {}): LdkEvent {
  return (
    describeChannelEvent(event) ??
    describePaymentEvent(event, eventPaths) ??
    describeProbe(event) ?? { type: 'other', name: variantName(event) }
  );
}
