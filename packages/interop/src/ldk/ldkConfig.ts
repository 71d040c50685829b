import * as ldk from 'lightningdevkit';
import type { LdkForwardingPolicy } from './ldkNetworkTypes.js';
import type { LdkNodeOptions } from './ldkTypes.js';

/** A change of what is asked for forwarding; what the policy does not name stays. */
export function createPolicyUpdate(policy: Partial<LdkForwardingPolicy>): ldk.ChannelConfigUpdate {
  const number = (value: number | undefined): ldk.Option_u32Z =>
    value === undefined ? ldk.Option_u32Z.constructor_none() : ldk.Option_u32Z.constructor_some(value);
  return ldk.ChannelConfigUpdate.constructor_new(
    number(policy.feeProportionalMillionths),
    number(policy.feeBaseMsat),
    policy.cltvExpiryDelta === undefined
      ? ldk.Option_u16Z.constructor_none()
      : ldk.Option_u16Z.constructor_some(policy.cltvExpiryDelta),
    ldk.Option_MaxDustHTLCExposureZ.constructor_none(),
    ldk.Option_u64Z.constructor_none(),
  );
}

/** LDK's defaults suit a public routing node; these suit channels under test. */
export function createUserConfig(options: LdkNodeOptions, { announced = false } = {}): ldk.UserConfig {
  const handshake = ldk.ChannelHandshakeConfig.constructor_default();
  handshake.set_minimum_depth(options.minimumDepth ?? 1);
  handshake.set_our_to_self_delay(options.toSelfDelay ?? 144);
  handshake.set_max_inbound_htlc_value_in_flight_percent_of_channel(100);
  handshake.set_our_max_accepted_htlcs(options.maxAcceptedHtlcs ?? 483);
  handshake.set_negotiate_anchors_zero_fee_htlc_tx((options.channelType ?? 'anchors') === 'anchors');
  handshake.set_negotiate_scid_privacy(false);
  handshake.set_announce_for_forwarding(announced);
  handshake.set_commit_upfront_shutdown_pubkey(options.upfrontShutdown ?? false);

  const limits = ldk.ChannelHandshakeLimits.constructor_default();
  limits.set_force_announced_channel_preference(false);
  limits.set_max_minimum_depth(144);
  limits.set_max_funding_satoshis(21_000_000n * 100_000_000n);
  limits.set_trust_own_funding_0conf(false);

  const channel = ldk.ChannelConfig.constructor_default();
  // One bitcoin: hundreds of payments below dust are in flight at once.
  channel.set_max_dust_htlc_exposure(ldk.MaxDustHTLCExposure.constructor_fixed_limit_msat(100_000_000_000n));
  if (options.forwarding) channel.apply(createPolicyUpdate(options.forwarding));

  const config = ldk.UserConfig.constructor_default();
  config.set_channel_handshake_config(handshake);
  config.set_channel_handshake_limits(limits);
  config.set_channel_config(channel);
  config.set_accept_forwards_to_priv_channels(true);
  config.set_accept_inbound_channels(true);
  // Anchors need it: the node has to think about its on-chain reserve first.
  config.set_manually_accept_inbound_channels(true);
  return config;
}
