import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import { boostOf } from './boosts.test.support.js';
import { exportBoosts } from './exportBoosts.js';
import { keyedBoosts } from './keyedBoosts.js';
import type { NewBoost } from './receivedBoost.js';

function storeOf(boosts: readonly NewBoost[]) {
  const store = memoryStore();
  const kept = keyedBoosts(store);
  store.transaction((tx) => kept.ingest(tx, { source: 'main', boosts }));
  return kept;
}

const csvOf = (boosts: readonly NewBoost[]) => [...exportBoosts(storeOf(boosts), { format: 'csv' })].join('');
const rowsOf = (csv: string): Record<string, string>[] => parse(csv, { columns: true });

describe('exporting received payments', () => {
  test('writes every field as CSV, the oldest first', () => {
    const boostagram = {
      action: 'boost',
      podcast: 'Tide, "Time"',
      message: 'two\r\nlines',
      sender_name: 'Ünì ✓',
      value_msat_total: 1000,
    };
    const csv = csvOf([
      boostOf(2, { amountMsat: 12_345n, boostagram, records: [[70001n, Uint8Array.of(1, 255)]] }),
      boostOf(1, { amountMsat: 2_000n }),
    ]);
    expect(csv.endsWith('\r\n')).toBe(true);
    const rows = rowsOf(csv);
    expect(rows.map(({ id }) => id)).toEqual(['2', '1']);
    expect(rows[1]).toMatchObject({
      received_at: '2026-11-21T12:00:00.002Z',
      amount_msat: '12345',
      amount_sat: '12.345',
      kind: 'boost',
      show: 'Tide, "Time"',
      message: 'two\r\nlines',
      sender_name: 'Ünì ✓',
      total_msat: '1000',
    });
    expect(rows[1]?.records).toContain('70001=01ff');
    expect(rows[0]).toMatchObject({ amount_sat: '2', kind: 'payment', message: '' });
  });

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '\uff1d1', '\u200b=1', '\ufeff=1'])(
    'lets no spreadsheet compute the text %j of a stranger',
    (text) => {
      // At the ends of names white space is left away.
      const boost = boostOf(1, { records: [[34349334n, new TextEncoder().encode(text)]] });
      const [row] = rowsOf(csvOf([boost]));
      expect(row?.message?.startsWith("'")).toBe(true);
      expect(row?.message?.slice(1)).toBe(text);
    },
  );

  test('has as many cells in every line and gives texts back as they were, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 5 }), (texts) => {
        const boosts = texts.map((text, i) =>
          boostOf(i, { records: [[34349334n, new TextEncoder().encode(text)]] }),
        );
        const rows = rowsOf(csvOf(boosts));
        expect(rows.map(({ message = '' }) => message.replace(/^'/, ''))).toEqual(
          boosts.map(({ message = '' }) => message.replace(/^'/, '')),
        );
      }),
      { numRuns: 40 },
    );
  });

  test('writes JSON and lines of JSON, with all records, over many pages', () => {
    const many = Array.from({ length: 1_201 }, (_, i) => boostOf(i, { amountMsat: BigInt(i) }));
    const boosts = storeOf(many);
    const json = [...exportBoosts(boosts, { format: 'json' })];
    expect(json.length).toBe(4);
    const all = JSON.parse(json.join('')) as { amountMsat: string }[];
    expect(all.map(({ amountMsat }) => amountMsat)).toEqual(many.map(({ amountMsat }) => String(amountMsat)));
    const lines = [...exportBoosts(boosts, { format: 'ndjson' })].join('').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(all);
    const some = [...exportBoosts(boosts, { format: 'json', filter: { minMsat: 1_200n } })].join('');
    expect(JSON.parse(some)).toHaveLength(1);
    expect([...exportBoosts(boosts, { format: 'json', filter: { show: 'x' } })].join('')).toBe('[]\n');
  });
});
