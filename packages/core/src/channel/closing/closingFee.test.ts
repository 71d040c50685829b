import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelError } from '../channelError.js';
import { answerClosingFee, type FeeAnswer, type FeeQuestion, type FeeRange } from './closingFee.js';

const range = (minFeeSat: bigint, maxFeeSat: bigint): FeeRange => ({ minFeeSat, maxFeeSat });

const base: FeeQuestion = {
  localIsOpener: true,
  receivedFeeSat: 1_000n,
  idealFeeSat: 500n,
  ownRange: range(200n, 1_000n),
};

type Outcome = FeeAnswer | 'fail_channel' | 'warn_and_disconnect';

function outcome(change: Partial<FeeQuestion>): Outcome {
  try {
    return answerClosingFee({ ...base, ...change });
  } catch (error) {
    expect(error).toBeInstanceOf(ChannelError);
    expect((error as ChannelError).code).toBe('closing_invalid');
    return (error as ChannelError).response;
  }
}

const done: FeeAnswer = { type: 'agree', reply: false };
const same: FeeAnswer = { type: 'agree', reply: true };
const propose = (feeSat: bigint, feeRange: FeeRange): FeeAnswer => ({
  type: 'propose',
  feeSat,
  range: feeRange,
});

describe('the opener, who has sent 500 sat and a range of 200 to 1000', () => {
  const sent = { lastSentFeeSat: 500n, lastSentRange: range(200n, 1_000n) };
  const cases: [string, Partial<FeeQuestion>, Outcome][] = [
    ['is done with its own fee', { receivedFeeSat: 500n, receivedRange: range(0n, 10n) }, done],
    ['takes a fee in both ranges', { receivedFeeSat: 200n, receivedRange: range(100n, 300n) }, same],
    ['takes the most that it allows', { receivedFeeSat: 1_000n, receivedRange: range(0n, 5_000n) }, same],
    [
      'fails the channel for a fee above its range',
      { receivedFeeSat: 1_001n, receivedRange: range(0n, 5_000n) },
      'fail_channel',
    ],
    [
      'fails the channel for a fee below its range',
      { receivedFeeSat: 199n, receivedRange: range(0n, 5_000n) },
      'fail_channel',
    ],
    [
      'fails the channel for a fee outside of their own range',
      { receivedFeeSat: 400n, receivedRange: range(600n, 700n) },
      'fail_channel',
    ],
    [
      'warns where there is no overlap',
      { receivedFeeSat: 1_500n, receivedRange: range(1_001n, 2_000n) },
      'warn_and_disconnect',
    ],
    [
      'warns of an empty range',
      { receivedFeeSat: 500n + 1n, receivedRange: range(700n, 600n) },
      'warn_and_disconnect',
    ],
    ['takes a fee in its range without theirs', { receivedFeeSat: 999n }, same],
    ['meets an old node halfway', { receivedFeeSat: 1_300n }, propose(900n, range(200n, 1_000n))],
    ['never goes above its range', { receivedFeeSat: 9_000n }, propose(1_000n, range(200n, 1_000n))],
    ['never goes below its range', { receivedFeeSat: 0n }, propose(250n, range(200n, 1_000n))],
    [
      'warns where nothing is left to offer',
      { receivedFeeSat: 9_000n, lastSentFeeSat: 1_000n },
      'warn_and_disconnect',
    ],
    [
      'warns of a fee that does not come closer',
      { receivedFeeSat: 9_000n, lastReceivedFeeSat: 9_000n },
      'warn_and_disconnect',
    ],
    [
      'goes on with a fee strictly between',
      { receivedFeeSat: 8_000n, lastReceivedFeeSat: 9_000n },
      propose(1_000n, range(200n, 1_000n)),
    ],
  ];

  test.each(cases)('%s', (_, change, expected) => {
    expect(outcome({ ...sent, ...change })).toEqual(expected);
  });
});

