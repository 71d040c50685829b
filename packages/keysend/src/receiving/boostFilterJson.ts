import * as z from 'zod/mini';
import { KeysendError } from '../keysendError.js';
import type { BoostFilter } from './boostFilter.js';
import { boostKinds } from './receivedBoost.js';

const text = z.optional(z.string().check(z.maxLength(1_000)));
const time = z.optional(z.int().check(z.nonnegative()));

const filterSchema = z.strictObject({
  show: text,
  episode: text,
  app: text,
  sender: text,
  provenSender: z.optional(z.string().check(z.regex(/^0[23][0-9a-f]{64}$/i))),
  kinds: z.optional(z.array(z.enum(boostKinds))),
  fromMs: time,
  untilMs: time,
  /** Digits. */
  minMsat: z.optional(z.string().check(z.regex(/^\d{1,19}$/))),
  text,
  account: text,
  remote: text,
  source: text,
});

/** A filter as plain JSON. */
export type BoostFilterJson = Readonly<z.infer<typeof filterSchema>>;

export function filterToJson({ minMsat, kinds, ...rest }: BoostFilter): BoostFilterJson {
  return {
    ...rest,
    ...(kinds === undefined ? {} : { kinds: [...kinds] }),
    ...(minMsat === undefined ? {} : { minMsat: minMsat.toString() }),
  };
}

/** @throws KeysendError `request_invalid` */
export function filterFromJson(json: unknown): BoostFilter {
  const read = filterSchema.safeParse(json);
  if (!read.success) {
    const [issue] = read.error.issues;
    const where = issue?.path.join('.') ?? '';
    throw new KeysendError(
      'request_invalid',
      `this is no filter of received payments${where === '' ? '' : `: look at ${where}`}`,
    );
  }
  const { minMsat, ...rest } = read.data;
  return { ...withoutUndefined(rest), ...(minMsat === undefined ? {} : { minMsat: BigInt(minMsat) }) };
}

function withoutUndefined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
