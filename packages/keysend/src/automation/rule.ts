import * as z from 'zod/mini';
import { KeysendError } from '../keysendError.js';
import type { Recipient } from '../value/recipient.js';
import { cronOccurrences, periodOccurrences } from './occurrences.js';
import { readRecipientAddress } from './payoutLine.js';
import { parseRational, type Rational } from './rational.js';

// What a file says becomes what the program works with here, and nowhere else. A definition is stored as it was
// written; a change of meaning would be a new `version`.

const maxRecipients = 50;

/** Turns text into something, or says why not in the error of the whole. */
function read<T>(parse: (text: string) => T) {
  return z.transform((text: string, context): T => {
    try {
      return parse(text);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      context.issues.push({ code: 'custom', message, input: text });
      return z.NEVER;
    }
  });
}

/** A number as a person writes it in JSON, exact: text, or a number that JSON keeps. */
const numeral = z.pipe(
  z.union([z.string(), z.number().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER / 1000))]),
  z.transform(String),
);

function parseSats(text: string): bigint {
  const [, whole, fraction = ''] = /^(\d{1,16})(?:\.(\d{1,3}))?$/.exec(text) ?? [];
  if (whole === undefined) {
    throw new Error(`${JSON.stringify(text.slice(0, 40))} is no number of satoshi: write "2500" or "1.5"`);
  }
  return BigInt(whole) * 1000n + BigInt(fraction.padEnd(3, '0'));
}

/** Satoshi with up to three decimals, as millisatoshi. */
const sats = z.pipe(numeral, read(parseSats));

const positiveSats = z.pipe(
  numeral,
  read((text) => {
    const amountMsat = parseSats(text);
    if (amountMsat === 0n) throw new Error('an amount cannot be zero');
    return amountMsat;
  }),
);

const exactNumber = z.pipe(
  numeral,
  read((text): Rational => parseRational(text)),
);

/** Where something stands in a JSON document: `winner.node`, `items.0.price`. */
const path = z
  .string()
  .check(z.regex(/^[^.]{1,64}(\.[^.]{1,64}){0,9}$/, 'a path is names with dots between them'));

const share = z.int().check(z.gte(1), z.lte(1_000_000));

const recipient = z.pipe(
  z.strictObject({
    recipient: z.string(),
    name: z.optional(z.string().check(z.minLength(1), z.maxLength(200))),
    customKey: z.optional(z.string().check(z.regex(/^[1-9]\d{4,19}$/, 'a record type from 65536 up'))),
    customValue: z.optional(z.string().check(z.maxLength(500))),
    /** Of the amount, in proportion to the shares of the others. */
    share: z._default(share, 1),
  }),
  z.transform(({ recipient: text, ...rest }, context): Recipient & { readonly share: number } => {
    const address = readRecipientAddress(text);
    if (typeof address !== 'string') return { ...rest, ...address } as Recipient & { share: number };
    context.issues.push({ code: 'custom', message: address, input: text });
    return z.NEVER;
  }),
);

const recipients = z.array(recipient).check(z.minLength(1), z.maxLength(maxRecipients));

const common = {
  version: z._default(z.literal(1), 1),
  name: z
    .string()
    .check(z.regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'a name has 1 to 40 of a-z, 0-9 and -, the first no -')),
  description: z.optional(z.string().check(z.maxLength(500))),
  /** Text for the recipients. */
  message: z.optional(z.string().check(z.maxLength(500))),
  /** Which budgets it is taken from. */
  budgets: z._default(z.array(z.string().check(z.minLength(1), z.maxLength(64))).check(z.maxLength(10)), []),
  /** The most that one payment may cost on its way, in satoshi. */
  maxFee: z.optional(sats),
  /** What pays more than this at once waits for somebody's approval, in satoshi. */
  approvalAbove: z.optional(sats),
  /** Only says what it would pay. */
  dryRun: z._default(z.boolean(), false),
};

const missed = z._default(
  z.strictObject({
    /** How many missed occurrences are made up for; the latest ones. */
    catchUp: z.optional(z.int().check(z.gte(0), z.lte(1_000))),
    /** What is later than this was missed. */
    graceMinutes: z._default(z.int().check(z.gte(0), z.lte(1_440)), 60),
  }),
  { graceMinutes: 60 },
);

const timeZone = z._default(z.string().check(z.maxLength(64)), 'UTC');
const moment = z
  .string()
  .check(z.regex(/^\d{4}-\d\d-\d\d(T\d\d:\d\d)?$/, 'write 2026-07-31 or 2026-07-31T09:30'));
const count = z.int().check(z.gte(1), z.lte(1_000_000));

const repeated = {
  amount: positiveSats,
  to: recipients,
  timeZone,
  /** Not after this day or time. */
  until: z.optional(moment),
  /** How often in all. */
  times: z.optional(count),
  missed,
};

