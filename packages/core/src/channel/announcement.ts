import { compareBytes } from '../bytes/index.js';
import { secp256k1, sha256d } from '../crypto/index.js';
import {
  type AnnouncementSignatures,
  type ChannelAnnouncement,
  encodeMessage,
  gossipSignedBytes,
} from '../wire/index.js';
import type { AnnouncementHalf, Channel, ChannelAnnouncementState } from './channel.js';
import { ChannelError } from './channelError.js';
import { shortChannelIdOf } from './channelNames.js';
import type { Announcer, StepDraft } from './step.js';

const noSignature = new Uint8Array(64);

/** Who announces, as far as the announcement itself shows it. */
type Identity = Pick<Announcer, 'nodeId' | 'chainHash'>;

function isFirst({ params }: Channel, { nodeId }: Identity): boolean {
  // BOLT 7: channel_announcement: node_id_1 is the lesser of the two compressed keys
  return compareBytes(nodeId, params.remoteNodeId) < 0;
}

function assemble(
  channel: Channel,
  identity: Identity,
  halves: {
    readonly shortChannelId: bigint;
    readonly local: AnnouncementHalf;
    readonly remote: AnnouncementHalf;
  },
): ChannelAnnouncement {
  const { params } = channel;
  const ours = { half: halves.local, nodeId: identity.nodeId, bitcoinKey: params.local.fundingPubkey };
  const theirs = {
    half: halves.remote,
    nodeId: params.remoteNodeId,
    bitcoinKey: params.remote.fundingPubkey,
  };
  const [first, second] = isFirst(channel, identity) ? [ours, theirs] : [theirs, ours];
  return {
    type: 'channel_announcement',
    nodeSignature1: first.half.nodeSignature,
    nodeSignature2: second.half.nodeSignature,
    bitcoinSignature1: first.half.bitcoinSignature,
    bitcoinSignature2: second.half.bitcoinSignature,
    // BOLT 9 assigns no feature to channel_announcement.
    features: new Uint8Array(0),
    chainHash: identity.chainHash,
    shortChannelId: halves.shortChannelId,
    nodeId1: first.nodeId,
    nodeId2: second.nodeId,
    bitcoinKey1: first.bitcoinKey,
    bitcoinKey2: second.bitcoinKey,
  };
}

/** What all four signatures sign: sha256d of the announcement after them. */
function announcementHash(channel: Channel, identity: Identity, shortChannelId: bigint): Uint8Array {
  const none: AnnouncementHalf = { nodeSignature: noSignature, bitcoinSignature: noSignature };
  const unsigned = assemble(channel, identity, { shortChannelId, local: none, remote: none });
  return sha256d(gossipSignedBytes(encodeMessage(unsigned)));
}

/** What is known of the announcement at the place that the funding transaction has now. */
function currentState(channel: Channel, shortChannelId: bigint): ChannelAnnouncementState {
  const { announcement } = channel;
  return announcement?.shortChannelId === shortChannelId ? announcement : { shortChannelId };
}

/** The channel_announcement with all four signatures; `undefined` where they are not complete. */
export function channelAnnouncementOf(channel: Channel, identity: Identity): ChannelAnnouncement | undefined {
  const shortChannelId = shortChannelIdOf(channel);
  if (shortChannelId === undefined) return undefined;
  const { local, remote } = currentState(channel, shortChannelId);
  if (local === undefined || remote === undefined) return undefined;
  return assemble(channel, identity, { shortChannelId, local, remote });
}

/** Whether both sides signed the announcement of the channel, where it stands in the chain now. */
export function isAnnounced(channel: Channel): boolean {
  const { announcement } = channel;
  return (
    announcement?.local !== undefined &&
    announcement.remote !== undefined &&
    announcement.shortChannelId === shortChannelIdOf(channel)
  );
}

/** The peer's half of the announcement (BOLT 7: announcement_signatures, recipient node). */
export function receiveAnnouncementSignatures(draft: StepDraft, message: AnnouncementSignatures): void {
  const { channel } = draft;
  // Both agreed on a channel that nobody else hears of: the peer may not know that any more.
  if (!channel.params.announce) {
    warn(draft, 'announcement_signatures came for a channel that is not to be announced');
    return;
  }
  const shortChannelId = shortChannelIdOf(channel);
  // BOLT 7: announcement_signatures, recipient node: short_channel_id matches no funding transaction: warning.
  // One of the two may see a reorganisation earlier: it is looked at again when our block has changed.
  if (shortChannelId !== undefined && message.shortChannelId !== shortChannelId) {
    warn(draft, 'announcement_signatures has another short_channel_id than the funding transaction');
  }
  draft.patch({ announcing: { ...channel.announcing, deferred: message } });
}

function warn(draft: StepDraft, text: string): void {
  const data = Uint8Array.from(text, (character) => character.charCodeAt(0) & 0x7f);
  draft.send({ type: 'warning', channelId: draft.channel.params.channelId, data });
}

