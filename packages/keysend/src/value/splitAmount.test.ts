import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recipientKey } from './recipientKey.js';
import { type SplitRequest, type SplitResult, splitAmount } from './splitAmount.js';
import { carriedMsat, readUnits, type SplitCarry, UNITS_PER_MSAT } from './splitCarry.js';
import { block, row } from './value.test.support.js';
import { MAX_SPLIT, type ValueRecipient } from './valueBlock.js';

/** Amounts by the number that the address is made of. */
function amounts(result: SplitResult): Record<string, bigint> {
  return Object.fromEntries(
    result.payments.map(({ recipient, amountMsat }) => [
      BigInt(`0x${recipient.address.slice(2)}`),
      amountMsat,
    ]),
  );
}

function split(recipients: readonly ValueRecipient[], options: Partial<SplitRequest> = {}): SplitResult {
  return splitAmount({ amountMsat: 100_000n, block: block(recipients), ...options });
}

describe('the splits of one block', () => {
  test('shares need not add up to 100', () => {
    expect(amounts(split([row(1, 190), row(2, 152), row(3, 38)]))).toEqual({
      1: 50_000n,
      2: 40_000n,
      3: 10_000n,
    });
    expect(amounts(split([row(1, 50), row(2, 40), row(3, 10)]))).toEqual({
      1: 50_000n,
      2: 40_000n,
      3: 10_000n,
    });
  });

  test('a fee is a percentage of the whole, and the rest is shared by the others', () => {
    const rows = [row(1, 49), row(2, 46), row(3, 5), row(4, 1, { fee: true })];
    expect(amounts(split(rows))).toEqual({ 1: 48_510n, 2: 45_540n, 3: 4_950n, 4: 1_000n });
  });

  test('as a share, a fee is its part of all splits', () => {
    const rows = [row(1, 49), row(2, 46), row(3, 5), row(4, 1, { fee: true })];
    const result = split(rows, { feeMode: 'share', amountMsat: 101_000n });
    expect(amounts(result)).toEqual({ 1: 49_000n, 2: 46_000n, 3: 5_000n, 4: 1_000n });
  });

  test('a single recipient gets everything, whatever its split', () => {
    expect(amounts(split([row(1, 0)]))).toEqual({ 1: 100_000n });
    expect(amounts(split([row(1, 5, { fee: true })]))).toEqual({ 1: 100_000n });
  });

  test('fees alone share the whole', () => {
    const result = split([row(1, 3, { fee: true }), row(2, 1, { fee: true })]);
    expect(amounts(result)).toEqual({ 1: 75_000n, 2: 25_000n });
    expect(result.warnings).toEqual(['only_fees']);
  });

  test('fees of more than the whole are scaled down to it', () => {
    const result = split([row(1, 100), row(2, 90, { fee: true }), row(3, 60, { fee: true })]);
    expect(amounts(result)).toEqual({ 2: 60_000n, 3: 40_000n });
    expect(result.warnings).toEqual(['fees_above_whole']);
  });

  test('the msat that are left go to the largest fractions, each at most one', () => {
    expect(amounts(split([row(1, 1), row(2, 1), row(3, 1)]))).toEqual({ 1: 33_334n, 2: 33_333n, 3: 33_333n });
    expect(amounts(split([row(1, 1), row(2, 5)], { amountMsat: 10_000n }))).toEqual({ 1: 1_667n, 2: 8_333n });
  });

  test('rows of the same account are one payment; another custom value is another account', () => {
    const key = { customKey: '696969', customValue: 'a' };
    const result = split([
      row(1, 40, key),
      row(1, 10, { ...key, name: 'again' }),
      row(1, 50, { ...key, customValue: 'b' }),
    ]);
    expect(result.payments.map(({ amountMsat }) => amountMsat)).toEqual([50_000n, 50_000n]);
  });

  test('an app adds its own fee, and is merged with its own row', () => {
    const app = { type: 'node', address: row(9, 0).address, basisPoints: 250 } as const;
    const result = split([row(1, 100), row(9, 1, { fee: true })], { extraFees: [app] });
    expect(amounts(result)).toEqual({ 1: 96_500n, 9: 3_500n });
    expect(result.payments.map(({ sources, fee }) => ({ sources, fee }))).toEqual([
      { sources: ['own'], fee: false },
      { sources: ['app', 'own'], fee: true },
    ]);
  });

  test('splits of 64 bits stay exact', () => {
    expect(amounts(split([row(1, MAX_SPLIT), row(2, MAX_SPLIT)]))).toEqual({ 1: 50_000n, 2: 50_000n });
  });

  test('ten thousand rows are split, one more is refused', () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => row(index + 1, index + 1));
    const result = split(rows, { amountMsat: 123_456_789_012n });
    expect(result.paidMsat + carriedMsat(result.carried)).toBe(123_456_789_012n);
    expect(() => split([...rows, row(10_001, 1)])).toThrow(
      expect.objectContaining({ code: 'request_invalid' }),
    );
  });

  test.each([
    ['no rows', [], 'value_missing'],
    ['zeros', [row(1, 0), row(2, 0)], 'value_missing'],
    ['zeros beside a fee', [row(1, 0), row(2, 1, { fee: true })], 'value_missing'],
    ['a negative split', [row(1, -1), row(2, 2)], 'request_invalid'],
    ['a split of 2^64', [row(1, MAX_SPLIT + 1n), row(2, 2)], 'request_invalid'],
  ])('%s: a typed error', (_name, rows, code) => {
    expect(() => split(rows)).toThrow(expect.objectContaining({ code }));
  });

  test('a negative or absurd amount is refused', () => {
    expect(() => split([row(1, 1)], { amountMsat: -1n })).toThrow(
      expect.objectContaining({ code: 'request_invalid' }),
    );
    expect(() => split([row(1, 1)], { amountMsat: 1n << 64n })).toThrow(
      expect.objectContaining({ code: 'request_invalid' }),
    );
  });
});

