import { describe, expect, test } from 'vitest';
import { toShortChannelId } from '../wire/index.js';
import type { Channel } from './channel.js';
import { isKnownAs, localAliasOf, remoteAliasOf, shortChannelIdOf } from './channelNames.js';
import { outgoingLimits, spendableNowMsat } from './htlcLimits.js';
import { Bench } from './model/bench.test.support.js';

const { channel } = new Bench().alice;
const real = toShortChannelId({ blockHeight: 799_000, txIndex: 7, outputIndex: 0 });
const [ours, theirs] = [0xa11a5n, 0xb0b0n];

function named(scidAlias: boolean, readiness: Partial<Channel['readiness']> = {}): Channel {
  return {
    ...channel,
    params: { ...channel.params, format: { ...channel.params.format, scidAlias } },
    readiness: {
      localSent: true,
      remoteReceived: true,
      localAlias: ours,
      remoteAlias: theirs,
      fundingConfirmed: { height: 799_000, index: 7 },
      ...readiness,
    },
  };
}

describe('the names of a channel', () => {
  test('are its place in the chain, and an alias from each side', () => {
    const both = named(false);
    expect([shortChannelIdOf(both), localAliasOf(both), remoteAliasOf(both)]).toEqual([real, ours, theirs]);
    const { fundingConfirmed: _, ...unconfirmed } = both.readiness;
    expect(shortChannelIdOf({ ...both, readiness: unconfirmed })).toBeUndefined();
  });

  test('in an onion that came to us are our alias, and the real one where that is no secret', () => {
    expect([ours, real, theirs, 0n].map((name) => isKnownAs(named(false), name))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([ours, real].map((name) => isKnownAs(named(true), name))).toEqual([true, false]);
    const { localAlias: _, fundingConfirmed: __, ...nameless } = named(false).readiness;
    expect([ours, real].map((name) => isKnownAs({ ...channel, readiness: nameless }, name))).toEqual([
      false,
      false,
    ]);
  });
});

describe('what a channel can take of an HTLC', () => {
  test('is what can be spent while its peer is there, and nothing else', () => {
    const bench = new Bench({ bob: { ...new Bench().bob.channel.params.local, htlcMinimumMsat: 1_000n } });
    const { alice } = bench;
    expect(outgoingLimits(alice.channel)).toEqual({
      usable: true,
      spendableMsat: spendableNowMsat(alice.channel),
      minimumMsat: 1_000n,
    });
    expect(spendableNowMsat(alice.channel)).toBeGreaterThan(500_000_000n);
    bench.disconnect();
    expect(outgoingLimits(alice.channel)).toEqual({ usable: false, spendableMsat: 0n, minimumMsat: 1_000n });
    const closing = { ...alice.channel.shutdown, remoteScript: new Uint8Array(22) };
    expect(outgoingLimits({ ...alice.channel, link: 'online', shutdown: closing }).usable).toBe(false);
  });
});
