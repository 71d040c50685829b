import { describe, expect, test } from 'vitest';
import { fundingHeight, Pair, type SideName } from './closing/pair.test.support.js';
import { accepterSigner, offCurve } from './opening/opening.test.support.js';
import { defaultAcceptPolicy } from './opening/openingTerms.js';

const bothSides: readonly SideName[] = ['opener', 'accepter'];

function at(pair: Pair, height: number): void {
  for (const side of bothSides) {
    pair[side].context = { ...pair[side].context, blockHeight: height };
    pair.do(side, { type: 'block' });
  }
  pair.flush();
}

function confirmed(pair: Pair): void {
  for (const side of bothSides) pair.do(side, { type: 'fundingConfirmed', height: fundingHeight, index: 4 });
  pair.flush();
}

describe('channel_ready', () => {
  test('waits for the depth that the accepter asked for, then opens the channel', () => {
    const pair = new Pair();
    at(pair, fundingHeight + 5);
    expect(pair.opener.sent).toEqual([]);
    const reorganised = new Pair();
    confirmed(reorganised);
    at(reorganised, fundingHeight + 1);
    expect(reorganised.opener.sent).toEqual([]);
    at(reorganised, fundingHeight + 2);
    for (const side of bothSides) {
      const { channel, events, sent, stored } = reorganised[side];
      expect(sent.map(({ type }) => type)).toEqual(['channel_ready']);
      expect(channel.phase.name).toBe('open');
      expect(channel.readiness.fundingConfirmed).toEqual({ height: fundingHeight, index: 4 });
      expect(events).toEqual([{ type: 'phaseChanged' }, { type: 'online' }]);
      expect(stored).toEqual(channel);
    }
    const { opener, accepter } = reorganised;
    expect(opener.channel.remoteCommit.nextPoint).toEqual(accepterSigner.perCommitmentPoint(1n));
    expect(opener.channel.readiness.remoteAlias).toBe(accepter.channel.readiness.localAlias);
    expect(accepter.channel.readiness.remoteAlias).toBe(0xa11a5n);
  });

  test('is sent at the confirmation where that is deep enough already', () => {
    const pair = new Pair();
    for (const side of bothSides)
      pair[side].context = { ...pair[side].context, blockHeight: fundingHeight + 10 };
    confirmed(pair);
    expect(pair.accepter.channel.phase.name).toBe('open');
  });

  test('waits again when a reorganisation takes the confirmation back', () => {
    const pair = new Pair();
    confirmed(pair);
    for (const side of bothSides) pair.do(side, { type: 'fundingUnconfirmed' });
    at(pair, fundingHeight + 2);
    expect(pair.opener.sent).toEqual([]);
    expect(pair.opener.stored.readiness.fundingConfirmed).toBeUndefined();
    expect(pair.opener.stored.readiness.localAlias).toBe(0xa11a5n);
  });

  test('goes out at the next connection where the depth was reached without one', () => {
    const pair = new Pair();
    pair.disconnect();
    confirmed(pair);
    at(pair, fundingHeight + 2);
    expect(pair.opener.sent).toEqual([]);
    pair.reconnect({ simpleClose: true });
    expect(pair.opener.sentOf('channel_ready')).toHaveLength(1);
    expect(pair.opener.channel.phase.name).toBe('open');
  });

  test('opens a channel with option_zeroconf before anything confirms', () => {
    const format = { commitment: 'anchors', scidAlias: true, zeroConf: true } as const;
    const policy = { ...defaultAcceptPolicy, trustsZeroConf: true };
    const pair = new Pair({ opener: { format }, accepter: { policy } });
    at(pair, fundingHeight);
    expect(pair.opener.channel.phase.name).toBe('open');
    expect(pair.accepter.channel.phase.name).toBe('open');
  });

  test('is not enough from one side alone', () => {
    const pair = new Pair();
    confirmed(pair);
    pair.opener.context = { ...pair.opener.context, blockHeight: fundingHeight + 2 };
    pair.do('opener', { type: 'block' });
    pair.flush();
    expect(pair.opener.channel.phase.name).toBe('awaiting_ready');
    expect(pair.accepter.channel.phase.name).toBe('awaiting_ready');
    expect(pair.accepter.stored.readiness.remoteReceived).toBe(true);
  });

  test('that comes again changes nothing but the alias', () => {
    const pair = Pair.open();
    const [message] = pair.accepter.sentOf('channel_ready');
    const before = pair.opener.channel;
    const repeated = { ...(message as typeof message & object), secondPerCommitmentPoint: offCurve };
    pair.do('opener', { type: 'message', message: repeated });
    expect(pair.opener.channel).toEqual(before);
    pair.do('opener', { type: 'message', message: { ...repeated, shortChannelId: 77n } });
    expect(pair.opener.channel).toEqual({ ...before, readiness: { ...before.readiness, remoteAlias: 77n } });
    expect(pair.opener.stored).toEqual(pair.opener.channel);
    const { shortChannelId: _, ...anonymous } = repeated;
    pair.do('opener', { type: 'message', message: anonymous });
    expect(pair.opener.channel.readiness.remoteAlias).toBe(77n);
  });

  test('with a point off the curve fails the channel', () => {
    const pair = new Pair();
    pair.tamper = (message) =>
      message.type === 'channel_ready' ? { ...message, secondPerCommitmentPoint: offCurve } : message;
    pair.confirm();
    const { phase } = pair.opener.channel;
    expect(phase.name === 'failed' && phase.error.code).toBe('revocation_invalid');
  });
});
