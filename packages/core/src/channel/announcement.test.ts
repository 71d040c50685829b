import { describe, expect, test } from 'vitest';
import { compareBytes } from '../bytes/index.js';
import { secp256k1, sha256d } from '../crypto/index.js';
import {
  type ChannelAnnouncement,
  encodeMessage,
  fromShortChannelId,
  gossipSignedBytes,
} from '../wire/index.js';
import { channelAnnouncementOf, isAnnounced } from './announcement.js';
import { decodeChannel, encodeChannel } from './channelCodec.js';
import { fundingHeight, Pair, type Side, type SideName } from './closing/pair.test.support.js';
import { accepterAnnouncer, openerAnnouncer } from './opening/opening.test.support.js';
import { defaultAcceptPolicy } from './opening/openingTerms.js';

const bothSides: readonly SideName[] = ['opener', 'accepter'];
const otherOf = { opener: 'accepter', accepter: 'opener' } as const;
const deep = fundingHeight + 5;

function confirm(pair: Pair, side: SideName, place = { height: fundingHeight, index: 4 }): void {
  pair.do(side, { type: 'fundingConfirmed', ...place });
}

function block(pair: Pair, side: SideName, height: number): void {
  pair[side].context = { ...pair[side].context, blockHeight: height };
  pair.do(side, { type: 'block' });
}

/** A public channel that is open, with three confirmations. */
function openPublic(): Pair {
  const pair = new Pair({ opener: { announce: true } });
  for (const side of bothSides) confirm(pair, side);
  for (const side of bothSides) block(pair, side, fundingHeight + 2);
  pair.flush();
  expect(bothSides.map((side) => pair[side].channel.phase.name)).toEqual(['open', 'open']);
  return pair;
}

function at(pair: Pair, height: number): void {
  for (const side of bothSides) block(pair, side, height);
  pair.flush();
}

/** The same, announced. */
function announcedPair(): Pair {
  const pair = openPublic();
  at(pair, deep);
  return pair;
}

function announcedBy({ events }: Side): ChannelAnnouncement[] {
  return events.flatMap((event) => (event.type === 'announced' ? [event.announcement] : []));
}

function isValid(announcement: ChannelAnnouncement): boolean {
  const hash = sha256d(gossipSignedBytes(encodeMessage(announcement)));
  const { nodeId1, nodeId2, bitcoinKey1, bitcoinKey2 } = announcement;
  return (
    compareBytes(nodeId1, nodeId2) < 0 &&
    secp256k1.verify(announcement.nodeSignature1, hash, nodeId1) &&
    secp256k1.verify(announcement.nodeSignature2, hash, nodeId2) &&
    secp256k1.verify(announcement.bitcoinSignature1, hash, bitcoinKey1) &&
    secp256k1.verify(announcement.bitcoinSignature2, hash, bitcoinKey2)
  );
}

function sentCounts(pair: Pair): number[] {
  return bothSides.map((side) => pair[side].sentOf('announcement_signatures').length);
}

function warnings({ sent }: Side): number {
  return sent.filter(({ type }) => type === 'warning').length;
}

