import { isAbsolute } from 'node:path';
import { z } from 'zod';

/*
 * The kinds of settings. Each reads what JSON has for it, and text too, which is all that the environment
 * and flags have.
 */

export function integer(minimum: number, maximum: number) {
  const message = `expected a whole number from ${minimum} to ${maximum}`;
  return z.preprocess(
    (value) => (typeof value === 'string' && /^-?[0-9]{1,15}$/.test(value) ? Number(value) : value),
    z.int(message).min(minimum, message).max(maximum, message),
  );
}

/** An amount as `bigint`: a whole JSON number, or its digits. */
export function amount(minimum: bigint, maximum: bigint) {
  const message = `expected a whole number from ${minimum} to ${maximum}`;
  return z.preprocess(
    (value) =>
      (typeof value === 'string' && /^[0-9]{1,20}$/.test(value)) || Number.isSafeInteger(value)
        ? BigInt(value as string | number)
        : value,
    z.bigint(message).min(minimum, message).max(maximum, message),
  );
}

export const boolean = z.preprocess(
  (value) => (value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value),
  z.boolean('expected true or false'),
);

export function choice<const T extends readonly [string, ...string[]]>(choices: T) {
  return z.enum(choices, `expected one of: ${choices.join(', ')}`);
}

export const text = z.string('expected text').min(1, 'expected text that is not empty');

export const hostName = text.regex(/^[^\s/]+$/, 'expected a host name or an IP address');

/** A JSON array of texts, or one text with commas. */
const textList = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== '')
      : value,
  z.array(text, 'expected a list of texts'),
);

/** Files or folders, absolute: what is relative would depend on where the daemon is started. */
export const pathList = textList.pipe(
  z
    .array(text.refine((value) => isAbsolute(value), 'expected absolute paths'))
    .max(8, 'expected at most 8 paths'),
);

/** Channel ids in full: a short one could come to mean another channel. */
export const channelIdList = textList.pipe(
  z.array(
    text
      .transform((value) => value.toLowerCase())
      .refine(
        (value) => /^[0-9a-f]{64}$/.test(value),
        'expected channel ids: 64 hex digits each, as `rivulet channels --json` shows them',
      ),
  ),
);

/** What can stand before the `@` of a keysend address. */
export const nameList = textList.pipe(
  z
    .array(
      text
        .transform((value) => value.toLowerCase())
        .refine((value) => /^[a-z0-9._-]{1,64}$/.test(value), 'expected names of a to z, digits, ., _ and -'),
    )
    .max(1_000, 'expected at most 1000 names'),
);

/** `host:port`, an IPv6 address in brackets. */
const hostAndPort = text
  .regex(
    /^(?:\[[0-9a-fA-F:.]+\]|[^\s/:[\]]+):[0-9]{1,5}$/,
    'expected host:port; an IPv6 address stands in brackets',
  )
  .transform((value) => {
    const colon = value.lastIndexOf(':');
    return { host: value.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(value.slice(colon + 1)) };
  })
  .refine(({ port }) => port >= 1 && port <= 65_535, 'expected a port from 1 to 65535');

export const addressList = textList.pipe(z.array(hostAndPort).max(16, 'expected at most 16 addresses'));

/** `http` or `https`, without user and password: those are settings of their own, which are kept secret. */
const httpUrl = text.refine((value) => {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}, 'expected a URL that starts with http:// or https://, without a user and password in it');

/** Several of them, in the order in which they are used. */
export const httpUrlList = textList.pipe(
  z.array(httpUrl).min(1, 'expected a URL').max(8, 'expected at most 8 URLs'),
);

/** Where a publisher of ZMQ listens: as in bitcoind's settings. */
export const zmqUrl = text.regex(
  /^(?:tcp:\/\/(?:\[[0-9a-fA-F:.]+\]|[^\s/:[\]*]+):[0-9]{1,5}|ipc:\/\/.+)$/,
  "expected tcp://host:port, as in bitcoind's zmqpubhashblock",
);
