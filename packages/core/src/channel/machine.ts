import { printableData } from '../wire/index.js';
import {
  forgetAnnouncement,
  progressAnnouncement,
  receiveAnnouncementSignatures,
  tellAnnouncement,
} from './announcement.js';
import type { Channel } from './channel.js';
import { ChannelError, ChannelRefusal } from './channelError.js';
import {
  onReconnectedClosing,
  receiveClosingComplete,
  receiveClosingSig,
  receiveClosingSigned,
  receiveShutdown,
  requestClose,
  sendShutdownIfPossible,
  startNegotiationIfClean,
} from './closing/index.js';
import { receiveCommitmentSigned, receiveRevokeAndAck, signIfPending } from './committing.js';
import { checkDeadlines, failChannel, isOnChain, publishCommitment, receiveError } from './failing.js';
import { offerFee, offerHtlc, receiveFee, receiveRemoval, settleHtlc } from './offering.js';
import {
  onFundingConfirmed,
  onFundingUnconfirmed,
  receiveChannelReady,
  sendChannelReadyIfDeep,
} from './readiness.js';
import { receiveAdd } from './receiving.js';
import {
  askToClose,
  receiveReestablish,
  sendError,
  sendReestablish,
  withoutUncommitted,
} from './reestablish.js';
import { type ChannelMessage, type Command, type Step, type StepContext, StepDraft } from './step.js';

/**
 * What a command makes of a channel. Pure: the same arguments give the same step. A refused command
 * changes nothing and is told by an event; a protocol error of the peer is answered as the BOLT says. An
 * exception is a fault of ours: the caller drops the step, keeps the channel as it was and shouts.
 *
 * `store` has to be durable before any of `effects` is let out.
 */
export function step(channel: Channel, command: Command, context: StepContext): Step {
  const draft = new StepDraft(channel, context);
  try {
    handle(draft, command);
    sendShutdownIfPossible(draft);
    startNegotiationIfClean(draft);
    progressAnnouncement(draft);
    return draft.finish();
  } catch (error) {
    if (error instanceof ChannelError) return answerError(new StepDraft(channel, context), error);
    if (error instanceof ChannelRefusal)
      return answerRefusal(new StepDraft(channel, context), command, error);
    throw error;
  }
}

/** What a restart makes of a stored channel: offline, and to be published again where it has to be. */
export function resume(channel: Channel, context: StepContext): Step {
  const draft = new StepDraft(withoutUncommitted(channel), context);
  publishCommitment(draft);
  publishClosing(draft);
  tellAnnouncement(draft);
  for (const htlc of draft.channel.htlcs.direction('received')) {
    // On a channel that goes to the chain one that is settled keeps its state.
    if (htlc.state === 'rcvd_add_ack_revocation' && htlc.settlement === undefined) {
      draft.events.push({ type: 'htlcReceived', htlc });
    }
  }
  return draft.finish();
}

function answerError(draft: StepDraft, error: ChannelError): Step {
  if (error.response === 'fail_channel') {
    failChannel(draft, error);
  } else {
    const data = Uint8Array.from(error.message, (character) => character.charCodeAt(0) & 0x7f);
    draft.send({ type: 'warning', channelId: draft.channel.params.channelId, data });
    draft.effects.push({ type: 'report', level: 'warn', error });
    draft.effects.push({ type: 'disconnect', reason: error.message });
    // What was read already and comes after this message builds on it: nothing of it counts any more.
    draft.channel = withoutUncommitted(draft.channel);
  }
  return draft.finish();
}

function answerRefusal(draft: StepDraft, command: Command, reason: ChannelRefusal): Step {
  draft.events.push(
    command.type === 'addHtlc'
      ? { type: 'htlcRefused', requestId: command.requestId, reason }
      : { type: 'commandRefused', command: command.type, reason },
  );
  return draft.finish();
}

function handle(draft: StepDraft, command: Command): void {
  switch (command.type) {
    case 'connected':
      onConnected(draft, command);
      return;
    case 'disconnected':
      draft.channel = withoutUncommitted(draft.channel);
      return;
    case 'message':
      receive(draft, command.message);
      return;
    case 'block':
      sendChannelReadyIfDeep(draft);
      checkDeadlines(draft);
      return;
    case 'fundingConfirmed':
      onFundingConfirmed(draft, command);
      return;
    case 'fundingUnconfirmed':
      onFundingUnconfirmed(draft);
      forgetAnnouncement(draft);
      return;
    case 'addHtlc':
      offerHtlc(draft, command);
      return;
    case 'settleHtlc':
      settleHtlc(draft, command);
      return;
    case 'updateFee':
      offerFee(draft, command.feeratePerKw);
      return;
    case 'sign':
      signIfPending(draft);
      return;
    case 'close':
      requestClose(draft, command.script);
      return;
    case 'forceClose':
      forceClose(draft);
      return;
    case 'fundingSpent':
      draft.save({ phase: { name: 'spent', by: command.by }, link: 'offline' });
      draft.events.push({ type: 'phaseChanged' });
      return;
    case 'fundingUnspent':
      onFundingUnspent(draft);
      return;
    case 'resolved':
      draft.save({ phase: { name: 'closed' }, link: 'offline' });
      draft.events.push({ type: 'phaseChanged' });
      return;
    default:
      throw new Error(`no such command: ${(command satisfies never as { type: string }).type}`);
  }
}