describe('with a remote block', () => {
  const own = [row(1, 95), row(2, 5, { fee: true })];

  test('fees first, then the percentage, then the rest', () => {
    const remote = block([row(3, 1), row(4, 3)]);
    const result = split(own, { remote, remotePercentage: 80 });
    expect(amounts(result)).toEqual({ 1: 19_000n, 3: 19_000n, 4: 57_000n, 2: 5_000n });
    expect(result.payments.map(({ sources }) => sources)).toEqual([['own'], ['remote'], ['remote'], ['own']]);
  });

  test('at 100 percent the rows of the block that are no fees get nothing', () => {
    expect(amounts(split(own, { remote: block([row(3, 1)]) }))).toEqual({ 2: 5_000n, 3: 95_000n });
  });

  test('fees of the remote block are taken of what it gets', () => {
    const remote = block([row(3, 100), row(4, 10, { fee: true })]);
    expect(amounts(split(own, { remote, remotePercentage: 50 }))).toEqual({
      1: 47_500n,
      2: 5_000n,
      3: 42_750n,
      4: 4_750n,
    });
  });

  test('a percentage outside 0..100 is clamped, a fractional one is exact', () => {
    const remote = block([row(3, 1)]);
    expect(amounts(split(own, { remote, remotePercentage: -7 }))).toEqual({ 1: 95_000n, 2: 5_000n });
    expect(amounts(split(own, { remote, remotePercentage: 1e9 }))).toEqual({ 2: 5_000n, 3: 95_000n });
    expect(amounts(split(own, { remote, remotePercentage: 12.5 }))).toEqual({
      1: 83_125n,
      2: 5_000n,
      3: 11_875n,
    });
  });

  test('one in which nobody has a share leaves everything to the own rows, and this is said', () => {
    const result = split(own, { remote: block([row(3, 0), row(4, 0)]), remotePercentage: 90 });
    expect(amounts(result)).toEqual({ 1: 95_000n, 2: 5_000n });
    expect(result.warnings).toEqual(['remote_unpayable']);
  });

  test('where the block has fees alone, the remote block gets all the rest', () => {
    const result = split([row(2, 5, { fee: true })], { remote: block([row(3, 1)]), remotePercentage: 90 });
    expect(amounts(result)).toEqual({ 2: 5_000n, 3: 95_000n });
  });
});