describe('announcement_signatures', () => {
  test('make one and the same valid announcement on both sides, with six confirmations', () => {
    const pair = openPublic();
    at(pair, deep - 1);
    expect(sentCounts(pair)).toEqual([0, 0]);
    at(pair, deep);
    expect(sentCounts(pair)).toEqual([1, 1]);
    const [ours] = announcedBy(pair.opener);
    const [theirs] = announcedBy(pair.accepter);
    expect(ours).toEqual(theirs);
    expect(isValid(ours as ChannelAnnouncement)).toBe(true);
    const { shortChannelId, chainHash } = ours as ChannelAnnouncement;
    expect(fromShortChannelId(shortChannelId)).toEqual({
      blockHeight: fundingHeight,
      txIndex: 4,
      outputIndex: 1,
    });
    expect(chainHash).toEqual(openerAnnouncer.chainHash);
    for (const side of bothSides) {
      expect(isAnnounced(pair[side].channel)).toBe(true);
      expect(pair[side].stored.announcement).toEqual(pair[side].channel.announcement);
    }
    expect(channelAnnouncementOf(pair.accepter.stored, accepterAnnouncer)).toEqual(ours);
    at(pair, deep + 1);
    expect(sentCounts(pair)).toEqual([1, 1]);
    expect(announcedBy(pair.opener)).toHaveLength(1);
  });

  test('are neither sent nor taken for a channel that is not to be announced', () => {
    const pair = new Pair();
    for (const side of bothSides) confirm(pair, side);
    at(pair, deep);
    expect(sentCounts(pair)).toEqual([0, 0]);
    const [message] = announcedPair().opener.sentOf('announcement_signatures');
    pair.do('opener', { type: 'message', message: message! });
    expect(warnings(pair.opener)).toBe(1);
    expect(pair.opener.channel.announcement).toBeUndefined();
    expect(announcedBy(pair.opener)).toEqual([]);
    expect(pair.opener.disconnects).toBe(0);
  });

  test('are not sent by a node that announces nothing, nor for a channel that is being closed', () => {
    const silent = openPublic();
    const { announcer: _, ...context } = silent.opener.context;
    silent.opener.context = context;
    const closing = openPublic();
    // A payment is pending: the close waits for it.
    closing.pay('opener', 5_000_000n);
    closing.close('opener');
    for (const pair of [silent, closing]) {
      at(pair, deep);
      expect(pair.opener.sentOf('announcement_signatures')).toEqual([]);
    }
    expect(sentCounts(closing)).toEqual([0, 0]);
    expect(closing.opener.channel.phase.name).toBe('open');
  });

  test('that the depth finds without a connection go out with the next one', () => {
    const pair = openPublic();
    pair.disconnect();
    at(pair, deep + 20);
    expect(sentCounts(pair)).toEqual([0, 0]);
    pair.reconnect({ simpleClose: true });
    expect(sentCounts(pair)).toEqual([1, 1]);
    expect(announcedBy(pair.opener)).toEqual(announcedBy(pair.accepter));
  });

  test.each(bothSides)('that the %s never got are sent again with each connection', (deaf) => {
    const pair = openPublic();
    pair.tamper = (message, from) =>
      from !== deaf && message.type === 'announcement_signatures' ? undefined : message;
    at(pair, deep);
    for (let round = 2; round < 4; round++) {
      pair.reconnect({ simpleClose: true });
      // Who lacks them sends its own; who has all answers with its own.
      expect(sentCounts(pair)).toEqual([round, round]);
    }
    expect(announcedBy(pair[deaf])).toEqual([]);
    expect(announcedBy(pair[otherOf[deaf]])).toHaveLength(1);
    pair.tamper = (message) => message;
    pair.reconnect({ simpleClose: true });
    expect(announcedBy(pair[deaf])).toEqual(announcedBy(pair[otherOf[deaf]]));
    pair.reconnect({ simpleClose: true });
    expect(sentCounts(pair)).toEqual([4, 4]);
  });

  test('are answered once on a connection, however often they come', () => {
    const pair = announcedPair();
    const [message] = pair.accepter.sentOf('announcement_signatures');
    pair.reconnect({ simpleClose: true });
    for (let i = 0; i < 5; i++) pair.do('opener', { type: 'message', message: message! });
    expect(pair.opener.sentOf('announcement_signatures')).toHaveLength(2);
    expect(announcedBy(pair.opener)).toHaveLength(1);
  });

  test('for another place in the chain are warned of and not answered', () => {
    const pair = announcedPair();
    const [message] = pair.accepter.sentOf('announcement_signatures');
    pair.reconnect({ simpleClose: true });
    pair.do('opener', { type: 'message', message: { ...message!, shortChannelId: 77n } });
    expect([warnings(pair.opener), pair.opener.sentOf('announcement_signatures').length]).toEqual([1, 1]);
    expect(isAnnounced(pair.opener.channel)).toBe(true);
  });

  test.each(['nodeSignature', 'bitcoinSignature'] as const)(
    'with a wrong %s end the connection with a warning, and nothing else of the channel',
    (field) => {
      const pair = openPublic();
      pair.tamper = (message, from) =>
        message.type === 'announcement_signatures' && from === 'accepter'
          ? { ...message, [field]: new Uint8Array(64).fill(1) }
          : message;
      at(pair, deep);
      const { opener } = pair;
      expect([warnings(opener), opener.disconnects, opener.channel.phase.name]).toEqual([1, 1, 'open']);
      expect(announcedBy(opener)).toEqual([]);
      expect(opener.stored.announcement?.remote).toBeUndefined();
      pair.tamper = (message) => message;
      pair.reconnect({ simpleClose: true });
      expect(announcedBy(opener)).toEqual(announcedBy(pair.accepter));
    },
  );

  test('that come before our own blocks wait for them, right or wrong', () => {
    for (const wrong of [false, true]) {
      const pair = new Pair({
        opener: { announce: true, format: { commitment: 'anchors', scidAlias: false, zeroConf: true } },
        accepter: { policy: { ...defaultAcceptPolicy, trustsZeroConf: true } },
      });
      at(pair, fundingHeight);
      expect(pair.opener.channel.phase.name).toBe('open');
      pair.tamper = (message) =>
        wrong && message.type === 'announcement_signatures'
          ? { ...message, nodeSignature: new Uint8Array(64).fill(1) }
          : message;
      confirm(pair, 'accepter');
      block(pair, 'accepter', deep);
      pair.flush();
      expect(announcedBy(pair.accepter)).toEqual([]);
      expect(warnings(pair.opener)).toBe(0);
      pair.tamper = (message) => message;
      pair.opener.context = { ...pair.opener.context, blockHeight: deep };
      confirm(pair, 'opener');
      // What a block brings is kept, whatever a peer sent before it.
      expect(pair.opener.stored.readiness.fundingConfirmed).toEqual({ height: fundingHeight, index: 4 });
      expect(announcedBy(pair.opener)).toHaveLength(wrong ? 0 : 1);
      expect([warnings(pair.opener), pair.opener.disconnects]).toEqual(wrong ? [1, 1] : [0, 0]);
    }
  });
});

