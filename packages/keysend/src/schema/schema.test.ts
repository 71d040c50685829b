import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as zod from 'zod/mini';
import * as own from './index.js';

/** The same schemas, written once for both. */
function schemas(z: typeof own & typeof zod) {
  const digits = z.pipe(
    z.string().check(z.regex(/^\d{1,20}$/)),
    z.transform((text) => BigInt(text)),
  );
  const amount = z.pipe(
    z.union([z.int(), z.string().check(z.regex(/^\d{1,19}$/))]),
    z.transform((value) => BigInt(value)),
  );
  const choice = z.discriminatedUnion('type', [
    z.object({ type: z.literal('a'), text: z.string() }),
    z.object({ type: z.enum(['b', 'c']), list: z.array(z.int()) }),
  ]);
  return {
    text: z.string(),
    number: z.number(),
    int: z.int(),
    boolean: z.boolean(),
    digits,
    amount,
    limits: z.number().check(z.gte(0), z.lte(100)),
    nonnegative: z.number().check(z.nonnegative()),
    refined: digits.check(z.refine((value) => value <= 9n)),
    list: z.array(z.nullable(z.boolean())),
    record: z.record(z.string(), z.string()),
    choice,
    object: z.object({
      text: z.string(),
      a: z.optional(amount),
      b: z.nullish(z.object({ c: z.optional(z.unknown()) })),
      choice: z.optional(choice),
    }),
  };
}

const ours = schemas(own as typeof own & typeof zod);
const theirs = schemas(zod as unknown as typeof own & typeof zod);

const leaves = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    true,
    '',
    '7',
    '70',
    'a',
    'b',
    'x',
    0,
    7,
    -1,
    1.5,
    100,
    101,
    2 ** 53,
  ),
  fc.constantFrom<unknown>(Number.NaN, Number.POSITIVE_INFINITY, [], {}, [1, '2'], [true, null], 9n),
);
const names = fc.constantFrom('text', 'a', 'b', 'c', 'type', 'list', 'choice');
const values = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    leaves,
    fc.dictionary(names, tie('any'), { noNullPrototype: true }),
    fc.array(leaves),
  ),
})).any;
const likely = fc.record(
  {
    text: fc.constantFrom<unknown>('x', 'y', 1),
    a: leaves,
    b: fc.oneof(leaves, fc.record({ c: leaves })),
    choice: fc.oneof(
      fc.record({
        type: fc.constantFrom('a', 'b', 'd'),
        text: leaves,
        list: fc.array(fc.constantFrom<unknown>(1, 2, '3')),
      }),
      leaves,
    ),
  },
  { requiredKeys: ['text'] },
);

describe('a schema', () => {
  test.each(Object.keys(ours) as (keyof typeof ours)[])(
    '%s takes what the one of zod takes, and reads the same',
    (name) => {
      fc.assert(
        fc.property(fc.oneof(leaves, values, likely), (value) => {
          const mine = ours[name].safeParse(value);
          const other = theirs[name].safeParse(value);
          expect(mine.success).toBe(other.success);
          if (mine.success && other.success) expect(mine.data).toEqual(other.data);
        }),
        { numRuns: 500 },
      );
    },
  );

  test('says where a value does not fit', () => {
    const schema = own.object({ list: own.array(own.object({ value: own.int() })) });
    expect(schema.safeParse({ list: [{ value: 1 }, { value: '1' }] })).toEqual({
      success: false,
      path: ['list', 1, 'value'],
    });
  });

  test('takes nothing from prototypes', () => {
    expect(own.object({ toString: own.unknown() }).safeParse({})).toEqual({ success: true, data: {} });
    const read = own.record(own.string(), own.string()).safeParse(JSON.parse('{"__proto__":"x"}'));
    expect(read.success && Object.hasOwn(read.data, '__proto__')).toBe(true);
  });
});
