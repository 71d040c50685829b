import { afterEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../logging/logger.js';
import { ChannelFees } from './channelFees.js';
import { Pair, until } from './pair.test.support.js';

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const feerateOf = ({ node }: Pair['alice']) => node.channels[0]?.fee.feeratePerKw;

test('the commitment of an anchor channel pays what gets it relayed, and no more: a child pays the rest', async () => {
  pair = await Pair.withChannel();
  pair.chain.feeratePerKw = 20_000;
  await pair.mine(1);
  await until(() => feerateOf(pair!.alice) === 2_500 && feerateOf(pair!.bob) === 2_500, 'both have it');
  pair.chain.feeratePerKw = 300;
  await pair.mine(1);
  await until(() => feerateOf(pair!.bob) === 300, 'it falls with the estimate');
});

test('the commitment of a channel without anchors pays all that the chain asks for', async () => {
  pair = await Pair.withChannel({ anchors: false });
  pair.chain.feeratePerKw = 20_000;
  await pair.mine(1);
  await until(() => feerateOf(pair!.bob) === 20_000, 'both have it');
});

describe('what a new channel pays', () => {
  const following = async (fast: number | undefined, slow?: number) => {
    const fees = new ChannelFees({
      turns: { channels: new Map() } as never,
      estimate: async () => fast,
      slowEstimate: async () => slow,
      maxFeeratePerKw: 50_000,
      logger: silentLogger,
    });
    await fees.follow();
    return [fees.commitmentFeeratePerKw('anchors'), fees.commitmentFeeratePerKw('static_remotekey')];
  };

  test('is bounded with anchors, but not below what mempools and peers still take', async () => {
    expect(await following(20_000, 800)).toEqual([2_500, 20_000]);
    expect(await following(20_000, 6_000)).toEqual([6_000, 20_000]);
    expect(await following(100)).toEqual([253, 253]);
    expect(await following(undefined)).toEqual([1_000, 1_000]);
    expect(await following(90_000, 80_000)).toEqual([50_000, 50_000]);
    // An estimate that is none, and one that is not whole.
    expect(await following(Number.NaN, Number.NaN)).toEqual([1_000, 1_000]);
    expect(await following(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)).toEqual([1_000, 1_000]);
    expect(await following(1_000.25, 300.5)).toEqual([1_001, 1_001]);
  });
});