describe('dues below a satoshi', () => {
  test('wait, and are paid with those of the next interval', () => {
    const rows = [row(1, 99), row(2, 1)];
    let carried: SplitCarry = {};
    const paid: bigint[] = [];
    for (let minute = 0; minute < 10; minute++) {
      const result = split(rows, { amountMsat: 10_000n, carried: JSON.parse(JSON.stringify(carried)) });
      carried = result.carried;
      paid.push(amounts(result)['2'] ?? 0n);
    }
    expect(paid).toEqual([0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 1_000n]);
    expect(carried).toEqual({});
  });

  test('of somebody who has left the block stay owed, and are paid once they are enough', () => {
    const first = split([row(1, 1), row(2, 1)], { amountMsat: 1_500n });
    expect(first.payments).toEqual([]);
    const second = split([row(3, 1)], { amountMsat: 2_000n, carried: first.carried });
    expect(amounts(second)).toEqual({ 3: 2_000n });
    expect(carriedMsat(second.carried)).toBe(1_500n);
    const last = split([row(3, 1)], { amountMsat: 0n, carried: second.carried, minPayableMsat: 1n });
    expect(amounts(last)).toEqual({ 1: 750n, 2: 750n });
    expect(last.payments.map(({ sources }) => sources)).toEqual([['carried'], ['carried']]);
  });

  test('a damaged carry is refused', () => {
    const damaged = { x: { recipient: row(1, 1), dueMsat: '1e9' } };
    expect(() => split([row(1, 1)], { carried: damaged })).toThrow(
      expect.objectContaining({ code: 'store_invalid' }),
    );
  });
});

const rows = (maxLength: number) =>
  fc.array(
    fc.record({
      id: fc.integer({ min: 1, max: 12 }),
      split: fc.oneof(fc.bigInt({ min: 0n, max: 120n }), fc.bigInt({ min: 0n, max: MAX_SPLIT })),
      fee: fc.boolean(),
      customKey: fc.constantFrom(undefined, '696969'),
    }),
    { minLength: 1, maxLength },
  );
type Drawn = { id: number; split: bigint; fee: boolean; customKey: string | undefined };
const toRows = (drawn: readonly Drawn[]): ValueRecipient[] =>
  drawn.map(({ id, split: shares, fee, customKey }) =>
    row(id, shares, { fee, ...(customKey === undefined ? {} : { customKey, customValue: `v${id}` }) }),
  );
const interval = fc.record({
  amountMsat: fc.oneof(fc.bigInt({ min: 0n, max: 5_000n }), fc.bigInt({ min: 0n, max: 10n ** 12n })),
  own: rows(8),
  remote: fc.option(rows(5), { nil: undefined }),
  remotePercentage: fc.oneof(
    fc.integer({ min: -10, max: 120 }),
    fc.double({ min: 0, max: 100, noNaN: true }),
  ),
  feeMode: fc.constantFrom('percent' as const, 'share' as const),
  appFee: fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined }),
});
type Interval = typeof interval extends fc.Arbitrary<infer T> ? T : never;
const toRequest = ({
  amountMsat,
  own,
  remote,
  remotePercentage,
  feeMode,
  appFee,
}: Interval): SplitRequest => ({
  amountMsat,
  block: { recipients: toRows(own) },
  remote: remote === undefined ? undefined : { recipients: toRows(remote) },
  remotePercentage,
  feeMode,
  extraFees:
    appFee === undefined ? undefined : [{ type: 'node', address: row(99, 0).address, basisPoints: appFee }],
});
/** `undefined` where nobody has a share. */
function trySplit(request: SplitRequest): SplitResult | undefined {
  try {
    return splitAmount(request);
  } catch (error) {
    expect(error).toMatchObject({ code: 'value_missing' });
    return undefined;
  }
}

