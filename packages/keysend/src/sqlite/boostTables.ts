import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { decodeTlvStream, encodeTlvStream } from '@rivulet/core/wire';
import type { Database, Row } from '@rivulet/storage/database';
import { KeysendError } from '../keysendError.js';
import { boostFacets, type Facet, type FacetName, facetNames } from '../receiving/boostFacets.js';
import type {
  BoostBatch,
  BoostStore,
  BoostTotals,
  ForgetRequest,
  TotalsBy,
  TotalsRequest,
} from '../receiving/boostStore.js';
import { dayMs, groupSums, isCoarse } from '../receiving/boostTotals.js';
import { foldText } from '../receiving/foldText.js';
import { checkLimit, finishPage, planPage } from '../receiving/pageCursor.js';
import { readBoost } from '../receiving/readBoost.js';
import { boostKinds, type NewBoost, type ReceivedBoost } from '../receiving/receivedBoost.js';
import type { StoreTransaction } from '../store/toolkitStore.js';
import { boostQuery, pageNumbers, whereOf } from './boostQueries.js';
import {
  boostSums,
  isOverall,
  largestOverall,
  readTotals,
  rowsAsSums,
  SumChanges,
  sumsFor,
} from './boostSums.js';

/** Payments received before this were forgotten; among the entries. */
const forgottenKey = 'boosts/forgotten';
const provenPrefix = 'key:';

