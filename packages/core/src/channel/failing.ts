import type { Channel } from './channel.js';
import { ChannelError } from './channelError.js';
import { completeLocalCommitment } from './commitments.js';
import type { Htlc } from './htlc.js';
import { htlcStateFacts } from './htlcState.js';
import { sendError } from './reestablish.js';
import type { StepDraft } from './step.js';

/** Blocks after its expiry when an HTLC of ours must be timed out on chain (BOLT 2: G). */
const offeredGraceBlocks = 2;
/** Blocks before its expiry when an HTLC that we fulfilled must be claimed on chain (BOLT 2: 2R+G+S). */
const fulfillmentMarginBlocks = 18;

/** Phases in which our commitment must not be published any more, or is published already. */
export function isOnChain(channel: Channel): boolean {
  const { name } = channel.phase;
  return name === 'failed' || name === 'stale' || name === 'spent' || name === 'closed';
}

/**
 * Fails the channel: says so to the peer and publishes our commitment (BOLT 5: Failing a Channel). With data of
 * unknown age that commitment may be revoked: then the channel is given up for good instead, and the peer closes.
 */
export function failChannel(draft: StepDraft, error: ChannelError): void {
  if (isOnChain(draft.channel)) return;
  // BOLT 5: if the node assumes its channel state is outdated: MUST NOT broadcast its last commitment transaction
  const unproven = draft.context.unproven === true;
  draft.save(
    unproven
      ? { phase: { name: 'stale' }, link: 'offline', dataLost: true }
      : { phase: { name: 'failed', error }, link: 'offline' },
  );
  draft.events.push({ type: 'phaseChanged' });
  draft.effects.push({ type: 'report', level: 'error', error });
  sendError(draft, error.message);
  publishCommitment(draft);
}

/** Publishes our latest commitment (again): also after a restart. */
export function publishCommitment(draft: StepDraft): void {
  if (draft.channel.phase.name !== 'failed' || draft.channel.dataLost) return;
  if (draft.context.unproven === true) return;
  const { tx } = completeLocalCommitment(draft.channel, draft.context.signer);
  draft.effects.push({ type: 'publish', tx, purpose: 'commitment' });
}

/** What is kept of a peer's words: they are stored, logged, and must fit into a message again. */
const maxPeerTextLength = 300;

/** The peer failed the channel or all of its channels with us (BOLT 1: error). */
export function receiveError(draft: StepDraft, text: string): void {
  const shortened = text.length > maxPeerTextLength ? `${text.slice(0, maxPeerTextLength)}...` : text;
  failChannel(draft, new ChannelError('peer_error', `the peer failed the channel: ${shortened}`));
}

/**
 * Whether a commitment that can still be published has the HTLC. The peer's is its old one as long as the
 * revocation of that is awaited: an HTLC that its newest one is without any more is in that one.
 */
function isInAnyCommitment({ state }: Htlc): boolean {
  const { inLocal, inRemote } = htlcStateFacts[state];
  return inLocal || inRemote || state === 'sent_remove_ack_commit';
}

/**
 * Goes to the chain when an HTLC's deadline is past (BOLT 2: cltv_expiry_delta Selection, requirements). With
 * data of unknown age nothing can go there: the peer may prove it yet to be the latest, and then the next block
 * finds the deadline past.
 */
export function checkDeadlines(draft: StepDraft): void {
  const { channel, context } = draft;
  if (isOnChain(channel) || context.unproven === true) return;
  const { blockHeight } = context;
  let late: ChannelError | undefined;
  channel.htlcs.forEach((htlc) => {
    if (!isInAnyCommitment(htlc)) return;
    const timedOut = htlc.direction === 'offered' && blockHeight > htlc.cltvExpiry + offeredGraceBlocks;
    const unclaimed =
      htlc.direction === 'received' &&
      htlc.settlement?.type === 'fulfill' &&
      blockHeight + fulfillmentMarginBlocks >= htlc.cltvExpiry;
    if (timedOut || unclaimed) {
      late = new ChannelError(
        'htlc_timed_out',
        `${htlc.direction} HTLC ${htlc.id} was not settled before its deadline (expiry ${htlc.cltvExpiry})`,
      );
    }
  });
  if (late !== undefined) failChannel(draft, late);
}
