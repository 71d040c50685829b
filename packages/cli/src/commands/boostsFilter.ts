import type { BoostFilter, BoostKind } from '@rivulet/keysend/receiving';
import type { Command } from 'commander';
import { usageError } from '../cliError.js';
import { parseSatsToMsat } from '../format/amount.js';
import { parseSeconds } from '../format/number.js';

/** Which received payments are meant, as it is typed. */
export interface FilterOptions {
  readonly show?: string;
  readonly episode?: string;
  readonly app?: string;
  readonly sender?: string;
  readonly provenSender?: string;
  readonly kind?: string;
  readonly since?: string;
  readonly until?: string;
  readonly min?: string;
  readonly text?: string;
  readonly account?: string;
  readonly remote?: string;
  readonly source?: string;
}

export function addFilterOptions(command: Command): Command {
  return command
    .option('--show <name>', 'of this show: its name, guid, or number in the podcast index')
    .option('--episode <name>', 'of this episode: its name, guid or number')
    .option('--app <name>', 'sent by this app')
    .option('--sender <name>', 'from whoever calls itself so: name or id')
    .option('--proven-sender <node>', 'signed by this node')
    .option('--kind <kinds>', 'boost, stream, auto or payment; several with commas')
    .option('--since <day>', 'from this day on, such as 2026-11-21 (UTC), or of the last 7d, 12h, 2w')
    .option('--until <day>', 'up to this day, and with it')
    .option('--min <sats>', 'of at least so much')
    .option('--text <text>', 'with this in the message')
    .option('--account <name>', 'for this account behind the node, or type:account')
    .option('--remote <guid>', 'while this feed was played inside the episode')
    .option('--source <name>', 'received by the wallet of this name');
}

const dayMs = 86_400_000;
const allKinds: readonly BoostKind[] = ['boost', 'stream', 'auto', 'payment'];

/** @throws CliError */
export function parseFilter(options: FilterOptions, nowMs: number): BoostFilter {
  const { kind, since, until, min, provenSender } = options;
  if (provenSender !== undefined && !/^0[23][0-9a-f]{64}$/i.test(provenSender)) {
    throw usageError('--proven-sender must be a node id: 66 hex digits that begin with 02 or 03');
  }
  const texts = Object.fromEntries(
    (['show', 'episode', 'app', 'sender', 'text', 'account', 'remote', 'source'] as const).flatMap((name) =>
      options[name] === undefined ? [] : [[name, options[name]]],
    ),
  );
  return {
    ...texts,
    ...(provenSender === undefined ? {} : { provenSender: provenSender.toLowerCase() }),
    ...(kind === undefined ? {} : { kinds: parseKinds(kind) }),
    ...(since === undefined ? {} : { fromMs: parseSince(since, nowMs) }),
    ...(until === undefined ? {} : { untilMs: parseDay(until, '--until') + dayMs }),
    ...(min === undefined ? {} : { minMsat: parseSatsToMsat(min, '--min') }),
  };
}

function parseKinds(text: string): BoostKind[] {
  return text.split(',').map((part) => {
    const wanted = part.trim().toLowerCase();
    const kind = allKinds.find((one) => one === wanted || `${one}s` === wanted);
    if (kind !== undefined) return kind;
    throw usageError(`--kind must be of ${allKinds.join(', ')}, not ${JSON.stringify(part)}`);
  });
}

function parseSince(text: string, nowMs: number): number {
  if (!/^\d{1,9} ?[smhdw]$/.test(text)) return parseDay(text, '--since');
  const fromMs = nowMs - parseSeconds(text, '--since') * 1_000;
  // Whole days are whole days, which statistics tell at once.
  return /[dw]$/.test(text) ? Math.floor(fromMs / dayMs) * dayMs : fromMs;
}

function parseDay(text: string, what: string): number {
  const timeMs = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse takes 2026-02-30 for a day of March.
  if (timeMs >= 0 && new Date(timeMs).toISOString().startsWith(text)) return timeMs;
  throw usageError(`${what} must be a day such as 2026-11-21, not ${JSON.stringify(text)}`);
}
