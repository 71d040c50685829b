import { equalBytes } from '../bytes/index.js';
import { firstShachainIndex, shachainIndex } from '../keys/index.js';
import type { ChannelReestablish } from '../wire/index.js';
import type { Channel } from './channel.js';
import { ChannelError } from './channelError.js';
import { resendCommitmentSigned, sendRevokeAndAck } from './committing.js';
import type { Htlc } from './htlc.js';
import { sendAdd, sendFee, sendRemoval } from './offering.js';
import { sendChannelReady } from './readiness.js';
import type { StepDraft } from './step.js';
import { hasUnsignedChanges } from './transition.js';

const noSecret = new Uint8Array(32);
/** What is said to the peer of a channel whose latest state was lost here. */
export const askToClose = 'we lost the latest state of this channel: please close it';
/** Commitment numbers have 48 bits (BOLT 3: per-commitment secret requirements). */
const commitmentNumberLimit = firstShachainIndex + 1n;

/**
 * The channel as a reconnection or a restart finds it: what the peer proposed and did not commit is gone
 * (BOLT 2: Message Retransmission, upon disconnection). Our own feerate goes too when no commitment has it:
 * sent again after a revocation that it went out before at first, it could be more than we can pay then.
 */
export function withoutUncommitted({ announcing: _, ...channel }: Channel): Channel {
  let { receivedMsat, nextReceivedId } = channel;
  const htlcs = channel.htlcs.update((htlc) => {
    switch (htlc.state) {
      case 'rcvd_add':
        receivedMsat -= htlc.amountMsat;
        if (htlc.id < nextReceivedId) nextReceivedId = htlc.id;
        return undefined;
      case 'rcvd_remove':
      case 'sent_add_ack_revocation': {
        if (htlc.state === 'sent_add_ack_revocation' && htlc.settlement === undefined) return htlc;
        const { settlement: _, ...kept } = htlc;
        return { ...kept, state: 'sent_add_ack_revocation' } satisfies Htlc;
      }
      default:
        return htlc;
    }
  });
  const updates = channel.fee.updates.filter(({ state }) => state !== 'rcvd_add' && state !== 'sent_add');
  const reset: Channel = {
    ...channel,
    link: 'offline',
    htlcs,
    receivedMsat,
    nextReceivedId,
    fee: { ...channel.fee, updates },
    shutdown: { ...channel.shutdown, localSent: false },
    negotiation: {},
  };
  return { ...reset, unsignedChanges: hasUnsignedChanges(reset) };
}

/** Says where we stand (BOLT 2: channel_reestablish, sending node). */
export function sendReestablish(draft: StepDraft): void {
  const { params, localCommit, remoteCommit, revocations } = draft.channel;
  const { signer } = draft.context;
  const lastSecret =
    remoteCommit.number === 0n ? noSecret : revocations.lookup(shachainIndex(remoteCommit.number - 1n));
  if (lastSecret === undefined) {
    throw new ChannelError(
      'internal',
      `the secret of their commitment ${remoteCommit.number - 1n} is missing`,
    );
  }
  draft.patch({ link: 'syncing' });
  draft.send({
    type: 'channel_reestablish',
    channelId: params.channelId,
    nextCommitmentNumber: localCommit.number + 1n,
    nextRevocationNumber: remoteCommit.number,
    yourLastPerCommitmentSecret: lastSecret,
    myCurrentPerCommitmentPoint: signer.perCommitmentPoint(localCommit.number),
  });
}

/**
 * Compares both sides' numbers and sends again what the peer did not receive, in the order in which it
 * went out at first (BOLT 2: channel_reestablish, receiving node).
 */
export function receiveReestablish(draft: StepDraft, message: ChannelReestablish): void {
  const { channel } = draft;
  if (channel.link !== 'syncing') {
    throw new ChannelError('message_unexpected', 'channel_reestablish came in the middle of a connection');
  }
  // First of all: what proves that we are behind forbids to publish, whatever else the message asks for.
  if (checkRevocationNumber(draft, message) === 'stale') return;
  // BOLT 2: if next_commitment_number is zero: immediately fail the channel
  if (message.nextCommitmentNumber === 0n) {
    throw new ChannelError('reestablish_invalid', 'next_commitment_number is zero');
  }
  const resendCommit = mustResendCommitment(channel, message);
  const resendRevoke =
    channel.localCommit.number > 0n && message.nextRevocationNumber < channel.localCommit.number;
  draft.patch({ link: 'online' });
  // BOLT 2: channel_ready again if next_commitment_number is 1 in both messages
  if (
    message.nextCommitmentNumber === 1n &&
    channel.localCommit.number === 0n &&
    channel.readiness.localSent
  ) {
    sendChannelReady(draft);
  }
  const revokeLast = channel.lastSent === 'revoke_and_ack';
  if (resendRevoke && !revokeLast) sendRevokeAndAck(draft);
  if (resendCommit) {
    resendUpdates(draft, 'committed');
    resendCommitmentSigned(draft);
  }
  if (resendRevoke && revokeLast) sendRevokeAndAck(draft);
  resendUpdates(draft, 'uncommitted');
  draft.events.push({ type: 'online' });
}

