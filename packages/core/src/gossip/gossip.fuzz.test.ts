import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RivuletError } from '../bytes/index.js';
import { decodeMessage, encodeMessage, type Message, type UnknownMessage } from '../wire/index.js';
import { displayAlias } from './alias.js';
import {
  fundingScriptOf,
  isConflictingAnnouncement,
  verifyChannelAnnouncement,
} from './channelAnnouncements.js';
import { checkChannelUpdate, routingFault, updateOrder, verifyChannelUpdate } from './channelUpdates.js';
import { GossipSync } from './gossipSync.js';
import {
  checkNodeAnnouncement,
  isNodeForwardable,
  usableAddresses,
  verifyNodeAnnouncement,
} from './nodeAnnouncements.js';
import { PrematureGossip } from './prematureGossip.js';
import { QUERY_ALL } from './queryFlags.js';
import { QueryResponder } from './queryResponder.js';
import {
  chainHash,
  MemoryGossip,
  node1,
  nowSeconds,
  sampleChannel,
  sampleId,
  sampleNodeAnnouncement,
  sampleUpdate,
} from './samples.test.support.js';
import { channelUpdateChecksum } from './updateChecksum.js';

const channel = sampleChannel();
const update = sampleUpdate();
const node = sampleNodeAnnouncement({
  addresses: [
    { type: 'ipv4', address: Uint8Array.of(1, 2, 3, 4), port: 9735 },
    { type: 'dns', hostname: 'example.org', port: 9735 },
  ],
});
const pair = (value: number) => ({ timestampNodeId1: value, timestampNodeId2: value });

const seeds: readonly Message[] = [
  channel,
  update,
  node,
  { type: 'query_channel_range', chainHash, firstBlocknum: 1, numberOfBlocks: 900_000, queryOption: 3n },
  { type: 'query_short_channel_ids', chainHash, shortChannelIds: [1n, sampleId], queryFlags: [31n, 31n] },
  { type: 'gossip_timestamp_filter', chainHash, firstTimestamp: 0, timestampRange: 0xffff_ffff },
  { type: 'reply_short_channel_ids_end', chainHash, fullInformation: 1 },
  {
    type: 'reply_channel_range',
    chainHash,
    firstBlocknum: 0,
    numberOfBlocks: 0xffff_ffff,
    syncComplete: 1,
    shortChannelIds: [1n, sampleId],
    timestamps: [pair(nowSeconds), pair(1)],
    checksums: [
      { checksumNodeId1: 1, checksumNodeId2: 2 },
      { checksumNodeId1: 3, checksumNodeId2: 4 },
    ],
  },
];

/** A message that was valid, with some bytes of it changed, and perhaps cut or lengthened. */
const mutated = fc
  .tuple(
    fc.constantFrom(...seeds.map(encodeMessage)),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
    fc.integer({ min: -40, max: 40 }),
  )
  .map(([encoded, changes, lengthen]) => {
    const bytes = new Uint8Array(Math.max(2, encoded.length + lengthen));
    bytes.set(encoded.subarray(0, bytes.length));
    // Not the type number: other messages are none of gossip.
    for (const [at, value] of changes) if (bytes.length > 2) bytes[2 + (at % (bytes.length - 2))] = value;
    return bytes;
  });

function decoded(bytes: Uint8Array): Message | UnknownMessage | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(RivuletError);
    return undefined;
  }
}

/** Everything that is done with such a message. */
function handle(message: Message | UnknownMessage, peer: ReturnType<typeof newPeer>): void {
  switch (message.type) {
    case 'channel_announcement':
      verifyChannelAnnouncement(message, { chainHash });
      expect(fundingScriptOf(message)).toHaveLength(34);
      isConflictingAnnouncement(channel, message);
      return;
    case 'channel_update':
      checkChannelUpdate(message, { chainHash, nowSeconds });
      verifyChannelUpdate(message, node1.nodeId);
      routingFault(message, 1000n);
      updateOrder(update, message);
      channelUpdateChecksum(message);
      peer.premature.add('peer', message);
      return;
    case 'node_announcement':
      checkNodeAnnouncement(message, { nowSeconds });
      verifyNodeAnnouncement(message);
      isNodeForwardable(message);
      usableAddresses(message);
      displayAlias(message.alias);
      peer.premature.add('peer', message);
      return;
    case 'query_channel_range':
    case 'query_short_channel_ids':
    case 'gossip_timestamp_filter':
      peer.responder.receive(message);
      return;
    case 'reply_channel_range':
    case 'reply_short_channel_ids_end':
      if (peer.sync.receive(message).done) peer.sync.start({ firstBlocknum: 1, numberOfBlocks: 0xffff_ffff });
      return;
    default:
      throw new Error(`not a gossip message: ${message.type}`);
  }
}

function newPeer() {
  const source = new MemoryGossip();
  for (const message of [channel, update, node]) source.take(message);
  const sync = new GossipSync({ chainHash, extended: true, wanted: () => QUERY_ALL });
  sync.start({ firstBlocknum: 0, numberOfBlocks: 0xffff_ffff });
  const responder = new QueryResponder({ chainHash, source, isSynced: () => true });
  return { source, sync, responder, premature: new PrematureGossip() };
}

test('whatever a peer sends, nothing is thrown but typed errors of decoding, and all answers can be sent', () => {
  fc.assert(
    fc.property(fc.array(mutated, { minLength: 1, maxLength: 12 }), (messages) => {
      const peer = newPeer();
      for (const bytes of messages) {
        const message = decoded(bytes);
        if (message !== undefined) handle(message, peer);
      }
      let steps = 0;
      for (let step = peer.responder.step(0); step.type !== 'idle'; step = peer.responder.step(0)) {
        if (step.type === 'send') encodeMessage(step.message);
        expect(++steps).toBeLessThan(200);
      }
    }),
    { numRuns: 400 },
  );
});
