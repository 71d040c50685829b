import { secp256k1 } from '../crypto/index.js';
import type { ChannelReady } from '../wire/index.js';
import type { Readiness } from './channel.js';
import { ChannelError } from './channelError.js';
import type { StepDraft } from './step.js';

/** The funding transaction, checked by the caller with paysFunding, has its place in the chain. */
export function onFundingConfirmed(
  draft: StepDraft,
  { height, index }: { readonly height: number; readonly index: number },
): void {
  draft.save({ readiness: { ...draft.channel.readiness, fundingConfirmed: { height, index } } });
  sendChannelReadyIfDeep(draft);
}

/** A reorganisation took the confirmation back. What was said in channel_ready stays said. */
export function onFundingUnconfirmed(draft: StepDraft): void {
  const { fundingConfirmed, ...readiness } = draft.channel.readiness;
  if (fundingConfirmed !== undefined) draft.save({ readiness });
}

/** Sends channel_ready for the first time, once the funding transaction is deep enough. */
export function sendChannelReadyIfDeep(draft: StepDraft): void {
  const { params, phase, link, readiness } = draft.channel;
  if (phase.name !== 'awaiting_ready' || link !== 'online' || readiness.localSent) return;
  const { fundingConfirmed } = readiness;
  const depth = fundingConfirmed === undefined ? 0 : draft.context.blockHeight - fundingConfirmed.height + 1;
  // BOLT 2: channel_ready, sender: not before the funding transaction has reached minimum_depth
  if (!params.format.zeroConf && depth < params.minimumDepth) return;
  draft.save({ readiness: { ...readiness, localSent: true } });
  sendChannelReady(draft);
  openIfReady(draft);
}

/** Puts channel_ready on the wire, for the first time or again. */
export function sendChannelReady(draft: StepDraft): void {
  const { params, readiness } = draft.channel;
  draft.send({
    type: 'channel_ready',
    channelId: params.channelId,
    // BOLT 2: channel_ready, sender: the point of commitment number 1
    secondPerCommitmentPoint: draft.context.signer.perCommitmentPoint(1n),
    // BOLT 2: channel_ready, sender: an alias with option_scid_alias; it is always given
    ...(readiness.localAlias === undefined ? {} : { shortChannelId: readiness.localAlias }),
  });
}

/** The peer considers the funding deep enough, or gives another alias. */
export function receiveChannelReady(draft: StepDraft, message: ChannelReady): void {
  const { readiness, remoteCommit } = draft.channel;
  const { secondPerCommitmentPoint, shortChannelId } = message;
  const renamed: Readiness =
    shortChannelId === undefined ? readiness : { ...readiness, remoteAlias: shortChannelId };
  if (readiness.remoteReceived) {
    // BOLT 2: channel_reestablish: ignore redundant channel_ready, except for its alias
    if (renamed.remoteAlias !== readiness.remoteAlias) draft.save({ readiness: renamed });
    return;
  }
  if (!secp256k1.isPublicKey(secondPerCommitmentPoint)) {
    throw new ChannelError('revocation_invalid', 'second_per_commitment_point is not on the curve');
  }
  draft.save({
    readiness: { ...renamed, remoteReceived: true },
    remoteCommit: { ...remoteCommit, nextPoint: secondPerCommitmentPoint },
  });
  openIfReady(draft);
}

function openIfReady(draft: StepDraft): void {
  const { phase, readiness } = draft.channel;
  if (phase.name !== 'awaiting_ready' || !readiness.localSent || !readiness.remoteReceived) return;
  draft.save({ phase: { name: 'open' } });
  draft.events.push({ type: 'phaseChanged' }, { type: 'online' });
}
