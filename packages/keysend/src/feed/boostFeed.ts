import { bytesToHex } from '@rivulet/core/bytes';
import { boundedFetcher, createResolver } from '../address/index.js';
import { KeysendError } from '../keysendError.js';
import { LegLedger, type LegLedgerOptions, type RunOptions } from '../ledger/index.js';
import { type BoostRequest, type BoostResult, boost } from '../sessions/index.js';
import { systemSchedule } from '../timing/schedule.js';
import type { Fetcher, ValuePlan } from '../value/index.js';
import { type LoadValueRequest, loadValue } from './loadValue.js';
import { findItem, MAX_FEED_BYTES, parseFeed } from './parseFeed.js';

type OwnLedger = 'store' | 'wallet' | 'secret';

export interface BoostFeedRequest
  extends Omit<BoostRequest, 'plan'>,
    Pick<LegLedgerOptions, OwnLedger>,
    Pick<LoadValueRequest, 'remoteFeeds' | 'limits'>,
    Pick<RunOptions, 'signal' | 'onLeg'> {
  readonly feedUrl: string;
  /** The item's guid; for the feed as a whole where it is absent. */
  readonly itemGuid?: string | undefined;
  /** `boundedFetcher` where it is absent; in Node.js, give `guardedFetcher()`. */
  readonly fetcher?: Fetcher | undefined;
  /** What is to be otherwise: a resolver for another network than mainnet, an audit log, a guard, a clock. */
  readonly ledger?: Partial<Omit<LegLedgerOptions, OwnLedger>> | undefined;
}

export interface BoostFeedResult extends BoostResult {
  /** Who was to be paid, and in `problems` what of the feed could not be used. */
  readonly plan: ValuePlan;
}

const feedTimeoutMs = 15_000;

/**
 * The whole way in one call: fetches a feed, finds out who is paid for it or for one of its items, and boosts. After
 * a crash, the same call (with the same `boostUuid`, store and secret) pays what is left and nothing twice.
 * @throws KeysendError what `fetcher`, `parseFeed`, `findItem`, `loadValue` and `boost` throw. That a share was not paid
 *   is in the result.
 */
export async function boostFeed(request: BoostFeedRequest): Promise<BoostFeedResult> {
  const { feedUrl, itemGuid, store, wallet, secret, fetcher = boundedFetcher(), signal, onLeg } = request;
  const stop = signal === undefined ? {} : { signal };
  const fetched = await fetcher(feedUrl, { maxBytes: MAX_FEED_BYTES, timeoutMs: feedTimeoutMs, ...stop });
  if (fetched.status !== 200) {
    throw new KeysendError('fetch_failed', `the feed's server answered ${fetched.status}`);
  }
  const feed = parseFeed(fetched.body, { url: feedUrl });
  const item = itemGuid === undefined ? undefined : findItem(feed, itemGuid);
  const { remoteFeeds, limits } = request;
  const plan = await loadValue({ feed, item, fetcher, remoteFeeds, limits, signal });
  const { now = Date.now } = request.ledger ?? {};
  const ledger = new LegLedger({
    resolver: createResolver({ fetcher, now }),
    schedule: systemSchedule,
    owner: bytesToHex(globalThis.crypto.getRandomValues(new Uint8Array(16))),
    ...request.ledger,
    now,
    store,
    wallet,
    secret,
  });
  const result = await boost(ledger, { ...request, plan }, { ...stop, ...(onLeg && { onLeg }) });
  return { ...result, plan };
}
