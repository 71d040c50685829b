import { KeysendError } from '../keysendError.js';
import type { Fetcher } from '../value/fetcher.js';
import type { RemoteItem, ValueRecipient } from '../value/valueBlock.js';
import type { PlannedRemote, ValuePlan } from '../value/valuePlan.js';
import type { Feed, FeedItem } from './feed.js';
import { quoted } from './feedProblems.js';
import { findItem, MAX_FEED_BYTES, parseFeed } from './parseFeed.js';

export interface LoadValueRequest {
  readonly feed: Feed;
  /** Absent: for the feed as a whole. */
  readonly item?: FeedItem | undefined;
  readonly fetcher: Fetcher;
  /** Where the feed with a `podcast:guid` is: asked before the feed's own `feedUrl` is believed. */
  readonly remoteFeeds?: ((feedGuid: string) => Promise<string | undefined> | string | undefined) | undefined;
  readonly limits?: Partial<RemoteLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RemoteLimits {
  /** Other feeds that are fetched for one item. */
  readonly maxFeeds: number;
  readonly maxBytesEach: number;
  readonly maxBytesTotal: number;
  readonly timeoutMs: number;
}

const LIMITS: RemoteLimits = {
  maxFeeds: 64,
  maxBytesEach: MAX_FEED_BYTES,
  maxBytesTotal: 3 * MAX_FEED_BYTES,
  timeoutMs: 15_000,
};

/**
 * Everything that is needed to pay for an item, remote items included: each other feed is fetched once, one after
 * the other, in the order of the time splits. What cannot be loaded stops nothing: its time is paid as if there were
 * no time split, to the block's own recipients, and `problems` says so. (The namespace is silent on it; to keep the
 * money back would pay nobody for what was played.)
 *
 * @throws KeysendError `value_missing`: neither the item nor its feed says who is to be paid, or none of those can be.
 */
export async function loadValue(request: LoadValueRequest): Promise<ValuePlan> {
  const { feed, item, signal } = request;
  const block = item?.value ?? feed.value;
  if (block === undefined) {
    throw new KeysendError('value_missing', 'Neither the item nor its feed has a value block for Lightning');
  }
  const own = feed.problems.filter((each) => each.item === undefined || each.item === item?.index);
  const problems = own.map(({ where, what }) => `${where}: ${what}`);
  if (!isPayable(block.recipients) && block.timeSplits.length === 0) {
    const because = problems.length === 0 ? '' : ` (${problems.slice(0, 3).join('; ')})`;
    throw new KeysendError('value_missing', `Nobody in the value block can be paid${because}`);
  }
  const remoteFeeds = new RemoteFeeds(request);
  const remotes: (PlannedRemote | undefined)[] = [];
  for (const [index, { target }] of block.timeSplits.entries()) {
    if (target.type === 'recipients') {
      remotes.push(undefined);
      continue;
    }
    const remote = await remoteFeeds.load(target.remoteItem);
    signal?.throwIfAborted();
    if (remote.status === 'missing') {
      problems.push(
        `time split ${index + 1}: its recipients are not known (${remote.problem}): the others get its part`,
      );
    }
    remotes.push(remote);
  }
  return {
    feed: {
      ...(feed.title === undefined ? {} : { title: feed.title }),
      ...(feed.guid === undefined ? {} : { guid: feed.guid }),
      ...(feed.url === undefined ? {} : { url: feed.url }),
      ...(feed.medium === undefined ? {} : { medium: feed.medium }),
    },
    ...(item === undefined
      ? {}
      : {
          item: {
            ...(item.title === undefined ? {} : { title: item.title }),
            ...(item.guid === undefined ? {} : { guid: item.guid }),
            ...(item.durationSeconds === undefined ? {} : { durationSeconds: item.durationSeconds }),
          },
        }),
    block,
    remotes,
    problems,
  };
}

class RemoteFeeds {
  readonly #request: LoadValueRequest;
  readonly #limits: RemoteLimits;
  readonly #fetched = new Map<string, Feed | string>();
  readonly #urls = new Map<string, string | undefined>();
  #bytesLeft: number;

