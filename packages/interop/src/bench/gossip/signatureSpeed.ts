import { verifyChannelAnnouncement, verifyChannelUpdate, verifyNodeAnnouncement } from '@rivulet/core/gossip';
import {
  type ChannelAnnouncement,
  type ChannelUpdate,
  decodeMessage,
  encodeMessage,
  type NodeAnnouncement,
} from '@rivulet/core/wire';
import type { NetworkMessages } from './networkMessages.js';

export interface MessageSpeed {
  readonly messages: number;
  readonly bytes: number;
  readonly messagesPerSecond: number;
  readonly signaturesPerSecond: number;
}

/** Of one thread, from the bytes of each message to the verdict on it. */
export interface SignatureSpeed {
  readonly channelAnnouncements: MessageSpeed;
  readonly channelUpdates: MessageSpeed;
  readonly nodeAnnouncements: MessageSpeed;
}

function measure<M extends ChannelAnnouncement | ChannelUpdate | NodeAnnouncement>(
  messages: readonly M[],
  { signatures, isValid }: { signatures: number; isValid: (decoded: M, i: number) => boolean },
): MessageSpeed {
  const encoded = messages.map((message) => encodeMessage(message));
  const begin = performance.now();
  for (const [i, bytes] of encoded.entries()) {
    const decoded = decodeMessage(bytes) as M;
    if (!isValid(decoded, i)) throw new RangeError('a generated message is not valid');
  }
  const seconds = (performance.now() - begin) / 1000;
  return {
    messages: encoded.length,
    bytes: encoded.reduce((sum, { length }) => sum + length, 0),
    messagesPerSecond: encoded.length / seconds,
    signaturesPerSecond: (encoded.length * signatures) / seconds,
  };
}

/** Checks all messages of a network. @throws RangeError where one is not valid. */
export function measureSignatures(
  { channels, nodes }: NetworkMessages,
  chainHash: Uint8Array,
): SignatureSpeed {
  const updates = channels.flatMap(({ updates }) => updates);
  const announcements = channels.map(({ announcement }) => announcement);
  return {
    channelAnnouncements: measure(announcements, {
      signatures: 4,
      isValid: (decoded) => verifyChannelAnnouncement(decoded, { chainHash }).valid,
    }),
    channelUpdates: measure(updates, {
      signatures: 1,
      isValid(decoded, i) {
        const { nodeId1, nodeId2 } = announcements[i >> 1] as ChannelAnnouncement;
        return verifyChannelUpdate(decoded, i % 2 === 0 ? nodeId1 : nodeId2).valid;
      },
    }),
    nodeAnnouncements: measure(nodes, {
      signatures: 1,
      isValid: (decoded) => verifyNodeAnnouncement(decoded).valid,
    }),
  };
}
