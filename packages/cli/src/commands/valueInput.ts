import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { type Fetcher, KeysendError, type ValuePlan } from '@rivulet/keysend';
import { findItem, loadValue, MAX_FEED_BYTES, parseFeed } from '@rivulet/keysend/feed';
import type { CliContext } from '../cliContext.js';
import { usageError } from '../cliError.js';
import { printable } from '../format/text.js';
import type { CliToolkit } from '../toolkit.js';

const feedTimeoutMs = 30_000;
const whatToGive = 'give a file, or a URL that begins with https://';
const isUrl = (text: string): boolean => /^https?:\/\//i.test(text);

/** Who is to be paid for an item of a feed; what is wrong with its value block is said on stderr. */
export async function loadPlan(
  context: CliContext,
  given: { toolkit: Pick<CliToolkit, 'fetcher' | 'signal'>; feed: string; item: string; json: boolean },
): Promise<ValuePlan> {
  const { toolkit, feed: where, item: guid, json } = given;
  const { signal } = toolkit;
  const fetcher = isUrl(where) ? toolkit.fetcher : besideFile(where, toolkit.fetcher);
  const feed = await readFeed(where, { fetcher, signal });
  const plan = await loadValue({ feed, item: findItem(feed, guid), fetcher, signal });
  if (!json) for (const problem of plan.problems) context.err(`${printable(problem)}\n`);
  return plan;
}

async function readFeed(where: string, { fetcher, signal }: { fetcher: Fetcher; signal: AbortSignal }) {
  if (!isUrl(where)) return parseFeed(readFeedFile(where));
  const { status, body } = await fetcher(where, {
    maxBytes: MAX_FEED_BYTES,
    timeoutMs: feedTimeoutMs,
    signal,
  });
  if (status !== 200) throw new KeysendError('fetch_failed', `the server of the feed answered ${status}`);
  return parseFeed(body, { url: where });
}

/**
 * A feed in a file may point at others beside it, by their names; nothing outside of its folder is read for it.
 */
function besideFile(feedPath: string, fetcher: Fetcher): Fetcher {
  return async (url, limits) => {
    if (/^[a-z][a-z0-9+.-]*:/i.test(url)) return fetcher(url, limits);
    const body = readBeside(feedPath, url);
    return { status: 200, url, contentType: 'application/rss+xml', body };
  };
}

function readBeside(feedPath: string, name: string): Uint8Array {
  const outside = new KeysendError(
    'fetch_refused',
    'what is not in the folder of the feed is not read for it',
  );
  let folder: string;
  let path: string;
  try {
    folder = realpathSync(dirname(resolve(feedPath)));
    path = realpathSync(resolve(folder, name));
  } catch (cause) {
    throw new KeysendError('fetch_failed', 'there is no such file beside the feed', { cause });
  }
  if (!path.startsWith(folder + sep)) throw outside;
  return readFeedFile(path);
}

function readFeedFile(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size <= MAX_FEED_BYTES) return readFileSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw usageError(`the feed ${printable(JSON.stringify(path))} cannot be read (${code}): ${whatToGive}`);
  }
  throw new KeysendError(
    'feed_invalid',
    `the feed ${printable(JSON.stringify(path))} is larger than ${MAX_FEED_BYTES / 1_000_000} MB, and is not read`,
  );
}

/** A position as it is typed: `754`, `12:34`, `1:02:03`, with fractions. In seconds. @throws CliError */
export function parsePosition(text: string, what: string): number {
  const [, hours, minutes, seconds = ''] =
    /^(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,7}(?:\.\d{1,3})?)$/.exec(text) ?? [];
  // `1:90` is a slip of the hand: nobody can tell what was meant.
  const overflows =
    (minutes !== undefined && Number(seconds) >= 60) || (hours !== undefined && Number(minutes) >= 60);
  if (seconds === '' || overflows) {
    throw usageError(`${what} is a position such as 754, 12:34 or 1:02:03, not ${JSON.stringify(text)}`);
  }
  return Number(hours ?? 0) * 3_600 + Number(minutes ?? 0) * 60 + Number(seconds);
}

/** `1:02:03`, without what is less than a second. */
export function formatPosition(positionSeconds: number): string {
  const whole = Math.floor(positionSeconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, '0'));
  return [Math.floor(whole / 3_600), ...parts].join(':');
}

/** A row of a value block, for people. */
export function describeRecipient({ name, address }: { name?: string; address: string }): string {
  const short = address.includes('@') ? address : `${address.slice(0, 12)}…`;
  return printable(name === undefined ? short : `${name} (${short})`);
}