  constructor(request: LoadValueRequest) {
    this.#request = request;
    this.#limits = { ...LIMITS, ...request.limits };
    this.#bytesLeft = this.#limits.maxBytesTotal;
  }

  async load(remoteItem: RemoteItem): Promise<PlannedRemote> {
    const feed = await this.#feed(remoteItem);
    if (typeof feed === 'string') return { status: 'missing', problem: feed };
    if (remoteItem.feedGuid !== '' && feed.guid !== undefined && feed.guid !== remoteItem.feedGuid) {
      return { status: 'missing', problem: `the feed there has the guid ${quoted(feed.guid)}` };
    }
    let item: FeedItem | undefined;
    if (remoteItem.itemGuid !== undefined) {
      try {
        item = findItem(feed, remoteItem.itemGuid);
      } catch (error) {
        return { status: 'missing', problem: reasonOf(error) };
      }
    }
    const recipients = (item?.value ?? feed.value)?.recipients ?? [];
    if (!isPayable(recipients)) return { status: 'missing', problem: 'nobody can be paid there' };
    return {
      status: 'loaded',
      recipients,
      ...(feed.title === undefined ? {} : { feedTitle: feed.title }),
      ...(item?.title === undefined ? {} : { itemTitle: item.title }),
    };
  }

  async #feed(remoteItem: RemoteItem): Promise<Feed | string> {
    const { feed } = this.#request;
    if (remoteItem.feedGuid !== '' && remoteItem.feedGuid === feed.guid) return feed;
    const url = await this.#url(remoteItem);
    if (url === undefined) return 'it is not known where the feed is';
    const known = this.#fetched.get(url);
    if (known !== undefined) return known;
    const fetched = await this.#fetch(url);
    this.#fetched.set(url, fetched);
    return fetched;
  }

  async #url({ feedGuid, feedUrl }: RemoteItem): Promise<string | undefined> {
    const { remoteFeeds } = this.#request;
    if (feedGuid === '' || remoteFeeds === undefined) return feedUrl;
    if (!this.#urls.has(feedGuid)) {
      let url: string | undefined;
      try {
        if (this.#urls.size < this.#limits.maxFeeds) url = await remoteFeeds(feedGuid);
      } catch {
        // An index that does not answer: the feed's own word for it is left.
      }
      this.#urls.set(feedGuid, url);
    }
    return this.#urls.get(feedGuid) ?? feedUrl;
  }

  async #fetch(url: string): Promise<Feed | string> {
    const { maxFeeds, maxBytesEach, timeoutMs } = this.#limits;
    if (this.#fetched.size >= maxFeeds) return `more than ${maxFeeds} other feeds are not fetched`;
    const maxBytes = Math.min(maxBytesEach, this.#bytesLeft);
    if (maxBytes <= 0) return 'the other feeds are too large together';
    const { fetcher, signal } = this.#request;
    try {
      const { status, body } = await fetcher(url, { maxBytes, timeoutMs, ...(signal && { signal }) });
      this.#bytesLeft -= body.length;
      if (status !== 200) return `the feed's server answered ${status}`;
      return parseFeed(body, { url, maxBytes });
    } catch (error) {
      signal?.throwIfAborted();
      // Whatever an app's own fetcher throws: one feed less is no reason to pay nobody.
      return error instanceof KeysendError ? error.message : 'the feed cannot be fetched';
    }
  }
}

/** Whether anybody has a share. */
function isPayable(recipients: readonly ValueRecipient[]): boolean {
  return recipients.length === 1 || recipients.some(({ split }) => split > 0n);
}

function reasonOf(error: unknown): string {
  if (error instanceof KeysendError) return error.message;
  throw error;
}
