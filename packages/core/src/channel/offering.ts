import { equalBytes } from '../bytes/index.js';
import { sha256 } from '../crypto/index.js';
import type { UpdateFailHtlc, UpdateFailMalformedHtlc, UpdateFee, UpdateFulfillHtlc } from '../wire/index.js';
import type { Channel, FeeUpdate } from './channel.js';
import { ChannelError, ChannelRefusal } from './channelError.js';
import { highestFeerate } from './commitmentSpec.js';
import { attributionDataLength, type Htlc, type NewHtlc, type Settlement } from './htlc.js';
import {
  canAffordFeerate,
  dustExposureMsat,
  exceedsDustExposure,
  htlcLimitBreach,
  type LimitBreach,
} from './htlcLimits.js';
import type { StepDraft } from './step.js';

/** cltv_expiry values from here on would be times (BOLT 2). */
export const cltvExpiryLimit = 500_000_000;

function sats(msat: bigint): string {
  return `${msat / 1000n} sat`;
}

function refusalOf(breach: LimitBreach): ChannelRefusal {
  switch (breach.limit) {
    case 'too_many_htlcs':
      return new ChannelRefusal(
        'too_many_htlcs',
        `the peer takes ${breach.maximum} payments at once on this channel; try again when one is done`,
      );
    case 'in_flight_limit':
      return new ChannelRefusal(
        'in_flight_limit',
        `the peer takes ${sats(breach.maximumMsat)} at once on this channel; try again when a payment is done`,
      );
    case 'amount_unaffordable':
      return new ChannelRefusal(
        'amount_unaffordable',
        `too little balance: ${sats(breach.availableMsat)} can be sent on this channel after its reserve and fees`,
      );
    case 'remote_cannot_afford_fee':
      return new ChannelRefusal(
        'remote_cannot_afford_fee',
        'the peer opened this channel and its balance is too low to pay the fee of one payment more',
      );
  }
}

/** Refuses what cannot be added to this channel now. */
function checkOpenForAdding(channel: Channel): void {
  if (channel.phase.name !== 'open') {
    throw new ChannelRefusal(
      'channel_not_open',
      `the channel is not open for payments (${channel.phase.name})`,
    );
  }
  const { localScript, remoteScript } = channel.shutdown;
  if (localScript !== undefined || remoteScript !== undefined) {
    throw new ChannelRefusal('channel_closing', 'the channel is being closed and takes no new payments');
  }
  if (channel.link !== 'online') {
    throw new ChannelRefusal('peer_offline', 'the peer of this channel is not connected');
  }
}

/** Adds an HTLC of ours: it is in the peer's next commitment (BOLT 2: update_add_htlc, sending node). */
export function offerHtlc(
  draft: StepDraft,
  { requestId, htlc: wanted }: { requestId: string; htlc: NewHtlc },
): void {
  const { channel, context } = draft;
  checkOpenForAdding(channel);
  if (wanted.amountMsat <= 0n) throw new ChannelRefusal('amount_zero', 'the amount must be above zero');
  if (wanted.amountMsat < channel.params.remote.htlcMinimumMsat) {
    throw new ChannelRefusal(
      'amount_below_minimum',
      `the peer takes no less than ${channel.params.remote.htlcMinimumMsat} msat on this channel`,
    );
  }
  if (wanted.cltvExpiry >= cltvExpiryLimit || wanted.cltvExpiry <= context.blockHeight) {
    throw new ChannelRefusal('expiry_invalid', `block ${wanted.cltvExpiry} cannot be an HTLC's expiry now`);
  }
  const htlc: Htlc = { ...wanted, direction: 'offered', id: channel.nextOfferedId, state: 'sent_add' };
  const breach = htlcLimitBreach(channel, htlc);
  if (breach !== undefined) throw refusalOf(breach);
  // BOLT 2: Bounding exposure to trimmed in-flight HTLCs, when offering an HTLC
  if (exceedsDustExposure(channel, htlc, context.policy.maxDustExposureMsat)) {
    throw new ChannelRefusal(
      'dust_exposure',
      'too many payments that are too small for the chain are pending on this channel; try again when one is done',
    );
  }
  draft.save({
    htlcs: channel.htlcs.with(htlc),
    nextOfferedId: htlc.id + 1n,
    offeredMsat: channel.offeredMsat + htlc.amountMsat,
    unsignedChanges: true,
  });
  draft.store.push({ type: 'putHtlc', htlc });
  draft.events.push({ type: 'htlcAdded', requestId, htlc });
  sendAdd(draft, htlc);
}

