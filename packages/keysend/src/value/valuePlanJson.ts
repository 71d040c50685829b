import { KeysendError } from '../keysendError.js';
import { bigintAsDigits } from '../records/json.js';
import * as z from '../schema/index.js';
import { MAX_SPLIT } from './valueBlock.js';
import type { ValuePlan } from './valuePlan.js';

const optionalText = z.optional(z.string());
const digits = z.pipe(
  z.string().check(z.regex(/^\d{1,20}$/)),
  z.transform((text) => BigInt(text)),
);
const seconds = z.number().check(z.nonnegative());
const recipient = z.object({
  name: optionalText,
  type: z.enum(['node', 'lnaddress']),
  address: z.string(),
  customKey: optionalText,
  customValue: optionalText,
  split: digits.check(z.refine((split) => split <= MAX_SPLIT)),
  fee: z.boolean(),
});
const remoteItem = z.object({
  feedGuid: z.string(),
  feedUrl: optionalText,
  itemGuid: optionalText,
  medium: optionalText,
  title: optionalText,
});
const timeSplit = z.object({
  startSeconds: seconds,
  durationSeconds: seconds,
  remoteStartSeconds: seconds,
  remotePercentage: z.number().check(z.gte(0), z.lte(100)),
  target: z.discriminatedUnion('type', [
    z.object({ type: z.literal('recipients'), recipients: z.array(recipient) }),
    z.object({ type: z.literal('remoteItem'), remoteItem }),
  ]),
});
const plan = z.object({
  version: z.literal(1),
  feed: z.object({ title: optionalText, guid: optionalText, url: optionalText, medium: optionalText }),
  item: z.optional(
    z.object({ title: optionalText, guid: optionalText, durationSeconds: z.optional(z.number()) }),
  ),
  block: z.object({
    type: z.string(),
    method: z.string(),
    suggestedMsat: z.optional(digits),
    recipients: z.array(recipient),
    timeSplits: z.array(timeSplit),
  }),
  remotes: z.array(
    z.nullable(
      z.discriminatedUnion('status', [
        z.object({
          status: z.literal('loaded'),
          recipients: z.array(recipient),
          feedTitle: optionalText,
          itemTitle: optionalText,
        }),
        z.object({ status: z.literal('missing'), problem: z.string() }),
      ]),
    ),
  ),
  problems: z.array(z.string()),
});

/** A plan as text, to be kept in a store; splits and amounts as digits. */
export function writeValuePlan(value: ValuePlan): string {
  return JSON.stringify({ version: 1, ...value }, bigintAsDigits);
}

/** @throws KeysendError `store_invalid` for text that `writeValuePlan` did not write. */
export function readValuePlan(text: string): ValuePlan {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new KeysendError(
      'store_invalid',
      'The stored value plan is not JSON: load it from the feed again',
      {
        cause,
      },
    );
  }
  const parsed = plan.safeParse(json);
  if (!parsed.success) {
    const where = parsed.path.join('.');
    throw new KeysendError('store_invalid', `The stored value plan is damaged at "${where}": load it again`);
  }
  const { version: _version, remotes, ...rest } = parsed.data;
  return { ...rest, remotes: remotes.map((remote) => remote ?? undefined) };
}
