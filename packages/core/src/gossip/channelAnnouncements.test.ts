import { describe, expect, test } from 'vitest';
import { encodeFeatureBits } from '../wire/index.js';
import {
  createChannelAnnouncement,
  fundingScriptOf,
  isConflictingAnnouncement,
  verifyChannelAnnouncement,
} from './channelAnnouncements.js';
import { GossipError } from './gossipError.js';
import {
  chainHash,
  node1,
  node2,
  otherChainHash,
  overTheWire,
  sampleChannel,
  sampleNode,
} from './samples.test.support.js';

const verify = (message: ReturnType<typeof sampleChannel>) =>
  verifyChannelAnnouncement(message, { chainHash });

describe('channel_announcement', () => {
  test('that both nodes signed is valid, in the order of the ids', () => {
    const announcement = overTheWire(sampleChannel());
    expect(verify(announcement)).toEqual({ valid: true });
    expect(announcement.nodeId1).toEqual(node1.nodeId);
    expect(announcement.bitcoinKey2).toEqual(node2.end.bitcoinKey);
  });

  test('with bytes at its end that nobody signed is refused', () => {
    const announcement = sampleChannel();
    expect(verify({ ...announcement, extension: Uint8Array.of(1) })).toMatchObject({ fault: 'signature' });
  });

  test('of another chain is ignored', () => {
    expect(verifyChannelAnnouncement(sampleChannel(), { chainHash: otherChainHash })).toEqual({
      valid: false,
      fault: 'chain_unknown',
      punish: 'ignore',
    });
  });

  test('with one wrong signature, whichever, closes the connection', () => {
    for (const field of [
      'nodeSignature1',
      'nodeSignature2',
      'bitcoinSignature1',
      'bitcoinSignature2',
    ] as const) {
      const announcement = sampleChannel();
      const signature = announcement[field].slice();
      signature[10] = (signature[10] as number) ^ 1;
      const expected = { valid: false, fault: 'signature', punish: 'warn_and_close' };
      expect(verify({ ...announcement, [field]: signature }), field).toEqual(expected);
      expect(verify({ ...announcement, [field]: new Uint8Array(64) }), field).toEqual(expected);
    }
  });

  test('with a key off the curve is refused and throws nothing', () => {
    const bitcoinKey1 = new Uint8Array(33).fill(0xff);
    bitcoinKey1[0] = 2;
    expect(verify({ ...sampleChannel(), bitcoinKey1 })).toMatchObject({ fault: 'signature' });
  });

  test('with ids in the wrong order, or twice the same, is ignored', () => {
    const announcement = sampleChannel();
    const swapped = { ...announcement, nodeId1: announcement.nodeId2, nodeId2: announcement.nodeId1 };
    expect(verify(swapped)).toEqual({ valid: false, fault: 'keys_order', punish: 'ignore' });
    expect(verify({ ...announcement, nodeId2: announcement.nodeId1 })).toMatchObject({ fault: 'keys_order' });
  });

  test('with an unknown even feature is ignored once its signatures are found right; an odd one is fine', () => {
    const even = sampleChannel(encodeFeatureBits([1000]));
    expect(verify(even)).toEqual({ valid: false, fault: 'features_unknown', punish: 'ignore' });
    expect(verify({ ...even, nodeSignature1: new Uint8Array(64) })).toMatchObject({ fault: 'signature' });
    expect(verify(sampleChannel(encodeFeatureBits([1001])))).toEqual({ valid: true });
  });

  test('tells the P2WSH output that has to be on chain', () => {
    const script = fundingScriptOf(sampleChannel());
    expect(script).toHaveLength(34);
    expect([...script.subarray(0, 2)]).toEqual([0, 32]);
    const other = createChannelAnnouncement({
      chainHash,
      shortChannelId: 1n,
      ends: [node1.end, sampleNode(3).end],
    });
    expect(fundingScriptOf(other)).not.toEqual(script);
  });

  test('of the same output by other nodes is a conflict', () => {
    const known = sampleChannel();
    const ends = [node1.end, sampleNode(3).end] as const;
    const other = createChannelAnnouncement({ chainHash, shortChannelId: known.shortChannelId, ends });
    expect(isConflictingAnnouncement(known, other)).toBe(true);
    expect(isConflictingAnnouncement(known, sampleChannel())).toBe(false);
    expect(isConflictingAnnouncement(known, { ...other, shortChannelId: 1n })).toBe(false);
  });

  test('cannot be made with one node at both ends', () => {
    const make = () =>
      createChannelAnnouncement({ chainHash, shortChannelId: 1n, ends: [node1.end, node1.end] });
    expect(make).toThrow(GossipError);
  });
});
