import type { FailureMessage, ForwardPayload } from '../onion/index.js';
import { type ForwardingPolicy, forwardingFee } from './forwardingPolicy.js';
import type { ForwardLimits } from './forwardLimits.js';

/** The channel that an onion names as the next one, as it is now. */
export interface OutgoingChannel {
  /** `closing` from the first word of it on, and when it is closed. */
  readonly phase: 'opening' | 'open' | 'closing';
  /** The peer is connected and the channel reestablished. */
  readonly online: boolean;
  /** We announced that nothing is forwarded over it (BOLT 7, `channel_flags` bit 1), or mean to. */
  readonly disabled: boolean;
  /** Everyone may know of it. */
  readonly announced: boolean;
  /** The onion names it by an alias and not by its real `short_channel_id`. */
  readonly namedByAlias: boolean;
  /** It is the channel that the HTLC came over. */
  readonly isIncoming: boolean;
  /** The most that the channel machine would take now, on this or another channel of that peer. */
  readonly spendableMsat: bigint;
  /** The peer's `htlc_minimum_msat`. */
  readonly minimumMsat: bigint;
  readonly policy: ForwardingPolicy;
  /** The one before, for as long as it is honoured: senders may not have heard of the new one yet (BOLT 7). */
  readonly previousPolicy?: ForwardingPolicy | undefined;
  /**
   * Our latest `channel_update` with its message type, to be told in failures. BOLT 4 wants nodes to stop doing
   * so, as it makes senders recognisable: leave it out unless asked for.
   */
  readonly channelUpdate?: Uint8Array | undefined;
}

export interface ForwardInput {
  readonly incoming: { readonly amountMsat: bigint; readonly cltvExpiry: number };
  readonly payload: ForwardPayload;
  /**
   * Absent where no channel has this name, or none that may be called so: a private channel's real id, or one
   * that an alias hides (BOLT 2, `option_scid_alias`). Both have the same answer, so that nobody learns which.
   */
  readonly outgoing: OutgoingChannel | undefined;
  readonly blockHeight: number;
  readonly limits: ForwardLimits;
  /** What the peer of the incoming HTLC has under way through us already, without this HTLC. */
  readonly held: { readonly count: number; readonly valueMsat: bigint };
}

/** Why a forward is refused: for the log; the sender learns what BOLT 4 lets it. */
export type ForwardRefusalCause =
  | 'channel_unknown'
  | 'channel_closing'
  | 'channel_disabled'
  | 'channel_not_ready'
  | 'peer_offline'
  | 'amount_below_minimum'
  | 'fee_insufficient'
  | 'expiry_delta_too_small'
  | 'expiry_too_soon'
  | 'expiry_too_far'
  | 'amount_above_maximum'
  | 'same_channel'
  | 'balance_insufficient'
  | 'too_many_held'
  | 'too_much_held';

export type ForwardJudgement =
  | {
      readonly type: 'forward';
      /** What to offer. */
      readonly htlc: { readonly amountMsat: bigint; readonly cltvExpiry: number };
      /** What we earn. */
      readonly feeMsat: bigint;
    }
  | ForwardRefusal;

export interface ForwardRefusal {
  readonly type: 'refuse';
  readonly cause: ForwardRefusalCause;
  readonly failure: FailureMessage;
}

const noUpdate = new Uint8Array(0);

function refusal(cause: ForwardRefusalCause, failure: FailureMessage): ForwardRefusal {
  return { type: 'refuse', cause, failure };
}

/** What a failure may tell of the channel (BOLT 4: the field may be empty). */
function updateToTell({ announced, namedByAlias, channelUpdate }: OutgoingChannel): Uint8Array {
  // BOLT 4: MUST set `short_channel_id` to the one used by the incoming onion: ours has the real one, which
  // nobody is told of a channel that is not announced
  return announced && !namedByAlias && channelUpdate !== undefined ? channelUpdate : noUpdate;
}

/**
 * What the sender gets when the channel machine, or a limit of our own, refuses what `judgeForward` let pass:
 * too many HTLCs, dust exposure, or a peer that has just gone (BOLT 4).
 */
export function temporaryChannelFailure(outgoing: OutgoingChannel): FailureMessage {
  return { type: 'temporary_channel_failure', channelUpdate: updateToTell(outgoing) };
}

/**
 * Decides whether an HTLC is passed on, by what its sender asks for and what we do (BOLT 4, forwarding node).
 * The HTLC is irrevocably committed in the incoming channel, its onion is authentic and not a replay, and its
 * payload was read: what is wrong with these has other answers.
 *
 * What is accepted never costs us: the fee is what a policy of ours asks for, and the incoming HTLC outlasts
 * the outgoing one by its delta. The name of the channel is looked at first, then its state, then the terms in
 * the order of BOLT 4's list, and its balance last, so that only who pays for it can probe for it.
 *
 * `required_node_feature_missing` and `required_channel_feature_missing` are never answered: onions tell no
 * features any more, and a record that must be understood was refused with the payload.
 */
export function judgeForward(input: ForwardInput): ForwardJudgement {
  const { incoming, outgoing, payload } = input;
  // BOLT 4: if the receiving peer specified by the onion is NOT known
  if (outgoing === undefined) return refusal('channel_unknown', { type: 'unknown_next_peer' });
  const refused =
    stateRefusal(outgoing) ??
    termsRefusal(input, outgoing) ??
    expiryRefusal(input, outgoing) ??
    capacityRefusal(input, outgoing);
  if (refused !== undefined) return refused;
  return {
    type: 'forward',
    htlc: { amountMsat: payload.amountToForwardMsat, cltvExpiry: payload.outgoingCltvValue },
    feeMsat: incoming.amountMsat - payload.amountToForwardMsat,
  };
}

