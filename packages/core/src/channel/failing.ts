import type { Channel } from './channel.js';
import { ChannelError } from './channelError.js';
import { completeLocalCommitment } from './commitments.js';
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

/** Fails the channel: says so to the peer and publishes our commitment (BOLT 5: Failing a Channel). */
export function failChannel(draft: StepDraft, error: ChannelError): void {
  if (isOnChain(draft.channel)) return;
  draft.save({ phase: { name: 'failed', error }, link: 'offline' });
  draft.events.push({ type: 'phaseChanged' });
  draft.effects.push({ type: 'report', level: 'error', error });
  sendError(draft, error.message);
  publishCommitment(draft);
}

/** Publishes our latest commitment (again): also after a restart. */
export function publishCommitment(draft: StepDraft): void {
  if (draft.channel.phase.name !== 'failed' || draft.channel.dataLost) return;
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

/** Goes to the chain when an HTLC's deadline is past (BOLT 2: cltv_expiry_delta Selection, requirements). */
export function checkDeadlines(draft: StepDraft): void {
  const { channel, context } = draft;
  if (isOnChain(channel)) return;
  const { blockHeight } = context;
  let late: ChannelError | undefined;
  channel.htlcs.forEach((htlc) => {
    const { inLocal, inRemote } = htlcStateFacts[htlc.state];
    if (!inLocal && !inRemote) return;
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
