import type { Channel, ChannelMessage, Htlc, NewHtlc, Settlement } from '@rivulet/core/channel';
import { createAttributedFailure, type FailureMessage } from '@rivulet/core/onion';
import { type KnownInvoice, keysendRecordType } from '@rivulet/core/payment';
import { encodeMessage } from '@rivulet/core/wire';
import type { ChannelKey, HtlcRef } from './htlcRef.js';
import { chainHash } from './openChannel.js';
import type { Random } from './random.js';
import type { ForwardOrder } from './simForwarder.js';
import type { FinalOrder } from './simReceiver.js';
import type { Turn } from './turn.js';

/** The ways in which nodes misbehave: each is what one hostile node does, over real channels. */
export const hostilityKinds = [
  /** Answers nothing: who sent to it waits until the HTLC expires. */
  'withhold',
  /** Alters failures, and attribution data, that come back through it. */
  'corrupt',
  /** Fails with codes that have nothing to do with what is wrong, and updates that are nonsense. */
  'wrong_codes',
  /** Passes on what it got, and the same onion once more. */
  'replay',
  /** Holds back settlements until just before the HTLC expires. */
  'delay',
  /** Offers less than it was told to. */
  'forward_less',
  /** Breaks the onion before it passes it on. */
  'break_onion',
  /** Asks for more than its terms say, with updates that say more. */
  'overcharge',
  /** Passes on, and fails what came in at once. */
  'fail_after_forward',
  /** Takes a part of a payment before all parts are there. */
  'greedy',
  /** Reads no word more on a channel over which a preimage comes: who paid for it must claim on chain. */
  'stall',
] as const;

export type HostilityKind = (typeof hostilityKinds)[number];

/** What a hostile node can do with an HTLC. */
export interface Hands {
  readonly random: Random;
  /** In one of so many cases it misbehaves; else it is as others are. */
  readonly rate: number;
  readonly turn: Turn;
  /** As an honest node would, but for what is offered. @returns what was offered */
  forward(
    order: ForwardOrder,
    tamper?: (htlc: NewHtlc) => NewHtlc,
  ): { key: ChannelKey; htlc: NewHtlc } | undefined;
  settle(ref: HtlcRef, settlement: Settlement): void;
  /** Nothing goes back before a height. */
  settleAt(height: number, ref: HtlcRef, settlement: Settlement): void;
  claim(order: FinalOrder, preimage: Uint8Array): void;
  invoiceOf(paymentHash: Uint8Array): KnownInvoice | undefined;
  directionOf(shortChannelId: bigint): 0 | 1;
}

/** How a hostile node deviates. What it does not say is done honestly. */
export interface Hostility {
  readonly kind: HostilityKind;
  /** @returns whether that was all. */
  onForward?(hands: Hands, order: ForwardOrder): boolean;
  onFinal?(hands: Hands, order: FinalOrder): boolean;
  /** A settlement goes back for an HTLC that came in. @returns whether that was all. */
  /** A message comes. @returns whether nothing of its channel is read from now on, this one included. */
  onMessage?(hands: Pick<Hands, 'random' | 'rate'>, message: ChannelMessage): boolean;
  onSettle?(hands: Hands, given: { ref: HtlcRef; htlc: Htlc; settlement: Settlement }): boolean;
}

function refOfOrder({ channel, htlc }: { channel: Channel; htlc: Htlc }): HtlcRef {
  return { channelId: channel.params.channelId, htlcId: htlc.id };
}

function fail(hands: Hands, order: ForwardOrder, failure: FailureMessage): void {
  const { sharedSecret } = order;
  const answer = createAttributedFailure({ sharedSecret, failure, holdTimeMs: hands.random.below(2 ** 31) });
  hands.settle(refOfOrder(order), { type: 'fail', ...answer });
}

function withNoise(random: Random, bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes);
  for (let i = random.below(8) + 1; i > 0; i--) {
    const at = random.below(changed.length);
    changed[at] = (changed[at] as number) ^ (1 << random.below(8));
  }
  return changed;
}

/** An update of any terms for the channel that the HTLC should have gone into; nobody looks at its signature. */
function channelUpdate(
  hands: Hands,
  { payload }: ForwardOrder,
  terms: { feeBaseMsat: number; feeProportionalMillionths: number },
): Uint8Array {
  const { shortChannelId } = payload;
  return encodeMessage({
    type: 'channel_update',
    signature: hands.random.bytes(64),
    chainHash,
    shortChannelId,
    timestamp: hands.random.u32(),
    messageFlags: 1,
    channelFlags: hands.directionOf(shortChannelId),
    cltvExpiryDelta: hands.random.below(200),
    htlcMinimumMsat: BigInt(hands.random.below(2_000)),
    ...terms,
    htlcMaximumMsat: BigInt(hands.random.below(2 ** 40)) + 2_000n,
    extension: new Uint8Array(0),
  });
}

