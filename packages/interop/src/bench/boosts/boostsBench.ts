import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BoostFilter, type NewBoost, readBoost } from '@rivulet/keysend/receiving';
import { openToolkit, type Toolkit } from '@rivulet/keysend/sqlite';
import { printJson, printMachine } from '../benchOutput.js';
import { positiveArgument } from '../positiveArgument.js';

export const boostsUsage = `npm run bench -- boosts [options]
  --boosts N           received payments in the store (default 1000000)
  --senders N          who sent them (default 20000); as many as payments is the worst case of statistics
  --folder FOLDER      keeps the file there, and uses one that is there already
  --json               results as JSON`;

interface BoostsArguments {
  readonly boosts: number;
  readonly senders: number;
  readonly folder: string | undefined;
  readonly json: boolean;
}

interface Measured {
  readonly what: string;
  readonly medianMs: number;
  readonly worstMs: number;
}

/** @throws RangeError or TypeError, with a sentence for the user. */
export function parseBoostsArguments(args: readonly string[]): BoostsArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      boosts: { type: 'string', default: '1000000' },
      senders: { type: 'string', default: '20000' },
      folder: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    boosts: positiveArgument('boosts', values.boosts),
    senders: positiveArgument('senders', values.senders),
    folder: values.folder,
    json: values.json,
  };
}

const dayMs = 86_400_000;
const start = Date.UTC(2026, 0, 1);
const batchSize = 500;
const words = 'great show love from the harbour thanks for this episode ahoy keep going value wow'.split(' ');

/** Fills a store as a year of a busy host would, and asks it what a page asks. */
export async function runBoostsBench(given: BoostsArguments): Promise<void> {
  const machine = await printMachine(given, `${given.boosts} payments in one SQLite file, synced commits`);
  const folder = given.folder ?? mkdtempSync(join(tmpdir(), 'rivulet-boosts-'));
  const path = join(folder, 'toolkit.sqlite');
  const toolkit = openToolkit({ path });
  try {
    const filled = fill(toolkit, given);
    const measured = measureAll(toolkit, given);
    const fileMb = Math.round(statSync(path).size / 1e6);
    if (given.json) {
      printJson({ machine, ...filled, fileMb, measured });
      return;
    }
    if (filled.perSecond > 0) console.log(`stored ${filled.perSecond} payments a second`);
    console.log(`file ${fileMb} MB`);
    for (const { what, medianMs, worstMs } of measured) {
      console.log(
        `${what.padEnd(58)} ${medianMs.toFixed(1).padStart(9)} ms   worst ${worstMs.toFixed(1)} ms`,
      );
    }
  } finally {
    toolkit.close();
    if (given.folder === undefined) rmSync(folder, { recursive: true });
  }
}

function fill(
  { store, boosts }: Toolkit,
  { boosts: count, senders }: BoostsArguments,
): { perSecond: number } {
  const first = boosts.lastId();
  const began = performance.now();
  for (let n = first; n < count; n += batchSize) {
    const batch = Array.from({ length: Math.min(batchSize, count - n) }, (_, i) =>
      boostNumber(n + i, { count, senders }),
    );
    store.transaction((tx) => boosts.ingest(tx, { source: 'main', boosts: batch, cursor: String(n) }));
  }
  const seconds = (performance.now() - began) / 1000;
  return { perSecond: first >= count ? 0 : Math.round((count - first) / seconds) };
}

