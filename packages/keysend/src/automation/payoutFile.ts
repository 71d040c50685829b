import { CsvError, parse } from 'csv-parse/browser/esm/sync';
import { KeysendError } from '../keysendError.js';
import type { PayoutCells, PayoutLine } from './payoutLine.js';
import { payoutColumn, payoutColumns, payoutContent, readPayoutLine } from './payoutLine.js';

export interface PayoutProblem {
  /** From 1; 0 for what is wrong with the file as a whole. */
  readonly line: number;
  readonly problem: string;
}

/** Everything that is wrong with a payout file, at once. */
export class PayoutFileError extends KeysendError {
  readonly problems: readonly PayoutProblem[];

  constructor(problems: readonly PayoutProblem[]) {
    const shown = problems.slice(0, maxShownProblems).map(describeProblem);
    const more = problems.length - shown.length;
    const first =
      problems.length === 1 ? 'the file has a problem' : `the file has ${problems.length} problems`;
    super(
      'file_invalid',
      [`${first}, so nothing of it is paid:`, ...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('\n'),
    );
    this.problems = problems;
  }
}

function describeProblem({ line, problem }: PayoutProblem): string {
  return line === 0 ? problem : `line ${line}: ${problem}`;
}

const maxShownProblems = 50;
const maxLines = 100_000;
const maxCharacters = 64 * 1024 * 1024;

export type PayoutFormat = 'csv' | 'json';

export interface PayoutFileOptions {
  /**
   * Lines without a key get one from what they pay: recipient, amount, message, custom record. Two lines that pay the
   * same are then one payment, wherever they stand in the file; who wants two gives them keys. Otherwise such lines
   * are problems.
   */
  readonly keysFromContent?: boolean;
}

export interface PayoutFile {
  /** Each key once, in the order of the file. */
  readonly lines: readonly PayoutLine[];
  /** Lines that say again what an earlier line says; they are left out of `lines`. */
  readonly duplicates: readonly { readonly line: number; readonly firstLine: number; readonly key: string }[];
  readonly totalMsat: bigint;
}

/**
 * Reads who is to be paid.
 *
 * CSV: the first line names the columns (key, recipient, amount or amount_msat, and name, message, custom_key,
 * custom_value, note), separated by `,`, `;` or tabs; fields in double quotes may hold them. JSON: an array of objects
 * with such fields, or one object a line. Amounts are satoshi with up to three decimals.
 *
 * A line with the key of an earlier one and the same content is a duplicate; with other content it is a problem.
 * @throws PayoutFileError `file_invalid` with every problem of the file.
 */
export function readPayoutFile(
  text: string,
  format: PayoutFormat,
  { keysFromContent = false }: PayoutFileOptions = {},
): PayoutFile {
  if (text.length > maxCharacters) throw wholeFile(`the file is larger than ${maxCharacters} characters`);
  const plain = text.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n');
  const { rows, problems } = format === 'csv' ? readCsv(plain) : readJson(plain);
  if (rows.length > maxLines) throw wholeFile(`the file has more than ${maxLines} lines: split it`);
  const byKey = new Map<string, { line: number; content: string }>();
  const lines: PayoutLine[] = [];
  const duplicates: { line: number; firstLine: number; key: string }[] = [];
  let totalMsat = 0n;
  for (const { line, cells } of rows) {
    const read = readPayoutLine(cells, { line, keysFromContent });
    if (!('key' in read)) {
      problems.push(...read.map((problem) => ({ line, problem })));
      continue;
    }
    const content = payoutContent(read);
    const earlier = byKey.get(read.key);
    if (earlier === undefined) {
      byKey.set(read.key, { line, content });
      lines.push(read);
      totalMsat += read.amountMsat;
    } else if (earlier.content === content) {
      duplicates.push({ line, firstLine: earlier.line, key: read.key });
    } else {
      problems.push({
        line,
        problem: `has the key ${JSON.stringify(read.key)} of line ${earlier.line}, and pays something else`,
      });
    }
  }
  if (problems.length === 0 && lines.length === 0) throw wholeFile('the file names nobody to be paid');
  if (problems.length > 0) throw new PayoutFileError(problems.sort((a, b) => a.line - b.line));
  return { lines, duplicates, totalMsat };
}

function wholeFile(problem: string): PayoutFileError {
  return new PayoutFileError([{ line: 0, problem }]);
}

interface Rows {
  readonly rows: { readonly line: number; readonly cells: PayoutCells }[];
  readonly problems: PayoutProblem[];
}

function readCsv(text: string): Rows {
  const problems: PayoutProblem[] = [];
  let unclosed = false;
  const delimiter = findDelimiter(text);
  // `info` says where a row ends; where it begins follows from the line breaks within it.
  const parsed = parse(text, {
    delimiter,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    max_record_size: 64 * 1024,
    on_skip: (error) => {
      const line = error instanceof CsvError ? Number(Reflect.get(error, 'lines') ?? 0) : 0;
      if (error instanceof CsvError && error.code === 'CSV_QUOTE_NOT_CLOSED') unclosed = true;
      // Each mark of a line that is wrong is told of; once is enough.
      else if (problems.at(-1)?.line !== line) {
        problems.push({ line, problem: `is no CSV: ${quoteProblem(error)}` });
      }
      return undefined;
    },
  }) as unknown as { record: string[]; info: { lines: number } }[];
  if (unclosed) {
    // It is found at the end of the file; it stands behind the last row that could be read.
    const last = Math.max(0, parsed.at(-1)?.info.lines ?? 0, ...problems.map(({ line }) => line));
    problems.push({
      line: last + 1,
      problem: 'is no CSV: a quote is opened here or below, and never closed',
    });
  }
  const [header, ...records] = parsed;
  if (header === undefined) {
    if (problems.length === 0) problems.push({ line: 0, problem: 'the file is empty' });
    return { rows: [], problems };
  }
  const columns = header.record.map((name) => payoutColumn(name));
  const unknown = header.record.filter((_, index) => columns[index] === undefined);
  if (unknown.length > 0) {
    const names = unknown
      .slice(0, 20)
      .map((name) => JSON.stringify(name.slice(0, 40)))
      .join(', ');
    const problem = `the first line names the columns; unknown: ${names}. Known: ${payoutColumns.join(', ')}`;
    return { rows: [], problems: [{ line: header.info.lines, problem }, ...problems] };
  }
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (twice !== undefined) {
    return { rows: [], problems: [{ line: header.info.lines, problem: `column ${twice} is there twice` }] };
  }
  const rows = records.flatMap(({ record, info }) => {
    const line = info.lines - record.reduce((sum, cell) => sum + (cell.match(/\n/g)?.length ?? 0), 0);
    if (record.every((cell) => cell.trim() === '')) return [];
    if (record.slice(columns.length).some((cell) => cell.trim() !== '')) {
      problems.push({
        line,
        problem: `has ${record.length} fields, and the first line names ${columns.length}`,
      });
      return [];
    }
    return [{ line, cells: cellsOf(columns.map((column, index) => [column, record[index] ?? ''])) }];
  });
  return { rows, problems };
}

function quoteProblem(error: unknown): string {
  switch (error instanceof CsvError ? error.code : '') {
    case 'INVALID_OPENING_QUOTE':
    case 'CSV_INVALID_CLOSING_QUOTE':
      return 'quotes go around the whole field, and are written twice within it';
    case 'CSV_MAX_RECORD_SIZE':
      return 'a line is far too long';
    default:
      return 'it cannot be read';
  }
}

/** What stands between the names of the first line. */
function findDelimiter(text: string): string {
  const first = text.split('\n').find((line) => line.trim() !== '') ?? '';
  const counts = [',', ';', '\t'].map((mark) => ({ mark, count: first.split(mark).length - 1 }));
  return counts.reduce((best, one) => (one.count > best.count ? one : best)).mark;
}

/** Without those that are empty. */
function cellsOf(pairs: Iterable<readonly [string | undefined, string]>): PayoutCells {
  const cells: Record<string, string> = {};
  for (const [column, text] of pairs) {
    const value = column === 'message' || column === 'custom_value' ? text : text.trim();
    if (column !== undefined && value !== '') cells[column] = value;
  }
  return cells;
}

function readJson(text: string): Rows {
  const problems: PayoutProblem[] = [];
  const rows: { line: number; cells: PayoutCells }[] = [];
  for (const { line, value, problem } of text.trimStart().startsWith('[')
    ? arrayItems(text)
    : jsonLines(text)) {
    if (problem !== undefined) {
      problems.push({ line, problem });
      continue;
    }
    const cells = jsonCells(value);
    if (typeof cells === 'string') problems.push({ line, problem: cells });
    else rows.push({ line, cells });
  }
  return { rows, problems };
}

interface JsonItem {
  readonly line: number;
  readonly value?: unknown;
  readonly problem?: string;
}

function jsonLines(text: string): JsonItem[] {
  return text.split('\n').flatMap((one, index): JsonItem[] => {
    if (one.trim() === '') return [];
    const line = index + 1;
    try {
      return [{ line, value: JSON.parse(one) as unknown }];
    } catch {
      return [{ line, problem: 'is no JSON: write one object a line, or all in one array' }];
    }
  });
}

function arrayItems(text: string): JsonItem[] {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch (error) {
    const [, position] = /position (\d+)/.exec(error instanceof Error ? error.message : '') ?? [];
    const line = position === undefined ? 0 : text.slice(0, Number(position)).split('\n').length;
    return [{ line, problem: 'the file is no JSON: it has to be one array of objects' }];
  }
  const lines = itemLines(text);
  return (values as unknown[]).map((value, index) => ({ line: lines[index] ?? 0, value }));
}

/** The lines on which the items of a sound array begin. */
function itemLines(text: string): number[] {
  const lines: number[] = [];
  let line = 1;
  let depth = 0;
  let inText = false;
  let expected = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '\n') line++;
    if (inText) {
      if (character === '\\') i++;
      else if (character === '"') inText = false;
      continue;
    }
    if (expected && !/[\s\]]/.test(character ?? '')) {
      lines.push(line);
      expected = false;
    }
    if (character === '"') inText = true;
    else if (character === '[' || character === '{') {
      depth++;
      if (depth === 1) expected = true;
    } else if (character === ']' || character === '}') depth--;
    else if (character === ',' && depth === 1) expected = true;
  }
  return lines;
}

function jsonCells(value: unknown): PayoutCells | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is no object';
  const pairs: [string, string][] = [];
  for (const [name, field] of Object.entries(value)) {
    const column = payoutColumn(name);
    if (column === undefined) {
      return `has an unknown field ${JSON.stringify(name.slice(0, 40))}; known: ${payoutColumns.join(', ')}`;
    }
    if (pairs.some(([other]) => other === column)) return `names ${column} twice`;
    if (field === null) continue;
    if (typeof field === 'number') {
      // Beyond that a number in JSON is not what was written.
      if (!Number.isFinite(field) || Math.abs(field) > Number.MAX_SAFE_INTEGER / 1000) {
        return `${column} is too large for a number in JSON: write it as text, in quotes`;
      }
      pairs.push([column, String(field)]);
    } else if (typeof field === 'string') pairs.push([column, field]);
    else return `${column} is neither text nor a number`;
  }
  return cellsOf(pairs);
}
