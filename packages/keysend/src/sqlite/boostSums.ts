import type { Database, Row } from '@rivulet/storage/database';
import { type FacetName, facetNames } from '../receiving/boostFacets.js';
import type { BoostFilter } from '../receiving/boostFilter.js';
import type { TotalsBy } from '../receiving/boostStore.js';
import { dayMs, type PartialSum } from '../receiving/boostTotals.js';
import { boostKinds } from '../receiving/receivedBoost.js';

/** What one row of `boost_sums` is of; numbers of `boost_names` but for the first two. */
interface SumKey {
  readonly day: number;
  readonly kind: number;
  readonly show: number;
  readonly episode: number;
  readonly app: number;
  readonly sender: number;
}

interface Change {
  readonly key: readonly number[];
  count: number;
  amountMsat: bigint;
}

/** What has sums of its own for each day. */
const dailySums = ['show', 'episode', 'app'] as const satisfies readonly FacetName[];
/** What has sums of its own over all days; of senders there are too many for each day. */
const overallSums = [...dailySums, 'sender'] as const satisfies readonly FacetName[];
const noFacet = -1;
const allDays = -1;

/** What the payments of one transaction change in the sums: each row once. */
export class SumChanges {
  readonly all = new Map<string, Change>();
  readonly byFacet = new Map<string, Change>();

  add(key: SumKey, amountMsat: bigint): void {
    const { day, kind, show, episode, app, sender } = key;
    count(this.all, [day, kind, show, episode, app, sender], amountMsat);
    count(this.byFacet, [noFacet, day, kind, 0], amountMsat);
    for (const name of dailySums) {
      count(this.byFacet, [facetNames.indexOf(name), day, kind, key[name]], amountMsat);
    }
    for (const name of overallSums) {
      count(this.byFacet, [facetNames.indexOf(name), allDays, kind, key[name]], amountMsat);
    }
  }
}

function count(changes: Map<string, Change>, key: readonly number[], amountMsat: bigint): void {
  const text = key.join();
  const change = changes.get(text);
  if (change === undefined) {
    changes.set(text, { key, count: 1, amountMsat });
    return;
  }
  change.count++;
  change.amountMsat += amountMsat;
}

/** The tables of sums. */
export function boostSums(database: Database): { apply(changes: SumChanges, sign: 1 | -1): void } {
  const upsert =
    'ON CONFLICT DO UPDATE SET count = count + excluded.count, amount_msat = amount_msat + excluded.amount_msat';
  const columns = 'day = ? AND kind = ? AND show = ? AND episode = ? AND app = ? AND sender = ?';
  const facetColumns = 'facet = ? AND day = ? AND kind = ? AND name = ?';
  const all = {
    add: database.prepare(`INSERT INTO boost_sums VALUES (?, ?, ?, ?, ?, ?, ?, ?) ${upsert}`),
    removeEmpty: database.prepare(`DELETE FROM boost_sums WHERE ${columns} AND count <= 0`),
  };
  const byFacet = {
    add: database.prepare(`INSERT INTO boost_facet_sums VALUES (?, ?, ?, ?, ?, ?) ${upsert}`),
    removeEmpty: database.prepare(`DELETE FROM boost_facet_sums WHERE ${facetColumns} AND count <= 0`),
  };
  const applyTo = (table: typeof all, changes: Iterable<Change>, sign: 1 | -1): void => {
    for (const change of changes) {
      table.add.run(...change.key, change.count * sign, change.amountMsat * BigInt(sign));
      if (sign < 0) table.removeEmpty.run(...change.key);
    }
  };
  return {
    apply(changes, sign) {
      applyTo(all, changes.all.values(), sign);
      applyTo(byFacet, changes.byFacet.values(), sign);
    },
  };
}

/** Rows of payments in the form of sums: for what the sums do not tell. */
export const rowsAsSums = `(SELECT *, received_at_ms / ${dayMs} AS day, 1 AS count FROM boosts)`;

/** The smallest table that has all that is grouped by and asked for. */
export function sumsFor({ by, filter }: { by: TotalsBy; filter: BoostFilter }): string {
  const { show, episode, app, sender, provenSender, fromMs, untilMs } = filter;
  const needed = new Set<FacetName>(by === 'day' || by === 'kind' ? [] : [by]);
  if (show !== undefined) needed.add('show');
  if (episode !== undefined) needed.add('episode');
  if (app !== undefined) needed.add('app');
  if (sender !== undefined || provenSender !== undefined) needed.add('sender');
  const [only] = needed;
  const overall = by !== 'day' && fromMs === undefined && untilMs === undefined && only !== undefined;
  if (needed.size > 1 || (only === 'sender' && !overall)) return 'boost_sums';
  const facet = only === undefined ? noFacet : facetNames.indexOf(only);
  return `(SELECT day, kind, name AS ${only ?? 'no_name'}, count, amount_msat FROM boost_facet_sums
    WHERE facet = ${facet} AND ${overall ? `day = ${allDays}` : 'day >= 0'})`;
}

/** Sums by what is asked for and by kind; in the order in which names came up, so that the latest counts. */
export function totalsSql({ by, from, where }: { by: TotalsBy; from: string; where: string }): string {
  const day = by === 'day' ? 'day' : '0';
  const about = by === 'day' || by === 'kind' ? '0' : by;
  return `SELECT on_day, kind, total, amount, n.key, n.label, n.alias FROM (
      SELECT ${day} AS on_day, kind, ${about} AS about, sum(count) AS total, sum(amount_msat) AS amount
      FROM ${from} WHERE ${where} GROUP BY 1, 2, 3
    ) LEFT JOIN boost_names n ON n.id = about ORDER BY about`;
}

export function toSum([day, kind, count, amountMsat, key, label, alias]: Row): PartialSum {
  const facetKey = textOf(key);
  return {
    day: Number(day),
    kind: boostKinds[Number(kind)] ?? 'payment',
    count: Number(count),
    amountMsat: amountMsat as bigint,
    ...(facetKey === undefined
      ? {}
      : { facet: { key: facetKey, label: String(label), alias: String(alias) } }),
  };
}

function textOf(value: Row[number] | undefined): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}
