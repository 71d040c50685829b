import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { decodeTlvStream, encodeTlvStream } from '@rivulet/core/wire';
import type { Database, Row } from '@rivulet/storage/database';
import { KeysendError } from '../keysendError.js';
import { boostFacets, type Facet, type FacetName, facetNames } from '../receiving/boostFacets.js';
import type { BoostBatch, BoostStore, ForgetRequest, TotalsRequest } from '../receiving/boostStore.js';
import { dayMs, groupSums, isCoarse } from '../receiving/boostTotals.js';
import { foldText } from '../receiving/foldText.js';
import { checkLimit, finishPage, planPage } from '../receiving/pageCursor.js';
import { readBoost } from '../receiving/readBoost.js';
import { boostKinds, type NewBoost, type ReceivedBoost } from '../receiving/receivedBoost.js';
import type { StoreTransaction } from '../store/toolkitStore.js';
import { boostQuery, pageNumbers, whereOf } from './boostQueries.js';
import { boostSums, rowsAsSums, SumChanges, sumsFor, toSum, totalsSql } from './boostSums.js';

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
      'SELECT id FROM boost_names WHERE facet = ? AND key = ? AND label = ? AND alias = ?',
    ),
    addName: database.prepare(
      'INSERT INTO boost_names (facet, key, label, alias, folded) VALUES (?, ?, ?, ?, ?)',
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
      `SELECT id, received_at_ms / ${dayMs}, kind, show, episode, app, sender, amount_msat
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
      const from = coarse ? sumsFor({ by, filter }) : rowsAsSums;
      const rows = database.prepare(totalsSql({ by, from, where: where.sql })).all(...where.values);
      return groupSums(rows.map(toSum), { by, limit });
    },
    forget,
  };

  function ingest(tx: StoreTransaction, { source, boosts, cursor }: BoostBatch): readonly ReceivedBoost[] {
    inTransaction(database);
    const sourceId = Number(sql.source.get(source)?.[0] ?? sql.addSource.run(source).rowid);
    const forgotten = Number(tx.get(forgottenKey) ?? 0);
    const names = new Map<string, number>();
    const changes = new SumChanges();
    const numberOf = (name: FacetName, { key, label, alias }: Facet): number => {
      if (key === '') return 0;
      const facet = facetNames.indexOf(name);
      const known = JSON.stringify([facet, key, label, alias]);
      let id = names.get(known);
      if (id === undefined) {
        const found = sql.name.get(facet, key, label, alias)?.[0];
        id = Number(found ?? sql.addName.run(facet, key, label, alias, foldText(label)).rowid);
        names.set(known, id);
      }
      return id;
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
      ) as [number, number, number, number, number, number];
      const { rowid: id } = sql.add.run(
        sourceId,
        paymentHash,
        amountMsat,
        receivedAtMs,
        kind,
        show,
        episode,
        app,
        sender,
        account === 0 ? null : account,
        remote === 0 ? null : remote,
        boost.boostUuid ?? null,
      );
      const message = boost.message === undefined ? null : foldText(boost.message);
      sql.addRecords.run(id, encodeRecords(boost), message);
      if (message !== null) sql.addText.run(id, message);
      changes.add({ day: dayOf(receivedAtMs), kind, show, episode, app, sender }, amountMsat);
      taken.push({ ...boost, source, id });
    }
    sums.apply(changes, 1);
    if (cursor !== undefined) sql.setCursor.run(cursor, sourceId);
    return taken;
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
      const [id, day, kind, show, episode, app, sender] = row.map(Number) as SevenNumbers;
      changes.add({ day, kind, show, episode, app, sender }, row[7] as bigint);
      for (const statement of [sql.remove, sql.removeRecords, sql.removeText]) statement.run(id);
    }
    if (!keepSums) sums.apply(changes, -1);
    return rows.length;
  }
}

type SevenNumbers = [number, number, number, number, number, number, number];

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