/** Puts the message of an HTLC that we offer on the wire. */
export function sendAdd(draft: StepDraft, htlc: Htlc): void {
  draft.send({
    type: 'update_add_htlc',
    channelId: draft.channel.params.channelId,
    id: htlc.id,
    amountMsat: htlc.amountMsat,
    paymentHash: htlc.paymentHash,
    cltvExpiry: htlc.cltvExpiry,
    onionRoutingPacket: htlc.onion,
    ...(htlc.pathKey === undefined ? {} : { pathKey: htlc.pathKey }),
  });
}

/** Removes an HTLC of theirs (BOLT 2: Removing an HTLC). */
export function settleHtlc(
  draft: StepDraft,
  { id, settlement }: { id: bigint; settlement: Settlement },
): void {
  const { channel } = draft;
  const htlc = channel.htlcs.get('received', id);
  if (htlc === undefined) throw new ChannelRefusal('htlc_unknown', `there is no pending HTLC ${id}`);
  if (htlc.settlement !== undefined) {
    throw new ChannelRefusal('htlc_already_settled', `HTLC ${id} is settled already`);
  }
  // BOLT 2: not before it is irrevocably committed in both sides' commitments
  if (htlc.state !== 'rcvd_add_ack_revocation') {
    throw new ChannelRefusal('htlc_not_committed', `HTLC ${id} is not irrevocably committed yet`);
  }
  if (settlement.type === 'fulfill' && !equalBytes(sha256(settlement.preimage), htlc.paymentHash)) {
    throw new ChannelRefusal('preimage_wrong', `the preimage does not belong to HTLC ${id}`);
  }
  const live = channel.phase.name === 'open';
  // On a channel that goes to the chain the settlement is kept: the claim needs the preimage.
  const settled: Htlc = { ...htlc, settlement, state: live ? 'sent_remove' : htlc.state };
  draft.save({ htlcs: channel.htlcs.with(settled), ...(live ? { unsignedChanges: true } : {}) });
  draft.store.push({ type: 'putHtlc', htlc: settled });
  if (live && channel.link === 'online') sendRemoval(draft, settled);
}

/** What goes beside a preimage or a failure. Of another length it could not be sent, and the removal matters more. */
function attributionOf({ attributionData }: { readonly attributionData?: Uint8Array | undefined }): {
  readonly attributionData?: Uint8Array;
} {
  return attributionData?.length === attributionDataLength ? { attributionData } : {};
}

/** Puts the message that removes a received HTLC on the wire. */
export function sendRemoval(draft: StepDraft, { id, settlement }: Htlc): void {
  const { channelId } = draft.channel.params;
  if (settlement === undefined) return;
  switch (settlement.type) {
    case 'fulfill': {
      const attribution = attributionOf(settlement);
      const { preimage: paymentPreimage } = settlement;
      draft.send({ type: 'update_fulfill_htlc', channelId, id, paymentPreimage, ...attribution });
      return;
    }
    case 'fail': {
      const { reason } = settlement;
      draft.send({ type: 'update_fail_htlc', channelId, id, reason, ...attributionOf(settlement) });
      return;
    }
    case 'fail_malformed': {
      const { sha256OfOnion, failureCode } = settlement;
      draft.send({ type: 'update_fail_malformed_htlc', channelId, id, sha256OfOnion, failureCode });
    }
  }
}

const badOnion = 0x8000;

/** The peer removes an HTLC of ours. */
export function receiveRemoval(
  draft: StepDraft,
  message: UpdateFulfillHtlc | UpdateFailHtlc | UpdateFailMalformedHtlc,
): void {
  const { channel } = draft;
  const htlc = channel.htlcs.get('offered', message.id);
  // BOLT 2: the id must correspond to an HTLC in the receiving node's current commitment
  if (htlc === undefined || htlc.state !== 'sent_add_ack_revocation') {
    throw new ChannelError(
      'htlc_unknown_to_peer',
      `${message.type} for HTLC ${message.id}, which is not committed or already removed`,
    );
  }
  const settlement = settlementOf(message, htlc);
  const removed: Htlc = { ...htlc, settlement, state: 'rcvd_remove' };
  draft.patch({ htlcs: channel.htlcs.with(removed) });
  if (settlement.type !== 'fulfill') return;
  // A preimage counts from the moment that it is seen, whether its commitment follows or not.
  draft.store.push({ type: 'putHtlc', htlc: removed });
  const { preimage } = settlement;
  draft.events.push({ type: 'htlcFulfilled', htlc: removed, preimage, ...attributionOf(settlement) });
}