function randomFailure(hands: Hands, order: ForwardOrder): FailureMessage {
  const { random } = hands;
  const update = random.pick([
    () => new Uint8Array(0),
    () => random.bytes(random.below(200)),
    () => channelUpdate(hands, order, { feeBaseMsat: random.u32(), feeProportionalMillionths: random.u32() }),
    () =>
      channelUpdate(hands, order, {
        feeBaseMsat: random.below(5_000),
        feeProportionalMillionths: random.below(5_000),
      }),
  ])();
  const htlcMsat = order.htlc.amountMsat;
  return random.pick<FailureMessage>([
    { type: 'temporary_node_failure' },
    { type: 'permanent_node_failure' },
    { type: 'required_node_feature_missing' },
    { type: 'invalid_onion_hmac', sha256OfOnion: random.bytes(32) },
    { type: 'temporary_channel_failure', channelUpdate: update },
    { type: 'permanent_channel_failure' },
    { type: 'required_channel_feature_missing' },
    { type: 'unknown_next_peer' },
    { type: 'amount_below_minimum', htlcMsat, channelUpdate: update },
    { type: 'fee_insufficient', htlcMsat, channelUpdate: update },
    { type: 'incorrect_cltv_expiry', cltvExpiry: random.u32(), channelUpdate: update },
    { type: 'expiry_too_soon', channelUpdate: update },
    { type: 'incorrect_or_unknown_payment_details', htlcMsat, height: random.u32() },
    { type: 'final_incorrect_cltv_expiry', cltvExpiry: random.u32() },
    { type: 'final_incorrect_htlc_amount', incomingHtlcMsat: BigInt(random.u32()) },
    { type: 'channel_disabled', disabledFlags: random.below(0x1_0000), channelUpdate: update },
    { type: 'expiry_too_far' },
    { type: 'invalid_onion_payload', tlvType: BigInt(random.u32()), offset: random.below(1000) },
    { type: 'mpp_timeout' },
    { type: 'unknown', failureCode: random.below(0x1_0000), data: random.bytes(random.below(100)) },
  ]);
}

/** Blocks before an HTLC's expiry in which those who delay answer at last. */
const lastBlocks = 20;

export function createHostility(kind: HostilityKind): Hostility {
  switch (kind) {
    case 'withhold': {
      const some = ({ random, rate }: Hands) => random.chance(rate);
      return { kind, onForward: some, onFinal: some };
    }
    case 'corrupt':
      return {
        kind,
        onSettle(hands, { ref, settlement }) {
          const { random, rate } = hands;
          if (!random.chance(rate)) return false;
          hands.settle(ref, corrupted(random, settlement));
          return true;
        },
      };
    case 'wrong_codes':
      return {
        kind,
        onForward(hands, order) {
          if (!hands.random.chance(hands.rate)) return false;
          fail(hands, order, randomFailure(hands, order));
          return true;
        },
      };
    case 'replay':
      return {
        kind,
        onForward(hands, order) {
          if (!hands.random.chance(hands.rate)) return false;
          const offered = hands.forward(order);
          // Of its own money: whether it comes back is its own affair.
          if (offered !== undefined) hands.turn.add(offered.key, offered.htlc);
          return true;
        },
      };
    case 'delay':
      return {
        kind,
        onSettle(hands, { ref, htlc, settlement }) {
          if (!hands.random.chance(hands.rate)) return false;
          hands.settleAt(htlc.cltvExpiry - 1 - hands.random.below(lastBlocks), ref, settlement);
          return true;
        },
      };
    case 'forward_less':
      return {
        kind,
        onForward(hands, order) {
          if (!hands.random.chance(hands.rate)) return false;
          const part = BigInt(hands.random.below(99) + 1);
          const less = (amountMsat: bigint) => (amountMsat * part) / 100n || 1n;
          hands.forward(order, (htlc) => ({ ...htlc, amountMsat: less(htlc.amountMsat) }));
          return true;
        },
      };
    case 'break_onion':
      return {
        kind,
        onForward(hands, order) {
          if (!hands.random.chance(hands.rate)) return false;
          hands.forward(order, (htlc) => ({ ...htlc, onion: withNoise(hands.random, htlc.onion) }));
          return true;
        },
      };
    case 'overcharge':
      return {
        kind,
        onForward(hands, order) {
          const { htlc, payload } = order;
          const factor = BigInt(hands.random.below(20) + 2);
          const differenceMsat = htlc.amountMsat - payload.amountToForwardMsat;
          // Who is before it may have passed on less than it was told to.
          const paidMsat = differenceMsat > 0n ? differenceMsat : 0n;
          if (!hands.random.chance(hands.rate)) return false;
          const feeBaseMsat = Number(paidMsat * factor + 1n);
          const terms = { feeBaseMsat: Math.min(feeBaseMsat, 0xffff_ffff), feeProportionalMillionths: 0 };
          const update = channelUpdate(hands, order, terms);
          fail(hands, order, { type: 'fee_insufficient', htlcMsat: htlc.amountMsat, channelUpdate: update });
          return true;
        },
      };
    case 'fail_after_forward':
      return {
        kind,
        onForward(hands, order) {
          if (!hands.random.chance(hands.rate)) return false;
          if (hands.forward(order) !== undefined) fail(hands, order, { type: 'temporary_node_failure' });
          return true;
        },
      };
    case 'greedy':
      return {
        kind,
        onFinal(hands, order) {
          const { htlc, payload } = order;
          const preimage =
            hands.invoiceOf(htlc.paymentHash)?.preimage ?? payload.customRecords.get(keysendRecordType);
          if (preimage === undefined || preimage.length !== 32) return false;
          hands.claim(order, preimage);
          return true;
        },
      };
    case 'stall':
      return {
        kind,
        onMessage: ({ random, rate }, { type }) => type === 'update_fulfill_htlc' && random.chance(rate),
      };
    default:
      return kind satisfies never;
  }
}

function corrupted(random: Random, settlement: Settlement): Settlement {
  switch (settlement.type) {
    case 'fulfill':
      return { ...settlement, attributionData: random.bytes(920) };
    case 'fail': {
      const reason = random.chance(0.2)
        ? random.bytes(random.below(2_000) + 1)
        : withNoise(random, settlement.reason);
      const { attributionData } = settlement;
      if (attributionData === undefined || random.chance(0.3)) return { type: 'fail', reason };
      return {
        type: 'fail',
        reason,
        attributionData: random.chance(0.5) ? attributionData : withNoise(random, attributionData),
      };
    }
    case 'fail_malformed':
      return { ...settlement, sha256OfOnion: random.bytes(32) };
  }
}
