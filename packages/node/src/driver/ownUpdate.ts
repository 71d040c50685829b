import { compareBytes } from '@rivulet/core/bytes';
import {
  type Announcer,
  type Channel,
  isAnnounced,
  remoteAliasOf,
  shortChannelIdOf,
} from '@rivulet/core/channel';
import type { ForwardingPolicy } from '@rivulet/core/forwarding';
import {
  type ChannelUpdateFields,
  createChannelUpdate,
  isDisabled,
  nextTimestamp,
} from '@rivulet/core/gossip';
import type { ChannelUpdate } from '@rivulet/core/wire';

type Identity = Pick<Announcer, 'nodeId' | 'chainHash' | 'signWithNodeKey'>;

/** Under which name, and for whom, a channel's terms are told. */
export interface UpdateName {
  readonly shortChannelId: bigint;
  /** For the peer alone: others do not know the channel. */
  readonly dontForward: boolean;
}

/** The name of a channel in our channel_update; `undefined` where none may be sent yet. */
export function updateNameOf(channel: Channel): UpdateName | undefined {
  const { readiness, params } = channel;
  // BOLT 7: channel_update, origin node: not before channel_ready has been received
  if (!readiness.remoteReceived) return undefined;
  const real = shortChannelIdOf(channel);
  if (real !== undefined && isAnnounced(channel)) return { shortChannelId: real, dontForward: false };
  // BOLT 7: channel_update, origin node: an alias received from the peer, or the real id; dont_forward is 1
  const name = remoteAliasOf(channel) ?? (params.format.scidAlias ? undefined : real);
  return name === undefined ? undefined : { shortChannelId: name, dontForward: true };
}

/** Whether payments can go over it, or could when its peer is there. */
export function isEnding({ phase, shutdown }: Channel): boolean {
  return phase.name !== 'open' || shutdown.localScript !== undefined || shutdown.remoteScript !== undefined;
}

type Content = Omit<ChannelUpdateFields, 'timestamp'>;

/** All of a channel_update but its time and signature. */
export function updateContent(
  channel: Channel,
  of: { identity: Identity; name: UpdateName; policy: ForwardingPolicy; disabled: boolean },
): Content {
  const { identity, name, policy, disabled } = of;
  return {
    chainHash: identity.chainHash,
    ...name,
    direction: compareBytes(identity.nodeId, channel.params.remoteNodeId) < 0 ? 0 : 1,
    disabled,
    ...policy,
  };
}

/** Whether an update tells exactly this. */
export function tells(update: ChannelUpdate, content: Content): boolean {
  return (
    update.shortChannelId === content.shortChannelId &&
    (update.messageFlags & 2) === (content.dontForward === true ? 2 : 0) &&
    isDisabled(update) === content.disabled &&
    update.feeBaseMsat === content.feeBaseMsat &&
    update.feeProportionalMillionths === content.feeProportionalMillionths &&
    update.cltvExpiryDelta === content.cltvExpiryDelta &&
    update.htlcMinimumMsat === content.htlcMinimumMsat &&
    update.htlcMaximumMsat === content.htlcMaximumMsat
  );
}

/** Signs the next update, later than the last one. */
export function signUpdate(
  content: Content,
  { identity, previous, nowMs }: { identity: Identity; previous: ChannelUpdate | undefined; nowMs: number },
): ChannelUpdate {
  const timestamp = nextTimestamp(previous?.timestamp, nowMs / 1000);
  return createChannelUpdate({ ...content, timestamp }, (hash) => identity.signWithNodeKey(hash));
}