/**
 * Does what the announcement of a channel waits for: takes the peer's signatures, makes and sends ours, and
 * tells when both are there. Runs after each command: blocks, messages and reconnections all may be the last
 * thing that was missing.
 */
export function progressAnnouncement(draft: StepDraft): void {
  const { channel, context } = draft;
  const { announcer } = context;
  if (!channel.params.announce || announcer === undefined) return;
  // BOLT 7: announcement_signatures: after channel_ready has been sent and received
  if (channel.phase.name !== 'open') return;
  const shortChannelId = shortChannelIdOf(channel);
  if (shortChannelId === undefined) return;
  takeDeferred(draft, { announcer, shortChannelId });
  sendIfDue(draft, { announcer, shortChannelId });
}

/** Keeps a half of the announcement; tells of the announcement when that was the last one. */
function keep(draft: StepDraft, announcer: Announcer, state: ChannelAnnouncementState): void {
  draft.save({ announcement: state });
  const announcement = channelAnnouncementOf(draft.channel, announcer);
  if (announcement !== undefined) draft.events.push({ type: 'announced', announcement });
}

function takeDeferred(
  draft: StepDraft,
  { announcer, shortChannelId }: { announcer: Announcer; shortChannelId: bigint },
): void {
  const { channel } = draft;
  const { deferred, ...announcing } = channel.announcing ?? {};
  if (deferred === undefined || deferred.shortChannelId !== shortChannelId) return;
  // BOLT 7: announcement_signatures, upon reconnection: must respond with its own
  draft.patch({ announcing: { ...announcing, asked: true } });
  const state = currentState(channel, shortChannelId);
  // One pair of signatures is enough: others for the same announcement tell nothing new.
  if (state.remote !== undefined) return;
  const { nodeSignature, bitcoinSignature } = deferred;
  const hash = announcementHash(channel, announcer, shortChannelId);
  const { remoteNodeId, remote } = channel.params;
  // BOLT 7: announcement_signatures, recipient node: a signature is not correct: warning, close the connection
  if (
    secp256k1.verify(nodeSignature, hash, remoteNodeId) &&
    secp256k1.verify(bitcoinSignature, hash, remote.fundingPubkey)
  ) {
    keep(draft, announcer, { ...state, remote: { nodeSignature, bitcoinSignature } });
  } else refuseSignatures(draft);
}

/** Not by an exception: what else the step did, perhaps for a block that came, stands. */
function refuseSignatures(draft: StepDraft): void {
  const error = new ChannelError(
    'announcement_invalid',
    'a signature of announcement_signatures does not fit the announcement of this channel',
    'warn_and_disconnect',
  );
  warn(draft, error.message);
  draft.effects.push({ type: 'report', level: 'warn', error }, { type: 'disconnect', reason: error.message });
}

function sendIfDue(
  draft: StepDraft,
  { announcer, shortChannelId }: { announcer: Announcer; shortChannelId: bigint },
): void {
  const { channel, context } = draft;
  const { announcing = {}, readiness, params } = channel;
  if (channel.link !== 'online' || announcing.sentFor === shortChannelId) return;
  // BOLT 7: announcement_signatures: not once a shutdown message has been sent
  if (channel.shutdown.localScript !== undefined) return;
  // BOLT 7: announcement_signatures: enough confirmations that the funding transaction won't be reorganized
  const depth = context.blockHeight - (readiness.fundingConfirmed?.height ?? 0) + 1;
  if (depth < announcer.minimumDepth) return;
  const state = currentState(channel, shortChannelId);
  // BOLT 7: announcement_signatures, upon reconnection: send until theirs was received, and answer theirs
  if (state.local !== undefined && state.remote !== undefined && announcing.asked !== true) return;
  const local = state.local ?? signHalf(draft, { announcer, shortChannelId });
  draft.patch({ announcing: { ...announcing, sentFor: shortChannelId } });
  if (state.local === undefined) keep(draft, announcer, { ...state, local });
  draft.send({ type: 'announcement_signatures', channelId: params.channelId, shortChannelId, ...local });
}

function signHalf(
  { channel, context }: StepDraft,
  { announcer, shortChannelId }: { announcer: Announcer; shortChannelId: bigint },
): AnnouncementHalf {
  const hash = announcementHash(channel, announcer, shortChannelId);
  return {
    nodeSignature: announcer.signWithNodeKey(hash),
    bitcoinSignature: context.signer.signWithFundingKey(hash),
  };
}

/** The funding transaction has lost its place in the chain: what was signed for that place is void. */
export function forgetAnnouncement(draft: StepDraft): void {
  const { announcement: _, announcing, ...channel } = draft.channel;
  const { deferred } = announcing ?? {};
  draft.channel = deferred === undefined ? channel : { ...channel, announcing: { deferred } };
}

/** After a restart: an announcement that is complete is told again. */
export function tellAnnouncement(draft: StepDraft): void {
  const { channel, context } = draft;
  if (context.announcer === undefined || channel.phase.name !== 'open') return;
  const announcement = channelAnnouncementOf(channel, context.announcer);
  if (announcement !== undefined) draft.events.push({ type: 'announced', announcement });
}