describe('a reorganisation', () => {
  const elsewhere = { height: fundingHeight + 3, index: 9 };

  test.each([
    { when: 'before the announcement', reached: deep - 1 },
    { when: 'after it', reached: deep + 2 },
  ])('$when has the channel announced at its new place', ({ reached }) => {
    const pair = openPublic();
    at(pair, reached);
    const before = announcedBy(pair.opener).length;
    for (const side of bothSides) {
      pair.do(side, { type: 'fundingUnconfirmed' });
      expect(pair[side].stored.announcement).toBeUndefined();
      expect(isAnnounced(pair[side].channel)).toBe(false);
    }
    for (const side of bothSides) confirm(pair, side, elsewhere);
    at(pair, elsewhere.height + 4);
    expect(announcedBy(pair.opener)).toHaveLength(before);
    at(pair, elsewhere.height + 5);
    const last = announcedBy(pair.opener).at(-1) as ChannelAnnouncement;
    expect(announcedBy(pair.accepter).at(-1)).toEqual(last);
    expect(fromShortChannelId(last.shortChannelId)).toMatchObject({ blockHeight: elsewhere.height });
    expect(isValid(last)).toBe(true);
  });

  test('that brings the transaction back to its place has it announced again', () => {
    const pair = announcedPair();
    for (const side of bothSides) pair.do(side, { type: 'fundingUnconfirmed' });
    for (const side of bothSides) confirm(pair, side);
    at(pair, deep);
    expect(announcedBy(pair.opener)).toHaveLength(2);
    expect(announcedBy(pair.opener)[0]).toEqual(announcedBy(pair.opener)[1]);
  });

  test('that the peer sees first is warned of, and its signatures are taken once we see it too', () => {
    const pair = openPublic();
    at(pair, deep - 1);
    pair.do('accepter', { type: 'fundingUnconfirmed' });
    confirm(pair, 'accepter', elsewhere);
    block(pair, 'accepter', elsewhere.height + 5);
    pair.flush();
    expect([warnings(pair.opener), pair.opener.disconnects]).toEqual([1, 0]);
    pair.do('opener', { type: 'fundingUnconfirmed' });
    confirm(pair, 'opener', elsewhere);
    block(pair, 'opener', elsewhere.height + 5);
    pair.flush();
    expect(announcedBy(pair.opener)).toEqual(announcedBy(pair.accepter));
    expect(announcedBy(pair.opener)).toHaveLength(1);
  });
});

describe('after a restart', () => {
  test('an announcement that was complete is told again, and nothing is sent', () => {
    const pair = announcedPair();
    const [announcement] = announcedBy(pair.opener);
    pair.opener.stored = decodeChannel(encodeChannel(pair.opener.stored), () => undefined);
    pair.disconnect();
    pair.opener.restart();
    expect(announcedBy(pair.opener)).toEqual([announcement, announcement]);
    pair.reconnect({ simpleClose: true });
    expect(sentCounts(pair)).toEqual([1, 1]);
  });

  test.each(bothSides)('of the %s between the two halves both are exchanged', (side) => {
    const pair = openPublic();
    pair.tamper = (message) => (message.type === 'announcement_signatures' ? undefined : message);
    at(pair, deep);
    pair.tamper = (message) => message;
    pair[side].stored = decodeChannel(encodeChannel(pair[side].stored), () => undefined);
    pair.disconnect();
    pair[side].restart();
    expect(announcedBy(pair[side])).toEqual([]);
    pair.reconnect({ simpleClose: true });
    expect(announcedBy(pair.opener)).toEqual(announcedBy(pair.accepter));
    expect(announcedBy(pair.opener)).toHaveLength(1);
  });

  test('a channel that was closed on chain is not announced', () => {
    const pair = announcedPair();
    pair.do('opener', { type: 'forceClose' });
    pair.opener.restart();
    expect(announcedBy(pair.opener)).toHaveLength(1);
  });
});