/** Whether the peer missed our last revoke_and_ack, knows more of us than we do, or is far behind. */
function checkRevocationNumber(draft: StepDraft, message: ChannelReestablish): 'fine' | 'stale' {
  const { channel, context } = draft;
  const { nextRevocationNumber, yourLastPerCommitmentSecret } = message;
  const ours = channel.localCommit.number;
  // Beyond 48 bits the numbers begin anew: a secret given out long ago must not prove a state to come.
  const secretFits =
    nextRevocationNumber === 0n ||
    (nextRevocationNumber <= commitmentNumberLimit &&
      equalBytes(context.signer.perCommitmentSecret(nextRevocationNumber - 1n), yourLastPerCommitmentSecret));
  if (nextRevocationNumber > ours && secretFits) {
    // BOLT 2: we have fallen behind: must not broadcast our commitment, should ask the peer to close
    draft.save({ phase: { name: 'stale' }, link: 'offline', dataLost: true });
    draft.events.push({ type: 'phaseChanged' });
    const error = new ChannelError(
      'reestablish_invalid',
      'the peer has proof of a newer state of this channel than we have: data was lost here. Nothing is ' +
        'published; the peer is asked to close. Restore the newest copy of the data if there is one',
    );
    draft.effects.push({ type: 'report', level: 'error', error });
    sendError(draft, askToClose);
    return 'stale';
  }
  if (!secretFits || nextRevocationNumber > ours) {
    throw new ChannelError('reestablish_invalid', 'your_last_per_commitment_secret does not fit');
  }
  if (nextRevocationNumber + 1n < ours) {
    throw new ChannelError(
      'remote_data_lost',
      `the peer has fallen behind: it awaits revocation ${nextRevocationNumber}`,
    );
  }
  return 'fine';
}

export function sendError(draft: StepDraft, text: string): void {
  const data = Uint8Array.from(text, (character) => character.charCodeAt(0) & 0x7f);
  draft.send({ type: 'error', channelId: draft.channel.params.channelId, data });
}

function mustResendCommitment(channel: Channel, { nextCommitmentNumber }: ChannelReestablish): boolean {
  const { number, awaitingRevocation } = channel.remoteCommit;
  const lastSigned = awaitingRevocation ? number + 1n : number;
  if (awaitingRevocation && nextCommitmentNumber === lastSigned) return true;
  if (nextCommitmentNumber === lastSigned + 1n) return false;
  throw new ChannelError(
    'reestablish_invalid',
    `the peer awaits commitment ${nextCommitmentNumber}, the next one is ${lastSigned + 1n}`,
  );
}

/**
 * Sends updates again: those that our last commitment_signed covers, or those that no commitment has yet.
 * Removals come first, for they free what new HTLCs may need; a feerate that falls comes before the new
 * HTLCs that it lets in, one that rises after them.
 */
function resendUpdates(draft: StepDraft, which: 'committed' | 'uncommitted'): void {
  const { channel } = draft;
  const committed = which === 'committed';
  const removal = committed ? 'sent_remove_commit' : 'sent_remove';
  for (const htlc of channel.htlcs.direction('received'))
    if (htlc.state === removal) sendRemoval(draft, htlc);
  const adding = committed ? 'sent_add_commit' : 'sent_add';
  const fee = channel.fee.updates.find(({ state }) => state === adding);
  const falls = fee !== undefined && fee.feeratePerKw <= channel.fee.feeratePerKw;
  if (fee !== undefined && falls) sendFee(draft, fee.feeratePerKw);
  for (const htlc of channel.htlcs.direction('offered')) if (htlc.state === adding) sendAdd(draft, htlc);
  if (fee !== undefined && !falls) sendFee(draft, fee.feeratePerKw);
}