const every = z.union([
  z.strictObject({ days: count }),
  z.strictObject({ weeks: count }),
  z.strictObject({ months: count }),
  z.strictObject({ years: count }),
]);

const ruleSchema = z.discriminatedUnion('kind', [
  /** At the times of a cron line. */
  z.strictObject({
    ...common,
    ...repeated,
    kind: z.literal('schedule'),
    cron: z.string(),
    from: z.optional(moment),
  }),
  /** At its start, and every full period behind it. */
  z.strictObject({ ...common, ...repeated, kind: z.literal('subscription'), every, start: moment }),
  /** For what is used: reported units at a price, paid when enough has come together. */
  z.strictObject({
    ...common,
    kind: z.literal('meter'),
    to: recipients,
    /** What is counted, for people: `GB`, `requests`. */
    unit: z._default(z.string().check(z.minLength(1), z.maxLength(40)), 'units'),
    /** Satoshi a unit, exact: `"0.25"`, `"3/7"`. */
    price: exactNumber,
    /** Pays when so much is owed, in satoshi. */
    payAt: positiveSats,
    /** The most that one report may count. */
    mostPerReport: z.optional(exactNumber),
  }),
  /** When a signed webhook says so. */
  z.strictObject({
    ...common,
    kind: z.literal('trigger'),
    /** Fixed, or chosen by the webhook from a list. */
    to: z.union([recipients, z.strictObject({ path, allowed: recipients })]),
    /** Fixed, or named by the webhook within bounds. */
    amount: z.union([
      positiveSats,
      z.strictObject({
        path,
        unit: z._default(z.enum(['sat', 'msat']), 'sat'),
        least: z.optional(sats),
        most: positiveSats,
      }),
    ]),
    /** Pays only where all of these hold. */
    when: z._default(
      z
        .array(z.strictObject({ path, equals: z.union([z.string(), z.number(), z.boolean(), z.null()]) }))
        .check(z.maxLength(20)),
      [],
    ),
    /** Where the webhook names what it is about: the same is paid once, however often it is told. */
    idPath: z.optional(path),
    /** How far the time of a webhook may be from ours. */
    toleranceSeconds: z._default(z.int().check(z.gte(1), z.lte(3_600)), 300),
  }),
]);

/** A rule as the program works with it: amounts in msat, recipients checked. */
export type Rule = z.output<typeof ruleSchema>;
export type RuleKind = Rule['kind'];
export type RuleOf<K extends RuleKind> = Extract<Rule, { kind: K }>;

/** A rule as a person writes it, in JSON. */
export type RuleDefinition = z.input<typeof ruleSchema>;

/**
 * Reads a rule and checks everything that can be checked.
 * @throws KeysendError `request_invalid` with every problem; `schedule_invalid`.
 */
export function parseRule(definition: unknown): Rule {
  const parsed = ruleSchema.safeParse(definition);
  if (!parsed.success) {
    const problems = parsed.error.issues.slice(0, 20).map((issue) => {
      const at = issue.path.length === 0 ? 'the rule' : issue.path.map(String).join('.');
      return `${at}: ${describeIssue(issue)}`;
    });
    throw new KeysendError('request_invalid', `this is no rule: ${problems.join('; ')}`);
  }
  const rule = parsed.data;
  if (rule.kind === 'schedule') cronOccurrences(rule.cron, rule.timeZone);
  if (rule.kind === 'subscription') periodOccurrences(rule);
  return rule;
}

/** The small build of the validator brings no sentences of its own. */
function describeIssue(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'unrecognized_keys':
      return `unknown: ${issue.keys.map((key) => JSON.stringify(key.slice(0, 40))).join(', ')}`;
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `has to be ${issue.expected}`;
    case 'invalid_value':
      return `has to be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
      return `has to have at least ${issue.minimum}`;
    case 'too_big':
      return `may have at most ${issue.maximum}`;
    case 'invalid_union':
      return issue.path.at(-1) === 'kind'
        ? 'has to be schedule, subscription, meter or trigger'
        : 'is none of the forms that are known';
    case 'invalid_format':
    case 'invalid_key':
    case 'invalid_element':
    case 'not_multiple_of':
    case 'custom':
      return issue.message;
  }
}

/** What of an amount goes to each, in proportion to the shares: the sum is the amount, to the msat. */
export function shareOut(amountMsat: bigint, shares: readonly number[]): bigint[] {
  const total = BigInt(shares.reduce((sum, one) => sum + one, 0));
  const floors = shares.map((one) => (amountMsat * BigInt(one)) / total);
  let left = amountMsat - floors.reduce((sum, part) => sum + part, 0n);
  return floors.map((part) => {
    if (left === 0n) return part;
    left--;
    return part + 1n;
  });
}
