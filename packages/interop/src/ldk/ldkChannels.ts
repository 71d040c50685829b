import * as ldk from 'lightningdevkit';
import { channelTypeOf } from './ldkEvents.js';
import { freeChannelDetails, isNull, optional } from './ldkRuntime.js';
import type { LdkChannel, LdkClaimableBalance, LdkHtlc } from './ldkTypes.js';

function describeHtlcs(details: ldk.ChannelDetails): LdkHtlc[] {
  const incoming = details.get_pending_inbound_htlcs().map((htlc): LdkHtlc => {
    return {
      direction: 'in',
      id: htlc.get_htlc_id(),
      amountMsat: htlc.get_amount_msat(),
      paymentHash: htlc.get_payment_hash(),
      cltvExpiry: htlc.get_cltv_expiry(),
    };
  });
  const outgoing = details.get_pending_outbound_htlcs().map((htlc): LdkHtlc => {
    const id = optional<bigint>(htlc.get_htlc_id());
    return {
      direction: 'out',
      ...(id !== undefined && { id }),
      amountMsat: htlc.get_amount_msat(),
      paymentHash: htlc.get_payment_hash(),
      cltvExpiry: htlc.get_cltv_expiry(),
    };
  });
  return [...incoming, ...outgoing];
}

/** A channel as plain data; frees LDK's. */
export function describeChannel(details: ldk.ChannelDetails): LdkChannel {
  const funding = details.get_funding_txo();
  const type = details.get_channel_type();
  const shortChannelId = optional<bigint>(details.get_short_channel_id());
  const inboundAlias = optional<bigint>(details.get_inbound_scid_alias());
  const shutdown = optional<ldk.ChannelShutdownState>(details.get_channel_shutdown_state());
  const channel: LdkChannel = {
    channelId: details.get_channel_id().get_a(),
    pubkey: details.get_counterparty().get_node_id(),
    ...(!isNull(funding) && { fundingTxid: funding.get_txid(), fundingIndex: funding.get_index() }),
    ...(shortChannelId !== undefined && { shortChannelId }),
    ...(inboundAlias !== undefined && { inboundAlias }),
    channelType: isNull(type) ? 'other' : channelTypeOf(type),
    capacitySat: details.get_channel_value_satoshis(),
    isOutbound: Boolean(details.get_is_outbound()),
    isReady: Boolean(details.get_is_channel_ready()),
    isUsable: Boolean(details.get_is_usable()),
    isAnnounced: Boolean(details.get_is_announced()),
    isShuttingDown:
      shutdown !== undefined && shutdown !== ldk.ChannelShutdownState.LDKChannelShutdownState_NotShuttingDown,
    outboundCapacityMsat: details.get_outbound_capacity_msat(),
    inboundCapacityMsat: details.get_inbound_capacity_msat(),
    nextOutboundHtlcLimitMsat: details.get_next_outbound_htlc_limit_msat(),
    reserveSat: optional<bigint>(details.get_unspendable_punishment_reserve()) ?? 0n,
    feeratePerKw: optional<number>(details.get_feerate_sat_per_1000_weight()) ?? 0,
    confirmations: optional<number>(details.get_confirmations()) ?? 0,
    htlcs: describeHtlcs(details),
  };
  freeChannelDetails(details);
  return channel;
}

/** What a monitor says can be claimed, or will be once something happens. */
export function describeBalance(balance: ldk.Balance): LdkClaimableBalance {
  if (balance instanceof ldk.Balance_ClaimableOnChannelClose) {
    return { kind: 'channel', valueSat: balance.amount_satoshis };
  }
  if (balance instanceof ldk.Balance_ClaimableAwaitingConfirmations) {
    return { kind: 'awaiting_confirmations', valueSat: balance.amount_satoshis };
  }
  if (balance instanceof ldk.Balance_ContentiousClaimable) {
    return { kind: 'contentious', valueSat: balance.amount_satoshis };
  }
  if (balance instanceof ldk.Balance_MaybeTimeoutClaimableHTLC) {
    return { kind: 'htlc_timeout', valueSat: balance.amount_satoshis };
  }
  if (balance instanceof ldk.Balance_MaybePreimageClaimableHTLC) {
    return { kind: 'htlc_preimage', valueSat: balance.amount_satoshis };
  }
  if (balance instanceof ldk.Balance_CounterpartyRevokedOutputClaimable) {
    return { kind: 'revoked', valueSat: balance.amount_satoshis };
  }
  return { kind: 'unknown', valueSat: 0n };
}