/** Nine streamed minutes to one payment by hand, of which one in four has a message. */
function boostNumber(n: number, { count, senders }: { count: number; senders: number }): NewBoost {
  // The same for every run, and no two columns in step.
  const dice = (salt: number, sides: number): number =>
    (Math.imul(n ^ (salt * 0x9e3779b9), 0x85ebca6b) >>> 8) % sides;
  const isStream = dice(1, 10) > 0;
  const show = dice(2, 30);
  const episode = dice(3, 20);
  const sender = senders >= count ? n : dice(4, senders);
  const message =
    isStream || dice(5, 4) > 0
      ? undefined
      : Array.from({ length: 9 }, (_, i) => words[dice(6 + i, words.length)]);
  const boostagram = {
    podcast: `Show number ${show}`,
    guid: `917393e3-1b1e-5cef-ace4-${String(show).padStart(12, '0')}`,
    feedID: 1000 + show,
    episode: `Episode ${episode} of show ${show}`,
    episode_guid: `episode-${show}-${episode}`,
    ts: dice(20, 7200),
    action: isStream ? 'stream' : 'boost',
    app_name: `App ${dice(21, 12)}`,
    app_version: '1.0.3',
    value_msat_total: 100_000,
    sender_name: `Listener ${sender}`,
    sender_id: `id-${sender}`,
    ...(message === undefined ? {} : { message: `${message.join(' ')} ${n}` }),
    ...(isStream ? {} : { boost_uuid: `uuid-${n}` }),
  };
  return readBoost(
    {
      paymentHash:
        n.toString(16).padStart(8, '0') +
        dice(22, 1 << 24)
          .toString(16)
          .padStart(56, '7'),
      amountMsat: BigInt(isStream ? 1_000 * (1 + dice(23, 50)) : 10_000 * (1 + dice(24, 1_000))),
      receivedAtMs: start + Math.floor((n / count) * 365 * dayMs),
      records: new Map([
        [7629169n, new TextEncoder().encode(JSON.stringify(boostagram))],
        [696969n, new TextEncoder().encode(`account${dice(25, 200)}`)],
      ]),
    },
    { source: 'main' },
  );
}

function measureAll({ boosts, store }: Toolkit, { boosts: count, senders }: BoostsArguments): Measured[] {
  const show = { show: '917393e3-1b1e-5cef-ace4-000000000007' };
  const lists: readonly (readonly [string, BoostFilter])[] = [
    ['the latest 50', {}],
    ['50 boosts, no streams', { kinds: ['boost'] }],
    ['50 of a show, by guid', show],
    ['50 of a show, by name', { show: 'show number 7' }],
    ['50 of an episode', { episode: 'episode-7-3' }],
    ['50 of an app and a show', { ...show, app: 'app 3' }],
    ['of one sender', { sender: `id-${senders >> 1}` }],
    ['50 of an account', { account: 'account17' }],
    ['50 of at least 9,000 sat', { minMsat: 9_000_000n }],
    ['more than anybody sent (all are looked at)', { minMsat: 90_000_000_000n }],
    ['50 with a word that most messages have', { text: 'harbour' }],
    ['a number in one message', { text: String(count - 1) }],
    ['50 of two letters (no index)', { text: 'oy' }],
    ['50 of one day', { fromMs: start + 100 * dayMs, untilMs: start + 101 * dayMs }],
  ];
  const measured = lists.map(([what, filter]) => measure(`list: ${what}`, () => boosts.list(filter)));
  let cursor: string | undefined;
  measured.push(
    measure('list: the next page, 20 times', () => {
      cursor = boosts.list({}, cursor === undefined ? {} : { cursor }).next;
    }),
    measure('legs of one boost', () => boosts.legs('uuid-77')),
  );
  for (const by of ['show', 'episode', 'app', 'sender', 'day', 'kind'] as const) {
    measured.push(measure(`totals by ${by}, all`, () => boosts.totals({ by })));
  }
  const month = { fromMs: start + 300 * dayMs, untilMs: start + 330 * dayMs };
  measured.push(
    measure('totals by show, 30 days', () => boosts.totals({ by: 'show', filter: month })),
    measure('totals by day, one show', () => boosts.totals({ by: 'day', filter: show })),
    measure('totals by sender, one show, 30 days', () =>
      boosts.totals({ by: 'sender', filter: { ...show, ...month } }),
    ),
    measure('totals by show of one account (rows, no sums)', () =>
      boosts.totals({ by: 'show', filter: { account: 'account17' } }),
    ),
    measure('totals by show of messages with a word (rows)', () =>
      boosts.totals({ by: 'show', filter: { text: 'harbour' } }),
    ),
  );
  let n = count * 2;
  measured.push(
    measure('one more payment, with its commit', () => {
      const boost = boostNumber(n++, { count, senders });
      store.transaction((tx) => boosts.ingest(tx, { source: 'main', boosts: [boost], cursor: String(n) }));
    }),
  );
  return measured;
}

const runs = 20;

function measure(what: string, run: () => unknown): Measured {
  const times: number[] = [];
  const began = performance.now();
  // What takes long need not be done as often.
  while (times.length < 3 || (times.length < runs && performance.now() - began < 5_000)) {
    const from = performance.now();
    run();
    times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  return { what, medianMs: times[times.length >> 1] ?? 0, worstMs: times.at(-1) ?? 0 };
}
