import type { FailureMessage } from '../../onion/index.js';

/** What a failure from a node on the way says, as far as this payment is concerned. */
export type HopRule =
  /** The node itself fails: the payment goes around it. */
  | 'avoid_node'
  /** The channel that follows fails, whatever the amount: the payment goes around it. */
  | 'avoid_channel'
  /** The channel that follows does not carry this amount. */
  | 'less_through_channel'
  /** Our terms for the channel that follows are old: the new ones are used, if the failure has them. */
  | 'correct_policy'
  /** A code that a node on the way must not use: the payment goes around it. */
  | 'bogus';

/** What a failure from the destination says. */
type DestinationRule =
  /** It does not take the payment. */
  | 'refuses'
  /** The hop before it changed what we sent: the payment goes around the last channel. */
  | 'tampered'
  /** It waited for the other parts in vain: fewer parts are tried. */
  | 'incomplete'
  /** The expiry is too far away for it: the payment is tried without padding. */
  | 'too_far';

interface FailureRule {
  readonly fromHop: HopRule;
  readonly fromDestination: DestinationRule;
  /** Whether the channel that follows did not carry the amount: the observation `refused`. */
  readonly refused?: true;
  /** For a probe: the destination looked at the HTLC, so that it was reached. */
  readonly reached?: true;
  /** What people are told when the destination says it. */
  readonly sentence: string;
}

/**
 * BOLT 4, failure messages and receiving failure codes: one line a code. What is avoided is avoided for the
 * rest of the payment, whether the code says permanent or temporary: a payment does not last so long. What
 * the forwarding nodes' codes mean from a destination, which must not use them, is `refuses`: nobody but the
 * destination itself can have written them.
 */
export const failureRules: Readonly<Record<FailureMessage['type'], FailureRule>> = {
  temporary_node_failure: {
    fromHop: 'avoid_node',
    fromDestination: 'refuses',
    sentence: 'the destination cannot take payments now; try again later',
  },
  permanent_node_failure: {
    fromHop: 'avoid_node',
    fromDestination: 'refuses',
    sentence: 'the destination cannot take payments',
  },
  required_node_feature_missing: {
    fromHop: 'avoid_node',
    fromDestination: 'refuses',
    reached: true,
    sentence:
      'the destination asks for something that this payment does not have, as a payment secret; pay an invoice of it',
  },
  invalid_onion_version: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    sentence: 'the destination could not read the onion',
  },
  invalid_onion_hmac: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    sentence: 'the destination could not read the onion',
  },
  invalid_onion_key: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    sentence: 'the destination could not read the onion',
  },
  temporary_channel_failure: {
    fromHop: 'less_through_channel',
    fromDestination: 'refuses',
    refused: true,
    sentence: 'the destination took itself for a forwarder: it cannot take the payment now',
  },
  permanent_channel_failure: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    refused: true,
    sentence: 'the destination took itself for a forwarder and failed the payment',
  },
  required_channel_feature_missing: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    sentence: 'the destination took itself for a forwarder and failed the payment',
  },
  unknown_next_peer: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    refused: true,
    sentence: 'the destination took itself for a forwarder and knows no next node',
  },
  amount_below_minimum: {
    fromHop: 'correct_policy',
    fromDestination: 'refuses',
    sentence: 'the destination finds the amount too small',
  },
  fee_insufficient: {
    fromHop: 'correct_policy',
    fromDestination: 'refuses',
    sentence: 'the destination took itself for a forwarder and asked for a fee',
  },
  incorrect_cltv_expiry: {
    fromHop: 'correct_policy',
    fromDestination: 'refuses',
    sentence: 'the destination took itself for a forwarder and asked for another expiry',
  },
  expiry_too_soon: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    sentence: 'the destination finds the expiry too near; our node may be behind with its blocks',
  },
  incorrect_or_unknown_payment_details: {
    fromHop: 'bogus',
    fromDestination: 'refuses',
    reached: true,
    sentence: 'the destination does not take this payment',
  },
  final_incorrect_cltv_expiry: {
    fromHop: 'bogus',
    fromDestination: 'tampered',
    sentence: 'the destination found another expiry than was sent',
  },
  final_incorrect_htlc_amount: {
    fromHop: 'bogus',
    fromDestination: 'tampered',
    sentence: 'the destination found another amount than was sent',
  },
  channel_disabled: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    refused: true,
    sentence: 'the destination took itself for a forwarder and failed the payment',
  },
  expiry_too_far: {
    fromHop: 'avoid_node',
    fromDestination: 'too_far',
    sentence: 'the destination finds the expiry too far away',
  },
  invalid_onion_payload: {
    fromHop: 'avoid_node',
    fromDestination: 'refuses',
    reached: true,
    sentence: 'the destination does not understand a record of this payment',
  },
  mpp_timeout: {
    fromHop: 'bogus',
    fromDestination: 'incomplete',
    reached: true,
    sentence: 'the destination waited in vain for the other parts of the payment',
  },
  invalid_onion_blinding: {
    fromHop: 'bogus',
    fromDestination: 'refuses',
    sentence: 'the destination took the payment for one over a blinded path',
  },
  unknown: {
    fromHop: 'avoid_channel',
    fromDestination: 'refuses',
    reached: true,
    sentence: 'the destination failed the payment with a code that is not known',
  },
};
