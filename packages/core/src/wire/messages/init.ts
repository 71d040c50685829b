import { arrayOfRest, bytes32, bytesWithLength } from '../codec.js';
import { defineMessage, type MessageOf } from '../message.js';
import { nodeAddress } from '../nodeAddress.js';
import { tlv } from '../tlvFields.js';

/**
 * The first message of a connection (BOLT 1). Both feature fields are big-endian bit vectors and count
 * as one: use `initFeatures`. `networks`: the chain hashes of interest; `remoteAddr`: the receiver's
 * own address as the sender sees it.
 */
export const init = defineMessage({
  type: 'init',
  number: 16,
  fields: { globalfeatures: bytesWithLength, features: bytesWithLength },
  tlvs: { networks: tlv(1, arrayOfRest(bytes32)), remoteAddr: tlv(3, nodeAddress) },
});

export type Init = MessageOf<typeof init>;
