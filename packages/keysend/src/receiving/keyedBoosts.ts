import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sortableNumber } from '../store/sortableKey.js';
import type { StoreReader, StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import { boostFacets, type Facet, facetMatches, facetQuery } from './boostFacets.js';
import { type BoostFilter, matchesFilter } from './boostFilter.js';
import type { BoostStore, ForgetRequest, PageRequest, TotalsBy, TotalsRequest } from './boostStore.js';
import { dayMs, groupSums, isCoarse, type PartialSum } from './boostTotals.js';
import { checkLimit, finishPage, planPage } from './pageCursor.js';
import { readBoost } from './readBoost.js';
import type { BoostKind, NewBoost, ReceivedBoost } from './receivedBoost.js';

const prefix = 'boost/';
const rowPrefix = `${prefix}row/`;
const rowKey = (id: number): string => rowPrefix + sortableNumber(id);
const seenKey = (source: string, paymentHash: string): string => `${prefix}seen/${paymentHash}/${source}`;
const cursorPrefix = `${prefix}cursor/`;
const lastKey = `${prefix}last`;
const forgottenKey = `${prefix}forgotten`;
const sumPrefix = `${prefix}sum/`;

/** A row: the records say the rest. */
interface Row {
  readonly source: string;
  readonly hash: string;
  readonly msat: string;
  readonly at: number;
  readonly proven?: string;
  readonly records: readonly (readonly [type: string, hex: string])[];
}

/** What stays of boosts that were forgotten. */
interface KeptSum {
  readonly day: number;
  readonly kind: BoostKind;
  readonly show: Facet;
  readonly episode: Facet;
  readonly app: Facet;
  readonly sender: Facet;
}

/**
 * Received payments in any ToolkitStore, a browser's too. Lists and statistics read everything: for some thousands of
 * payments. For more there are the tables of a SQLite file (`openToolkit`).
 */
export function keyedBoosts(store: ToolkitStore): BoostStore {
  function* all(reader: StoreReader = store): Iterable<ReceivedBoost> {
    for (const { key, value } of reader.list({ prefix: rowPrefix })) {
      yield { id: Number(key.slice(rowPrefix.length)), ...fromRow(value) };
    }
  }

  function* sums(by: TotalsBy, filter: BoostFilter): Iterable<PartialSum> {
    const facetName = by === 'day' || by === 'kind' ? undefined : by;
    if (isCoarse(filter)) {
      for (const { key, value } of store.list({ prefix: sumPrefix })) {
        const kept = JSON.parse(key.slice(sumPrefix.length)) as KeptSum;
        if (!keptMatches(kept, filter)) continue;
        const { count, msat } = JSON.parse(value) as { count: number; msat: string };
        const facet = facetName && kept[facetName];
        yield { ...kept, ...(facet && { facet }), count, amountMsat: BigInt(msat) };
      }
    }
    for (const boost of all()) {
      if (!matchesFilter(boost, filter)) continue;
      const { kind, amountMsat } = boost;
      const facet = facetName && boostFacets(boost)[facetName];
      yield { kind, day: dayOf(boost), ...(facet && { facet }), count: 1, amountMsat };
    }
  }

  return {
    cursor: (source) => store.get(cursorPrefix + source),
    sources: () => {
      const found = new Map<string, string | undefined>();
      for (const { source } of all()) found.set(source, undefined);
      for (const { key, value } of store.list({ prefix: cursorPrefix })) {
        found.set(key.slice(cursorPrefix.length), value);
      }
      return Array.from(found, ([source, cursor]) => ({
        source,
        ...(cursor === undefined ? {} : { cursor }),
      })).sort((a, b) => (a.source < b.source ? -1 : 1));
    },
    ingest(tx, { source, boosts, cursor }) {
      let last = Number(tx.get(lastKey) ?? 0);
      const forgotten = Number(tx.get(forgottenKey) ?? 0);
      const taken: ReceivedBoost[] = [];
      for (const boost of boosts) {
        const seen = seenKey(source, boost.paymentHash);
        if (boost.receivedAtMs < forgotten || tx.get(seen) !== undefined) continue;
        const id = ++last;
        tx.put(seen, String(id));
        tx.put(rowKey(id), toRow({ ...boost, source }));
        taken.push({ ...boost, source, id });
      }
      if (taken.length > 0) tx.put(lastKey, String(last));
      if (cursor !== undefined) tx.put(cursorPrefix + source, cursor);
      return taken;
    },
    get(id) {
      const value = store.get(rowKey(id));
      return value === undefined ? undefined : { id, ...fromRow(value) };
    },
    list(filter: BoostFilter = {}, page: PageRequest = {}) {
      const plan = planPage(page);
      const { from, descending } = plan;
      const sign = descending ? -1 : 1;
      const order = (a: Pick<ReceivedBoost, 'receivedAtMs' | 'id'>, b: typeof a): number =>
        sign * (a.receivedAtMs - b.receivedAtMs || a.id - b.id);
      const found = [...all()]
        .filter((boost) => matchesFilter(boost, filter) && (from === undefined || order(boost, from) > 0))
        .sort(order);
      return finishPage(found.slice(0, plan.limit + 1), plan);
    },
    arrivals(afterId, limit = 1_000) {
      checkLimit(limit, 1_000);
      return store
        .list({ prefix: rowPrefix, after: rowKey(afterId), limit })
        .map(({ key, value }) => ({ id: Number(key.slice(rowPrefix.length)), ...fromRow(value) }));
    },
    lastId: () => Number(store.get(lastKey) ?? 0),
    legs: (boostUuid) =>
      [...all()]
        .filter((boost) => boost.boostUuid === boostUuid)
        .sort((a, b) => a.receivedAtMs - b.receivedAtMs || a.id - b.id)
        .slice(0, 1_000),
    totals({ by, filter = {}, limit = 100 }: TotalsRequest) {
      checkLimit(limit, 10_000);
      return groupSums(sums(by, filter), { by, limit });
    },
    forget(tx, request) {
      return forget(tx, request);
    },
  };

  function forget(
    tx: StoreTransaction,
    { beforeMs, keepFromId = Number.MAX_SAFE_INTEGER, keepSums, limit = 1_000 }: ForgetRequest,
  ): number {
    checkLimit(limit, 100_000);
    tx.put(forgottenKey, String(Math.max(beforeMs, Number(tx.get(forgottenKey) ?? 0))));
    let removed = 0;
    for (const boost of all(tx)) {
      if (removed === limit) break;
      if (boost.receivedAtMs >= beforeMs || boost.id >= keepFromId) continue;
      if (keepSums) keepSum(tx, boost);
      tx.delete(rowKey(boost.id));
      tx.delete(seenKey(boost.source, boost.paymentHash));
      removed++;
    }
    return removed;
  }
}

function keepSum(tx: StoreTransaction, boost: ReceivedBoost): void {
  const { show, episode, app, sender } = boostFacets(boost);
  const kept: KeptSum = { day: dayOf(boost), kind: boost.kind, show, episode, app, sender };
  const key = sumPrefix + JSON.stringify(kept);
  const before = JSON.parse(tx.get(key) ?? '{"count":0,"msat":"0"}') as { count: number; msat: string };
  const msat = (BigInt(before.msat) + boost.amountMsat).toString();
  tx.put(key, JSON.stringify({ count: before.count + 1, msat }));
}

function keptMatches(kept: KeptSum, filter: BoostFilter): boolean {
  const { kinds, fromMs = 0, untilMs = Number.POSITIVE_INFINITY, provenSender } = filter;
  const atMs = kept.day * dayMs;
  if (atMs < fromMs || atMs >= untilMs || (kinds !== undefined && !kinds.includes(kept.kind))) return false;
  if (provenSender !== undefined && kept.sender.key !== `key:${provenSender.toLowerCase()}`) return false;
  return (['show', 'episode', 'app', 'sender'] as const).every((name) => {
    const wanted = filter[name];
    return wanted === undefined || facetMatches(kept[name], facetQuery(name, wanted));
  });
}

function dayOf({ receivedAtMs }: NewBoost): number {
  return Math.floor(receivedAtMs / dayMs);
}

function toRow({ source, paymentHash, amountMsat, receivedAtMs, sender, records }: NewBoost): string {
  const row: Row = {
    source,
    hash: paymentHash,
    msat: amountMsat.toString(),
    at: receivedAtMs,
    ...(sender.provenKey === undefined ? {} : { proven: sender.provenKey }),
    records: Array.from(records, ([type, bytes]) => [type.toString(), bytesToHex(bytes)]),
  };
  return JSON.stringify(row);
}

function fromRow(text: string): NewBoost {
  const { source, hash, msat, at, proven, records } = JSON.parse(text) as Row;
  return readBoost(
    {
      paymentHash: hash,
      amountMsat: BigInt(msat),
      receivedAtMs: at,
      records: new Map(records.map(([type, hex]) => [BigInt(type), hexToBytes(hex)])),
    },
    { source, provenKey: proven },
  );
}
