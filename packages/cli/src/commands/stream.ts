import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { carriedMsat, type Leg, type StreamReport, StreamSession, type ValuePlan } from '@rivulet/keysend';
import type { CliContext } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { formatTable, printable, shorten } from '../format/text.js';
import { printJson } from '../output.js';
import { addToolkitOptions, type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { openLedger, wakefulSchedule } from '../toolkitLedger.js';
import { playItem } from './playItem.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import { describeRecipient, formatPosition, loadPlan, parsePosition } from './valueInput.js';
import {
  addValuePaying,
  describeUnpaid,
  failUnlessAllPaid,
  legJson,
  type ValuePayingOptions,
  valuePayingOf,
} from './valuePaying.js';

interface StreamOptions extends ToolkitOptions, ValuePayingOptions {
  readonly feed: string;
  readonly item: string;
  readonly satsPerMinute?: string;
  readonly speed?: string;
  readonly from?: string;
  readonly to?: string;
  readonly duration?: string;
  readonly batchMinutes?: string;
  readonly session?: string;
}

const help = `
The same command again goes on where the last one was stopped, or killed: what was paid is not paid again.
To play the item once more, name another session: --session <name>.`;

export const registerStream: RegisterCommand = (program, context) => {
  addToolkitOptions(
    addValuePaying(
      program
        .command('stream')
        .description('play an episode without a sound, and pay for each minute of it as it goes by')
        .requiredOption('--feed <feed>', 'a file, or a URL')
        .requiredOption('--item <guid>', 'the episode')
        .option('--sats-per-minute <sats>', 'for a minute of the episode (default: what the feed suggests)')
        .option('--speed <factor>', 'how fast it plays; what is paid is the same', '1')
        .option('--from <time>', 'where it begins, such as 12:34', '0')
        .option('--to <time>', 'where it ends (default: with the episode)')
        .option('--duration <time>', 'how long the episode is, where the feed does not say')
        .option('--batch-minutes <minutes>', 'how many minutes are paid at once', '1')
        .option('--session <name>', 'names this listening (default: of feed, item, beginning and end)'),
    ),
  )
    .addHelpText('after', help)
    .addHelpText(
      'after',
      examples(
        'rivulet stream --feed feed.xml --item episode-12 --sats-per-minute 10 --speed 60',
        'rivulet stream --feed feed.xml --item episode-12 --from 10:00 --to 20:00 --batch-minutes 5 --json',
      ),
    )
    .action((_, command) => {
      const options = allOptions<StreamOptions>(command);
      const asked = parse(options);
      return withToolkit(context, options, (toolkit) => stream(context, { toolkit, options, asked }));
    });
};

interface Asked {
  readonly rateMsatPerMinute: bigint | undefined;
  readonly speed: number;
  readonly fromSeconds: number;
  readonly toSeconds: number | undefined;
  readonly durationSeconds: number | undefined;
  readonly intervalSeconds: number;
}

function parse(options: StreamOptions): Asked {
  const { satsPerMinute, speed, from, to, duration, batchMinutes } = options;
  return {
    rateMsatPerMinute:
      satsPerMinute === undefined ? undefined : parseSatsToMsat(satsPerMinute, '--sats-per-minute'),
    speed: parseFactor(speed ?? '1', '--speed', 1_000_000),
    fromSeconds: parsePosition(from ?? '0', '--from'),
    toSeconds: to === undefined ? undefined : parsePosition(to, '--to'),
    durationSeconds: duration === undefined ? undefined : parsePosition(duration, '--duration'),
    intervalSeconds: parseFactor(batchMinutes ?? '1', '--batch-minutes', 600) * 60,
  };
}

function parseFactor(text: string, what: string, most: number): number {
  const value = /^\d{1,7}(?:\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (value > 0 && value <= most) return value;
  throw usageError(`${what} is a number up to ${most}, such as 1 or 1.5, not ${JSON.stringify(text)}`);
}

async function stream(
  context: CliContext,
  { toolkit, options, asked }: { toolkit: CliToolkit; options: StreamOptions; asked: Asked },
): Promise<void> {
  const json = options.json === true;
  const { signal, now } = toolkit;
  const plan = await loadPlan(context, { toolkit, feed: options.feed, item: options.item, json });
  const rateMsatPerMinute = asked.rateMsatPerMinute ?? plan.block.suggestedMsat;
  if (rateMsatPerMinute === undefined || rateMsatPerMinute === 0n) {
    throw usageError('the feed suggests no amount: give it with --sats-per-minute <sats>');
  }
  const toSeconds = endOf(plan, asked);
  const { fromSeconds, intervalSeconds, speed } = asked;
  if (toSeconds <= fromSeconds) throw usageError('it ends before it begins: see --from, --to and --duration');
  const name = options.session ?? sessionName(options, { fromSeconds, toSeconds });
  const problems = new Set<string>();
  const session = StreamSession.open({
    ...valuePayingOf(options),
    ledger: openLedger(toolkit, await toolkit.wallet()),
    name,
    plan,
    rateMsatPerMinute,
    intervalSeconds,
    positionSeconds: fromSeconds,
    // The player leaps as far as its speed takes it between two looks at the clock.
    maxLeapSeconds: Number.POSITIVE_INFINITY,
    now,
    signal,
    onLeg: (leg) => tell(context, { leg, json }),
    onProblem: (error) => {
      const message = error instanceof Error ? error.message : String(error);
      // The same with other amounts, minute after minute, is no news.
      const kind = message.replace(/\d+/g, '');
      if (!problems.has(kind)) context.err(`${printable(message)}\n`);
      problems.add(kind);
    },
  });
  session.speed = speed;
  const resumed = session.heardSeconds > 0;
  if (resumed) session.retry();
  const begun = {
    name,
    plan,
    rateMsatPerMinute,
    positionSeconds: session.positionSeconds,
    toSeconds,
    resumed,
  };
  if (json) printJson(context, startedJson(begun));
  else context.err(`${describeStart(begun)}\n`);
  const progress = showProgress(context, { json, toSeconds });
  const done = await playItem({
    session,
    toSeconds,
    speed,
    clock: () => performance.now(),
    schedule: wakefulSchedule,
    signal,
    onPosition: progress.show,
  }).catch(async (error) => {
    // What was planned before is still paid.
    await session.settled();
    throw error;
  });
  progress.end();
  if (done) await session.stop(toSeconds);
  else await session.settled();
  const report = session.report();
  if (json) printJson(context, { type: done ? 'finished' : 'stopped', ...reportJson(report) });
  else context.out(`${describeReport(report)}\n`);
  const again = `the same command goes on (session ${JSON.stringify(name)})`;
  if (!done) {
    context.err(`stopped at ${formatPosition(report.positionSeconds)}; ${again}\n`);
    signal.throwIfAborted();
  }
  failUnlessAllPaid(report.unpaid, again);
  if (report.blocked !== undefined) {
    throw new CliError(
      'payment_failed',
      `not all that was heard is paid: ${printable(report.blocked)}; ${again}`,
    );
  }
}

function endOf(plan: ValuePlan, { toSeconds, durationSeconds }: Asked): number {
  const end = toSeconds ?? durationSeconds ?? plan.item?.durationSeconds;
  if (end !== undefined) return end;
  throw usageError('the feed does not say how long the episode is: give it with --duration <time>');
}

/** The same for the same listening, so that the same command goes on with it. */
function sessionName(
  { feed, item }: StreamOptions,
  { fromSeconds, toSeconds }: { fromSeconds: number; toSeconds: number },
): string {
  const where = /^https?:/i.test(feed) ? feed : resolve(feed);
  const whole = JSON.stringify([where, item, fromSeconds, toSeconds]);
  return `stream ${createHash('sha256').update(whole).digest('hex').slice(0, 16)}`;
}

function tell(context: CliContext, { leg, json }: { leg: Leg; json: boolean }): void {
  if (json) printJson(context, { type: 'payment', ...legJson(leg) });
  else if (leg.state === 'failed' || leg.state === 'held') context.err(`${describeUnpaid(leg)}\n`);
}

function showProgress(
  context: CliContext,
  { json, toSeconds }: { json: boolean; toSeconds: number },
): { show: (positionSeconds: number) => void; end: () => void } {
  if (json || !context.errIsTty) return { show() {}, end() {} };
  let width = 0;
  return {
    show(positionSeconds) {
      const text = `${formatPosition(positionSeconds)} of ${formatPosition(toSeconds)}`;
      context.err(`\r${text.padEnd(width)}`);
      width = text.length;
    },
    end() {
      context.err(`\r${' '.repeat(width)}\r`);
    },
  };
}

interface Begun {
  readonly name: string;
  readonly plan: ValuePlan;
  readonly rateMsatPerMinute: bigint;
  readonly positionSeconds: number;
  readonly toSeconds: number;
  readonly resumed: boolean;
}

function describeStart(begun: Begun): string {
  const { name, plan, rateMsatPerMinute, positionSeconds, toSeconds, resumed } = begun;
  const title = printable([plan.feed.title, plan.item?.title].filter(Boolean).join(': '));
  return `${resumed ? 'going on with' : 'playing'} ${title} from ${formatPosition(positionSeconds)} to ${formatPosition(toSeconds)}, ${formatMsat(rateMsatPerMinute)} a minute; session ${JSON.stringify(printable(name))}`;
}

function startedJson({ name, plan, rateMsatPerMinute, positionSeconds, toSeconds, resumed }: Begun): unknown {
  return {
    type: 'started',
    session: name,
    resumed,
    feed: plan.feed,
    item: plan.item,
    rateMsatPerMinute: rateMsatPerMinute.toString(),
    positionSeconds,
    toSeconds,
    problems: plan.problems,
  };
}

/** A wallet that was away for hours leaves hundreds. */
const maxShownUnpaid = 20;

function describeReport(report: StreamReport): string {
  const { heardSeconds, openSeconds, paidMsat, feesMsat, recipients, carried, unpaid } = report;
  const rows = recipients.map((total) => [
    shorten(describeRecipient(total.recipient)),
    formatMsat(total.paidMsat),
    total.plannedMsat === total.paidMsat ? '' : formatMsat(total.plannedMsat - total.paidMsat),
    total.carriedMsat === '0' ? '' : `${Number(total.carriedMsat).toFixed(3)} msat`,
  ]);
  const waiting = carriedMsat(carried);
  return [
    formatTable(['RECIPIENT', '>PAID', '>NOT PAID', '>WAITS'], rows),
    `${formatPosition(heardSeconds)} heard, ${formatMsat(paidMsat)} paid, which cost ${formatMsat(feesMsat)}`,
    ...(waiting > 0n ? [`${formatMsat(waiting)} wait: shares below 1 sat, and what is not allowed yet`] : []),
    ...(openSeconds > 0 ? [`${Math.round(openSeconds)} s heard are kept, and paid with their minute`] : []),
    ...unpaid.slice(0, maxShownUnpaid).map(describeUnpaid),
    ...(unpaid.length > maxShownUnpaid
      ? [`and ${unpaid.length - maxShownUnpaid} more payments that were not made: use --json`]
      : []),
  ].join('\n');
}

function reportJson(report: StreamReport): Readonly<Record<string, unknown>> {
  const { name, owedMsat, paidMsat, feesMsat, recipients, carried, unpaid, ...rest } = report;
  return {
    session: name,
    ...rest,
    owedMsat: owedMsat.toString(),
    paidMsat: paidMsat.toString(),
    feesMsat: feesMsat.toString(),
    recipients: recipients.map((total) => ({
      ...total,
      plannedMsat: total.plannedMsat.toString(),
      paidMsat: total.paidMsat.toString(),
    })),
    carriedMsat: carriedMsat(carried).toString(),
    carried,
    unpaid: unpaid.map(legJson),
  };
}
