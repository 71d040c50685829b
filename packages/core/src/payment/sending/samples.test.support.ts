import type { Settlement } from '../../channel/index.js';
import { hmacSha256, secp256k1, sha256 } from '../../crypto/index.js';
import type {
  DirectedChannel,
  FirstHop,
  Route,
  RouteHop,
  RouteRequest,
  RouteResult,
} from '../../graph/index.js';
import { createAttributedFailure, type FailureMessage, wrapAttributedFailure } from '../../onion/index.js';
import { type ChannelUpdate, encodeMessage } from '../../wire/index.js';
import { sharedSecretsOf } from './attemptOnion.js';
import { type AttemptReport, attemptFailed } from './attemptOutcome.js';
import type { PaymentRequest } from './paymentRequest.js';
import type { SendingContext } from './planSending.js';
import type { Attempt, Sending } from './sending.js';

/** A private key of the node of this number; we are node 0. */
export function privateKeyOf(node: number): Uint8Array {
  return sha256(Uint8Array.of(0x4e, node >> 8, node & 0xff));
}

const publicKeys = new Map<number, Uint8Array>();

export function nodeId(node: number): Uint8Array {
  const known = publicKeys.get(node);
  if (known !== undefined) return known;
  const key = secp256k1.publicKey(privateKeyOf(node));
  publicKeys.set(node, key);
  return key;
}

export const preimage = sha256(Uint8Array.of(1, 2, 3));
export const sessionKeyOf = (id: number) =>
  hmacSha256(sha256(Uint8Array.of(9)), Uint8Array.of(id >> 8, id & 0xff));
export const blockHeight = 800_000;

export function requestTo(destination: number, change: Partial<PaymentRequest> = {}): PaymentRequest {
  return {
    paymentHash: sha256(preimage),
    destination: nodeId(destination),
    amountMsat: 1_000_000n,
    kind: { type: 'keysend', preimage },
    customRecords: new Map(),
    finalCltvDelta: 80,
    hints: [],
    maxFeeMsat: 10_000n,
    maxCltvDelta: 2016,
    maxParts: 1,
    maxAttempts: 10,
    deadlineMs: 100_000,
    ...change,
  };
}

/** A way from us over these nodes, each of which takes 1 sat and 40 blocks: channel i leads to hop i. */
export function routeOver(
  nodes: readonly number[],
  { amountMsat = 1_000_000n, feeMsat = 1000n, channels = nodes.map((_, i) => BigInt(i + 1)) } = {},
): Route {
  const forwarders = nodes.length - 1;
  return {
    hops: nodes.map((node, i) => ({
      nodeId: nodeId(node),
      shortChannelId: channels[i] as bigint,
      direction: 0,
      amountMsat: amountMsat + feeMsat * BigInt(forwarders - i),
      cltvDelta: 80 + 40 * (forwarders - i),
    })),
    amountMsat,
    feeMsat: feeMsat * BigInt(forwarders),
    probability: 0.75,
  };
}

export function firstHop(change: Partial<FirstHop> = {}): FirstHop {
  return { nodeId: nodeId(1), shortChannelId: 1n, spendableMsat: 100_000_000n, minimumMsat: 1n, ...change };
}

/** A context in which the search gives these answers one after the other, the last one for ever. */
export function contextWith(
  answers: readonly (RouteResult | readonly Route[])[],
  change: Partial<SendingContext> = {},
): SendingContext & { readonly asked: RouteRequest[] } {
  const asked: RouteRequest[] = [];
  return {
    blockHeight,
    nowMs: 1000,
    source: nodeId(0),
    firstHops: [firstHop()],
    inFlightMsat: new Map<DirectedChannel, bigint>(),
    sessionKeyOf,
    findRoutes: (request) => {
      const answer = answers[Math.min(asked.length, answers.length - 1)] ?? [];
      asked.push(request);
      return 'type' in answer ? answer : { type: 'found', routes: answer };
    },
    ...change,
    asked,
  };
}