describe('properties', () => {
  test('conserved to the msat over any sequence of intervals, carries included', () => {
    fc.assert(
      fc.property(
        fc.array(interval, { maxLength: 12 }),
        fc.bigInt({ min: 1n, max: 5_000n }),
        (intervals, min) => {
          let carried: SplitCarry = {};
          let put = 0n;
          let paid = 0n;
          for (const each of intervals) {
            const result = trySplit({ ...toRequest(each), carried, minPayableMsat: min });
            if (result === undefined) continue;
            put += each.amountMsat;
            paid += result.paidMsat;
            carried = JSON.parse(JSON.stringify(result.carried)) as SplitCarry;
            expect(result.payments.reduce((sum, { amountMsat }) => sum + amountMsat, 0n)).toBe(
              result.paidMsat,
            );
            expect(result.payments.every(({ amountMsat }) => amountMsat >= min)).toBe(true);
          }
          const owed = Object.values(carried).reduce((sum, { dueMsat }) => sum + readUnits(dueMsat), 0n);
          expect(owed).toBe((put - paid) * UNITS_PER_MSAT);
          for (const { dueMsat } of Object.values(carried)) {
            expect(readUnits(dueMsat)).toBeGreaterThan(-UNITS_PER_MSAT);
            expect(readUnits(dueMsat)).toBeLessThan(min * UNITS_PER_MSAT);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('one block: everybody has within one msat what a plain share is, over a sequence of intervals', () => {
    const drawn = fc.uniqueArray(
      fc.record({ id: fc.integer({ min: 1, max: 40 }), split: fc.bigInt(1n, MAX_SPLIT) }),
      {
        selector: ({ id }) => id,
        minLength: 2,
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(
        drawn,
        fc.array(fc.bigInt(0n, 10n ** 9n), { minLength: 1, maxLength: 20 }),
        (people, sums) => {
          const recipients = people.map(({ id, split: shares }) => row(id, shares));
          const whole = people.reduce((sum, person) => sum + person.split, 0n);
          const paid = new Map<string, bigint>();
          let carried: SplitCarry = {};
          for (const amountMsat of sums) {
            const result = splitAmount({ amountMsat, block: { recipients }, carried, minPayableMsat: 1n });
            carried = result.carried;
            for (const { key, amountMsat: part } of result.payments)
              paid.set(key, (paid.get(key) ?? 0n) + part);
          }
          const sum = sums.reduce((total, amount) => total + amount, 0n);
          for (const recipient of recipients) {
            const difference = (paid.get(recipientKey(recipient)) ?? 0n) * whole - sum * recipient.split;
            expect(difference < whole && difference > -whole).toBe(true);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('the order of the rows changes nobody’s amount', () => {
    fc.assert(
      fc.property(interval, fc.infiniteStream(fc.nat()), (each, random) => {
        const shuffled = <T>(list: readonly T[]): T[] => {
          const pool = [...list];
          return list.map(() => pool.splice(random.next().value % pool.length, 1)[0]!);
        };
        const request = toRequest(each);
        const byKey = (result: SplitResult | undefined) =>
          result && {
            payments: Object.fromEntries(result.payments.map((payment) => [payment.key, payment.amountMsat])),
            carried: result.carried,
          };
        const other = {
          ...request,
          block: { recipients: shuffled(request.block.recipients) },
          remote: request.remote && { recipients: shuffled(request.remote.recipients) },
        };
        expect(byKey(trySplit(other))).toEqual(byKey(trySplit(request)));
      }),
      { numRuns: 300 },
    );
  });
});
