import type { Database, Row, SqliteValue } from '@rivulet/storage/database';
import { type FacetName, facetNames } from '../receiving/boostFacets.js';
import type { BoostFilter } from '../receiving/boostFilter.js';
import type { BoostTotals, TotalsBy } from '../receiving/boostStore.js';
import { dayMs, groupSums, type PartialSum } from '../receiving/boostTotals.js';
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

/** The first number of whatever has several. */
export type FirstNumbers = Readonly<Record<(typeof overallSums)[number], number>>;

/** What the payments of one transaction change in the sums: each row once. */
export class SumChanges {
  readonly all = new Map<string, Change>();
  readonly byFacet = new Map<string, Change>();
  readonly overall = new Map<string, Change>();

  add(key: SumKey, firsts: FirstNumbers, amountMsat: bigint): void {
    const { day, kind, show, episode, app, sender } = key;
    count(this.all, [day, kind, show, episode, app, sender], amountMsat);
    count(this.byFacet, [noFacet, day, kind, 0], amountMsat);
    for (const name of dailySums) {
      count(this.byFacet, [facetNames.indexOf(name), day, kind, key[name]], amountMsat);
    }
    for (const name of overallSums) {
      count(this.overall, [facetNames.indexOf(name), firsts[name], kind], amountMsat);
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
  const overall = {
    add: database.prepare(`INSERT INTO boost_overall_sums VALUES (?, ?, ?, ?, ?) ${upsert}`),
    removeEmpty: database.prepare(
      'DELETE FROM boost_overall_sums WHERE facet = ? AND name = ? AND kind = ? AND count <= 0',
    ),
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
      applyTo(overall, changes.overall.values(), sign);
    },
  };
}

/** Rows of payments in the form of sums: for what the sums do not tell. */
export const rowsAsSums = `(SELECT *, received_at_ms / ${dayMs} AS day, 1 AS count FROM boosts)`;

/** What is needed of the payments, besides day and kind. */
function neededFor({ by, filter }: { by: TotalsBy; filter: BoostFilter }): ReadonlySet<FacetName> {
  const { show, episode, app, sender, provenSender } = filter;
  const needed = new Set<FacetName>(by === 'day' || by === 'kind' ? [] : [by]);
  if (show !== undefined) needed.add('show');
  if (episode !== undefined) needed.add('episode');
  if (app !== undefined) needed.add('app');
  if (sender !== undefined || provenSender !== undefined) needed.add('sender');
  return needed;
}

/** The smallest table that has all that is grouped by and asked for. */
export function sumsFor(given: { by: TotalsBy; filter: BoostFilter }): string {
  const needed = neededFor(given);
  const [only] = needed;
  if (needed.size > 1 || only === 'sender') return 'boost_sums';
  const facet = only === undefined ? noFacet : facetNames.indexOf(only);
  return `(SELECT day, kind, name AS ${only ?? 'no_name'}, count, amount_msat
    FROM boost_facet_sums WHERE facet = ${facet})`;
}

/** Whether nothing but kinds is asked for: then the largest are found without looking at all of them here. */
export function isOverall({ by, filter }: { by: TotalsBy; filter: BoostFilter }): boolean {
  const { kinds: _, ...others } = filter;
  return by !== 'day' && by !== 'kind' && Object.values(others).every((value) => value === undefined);
}

/** The largest of all days together: strangers can make as many senders and episodes as they pay for. */
export function largestOverall(
  database: Database,
  { by, kinds, limit }: { by: TotalsBy; kinds: BoostFilter['kinds']; limit: number },
): { readonly groups: BoostTotals['groups']; readonly groupCount: number } {
  const facet = (facetNames as readonly string[]).indexOf(by);
  const numbers = kinds?.map((kind) => boostKinds.indexOf(kind)).join(', ');
  const where = `facet = ${facet} ${numbers === undefined ? '' : `AND kind IN (${numbers})`}`;
  const latest = (column: 'label' | 'alias'): string =>
    `(SELECT ${column} FROM boost_names l INDEXED BY boost_names_key
      WHERE l.facet = n.facet AND l.key = n.key AND ${column} <> '' ORDER BY l.id DESC LIMIT 1)`;
  const rows = database
    .prepare(
      `WITH largest AS (
         SELECT name FROM boost_overall_sums WHERE ${where} GROUP BY name
         ORDER BY sum(amount_msat) DESC, name LIMIT ?
       )
       SELECT 0, kind, count, amount_msat, key, coalesce(${latest('label')}, ''), coalesce(${latest('alias')}, '')
       FROM largest JOIN boost_overall_sums s USING (name) LEFT JOIN boost_names n ON n.id = s.name WHERE s.${where}`,
    )
    .all(limit);
  const counted = database
    .prepare(`SELECT count(*) FROM (SELECT 1 FROM boost_overall_sums WHERE ${where} GROUP BY name)`)
    .get();
  return { groups: groupSums(rows.map(toSum), { by, limit }).groups, groupCount: Number(counted?.[0] ?? 0) };
}

/** What `totalsSql` finds. */
export function readTotals(
  database: Database,
  given: { by: TotalsBy; from: string; where: string; values: readonly SqliteValue[]; limit: number },
): BoostTotals {
  const rows = database.prepare(totalsSql(given)).all(...given.values);
  return groupSums(rows.map(toSum), given);
}

/** Sums by what is asked for and by kind; in the order in which names came up, so that the latest counts. */
function totalsSql({ by, from, where }: { by: TotalsBy; from: string; where: string }): string {
  const day = by === 'day' ? 'day' : '0';
  const about = by === 'day' || by === 'kind' ? '0' : by;
  return `SELECT on_day, kind, total, amount, n.key, n.label, n.alias FROM (
      SELECT ${day} AS on_day, kind, ${about} AS about, sum(count) AS total, sum(amount_msat) AS amount
      FROM ${from} WHERE ${where} GROUP BY 1, 2, 3
    ) LEFT JOIN boost_names n ON n.id = about ORDER BY about`;
}

function toSum([day, kind, count, amountMsat, key, label, alias]: Row): PartialSum {
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