function stateRefusal(outgoing: OutgoingChannel): ForwardRefusal | undefined {
  // BOLT 4: an otherwise unspecified, permanent error (e.g. channel recently closed)
  if (outgoing.phase === 'closing') return refusal('channel_closing', { type: 'permanent_channel_failure' });
  // BOLT 4: if the channel is disabled
  if (outgoing.disabled) {
    const channelUpdate = updateToTell(outgoing);
    return refusal('channel_disabled', { type: 'channel_disabled', disabledFlags: 0, channelUpdate });
  }
  // BOLT 4: an otherwise unspecified, transient error in the outgoing channel
  if (outgoing.phase === 'opening') return refusal('channel_not_ready', temporaryChannelFailure(outgoing));
  if (!outgoing.online) return refusal('peer_offline', temporaryChannelFailure(outgoing));
  return undefined;
}

/** By the present policy, unless the one before is met as a whole. */
function termsRefusal(input: ForwardInput, outgoing: OutgoingChannel): ForwardRefusal | undefined {
  const refused = policyRefusal(input, outgoing, outgoing.policy);
  if (refused === undefined || outgoing.previousPolicy === undefined) return refused;
  const byPrevious = policyRefusal(input, outgoing, outgoing.previousPolicy);
  return byPrevious === undefined ? undefined : refused;
}

function policyRefusal(
  { incoming, payload, limits }: ForwardInput,
  outgoing: OutgoingChannel,
  policy: ForwardingPolicy,
): ForwardRefusal | undefined {
  const { amountToForwardMsat, outgoingCltvValue } = payload;
  const channelUpdate = updateToTell(outgoing);
  // BOLT 4: if the HTLC amount is less than the currently specified minimum amount
  // BOLT 2: update_add_htlc, a sending node: MUST offer `amount_msat` greater than 0
  if (
    amountToForwardMsat <= 0n ||
    amountToForwardMsat < policy.htlcMinimumMsat ||
    amountToForwardMsat < outgoing.minimumMsat
  ) {
    return refusal('amount_below_minimum', {
      type: 'amount_below_minimum',
      htlcMsat: amountToForwardMsat,
      channelUpdate,
    });
  }
  // BOLT 4: if the HTLC does NOT pay a sufficient fee
  if (incoming.amountMsat - amountToForwardMsat < forwardingFee(policy, amountToForwardMsat)) {
    return refusal('fee_insufficient', {
      type: 'fee_insufficient',
      htlcMsat: incoming.amountMsat,
      channelUpdate,
    });
  }
  // BOLT 4: if the incoming `cltv_expiry` minus the `outgoing_cltv_value` is below the `cltv_expiry_delta`
  const delta = Math.max(policy.cltvExpiryDelta, limits.minCltvExpiryDelta);
  if (incoming.cltvExpiry - outgoingCltvValue < delta) {
    return refusal('expiry_delta_too_small', {
      type: 'incorrect_cltv_expiry',
      cltvExpiry: outgoingCltvValue,
      channelUpdate,
    });
  }
  if (amountToForwardMsat > policy.htlcMaximumMsat) {
    return refusal('amount_above_maximum', temporaryChannelFailure(outgoing));
  }
  return undefined;
}

function expiryRefusal(
  { incoming, payload, blockHeight, limits }: ForwardInput,
  outgoing: OutgoingChannel,
): ForwardRefusal | undefined {
  // BOLT 4: if the `cltv_expiry` is unreasonably near the present
  // BOLT 2: MUST fail an incoming HTLC with less than `cltv_expiry_delta` left: it has more, since the outgoing
  // one has not expired and the incoming one outlasts it by the delta
  if (
    incoming.cltvExpiry < blockHeight + limits.minIncomingExpiryDelta ||
    payload.outgoingCltvValue <= blockHeight + limits.minOutgoingExpiryDelta
  ) {
    const channelUpdate = updateToTell(outgoing);
    return refusal('expiry_too_soon', { type: 'expiry_too_soon', channelUpdate });
  }
  // BOLT 4: if the `cltv_expiry` is more than `max_htlc_cltv` in the future
  if (incoming.cltvExpiry > blockHeight + limits.maxCltvExpiryDelta) {
    return refusal('expiry_too_far', { type: 'expiry_too_far' });
  }
  return undefined;
}

function capacityRefusal(
  { incoming, payload, limits, held }: ForwardInput,
  outgoing: OutgoingChannel,
): ForwardRefusal | undefined {
  // A payment that comes back the way it came serves nobody but one who wants to hold our funds.
  if (outgoing.isIncoming) return refusal('same_channel', temporaryChannelFailure(outgoing));
  // The incoming peer is at fault, for which there is no code of its own.
  if (held.count >= limits.maxHeldHtlcs) {
    return refusal('too_many_held', { type: 'temporary_node_failure' });
  }
  if (held.valueMsat + incoming.amountMsat > limits.maxHeldMsat) {
    return refusal('too_much_held', { type: 'temporary_node_failure' });
  }
  // BOLT 4: e.g. channel capacity reached
  if (payload.amountToForwardMsat > outgoing.spendableMsat) {
    return refusal('balance_insufficient', temporaryChannelFailure(outgoing));
  }
  return undefined;
}
