import type { Database, SqliteValue } from '@rivulet/storage/database';
import { type FacetName, facetNames, facetQuery } from '../receiving/boostFacets.js';
import type { BoostFilter } from '../receiving/boostFilter.js';
import { dayMs } from '../receiving/boostTotals.js';
import { foldText } from '../receiving/foldText.js';
import type { PagePlan } from '../receiving/pageCursor.js';
import { boostKinds } from '../receiving/receivedBoost.js';

interface Condition {
  readonly sql: string;
  readonly values: readonly SqliteValue[];
}

/** A column with an index, which has one of these few numbers. */
interface Column {
  readonly name: FacetName | 'kind';
  readonly numbers: readonly number[];
}

/** Conditions on rows, and what they can be found by. */
export interface BoostQuery {
  /** Nothing can match. */
  readonly nothing: boolean;
  readonly conditions: readonly Condition[];
  /** What rows are found by; what narrows most comes first. */
  readonly columns: readonly Column[];
  /** Of the message: a search in the index of texts, or a text that is too short for it. */
  readonly text: { readonly match: string } | { readonly part: string } | undefined;
}

/** The order in which columns are worth being looked up by: those with the most different values first. */
const byWorth: readonly FacetName[] = ['sender', 'account', 'episode', 'remote', 'show', 'app'];
/** Numbers of one column that are looked up one by one, so that none is sorted as a whole. */
const maxLookups = 30;
const maxInteger = (1n << 63n) - 1n;
/** Characters that the index of texts needs at least. */
const trigram = 3;

/** What a filter asks of `boosts`; with `coarse`, of `boost_sums`. */
export function boostQuery(
  database: Database,
  filter: BoostFilter,
  { coarse }: { readonly coarse: boolean },
): BoostQuery {
  const { provenSender, kinds, fromMs, untilMs, minMsat, text, source } = filter;
  const conditions: Condition[] = [];
  const columns: Column[] = [];
  const compare = (sql: string, value: SqliteValue): void => {
    conditions.push({ sql, values: [value] });
  };
  /** Few numbers are named; many, which a stranger can make of one name, are left to a subquery. */
  const named = (
    name: FacetName,
    by: Readonly<Partial<Record<'key' | 'folded' | 'alias', readonly string[]>>>,
  ): void => {
    // Each with an index of its own: SQLite would rather look at all names.
    const parts = Object.entries(by).flatMap(([column, texts]) =>
      texts.length === 0
        ? []
        : [
            `SELECT id FROM boost_names INDEXED BY boost_names_${column}
             WHERE facet = ${facetNames.indexOf(name)} AND ${column} IN (${texts.map(() => '?').join(', ')})`,
          ],
    );
    const sql = parts.join(' UNION ');
    const values = Object.values(by).flat();
    const rows = database.prepare(`${sql} LIMIT ${maxLookups + 1}`).all(...values);
    if (rows.length > maxLookups) conditions.push({ sql: `+${name} IN (${sql})`, values });
    else columns.push({ name, numbers: rows.map(([id]) => Number(id)) });
  };
  if (provenSender !== undefined) {
    named('sender', { key: [`key:${provenSender.toLowerCase()}`] });
  }
  for (const name of byWorth) {
    const wanted = filter[name];
    if (wanted === undefined) continue;
    if (wanted === '') {
      const none = name === 'account' || name === 'remote' ? `${name} IS NULL` : `${name} = 0`;
      conditions.push({ sql: none, values: [] });
      continue;
    }
    const { keys, text } = facetQuery(name, wanted);
    named(name, { folded: [text], alias: [text], key: keys });
  }
  if (kinds !== undefined) {
    columns.push({ name: 'kind', numbers: [...new Set(kinds)].map((kind) => boostKinds.indexOf(kind)) });
  }
  const timeColumn = coarse ? 'day' : 'received_at_ms';
  const time = (ms: number): number => (coarse ? Math.ceil(ms / dayMs) : Math.ceil(ms));
  if (fromMs !== undefined) compare(`${timeColumn} >= ?`, time(fromMs));
  if (untilMs !== undefined) compare(`${timeColumn} < ?`, time(untilMs));
  if (minMsat !== undefined) compare('amount_msat >= ?', minMsat < maxInteger ? minMsat : maxInteger);
  if (source !== undefined) compare('source = (SELECT id FROM boost_sources WHERE name = ?)', source);
  const part = text === undefined ? '' : foldText(text);
  return {
    nothing: columns.some(({ numbers }) => numbers.length === 0),
    conditions,
    columns,
    text:
      part === ''
        ? undefined
        : [...part].length < trigram
          ? { part }
          : { match: `"${part.replaceAll('"', '""')}"` },
  };
}