/** The terms of one direction of a channel, as a failure brings them. */
export function updateFor(
  hop: Pick<RouteHop, 'shortChannelId' | 'direction'>,
  change: Partial<Omit<ChannelUpdate, 'type'>> = {},
): Uint8Array {
  return encodeMessage({
    type: 'channel_update',
    signature: new Uint8Array(64),
    chainHash: new Uint8Array(32),
    shortChannelId: hop.shortChannelId,
    timestamp: 1,
    messageFlags: 1,
    channelFlags: hop.direction,
    cltvExpiryDelta: 40,
    htlcMinimumMsat: 1n,
    feeBaseMsat: 1000,
    feeProportionalMillionths: 0,
    htlcMaximumMsat: 10_000_000_000n,
    ...change,
  });
}

/** What comes back to us from the hop of this index of an attempt. */
export function failureFrom(
  attempt: Pick<Attempt, 'id' | 'route'>,
  hopIndex: number,
  failure: FailureMessage,
): Extract<Settlement, { type: 'fail' }> {
  const secrets = sharedSecretsOf(attempt, sessionKeyOf(attempt.id));
  const sharedSecret = secrets[hopIndex] as Uint8Array;
  let made = createAttributedFailure({ sharedSecret, failure, holdTimeMs: 0 });
  for (let i = hopIndex - 1; i >= 0; i--) {
    made = wrapAttributedFailure({ sharedSecret: secrets[i] as Uint8Array, ...made, holdTimeMs: 0 });
  }
  return { type: 'fail', ...made };
}

/** Tells a payment how its attempt failed. */
export function fail(
  sending: Sending,
  id: number,
  settlement: Parameters<typeof attemptFailed>[1]['settlement'],
): AttemptReport {
  const sharedSecrets = sharedSecretsOf(sending.attempts[id] as Attempt, sessionKeyOf(id));
  return attemptFailed(sending, { id, settlement, sharedSecrets, nowMs: 2000 + id });
}

/** A failure of each kind, with data that a node may send. */
export const failureSamples: {
  readonly [T in FailureMessage['type']]: Extract<FailureMessage, { type: T }>;
} = {
  temporary_node_failure: { type: 'temporary_node_failure' },
  permanent_node_failure: { type: 'permanent_node_failure' },
  required_node_feature_missing: { type: 'required_node_feature_missing' },
  invalid_onion_version: { type: 'invalid_onion_version', sha256OfOnion: new Uint8Array(32) },
  invalid_onion_hmac: { type: 'invalid_onion_hmac', sha256OfOnion: new Uint8Array(32) },
  invalid_onion_key: { type: 'invalid_onion_key', sha256OfOnion: new Uint8Array(32) },
  temporary_channel_failure: { type: 'temporary_channel_failure', channelUpdate: new Uint8Array(0) },
  permanent_channel_failure: { type: 'permanent_channel_failure' },
  required_channel_feature_missing: { type: 'required_channel_feature_missing' },
  unknown_next_peer: { type: 'unknown_next_peer' },
  amount_below_minimum: { type: 'amount_below_minimum', htlcMsat: 1n, channelUpdate: new Uint8Array(0) },
  fee_insufficient: { type: 'fee_insufficient', htlcMsat: 1n, channelUpdate: new Uint8Array(0) },
  incorrect_cltv_expiry: { type: 'incorrect_cltv_expiry', cltvExpiry: 1, channelUpdate: new Uint8Array(0) },
  expiry_too_soon: { type: 'expiry_too_soon', channelUpdate: new Uint8Array(0) },
  incorrect_or_unknown_payment_details: {
    type: 'incorrect_or_unknown_payment_details',
    htlcMsat: 1_000_000n,
    height: blockHeight,
  },
  final_incorrect_cltv_expiry: { type: 'final_incorrect_cltv_expiry', cltvExpiry: 1 },
  final_incorrect_htlc_amount: { type: 'final_incorrect_htlc_amount', incomingHtlcMsat: 1n },
  channel_disabled: { type: 'channel_disabled', disabledFlags: 0, channelUpdate: new Uint8Array(0) },
  expiry_too_far: { type: 'expiry_too_far' },
  invalid_onion_payload: { type: 'invalid_onion_payload', tlvType: 8n, offset: 3 },
  mpp_timeout: { type: 'mpp_timeout' },
  invalid_onion_blinding: { type: 'invalid_onion_blinding', sha256OfOnion: new Uint8Array(32) },
  unknown: { type: 'unknown', failureCode: 99, data: new Uint8Array(0) },
};
