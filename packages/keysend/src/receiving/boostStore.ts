import type { StoreTransaction } from '../store/toolkitStore.js';
import type { BoostFilter } from './boostFilter.js';
import type { BoostKind, NewBoost, ReceivedBoost } from './receivedBoost.js';

/** Payments of one wallet, and where its list is after them. */
export interface BoostBatch {
  readonly source: string;
  readonly boosts: readonly NewBoost[];
  /** What `subscribe` goes on after once they are stored. */
  readonly cursor?: string;
}

/** A part of a list, by time of receipt. */
export interface PageRequest {
  /** 1 to 1,000; 50 where it is absent. */
  readonly limit?: number;
  /** What comes first: `newest` where it is absent. */
  readonly order?: 'newest' | 'oldest';
  /** `next` or `previous` of another page of the same filter and order. */
  readonly cursor?: string;
}

export interface BoostPage {
  /** In the order that was asked for, whichever way the page was reached. */
  readonly boosts: readonly ReceivedBoost[];
  /** Where there are more. */
  readonly next?: string;
  readonly previous?: string;
}

export interface Sum {
  readonly count: number;
  readonly amountMsat: bigint;
}

export type TotalsBy = 'show' | 'episode' | 'app' | 'sender' | 'day' | 'kind';

/** What came in for one show, app… */
export interface BoostTotal extends Sum {
  /** Tells groups apart; empty where the boosts do not say. A day is `2026-11-21`, UTC. */
  readonly key: string;
  /** For people; the latest that was given. */
  readonly name: string;
  /** Finds these boosts in a list, together with the filter that was asked with; absent where nothing does. */
  readonly filter?: BoostFilter;
  readonly kinds: Readonly<Record<BoostKind, Sum>>;
}

export interface TotalsRequest {
  readonly by: TotalsBy;
  readonly filter?: BoostFilter;
  /** The largest ones; 100 where it is absent, at most 10,000. Days: the latest ones. */
  readonly limit?: number;
}

export interface BoostTotals {
  /** The largest first; days the latest first. */
  readonly groups: readonly BoostTotal[];
  /** All groups together, those that are not listed too. */
  readonly total: Sum & { readonly kinds: Readonly<Record<BoostKind, Sum>> };
  readonly groupCount: number;
}

export interface ForgetRequest {
  /** Payments received before this go. */
  readonly beforeMs: number;
  /** Those with this number or a higher one stay: something still has to be done with them. */
  readonly keepFromId?: number;
  /** Statistics still count them. */
  readonly keepSums: boolean;
  /** At most so many at once; 1,000 where it is absent. */
  readonly limit?: number;
}

/**
 * Received payments, durable. It belongs to a ToolkitStore: what writes is given a transaction of that store and is
 * part of it, so that a payment, its wallet's cursor and what follows from it are stored together or not at all.
 */
export interface BoostStore {
  /** The cursor after the last batch of this source. */
  cursor(source: string): string | undefined;
  /** Every source that has a cursor or payments. */
  sources(): readonly { readonly source: string; readonly cursor?: string }[];
  /**
   * Stores what is new of a batch, known by source and payment hash, and the cursor. A payment that was received
   * before the time up to which payments were forgotten is not taken up again.
   * @returns the new ones.
   */
  ingest(tx: StoreTransaction, batch: BoostBatch): readonly ReceivedBoost[];
  get(id: number): ReceivedBoost | undefined;
  /** @throws KeysendError `request_invalid` for a limit or cursor that makes no sense. */
  list(filter?: BoostFilter, page?: PageRequest): BoostPage;
  /** In the order in which they came into the store, those with a higher number than `afterId`; at most 1,000. */
  arrivals(afterId: number, limit?: number): readonly ReceivedBoost[];
  /** The highest number that was given; 0 for none. */
  lastId(): number;
  /** All legs of one boost that have arrived, by time; at most 1,000. */
  legs(boostUuid: string): readonly ReceivedBoost[];
  totals(request: TotalsRequest): BoostTotals;
  /**
   * Removes old payments. Until it returns 0 there are more.
   * @returns how many it removed.
   */
  forget(tx: StoreTransaction, request: ForgetRequest): number;
}