/** Received payments in tables of the toolkit's file: for millions of them. */
export function boostTables(database: Database): BoostStore {
  const sql = {
    cursor: database.prepare('SELECT cursor FROM boost_sources WHERE name = ?'),
    sources: database.prepare('SELECT name, cursor FROM boost_sources ORDER BY name'),
    source: database.prepare('SELECT id FROM boost_sources WHERE name = ?'),
    addSource: database.prepare('INSERT INTO boost_sources (name) VALUES (?)'),
    setCursor: database.prepare('UPDATE boost_sources SET cursor = ? WHERE id = ?'),
    seen: database.prepare('SELECT 1 FROM boosts WHERE payment_hash = ? AND source = ?'),
    name: database.prepare(
      'SELECT id, same_as FROM boost_names WHERE facet = ? AND key = ? AND label = ? AND alias = ?',
    ),
    firstName: database.prepare('SELECT min(id) FROM boost_names WHERE facet = ? AND key = ?'),
    addName: database.prepare(
      'INSERT INTO boost_names (facet, key, label, alias, folded, same_as) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    add: database.prepare(
      `INSERT INTO boosts (source, payment_hash, amount_msat, received_at_ms, kind, show, episode, app, sender,
         account, remote, boost_uuid) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    addRecords: database.prepare('INSERT INTO boost_records (id, records, message) VALUES (?, ?, ?)'),
    addText: database.prepare('INSERT INTO boost_texts (rowid, message) VALUES (?, ?)'),
    get: database.prepare(`${columns} WHERE b.id = ?`),
    arrivals: database.prepare(`${columns} WHERE b.id > ? ORDER BY b.id LIMIT ?`),
    legs: database.prepare(`${columns} WHERE b.boost_uuid = ? ORDER BY b.received_at_ms, b.id LIMIT 1000`),
    lastId: database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'boosts'"),
    old: database.prepare(
      `SELECT id, received_at_ms / ${dayMs}, kind, show, episode, app, sender,
         ${firstOf('show')}, ${firstOf('episode')}, ${firstOf('app')}, ${firstOf('sender')}, amount_msat
       FROM boosts INDEXED BY boosts_time WHERE received_at_ms < ? AND id < ? ORDER BY received_at_ms LIMIT ?`,
    ),
    remove: database.prepare('DELETE FROM boosts WHERE id = ?'),
    removeRecords: database.prepare('DELETE FROM boost_records WHERE id = ?'),
    removeText: database.prepare('DELETE FROM boost_texts WHERE rowid = ?'),
  };

  const sums = boostSums(database);

  const get = (id: number): ReceivedBoost | undefined => {
    const row = sql.get.get(id);
    return row && toBoost(row);
  };

  return {
    cursor: (source) => textOf(sql.cursor.get(source)?.[0]),
    sources: () =>
      sql.sources.all().map(([name, cursor]) => {
        const after = textOf(cursor);
        return { source: String(name), ...(after === undefined ? {} : { cursor: after }) };
      }),
    ingest,
    get,
    list(filter = {}, page = {}) {
      const plan = planPage(page);
      const numbers = pageNumbers(database, boostQuery(database, filter, { coarse: false }), plan);
      // Another process may have forgotten one since.
      return finishPage(
        numbers.map(get).filter((boost) => boost !== undefined),
        plan,
      );
    },
    arrivals(afterId, limit = 1_000) {
      checkLimit(limit, 1_000);
      return sql.arrivals.all(afterId, limit).map(toBoost);
    },
    lastId: () => Number(sql.lastId.get()?.[0] ?? 0),
    legs: (boostUuid) => sql.legs.all(boostUuid).map(toBoost),
    totals({ by, filter = {}, limit = 100 }: TotalsRequest) {
      checkLimit(limit, 10_000);
      const coarse = isCoarse(filter);
      const query = boostQuery(database, filter, { coarse });
      if (query.nothing) return groupSums([], { by, limit });
      const where = whereOf(query, { plain: coarse });
      const totals = (group: TotalsBy): BoostTotals => {
        const from = coarse ? sumsFor({ by: group, filter }) : rowsAsSums;
        return readTotals(database, { by: group, from, where: where.sql, values: where.values, limit });
      };
      if (!isOverall({ by, filter })) return totals(by);
      return { ...largestOverall(database, { by, kinds: filter.kinds, limit }), total: totals('kind').total };
    },
    forget,
  };

  function ingest(tx: StoreTransaction, { source, boosts, cursor }: BoostBatch): readonly ReceivedBoost[] {
    inTransaction(database);
    const sourceId = Number(sql.source.get(source)?.[0] ?? sql.addSource.run(source).rowid);
    const forgotten = Number(tx.get(forgottenKey) ?? 0);
    const names = new Map<string, Named>();
    const changes = new SumChanges();
    const numberOf = (name: FacetName, { key, label, alias }: Facet): Named => {
      if (key === '') return { id: 0, first: 0 };
      const facet = facetNames.indexOf(name);
      const text = JSON.stringify([facet, key, label, alias]);
      const known = names.get(text) ?? findName(facet, { key, label, alias });
      names.set(text, known);
      return known;
    };
    const taken: ReceivedBoost[] = [];
    for (const boost of boosts) {
      const { amountMsat, receivedAtMs } = boost;
      const paymentHash = hexToBytes(boost.paymentHash);
      if (receivedAtMs < forgotten || sql.seen.get(paymentHash, sourceId) !== undefined) continue;
      const kind = boostKinds.indexOf(boost.kind);
      const facets = boostFacets(boost);
      const [show, episode, app, sender, account, remote] = facetNames.map((name) =>
        numberOf(name, facets[name]),
      ) as [Named, Named, Named, Named, Named, Named];
      const { rowid: id } = sql.add.run(
        sourceId,
        paymentHash,
        amountMsat,
        receivedAtMs,
        kind,
        show.id,
        episode.id,
        app.id,
        sender.id,
        account.id === 0 ? null : account.id,
        remote.id === 0 ? null : remote.id,
        boost.boostUuid ?? null,
      );
      const message = boost.message === undefined ? null : foldText(boost.message);
      sql.addRecords.run(id, encodeRecords(boost), message);
      if (message !== null) sql.addText.run(id, message);
      changes.add(
        {
          day: dayOf(receivedAtMs),
          kind,
          show: show.id,
          episode: episode.id,
          app: app.id,
          sender: sender.id,
        },
        { show: show.first, episode: episode.first, app: app.first, sender: sender.first },
        amountMsat,
      );
      taken.push({ ...boost, source, id });
    }
    sums.apply(changes, 1);
    if (cursor !== undefined) sql.setCursor.run(cursor, sourceId);
    return taken;
  }

  function findName(facet: number, { key, label, alias }: Facet): Named {
    const found = sql.name.get(facet, key, label, alias);
    if (found !== undefined) return { id: Number(found[0]), first: Number(found[1] ?? found[0]) };
    const first = sql.firstName.get(facet, key)?.[0] ?? null;
    const { rowid: id } = sql.addName.run(facet, key, label, alias, foldText(label), first);
    return { id, first: Number(first ?? id) };
  }

  function forget(
    tx: StoreTransaction,
    { beforeMs, keepFromId = Number.MAX_SAFE_INTEGER, keepSums, limit = 1_000 }: ForgetRequest,
  ): number {
    inTransaction(database);
    checkLimit(limit, 100_000);
    tx.put(forgottenKey, String(Math.max(beforeMs, Number(tx.get(forgottenKey) ?? 0))));
    const rows = sql.old.all(beforeMs, keepFromId, limit);
    const changes = new SumChanges();
    for (const row of rows) {
      const [id = 0, day = 0, kind = 0, show = 0, episode = 0, app = 0, sender = 0, ...firsts] =
        row.map(Number);
      const [firstShow = 0, firstEpisode = 0, firstApp = 0, firstSender = 0] = firsts;
      changes.add(
        { day, kind, show, episode, app, sender },
        { show: firstShow, episode: firstEpisode, app: firstApp, sender: firstSender },
        row.at(-1) as bigint,
      );
      for (const statement of [sql.remove, sql.removeRecords, sql.removeText]) statement.run(id);
    }
    if (!keepSums) sums.apply(changes, -1);
    return rows.length;
  }
}

/** A number of `boost_names`, and the first one of the same thing. */
interface Named {
  readonly id: number;
  readonly first: number;
}

function firstOf(column: FacetName): string {
  return `(SELECT coalesce(same_as, id) FROM boost_names WHERE boost_names.id = boosts.${column})`;
}

const columns = `SELECT b.id, s.name, b.payment_hash, b.amount_msat, b.received_at_ms, n.key, r.records
  FROM boosts b JOIN boost_records r ON r.id = b.id JOIN boost_sources s ON s.id = b.source
  LEFT JOIN boost_names n ON n.id = b.sender`;

function toBoost([
  id,
  source,
  paymentHash,
  amountMsat,
  receivedAtMs,
  senderKey,
  records,
]: Row): ReceivedBoost {
  const sender = textOf(senderKey) ?? '';
  const provenKey = sender.startsWith(provenPrefix) ? sender.slice(provenPrefix.length) : undefined;
  const payment = {
    paymentHash: bytesToHex(paymentHash as Uint8Array),
    amountMsat: amountMsat as bigint,
    receivedAtMs: Number(receivedAtMs),
    records: new Map(decodeTlvStream(records as Uint8Array).map(({ type, value }) => [type, value])),
  };
  return { id: Number(id), ...readBoost(payment, { source: String(source), provenKey }) };
}

function encodeRecords({ records }: NewBoost): Uint8Array {
  return encodeTlvStream(Array.from(records, ([type, value]) => ({ type, value })));
}

function textOf(value: Row[number] | undefined): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}

function dayOf(receivedAtMs: number): number {
  return Math.floor(receivedAtMs / dayMs);
}

function inTransaction(database: Database): void {
  if (database.inTransaction) return;
  throw new KeysendError('store_invalid', 'this needs a transaction of the store that the boosts belong to');
}
