import fc from 'fast-check';
import type { ChannelSetup, SideSetup } from './setup.test.support.js';
import { maxFeeratePerKw, minFeeratePerKw } from './setup.test.support.js';
import type { Addition, Amount, Move, RunOptions } from './world.test.support.js';

const side = fc.constantFrom('alice' as const, 'bob' as const);
const how = fc.constantFrom(
  'fulfill' as const,
  'fulfill' as const,
  'fail' as const,
  'fail_malformed' as const,
);

const amount: fc.Arbitrary<Amount> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('msat' as const), msat: fc.integer({ min: 0, max: 3_000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('msat' as const),
      msat: fc.integer({ min: 100_000, max: 560_000 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('aboveDust' as const),
      msat: fc.integer({ min: -200_000, max: 6_000_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('share' as const),
      thousandths: fc.integer({ min: 1, max: 150 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('share' as const),
      thousandths: fc.integer({ min: 150, max: 1_100 }),
    }),
  },
);

const most: fc.Arbitrary<Amount> = fc.record({
  kind: fc.constant('most' as const),
  lessMsat: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2_000_000 })),
});

const addition: fc.Arbitrary<Addition> = fc.record({
  amount: fc.oneof({ weight: 4, arbitrary: amount }, { weight: 1, arbitrary: most }),
  // Few preimages, so that HTLCs of the same hash are pending at once.
  preimage: fc.nat({ max: 6 }),
  expiryDelta: fc.constantFrom(400, 400, 401, 500),
});

const feeratePerKw = fc.oneof(
  fc.integer({ min: minFeeratePerKw, max: 3_000 }),
  fc.integer({ min: minFeeratePerKw - 2, max: maxFeeratePerKw + 2 }),
);

const few = fc.integer({ min: 1, max: 6 });

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      move: fc.constant('add' as const),
      side,
      additions: fc.array(addition, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    // Many at once, which cost an opener more than its buffer may hold.
    arbitrary: fc
      .record({ side, additions: fc.tuple(addition, fc.integer({ min: 5, max: 14 })) })
      .map(({ side, additions: [one, count] }) => ({
        move: 'add' as const,
        side,
        additions: new Array<Addition>(count).fill(one),
      })),
  },
  {
    weight: 5,
    arbitrary: fc.record({ move: fc.constant('settle' as const), side, index: fc.nat({ max: 20 }), how }),
  },
  { weight: 2, arbitrary: fc.record({ move: fc.constant('settleAll' as const), side, how }) },
  { weight: 2, arbitrary: fc.record({ move: fc.constant('fee' as const), feeratePerKw }) },
  { weight: 4, arbitrary: fc.record({ move: fc.constant('sign' as const), side }) },
  { weight: 16, arbitrary: fc.record({ move: fc.constant('deliver' as const), to: side, count: few }) },
  { weight: 3, arbitrary: fc.constant({ move: 'settleDown' as const }) },
  { weight: 1, arbitrary: fc.constant({ move: 'disconnect' as const }) },
  {
    weight: 10,
    arbitrary: fc.record({
      move: fc.constant('connect' as const),
      synced: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ move: fc.constant('crash' as const), side }) },
  {
    weight: 1,
    arbitrary: fc.record(
      { move: fc.constant('lostTurn' as const), side, count: few, addition },
      { requiredKeys: ['move', 'side', 'count'] },
    ),
  },
  { weight: 1, arbitrary: fc.constant({ move: 'block' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      move: fc.constant('reorganise' as const),
      side,
      depth: fc.integer({ min: 1, max: 7 }),
    }),
  },
);

const reserve = fc.constantFrom(546n, 1_000n, 10_000n);

const sideSetup: fc.Arbitrary<SideSetup> = fc.record({
  dustLimitSat: fc.constantFrom(354n, 546n),
  channelReserveSat: reserve,
  htlcMinimumMsat: fc.constantFrom(1n, 1n, 1_000n),
  maxAcceptedHtlcs: fc.constantFrom(2, 6, 30, 30),
  maxHtlcValueInFlightMsat: fc.constantFrom(20_000_000n, 200_000_000n, 10_000_000_000n, 10_000_000_000n),
});

const setup: fc.Arbitrary<ChannelSetup> = fc
  .record({
    commitment: fc.constantFrom('static_remotekey' as const, 'anchors' as const),
    fundingSat: fc.constantFrom(60_000n, 400_000n, 1_000_000n),
    pushThousandths: fc.constantFrom(0n, 20n, 300n, 500n, 500n, 700n, 950n),
    feeratePerKw: fc.integer({ min: minFeeratePerKw, max: 2_500 }),
    maxDustExposureMsat: fc.constantFrom(2_000_000n, 50_000_000n),
    announce: fc.boolean(),
    confirmations: fc.integer({ min: 4, max: 7 }),
    alice: sideSetup,
    bob: sideSetup,
  })
  .map(({ pushThousandths, ...rest }) => ({ ...rest, pushMsat: rest.fundingSat * pushThousandths }));

export const runOptions: fc.Arbitrary<RunOptions> = fc.record({
  setup,
  eager: fc.boolean(),
  simpleClose: fc.boolean(),
});

/** What happens in a run, in the order in which it happens; some runs end with the channel being closed. */
export function movesOf(maxLength: number): fc.Arbitrary<Move[]> {
  const moves = fc.array(move, { maxLength, size: 'max' });
  const close: fc.Arbitrary<Move> = fc.record({ move: fc.constant('close' as const), side });
  const closing = fc.tuple(moves, close, fc.array(move, { maxLength: 15, size: 'max' }));
  return fc.oneof(
    { weight: 4, arbitrary: moves },
    { weight: 1, arbitrary: closing.map(([before, asked, after]) => [...before, asked, ...after]) },
  );
}