function onConnected(
  draft: StepDraft,
  { simpleClose, anySegwit = false }: { simpleClose: boolean; anySegwit?: boolean },
): void {
  const { phase } = draft.channel;
  // BOLT 2: in an error state: retransmit the error and ignore any other packets for that channel
  if (phase.name === 'failed' || phase.name === 'spent' || phase.name === 'closed') {
    sendError(draft, 'this channel is closed on chain');
    return;
  }
  draft.patch({ ...withoutUncommitted(draft.channel), simpleClose, anySegwit });
  sendReestablish(draft);
}

function forceClose(draft: StepDraft): void {
  const { name } = draft.channel.phase;
  if (name === 'stale') {
    throw new ChannelRefusal('data_lost', 'data of this channel was lost: only the peer can close it safely');
  }
  if (isOnChain(draft.channel))
    throw new ChannelRefusal('channel_closing', 'the channel is closed on chain already');
  if (draft.context.unproven === true) {
    throw new ChannelRefusal(
      'data_unproven',
      'this channel was restored from a copy, and its peer has not shown yet that the copy is the latest: our ' +
        'commitment may be revoked, and publishing it could lose everything. Connect to the peer first',
    );
  }
  failChannel(draft, new ChannelError('closed_by_us', 'the channel was closed by its other side'));
}

/** Publishes the transactions of a close together (again). */
function publishClosing(draft: StepDraft): void {
  const { phase, closingTransactions } = draft.channel;
  if (phase.name !== 'closing') return;
  for (const tx of closingTransactions) draft.effects.push({ type: 'publish', tx, purpose: 'closing' });
}

function onFundingUnspent(draft: StepDraft): void {
  if (draft.channel.phase.name !== 'spent') return;
  if (draft.channel.dataLost) {
    draft.save({ phase: { name: 'stale' } });
    draft.events.push({ type: 'phaseChanged' });
    return;
  }
  if (draft.channel.closingTransactions.length > 0) {
    // Nothing is pending and both have signed: the close together stands, without the delay of a commitment.
    draft.save({ phase: { name: 'closing' } });
    draft.events.push({ type: 'phaseChanged' });
    publishClosing(draft);
    return;
  }
  if (draft.context.unproven === true) {
    // What spent the output may well be newer than all that we have: ours may be revoked.
    draft.save({ phase: { name: 'stale' }, dataLost: true });
    draft.events.push({ type: 'phaseChanged' });
    return;
  }
  // What spent the output is valid still and will be mined again; ours competes with it.
  const error = new ChannelError('internal', 'the transaction that closed the channel was reorganised away');
  draft.save({ phase: { name: 'failed', error } });
  draft.events.push({ type: 'phaseChanged' });
  publishCommitment(draft);
}

/** Messages that only a channel in normal operation takes. */
function receive(draft: StepDraft, message: ChannelMessage): void {
  const { phase, link } = draft.channel;
  if (message.type === 'error') {
    if (phase.name === 'stale') return;
    receiveError(draft, printableData(message.data));
    return;
  }
  if (phase.name === 'stale' && message.type === 'channel_reestablish') {
    // BOLT 2: SHOULD send an error to request the peer to fail the channel
    sendError(draft, askToClose);
    return;
  }
  if (message.type === 'warning' || isOnChain(draft.channel)) return;
  // The connection that it came over is given up: the peer sends again what matters.
  if (link === 'offline') return;
  if (message.type === 'channel_reestablish') {
    receiveReestablish(draft, message);
    if (draft.channel.link === 'online') {
      sendChannelReadyIfDeep(draft);
      onReconnectedClosing(draft);
    }
    return;
  }
  // BOLT 2: must wait for the other's channel_reestablish before any other message of the channel
  if (link !== 'online') {
    throw new ChannelError(
      'message_unexpected',
      `${message.type} came before channel_reestablish`,
      'warn_and_disconnect',
    );
  }
  receiveOnline(draft, message);
}

function receiveOnline(
  draft: StepDraft,
  message: Exclude<ChannelMessage, { type: 'error' | 'warning' | 'channel_reestablish' }>,
): void {
  switch (message.type) {
    case 'channel_ready':
      receiveChannelReady(draft, message);
      return;
    case 'announcement_signatures':
      receiveAnnouncementSignatures(draft, message);
      return;
    case 'shutdown':
      receiveShutdown(draft, message);
      return;
    case 'closing_signed':
      receiveClosingSigned(draft, message);
      return;
    case 'closing_complete':
      receiveClosingComplete(draft, message);
      return;
    case 'closing_sig':
      receiveClosingSig(draft, message);
      return;
    default:
      receiveUpdate(draft, message);
  }
}

function receiveUpdate(
  draft: StepDraft,
  message: Extract<
    ChannelMessage,
    {
      type:
        | 'update_add_htlc'
        | 'update_fulfill_htlc'
        | 'update_fail_htlc'
        | 'update_fail_malformed_htlc'
        | 'update_fee'
        | 'commitment_signed'
        | 'revoke_and_ack';
    }
  >,
): void {
  // BOLT 2: normal operation begins when both have sent channel_ready
  if (draft.channel.phase.name !== 'open') {
    throw new ChannelError(
      'message_unexpected',
      `${message.type} came while the channel is ${draft.channel.phase.name}`,
      'warn_and_disconnect',
    );
  }
  switch (message.type) {
    case 'update_add_htlc':
      receiveAdd(draft, message);
      return;
    case 'update_fulfill_htlc':
    case 'update_fail_htlc':
    case 'update_fail_malformed_htlc':
      receiveRemoval(draft, message);
      return;
    case 'update_fee':
      receiveFee(draft, message);
      return;
    case 'commitment_signed':
      receiveCommitmentSigned(draft, message);
      return;
    case 'revoke_and_ack':
      receiveRevokeAndAck(draft, message);
  }
}