/** As the conditions of one statement. `plain` keeps SQLite from looking rows up by these columns. */
export function whereOf(
  { conditions, columns, text }: BoostQuery,
  { except, plain = false }: { readonly except?: Column | 'text'; readonly plain?: boolean } = {},
): Condition {
  const parts: Condition[] = [...conditions];
  for (const column of columns) {
    if (column === except) continue;
    const { name, numbers } = column;
    parts.push({ sql: `${plain ? '+' : ''}${name} IN (${numbers.join(', ')})`, values: [] });
  }
  if (text !== undefined && except !== 'text') {
    if ('match' in text) {
      const sql = 'id IN (SELECT rowid FROM boost_texts WHERE boost_texts MATCH ?)';
      parts.push({ sql, values: [text.match] });
    } else {
      const sql = 'id IN (SELECT id FROM boost_records WHERE message IS NOT NULL AND instr(message, ?) > 0)';
      parts.push({ sql, values: [text.part] });
    }
  }
  return {
    sql: parts.length === 0 ? '1' : parts.map(({ sql }) => `(${sql})`).join(' AND '),
    values: parts.flatMap(({ values }) => values),
  };
}

/**
 * The numbers of the boosts of a page, and of one more. SQLite has no statistics here and would pick any index: this
 * picks the column with the most different values, and otherwise goes through the times.
 */
export function pageNumbers(database: Database, query: BoostQuery, plan: PagePlan): number[] {
  if (query.nothing) return [];
  const { from, descending, limit } = plan;
  const sign = descending ? '<' : '>';
  const way = descending ? 'DESC' : 'ASC';
  const order = `ORDER BY received_at_ms ${way}, id ${way} LIMIT ${limit + 1}`;
  const place: Condition =
    from === undefined
      ? { sql: '1', values: [] }
      : {
          sql: `received_at_ms ${sign}= ? AND (received_at_ms ${sign} ? OR id ${sign} ?)`,
          values: [from.receivedAtMs, from.receivedAtMs, from.id],
        };
  if (query.text !== undefined && 'match' in query.text) {
    const where = whereOf(query, { except: 'text', plain: true });
    return numbers(
      database,
      `SELECT id FROM boost_texts t CROSS JOIN boosts ON id = t.rowid
       WHERE boost_texts MATCH ? AND ${where.sql} AND ${place.sql} ${order}`,
      [query.text.match, ...where.values, ...place.values],
    );
  }
  const driver = query.columns[0];
  if (driver === undefined) {
    const where = whereOf(query, { plain: true });
    return numbers(
      database,
      `SELECT id FROM boosts INDEXED BY boosts_time WHERE ${place.sql} AND ${where.sql} ${order}`,
      [...place.values, ...where.values],
    );
  }
  const where = whereOf(query, { except: driver, plain: true });
  const one = driver.numbers.map(
    (number) => `SELECT * FROM (SELECT id, received_at_ms FROM boosts INDEXED BY boosts_${driver.name}
      WHERE ${driver.name} = ${number} AND ${place.sql} AND ${where.sql} ${order})`,
  );
  const values = driver.numbers.flatMap(() => [...place.values, ...where.values]);
  return numbers(database, `SELECT id FROM (${one.join(' UNION ALL ')}) ${order}`, values);
}

function numbers(database: Database, sql: string, values: readonly SqliteValue[]): number[] {
  return database
    .prepare(sql)
    .all(...values)
    .map(([id]) => Number(id));
}
