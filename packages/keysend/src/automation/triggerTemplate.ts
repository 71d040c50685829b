import { KeysendError } from '../keysendError.js';
import { amountText } from '../value/amountText.js';
import type { Recipient } from '../value/recipient.js';
import type { RuleOf } from './rule.js';

export type TriggeredPayment =
  | {
      readonly status: 'pays';
      readonly amountMsat: bigint;
      readonly to: readonly (Recipient & { readonly share: number })[];
      /** What the webhook is about, where the rule says where that stands. */
      readonly subject?: string;
    }
  /** The conditions of the rule do not hold. */
  | { readonly status: 'ignored'; readonly reason: string };

/**
 * What a trigger pays for a document that was checked to come from its sender. The sender is trusted to say that
 * something happened, and no further than the rule's bounds.
 * @throws KeysendError `request_invalid` for a document that does not fit the rule.
 */
export function triggeredPayment(rule: RuleOf<'trigger'>, document: unknown): TriggeredPayment {
  for (const { path, equals } of rule.when) {
    if (at(document, path) !== equals) return { status: 'ignored', reason: `${path} is something else` };
  }
  const amountMsat = amountOf(rule, document);
  const subject = rule.idPath === undefined ? undefined : subjectOf(rule.idPath, document);
  return {
    status: 'pays',
    amountMsat,
    to: recipientsOf(rule, document),
    ...(subject === undefined ? {} : { subject }),
  };
}

function amountOf({ amount }: RuleOf<'trigger'>, document: unknown): bigint {
  if (typeof amount === 'bigint') return amount;
  const { path, unit, least = 1n, most } = amount;
  const value = at(document, path);
  const text =
    typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER / 1000 ? String(value) : value;
  const [, whole, fraction = ''] =
    (typeof text === 'string' ? /^(\d{1,16})(?:\.(\d{1,3}))?$/.exec(text) : null) ?? [];
  if (whole === undefined || (unit === 'msat' && fraction !== '')) {
    throw new KeysendError('request_invalid', `${path} is no amount in ${unit}`);
  }
  const amountMsat =
    unit === 'msat' ? BigInt(whole) : BigInt(whole) * 1000n + BigInt(fraction.padEnd(3, '0'));
  if (amountMsat < least) throw new KeysendError('request_invalid', `${path} is below ${amountText(least)}`);
  // Not the most instead: who asks for more has something else in mind than the rule.
  if (amountMsat > most) {
    throw new KeysendError(
      'request_invalid',
      `${path} is above the ${amountText(most)} that the rule allows`,
    );
  }
  return amountMsat;
}

function recipientsOf(
  { to }: RuleOf<'trigger'>,
  document: unknown,
): readonly (Recipient & { share: number })[] {
  if (!('path' in to)) return to;
  const value = at(document, to.path);
  const found = to.allowed.find(
    ({ address, name }) =>
      typeof value === 'string' &&
      (value.toLowerCase() === address || (name !== undefined && value === name)),
  );
  if (found === undefined) {
    throw new KeysendError('request_invalid', `${to.path} is none of the recipients that the rule allows`);
  }
  return [found];
}

function subjectOf(path: string, document: unknown): string {
  const value = at(document, path);
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text === 'string' && text !== '' && text.length <= 256) return text;
  throw new KeysendError(
    'request_invalid',
    `${path} does not say what this is about: it has to be text or a number`,
  );
}

/** What stands at a path; `undefined` where nothing does. */
function at(document: unknown, path: string): unknown {
  let value = document;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
