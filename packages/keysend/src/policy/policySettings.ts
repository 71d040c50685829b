import * as z from 'zod/mini';
import { KeysendError } from '../keysendError.js';

/** The longest that a payment is kept unsettled: it holds up its sender's money and places in our channels. */
export const MAX_HOLD_SECONDS = 14_400;
const MAX_LIST = 10_000;
const MAX_WORDS = 1_000;

const msat = z.string().check(z.regex(/^\d{1,19}$/));
const seconds = z.int().check(z.gte(1), z.lte(31_536_000));
const nodeId = z.string().check(z.regex(/^0[23][0-9a-f]{64}$/));
const channelId = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const name = z.string().check(z.minLength(1), z.maxLength(200));
/** Whole words; `*` at the beginning or the end for anything before or after within the word. */
const word = z.string().check(z.minLength(1), z.maxLength(100), z.regex(/[^*\s]/));
const words = z.optional(z.array(word).check(z.maxLength(MAX_WORDS)));

/** At most so much in so many seconds; all of it may come at once. */
const rate = z.strictObject({
  perSeconds: seconds,
  payments: z.optional(z.int().check(z.gte(1), z.lte(1_000_000_000))),
  msat: z.optional(msat),
});

const lists = z.strictObject({
  /** Keys that a valid signature has proven. */
  senders: z.optional(z.array(nodeId).check(z.maxLength(MAX_LIST))),
  /** What senders call themselves: anybody can. */
  names: z.optional(z.array(name).check(z.maxLength(MAX_LIST))),
  channels: z.optional(z.array(channelId).check(z.maxLength(MAX_LIST))),
});

/** The settings of a `ReceivePolicy`, as plain JSON; amounts are digits. What is absent limits nothing. */
export const policySettings = z.strictObject({
  version: z.literal(1),
  minimumMsat: z.optional(msat),
  /** For those that bring words. */
  minimumWithMessageMsat: z.optional(msat),
  /** Of each channel that payments come by. */
  channelRate: z.optional(rate),
  /** Of all together; its last quarter is for channels that have at least half of their own rate left. */
  totalRate: z.optional(rate),
  message: z.optional(
    z.strictObject({
      /** Characters of all words together. */
      maxLength: z.optional(z.int().check(z.gte(0), z.lte(10_000))),
      links: z.optional(z.enum(['allow', 'hold', 'refuse'])),
      refuseWords: words,
      holdWords: words,
    }),
  ),
  /** `checked` if absent: a wrong signature is refused, a missing one is not. */
  signature: z.optional(z.enum(['ignored', 'checked', 'required'])),
  /** Proven senders and channels skip the rules of amounts, words and holding, names only `unknownSenders`. */
  allow: z.optional(lists),
  deny: z.optional(lists),
  hold: z.optional(
    z.strictObject({
      seconds: z.int().check(z.gte(1), z.lte(MAX_HOLD_SECONDS)),
      /** Held at once; more are refused. 50 if absent. */
      maximum: z.optional(z.int().check(z.gte(1), z.lte(400))),
      /** Of one channel at once: 10 if absent. */
      maximumPerChannel: z.optional(z.int().check(z.gte(1), z.lte(400))),
      aboveMsat: z.optional(msat),
      /** Whoever is in no list of `allow`. */
      unknownSenders: z.optional(z.boolean()),
    }),
  ),
});

export type PolicySettings = z.infer<typeof policySettings>;
export type PolicyRate = z.infer<typeof rate>;

/** Settings out of JSON. @throws KeysendError `request_invalid`, with the field that is wrong. */
export function readPolicySettings(json: unknown): PolicySettings {
  const parsed = policySettings.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') ?? '';
    const unknown =
      issue?.code === 'unrecognized_keys' ? ` (not known: ${issue.keys.join(', ').slice(0, 100)})` : '';
    throw new KeysendError(
      'request_invalid',
      `The policy is not valid${field === '' ? '' : ` at "${field}"`}${unknown}`,
    );
  }
  const { message, hold } = parsed.data;
  if (hold === undefined && (message?.links === 'hold' || (message?.holdWords?.length ?? 0) > 0)) {
    throw new KeysendError(
      'request_invalid',
      'The policy holds payments: say for how long in "hold.seconds"',
    );
  }
  return parsed.data;
}
