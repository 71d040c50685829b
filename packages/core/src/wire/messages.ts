import { ByteReader, ByteWriter } from '../bytes/index.js';
import { type MessageDefinition, type MessageOf, WireError } from './message.js';
import { acceptChannel } from './messages/acceptChannel.js';
import { announcementSignatures } from './messages/announcementSignatures.js';
import { channelAnnouncement } from './messages/channelAnnouncement.js';
import { channelReady } from './messages/channelReady.js';
import { channelReestablish } from './messages/channelReestablish.js';
import { channelUpdate } from './messages/channelUpdate.js';
import { closingSigned } from './messages/closingSigned.js';
import { commitmentSigned } from './messages/commitmentSigned.js';
import { errorMessage, warningMessage } from './messages/errorAndWarning.js';
import { fundingCreated, fundingSigned } from './messages/funding.js';
import {
  gossipTimestampFilter,
  queryChannelRange,
  queryShortChannelIds,
  replyChannelRange,
  replyShortChannelIdsEnd,
} from './messages/gossipQueries.js';
import { init } from './messages/init.js';
import { nodeAnnouncement } from './messages/nodeAnnouncement.js';
import { onionMessage } from './messages/onionMessage.js';
import { openChannel } from './messages/openChannel.js';
import { peerStorage, peerStorageRetrieval } from './messages/peerStorage.js';
import { ping, pong } from './messages/pingPong.js';
import { updateFailHtlc, updateFailMalformedHtlc, updateFulfillHtlc } from './messages/removeHtlc.js';
import { revokeAndAck } from './messages/revokeAndAck.js';
import { shutdown } from './messages/shutdown.js';
import { closingComplete, closingSig } from './messages/simpleClose.js';
import { startBatch } from './messages/startBatch.js';
import { stfu } from './messages/stfu.js';
import { updateAddHtlc } from './messages/updateAddHtlc.js';
import { updateFee } from './messages/updateFee.js';

/** Every message that is known, in the order of their numbers. */
export const messageDefinitions = [
  warningMessage,
  stfu,
  peerStorage,
  peerStorageRetrieval,
  init,
  errorMessage,
  ping,
  pong,
  openChannel,
  acceptChannel,
  fundingCreated,
  fundingSigned,
  channelReady,
  shutdown,
  closingSigned,
  closingComplete,
  closingSig,
  startBatch,
  updateAddHtlc,
  updateFulfillHtlc,
  updateFailHtlc,
  commitmentSigned,
  revokeAndAck,
  updateFee,
  updateFailMalformedHtlc,
  channelReestablish,
  channelAnnouncement,
  nodeAnnouncement,
  channelUpdate,
  announcementSignatures,
  queryShortChannelIds,
  replyShortChannelIdsEnd,
  queryChannelRange,
  replyChannelRange,
  gossipTimestampFilter,
  onionMessage,
] as const;

/** Any message that is known. `type` is the BOLT's name. */
export type Message = MessageOf<(typeof messageDefinitions)[number]>;

/** A message whose number is not known. BOLT 1: ignore it when the number is odd, else close the connection. */
export interface UnknownMessage {
  readonly type: 'unknown';
  readonly typeNumber: number;
  /** All after the type number. */
  readonly payload: Uint8Array;
}

/** BOLT 1 and 8: the length of a message, its type included, fits in two bytes. */
const MAX_MESSAGE_LENGTH = 65535;

type AnyDefinition = MessageDefinition<Message>;

const byNumber = new Map<number, AnyDefinition>();
const byType = new Map<string, AnyDefinition>();
for (const definition of messageDefinitions) {
  byNumber.set(definition.number, definition as AnyDefinition);
  byType.set(definition.type, definition as AnyDefinition);
}

/**
 * Encodes a message: its type number in two bytes, big endian, and its payload.
 * @throws WireError when a field holds what its format forbids, or the whole is longer than 65535 bytes.
 */
export function encodeMessage(message: Message | UnknownMessage): Uint8Array {
  const writer = new ByteWriter();
  if (message.type === 'unknown') {
    writer.u16(message.typeNumber).bytes(message.payload);
  } else {
    const definition = byType.get(message.type);
    if (definition === undefined) {
      const messageType = String((message as { type: unknown }).type);
      throw new WireError('message_field_invalid', `there is no message ${messageType}`, { field: 'type' });
    }
    writer.u16(definition.number);
    definition.write(writer, message);
  }
  checkLength(writer.length, message.type);
  return writer.finish();
}

/**
 * Decodes a message of at most 65535 bytes that starts with its type number. Nothing of the result shares
 * memory with the input.
 * @throws WireError for a known message that BOLT 1 forbids: close the connection.
 */
export function decodeMessage(bytes: Uint8Array): Message | UnknownMessage {
  checkLength(bytes.length);
  if (bytes.length < 2) {
    throw new WireError('message_truncated', `a message of ${bytes.length} bytes has no type number`);
  }
  const reader = new ByteReader(bytes);
  const typeNumber = reader.u16();
  const definition = byNumber.get(typeNumber);
  if (definition === undefined) return { type: 'unknown', typeNumber, payload: reader.rest() };
  return definition.read(reader);
}

function checkLength(length: number, messageType?: string): void {
  if (length <= MAX_MESSAGE_LENGTH) return;
  throw new WireError(
    'message_too_long',
    `a message of ${length} bytes cannot be carried; ${MAX_MESSAGE_LENGTH} are the most`,
    messageType === undefined ? {} : { messageType },
  );
}