function settlementOf(
  message: UpdateFulfillHtlc | UpdateFailHtlc | UpdateFailMalformedHtlc,
  htlc: Htlc,
): Settlement {
  switch (message.type) {
    case 'update_fulfill_htlc':
      if (!equalBytes(sha256(message.paymentPreimage), htlc.paymentHash)) {
        throw new ChannelError(
          'preimage_mismatch',
          `the preimage for HTLC ${htlc.id} is not that of its payment hash`,
        );
      }
      return { type: 'fulfill', preimage: message.paymentPreimage, ...attributionOf(message) };
    case 'update_fail_htlc':
      return { type: 'fail', reason: message.reason, ...attributionOf(message) };
    case 'update_fail_malformed_htlc':
      // BOLT 2: BADONION must be set in failure_code
      if ((message.failureCode & badOnion) === 0) {
        throw new ChannelError(
          'htlc_invalid',
          `update_fail_malformed_htlc for HTLC ${htlc.id} without BADONION in its code`,
        );
      }
      return {
        type: 'fail_malformed',
        sha256OfOnion: message.sha256OfOnion,
        failureCode: message.failureCode,
      };
  }
}

/** Proposes a new feerate; only the opener may (BOLT 2: update_fee). */
export function offerFee(draft: StepDraft, feeratePerKw: number): void {
  const { channel, context } = draft;
  checkOpenForAdding(channel);
  if (!channel.params.localIsOpener) {
    throw new ChannelRefusal('not_opener', 'only the peer that opened the channel can change its feerate');
  }
  const { minFeeratePerKw, maxFeeratePerKw, maxDustExposureMsat } = context.policy;
  if (feeratePerKw < minFeeratePerKw || feeratePerKw > maxFeeratePerKw) {
    throw new ChannelRefusal(
      'feerate_invalid',
      `a feerate is from ${minFeeratePerKw} to ${maxFeeratePerKw} sat per 1,000 weight`,
    );
  }
  // LDK remembers one feerate that is not irrevocable: a second one makes it forget the first, which our
  // commitments have by then, and its next signature does not fit.
  if (channel.fee.updates.some(({ state }) => state !== 'sent_add')) {
    throw new ChannelRefusal('feerate_pending', 'the last change of the feerate is still being committed');
  }
  const changed = withFee(channel, { feeratePerKw, state: 'sent_add' });
  const affordable =
    canAffordFeerate(changed, { party: 'local', side: 'remote' }) &&
    canAffordFeerate({ ...changed, fee: { feeratePerKw, updates: [] } }, { party: 'local', side: 'local' });
  if (!affordable) {
    throw new ChannelRefusal('feerate_unaffordable', 'our balance does not cover the fee at that feerate');
  }
  if (dustExposureMsat(channel, { feeratePerKw }) > maxDustExposureMsat) {
    throw new ChannelRefusal(
      'dust_exposure',
      'that feerate would leave too many pending payments to the miners',
    );
  }
  draft.patch({ fee: changed.fee, unsignedChanges: true });
  sendFee(draft, feeratePerKw);
}

export function sendFee(draft: StepDraft, feeratePerKw: number): void {
  draft.send({ type: 'update_fee', channelId: draft.channel.params.channelId, feeratePerKw });
}

/** A fee update takes the place of one that no commitment has yet. */
function withFee(channel: Channel, update: FeeUpdate): Channel {
  const updates = channel.fee.updates.filter(({ state }) => state !== update.state);
  return { ...channel, fee: { ...channel.fee, updates: [...updates, update] } };
}

/** The opener's new feerate (BOLT 2: update_fee, receiving node). */
export function receiveFee(draft: StepDraft, message: UpdateFee): void {
  const { channel, context } = draft;
  const { feeratePerKw } = message;
  if (channel.params.localIsOpener) {
    throw new ChannelError('fee_update_invalid', 'update_fee came from the peer that does not pay the fee');
  }
  const { minFeeratePerKw, maxFeeratePerKw, maxDustExposureMsat } = context.policy;
  if (feeratePerKw < minFeeratePerKw || feeratePerKw > maxFeeratePerKw) {
    throw new ChannelError(
      'fee_update_invalid',
      `update_fee to ${feeratePerKw}; ${minFeeratePerKw} to ${maxFeeratePerKw} are accepted`,
    );
  }
  const changed = withFee(channel, { feeratePerKw, state: 'rcvd_add' });
  if (!canAffordFeerate(changed, { party: 'remote', side: 'local' })) {
    throw new ChannelError('fee_update_invalid', `the peer cannot afford update_fee to ${feeratePerKw}`);
  }
  // A peer that holds the same limit as we do may have had other HTLCs in view: twice the limit is left.
  const raised = feeratePerKw > highestFeerate(channel.fee);
  if (raised && dustExposureMsat(channel, { feeratePerKw }) > maxDustExposureMsat * 2n) {
    throw new ChannelError('fee_update_invalid', `update_fee to ${feeratePerKw} exposes too much to fees`);
  }
  draft.patch({ fee: changed.fee });
}
