import { equalBytes } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import { ShachainError, type ShachainStore, shachainIndex } from '../keys/index.js';
import type { CommitmentSigned, RevokeAndAck } from '../wire/index.js';
import type { Channel } from './channel.js';
import { ChannelError } from './channelError.js';
import { acceptLocalCommitment, signNewestRemoteCommitment } from './commitments.js';
import type { Htlc } from './htlc.js';
import type { StepDraft } from './step.js';
import { hasUnsignedChanges, type Transition, transition } from './transition.js';

/** Tells what became final, and archives the HTLCs that are over. */
function reportOver(draft: StepDraft, { over }: Transition): void {
  for (const htlc of over) {
    draft.store.push({ type: 'archiveHtlc', htlc });
    if (htlc.direction === 'received') draft.events.push({ type: 'htlcOver', htlc });
    else if (htlc.settlement !== undefined && htlc.settlement.type !== 'fulfill') {
      draft.events.push({ type: 'htlcFailed', htlc, settlement: htlc.settlement });
    }
  }
}

/**
 * Signs their next commitment with everything that waits for it, unless the last one is not revoked yet
 * (BOLT 2: commitment_signed, sending node).
 */
export function signIfPending(draft: StepDraft): void {
  const { channel, context } = draft;
  const { remoteCommit, unsignedChanges, link, phase } = channel;
  if (!unsignedChanges || link !== 'online' || phase.name !== 'open') return;
  if (remoteCommit.awaitingRevocation || remoteCommit.nextPoint === undefined) return;
  const signedRemoteNumber = remoteCommit.number + 1n;
  const { fields } = transition(channel, { event: 'sent_commit', signedRemoteNumber });
  draft.save({
    ...fields,
    remoteCommit: { ...remoteCommit, awaitingRevocation: true },
    unsignedChanges: false,
    lastSent: 'commitment_signed',
  });
  const signatures = signNewestRemoteCommitment(draft.channel, context.signer);
  draft.send({ type: 'commitment_signed', channelId: channel.params.channelId, ...copy(signatures) });
}

function copy(signatures: { signature: Uint8Array; htlcSignatures: readonly Uint8Array[] }): {
  signature: Uint8Array;
  htlcSignatures: Uint8Array[];
} {
  return { signature: signatures.signature, htlcSignatures: [...signatures.htlcSignatures] };
}

/** Sends the last commitment_signed again: the same commitment, and so the same signatures. */
export function resendCommitmentSigned(draft: StepDraft): void {
  const signatures = signNewestRemoteCommitment(draft.channel, draft.context.signer);
  const { channelId } = draft.channel.params;
  draft.send({ type: 'commitment_signed', channelId, ...copy(signatures) });
}

/**
 * Their signatures for our next commitment. The previous one is revoked in the same step: once both are
 * in the database the new commitment is the only one that we would ever publish.
 */
export function receiveCommitmentSigned(draft: StepDraft, message: CommitmentSigned): void {
  const { channel, context } = draft;
  const { signature, htlcSignatures } = message;
  const committed = transition(channel, { event: 'rcvd_commit' });
  const signed: Channel = { ...channel, ...committed.fields };
  const localCommit = acceptLocalCommitment(signed, {
    signer: context.signer,
    number: channel.localCommit.number + 1n,
    signatures: { signature, htlcSignatures },
  });
  const revoked = transition(signed, { event: 'sent_revocation' });
  const next = { ...signed, ...revoked.fields };
  draft.save({
    ...revoked.fields,
    localCommit,
    lastSent: 'revoke_and_ack',
    unsignedChanges: channel.unsignedChanges || hasUnsignedChanges(next),
  });
  for (const htlc of committed.moved) if (mustBeWritten(htlc)) draft.store.push({ type: 'putHtlc', htlc });
  reportOver(draft, revoked);
  sendRevokeAndAck(draft);
}

/** What the peer's commitment_signed makes durable for the first time: its new HTLC, its removal of ours. */
function mustBeWritten(htlc: Htlc): boolean {
  if (htlc.state === 'rcvd_add_commit') return true;
  return htlc.state === 'rcvd_remove_commit' && htlc.settlement?.type !== 'fulfill';
}

/** Revokes the commitment before our latest one, for the first time or again. */
export function sendRevokeAndAck(draft: StepDraft): void {
  const { params, localCommit } = draft.channel;
  const { signer } = draft.context;
  draft.send({
    type: 'revoke_and_ack',
    channelId: params.channelId,
    perCommitmentSecret: signer.perCommitmentSecret(localCommit.number - 1n),
    nextPerCommitmentPoint: signer.perCommitmentPoint(localCommit.number + 1n),
  });
}

function insertSecret(channel: Channel, secret: Uint8Array): ShachainStore {
  try {
    return channel.revocations.insert(shachainIndex(channel.remoteCommit.number), secret);
  } catch (cause) {
    if (!(cause instanceof ShachainError)) throw cause;
    throw new ChannelError('revocation_invalid', `a revocation secret that does not fit: ${cause.message}`);
  }
}

/** They revoke their old commitment (BOLT 2: revoke_and_ack, receiving node). */
export function receiveRevokeAndAck(draft: StepDraft, message: RevokeAndAck): void {
  const { channel } = draft;
  const { remoteCommit } = channel;
  const { perCommitmentSecret, nextPerCommitmentPoint } = message;
  if (!remoteCommit.awaitingRevocation || remoteCommit.nextPoint === undefined) {
    throw new ChannelError('message_unexpected', 'revoke_and_ack came for no commitment_signed');
  }
  if (
    !secp256k1.isPrivateKey(perCommitmentSecret) ||
    !equalBytes(secp256k1.publicKey(perCommitmentSecret), remoteCommit.currentPoint)
  ) {
    throw new ChannelError('revocation_invalid', 'the secret does not belong to the revoked commitment');
  }
  if (!secp256k1.isPublicKey(nextPerCommitmentPoint)) {
    throw new ChannelError('revocation_invalid', 'the next per-commitment point is not on the curve');
  }
  const revocations = insertSecret(channel, perCommitmentSecret);
  const moved = transition(channel, { event: 'rcvd_revocation' });
  draft.save({
    ...moved.fields,
    revocations,
    remoteCommit: {
      number: remoteCommit.number + 1n,
      awaitingRevocation: false,
      currentPoint: remoteCommit.nextPoint,
      nextPoint: nextPerCommitmentPoint,
    },
  });
  if (draft.context.reportRevocations === true) {
    const commitmentNumber = remoteCommit.number;
    draft.events.push({ type: 'remoteRevoked', commitmentNumber, before: channel, perCommitmentSecret });
  }
  for (const htlc of moved.moved) {
    if (htlc.state === 'rcvd_add_ack_revocation') draft.events.push({ type: 'htlcReceived', htlc });
  }
  reportOver(draft, moved);
}
