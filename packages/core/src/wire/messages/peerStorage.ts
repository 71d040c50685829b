import { bytesWithLength } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';

/** Asks the peer to keep this encrypted blob of up to 65531 bytes (BOLT 1). */
export const peerStorage = defineMessage({
  type: 'peer_storage',
  number: 7,
  fields: { blob: bytesWithLength },
});

export type PeerStorage = MessageOf<typeof peerStorage>;

/** Gives back the blob that was kept last (BOLT 1). */
export const peerStorageRetrieval = defineMessage({
  type: 'peer_storage_retrieval',
  number: 9,
  fields: { blob: bytesWithLength },
});

export type PeerStorageRetrieval = MessageOf<typeof peerStorageRetrieval>;