describe('the accepter', () => {
  const accepter = { localIsOpener: false, ownRange: range(200n, 100_000n) };
  const cases: [string, Partial<FeeQuestion>, Outcome][] = [
    ['takes what the opener offers', { receivedFeeSat: 700n, receivedRange: range(300n, 800n) }, same],
    [
      'asks for its own estimate where that is more',
      { receivedFeeSat: 300n, receivedRange: range(300n, 800n) },
      propose(500n, range(200n, 100_000n)),
    ],
    [
      'asks for the most that the opener allows',
      { receivedFeeSat: 300n, receivedRange: range(300n, 400n) },
      propose(400n, range(200n, 100_000n)),
    ],
    ['takes the only fee there is', { receivedFeeSat: 300n, receivedRange: range(300n, 300n) }, same],
    [
      'corrects a fee outside of the range it came with',
      { receivedFeeSat: 900n, receivedRange: range(300n, 800n) },
      propose(500n, range(200n, 100_000n)),
    ],
    [
      'warns where there is no overlap',
      { receivedFeeSat: 150n, receivedRange: range(100n, 199n) },
      'warn_and_disconnect',
    ],
    [
      'is done when the opener repeats its fee',
      { receivedFeeSat: 500n, receivedRange: range(300n, 800n), lastSentFeeSat: 500n },
      done,
    ],
    [
      'fails the channel when the opener answers with another fee',
      {
        receivedFeeSat: 600n,
        receivedRange: range(300n, 800n),
        lastSentFeeSat: 500n,
        lastSentRange: range(200n, 100_000n),
      },
      'fail_channel',
    ],
    ['takes a fee without range that will be relayed', { receivedFeeSat: 200n }, same],
    [
      'proposes its own fee against one that will not',
      { receivedFeeSat: 199n },
      propose(500n, range(200n, 100_000n)),
    ],
  ];

  test.each(cases)('%s', (_, change, expected) => {
    expect(outcome({ ...accepter, ...change })).toEqual(expected);
  });
});

test('two nodes with ranges that overlap agree, in three messages at most, on a fee that both allow', () => {
  const arbitraryRange = fc
    .tuple(fc.bigInt(0n, 2_000n), fc.bigInt(0n, 2_000n), fc.bigInt(0n, 2_000n))
    .map((values) => [...values].sort((a, b) => (a < b ? -1 : 1)) as [bigint, bigint, bigint]);
  fc.assert(
    fc.property(arbitraryRange, arbitraryRange, ([minA, idealA, maxA], [minB, idealB, maxB]) => {
      const opener = { ownRange: range(minA, maxA), idealFeeSat: idealA };
      const accepter = { localIsOpener: false, ownRange: range(minB, maxB), idealFeeSat: idealB };
      const overlaps = minA <= maxB && minB <= maxA;
      const first = outcome({ ...accepter, receivedFeeSat: idealA, receivedRange: opener.ownRange });
      expect(first === 'warn_and_disconnect').toBe(!overlaps);
      if (typeof first === 'string' || first.type === 'agree') return;
      const { feeSat } = first;
      expect(feeSat >= minA && feeSat <= maxA && feeSat >= minB && feeSat <= maxB).toBe(true);
      const sent = { lastSentFeeSat: idealA, lastSentRange: opener.ownRange };
      const second = outcome({ ...opener, ...sent, receivedFeeSat: feeSat, receivedRange: first.range });
      expect(second).toEqual(same);
      const third = { receivedFeeSat: feeSat, receivedRange: opener.ownRange, lastSentFeeSat: feeSat };
      expect(outcome({ ...accepter, ...third })).toEqual(done);
    }),
    { seed: 3 },
  );
});

test('without ranges any two fees meet or end, in steps that only come closer', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 3_000n), fc.bigInt(0n, 3_000n), (mine, theirs) => {
      const sides = [
        { ideal: mine, own: range(mine / 2n, mine * 2n) },
        { ideal: theirs, own: range(theirs / 2n, theirs * 2n) },
      ] as const;
      const sent: (bigint | undefined)[] = [mine, undefined];
      const heard: (bigint | undefined)[] = [undefined, undefined];
      let turn = 1;
      let fee = mine;
      for (let steps = 0; ; steps++) {
        expect(steps).toBeLessThan(40);
        const side = sides[turn as 0 | 1];
        const answer = outcome({
          localIsOpener: turn === 0,
          receivedFeeSat: fee,
          idealFeeSat: side.ideal,
          ownRange: side.own,
          lastSentFeeSat: sent[turn],
          lastReceivedFeeSat: heard[turn],
        });
        if (typeof answer === 'string') {
          expect(answer).toBe('warn_and_disconnect');
          return;
        }
        if (answer.type === 'agree') {
          expect(answer.reply ? fee >= side.own.minFeeSat && fee <= side.own.maxFeeSat : true).toBe(true);
          return;
        }
        heard[turn] = fee;
        sent[turn] = answer.feeSat;
        expect(answer.feeSat >= side.own.minFeeSat && answer.feeSat <= side.own.maxFeeSat).toBe(true);
        fee = answer.feeSat;
        turn = 1 - turn;
      }
    }),
    { seed: 4 },
  );
});
