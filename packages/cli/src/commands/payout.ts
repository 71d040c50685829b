import { basename, extname } from 'node:path';
import { budgetState, type LegSummary, listBudgets } from '@rivulet/keysend';
import {
  createPayout,
  listPayouts,
  type PayoutFile,
  type PayoutPreview,
  payoutRows,
  previewPayout,
  readPayout,
  readPayoutFile,
  runPayout,
} from '@rivulet/keysend/automation';
import type { CliContext } from '../cliContext.js';
import { CliError, exitCodes, usageError } from '../cliError.js';
import { formatMsat, parseFee, parseSatsToMsat } from '../format/amount.js';
import { parseWholeNumber } from '../format/number.js';
import { formatTable, formatTime, printable } from '../format/text.js';
import { printJson } from '../output.js';
import { readTextFile } from '../textFile.js';
import { addToolkitOptions, type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { openLedger } from '../toolkitLedger.js';
import { registerPayoutDecisions } from './payoutDecisions.js';
import { formatOf, writeReport } from './payoutFiles.js';
import { printProgress } from './payoutProgress.js';
import {
  countPayments,
  describeFile,
  describeRows,
  describeStates,
  describeSummary,
  type Outcome,
  summaryJson,
  summaryOf,
} from './payoutText.js';
import { allOptions, everyValue, examples, type RegisterCommand } from './registerCommand.js';

interface PayoutOptions extends ToolkitOptions {
  readonly name?: string;
  readonly format?: string;
  readonly keysFromContent?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly concurrency?: string;
  readonly report?: string;
  readonly maxFee?: string;
  readonly budget?: readonly string[];
  readonly approvalAbove?: string;
}

const states: readonly string[] = [
  'planned',
  'held',
  'sending',
  'succeeded',
  'failed',
  'unknown',
  'abandoned',
];

const fileHelp = `
The file: CSV with the columns key, recipient (a node's public key, or name@host), amount (satoshi, up to three
decimals) or amount_msat, and, where wanted, name, message, custom_key and custom_value (a record), note. Or JSON: an
array of such objects, or one a line. Every problem of the file is told at once, and nothing is paid then.

A key is paid once, whatever becomes of this command, however often it is repeated and whatever the file is called.
The same line twice is one payment; the same key for something else is an error. Without keys, --keys-from-content
makes them from what a line pays: two lines that pay the same are then one payment.
`;

export const registerPayout: RegisterCommand = (program, context) => {
  const payout = program
    .command('payout')
    .description('pay many at once from a file, each key exactly once')
    .addHelpText(
      'after',
      examples(
        'rivulet payout july.csv --dry-run',
        'rivulet payout july.csv --approval-above 100,000 --report july-report.csv',
        'rivulet payout run --help',
      ),
    );
  addToolkitOptions(
    payout
      .command('run', { isDefault: true })
      .description('pay what a file says (the word run can be left out)')
      .argument('<file>', 'CSV or JSON')
      .option('--name <name>', 'what this payout is called (default: the name of the file)')
      .option('--format <format>', 'csv or json (default: by the name of the file)')
      .option('--keys-from-content', 'lines without a key get one from what they pay')
      .option('--dry-run', 'show what would be paid, and pay nothing')
      .option('--yes', 'do not ask (nobody is asked where there is no terminal, or with --json)')
      .option('--concurrency <number>', 'how many are under way at once', '100')
      .option('--max-fee <sats>', "the most that each may cost on its way (default: the wallet's limit)")
      .option('--budget <name>', 'take it from this budget; may be given several times', everyValue)
      .option('--approval-above <sats>', 'payments of more than this wait for: rivulet payout approve')
      .option('--report <file>', 'write what became of each key: CSV, or JSON where the name ends so'),
  )
    .addHelpText('after', fileHelp)
    .addHelpText(
      'after',
      examples(
        'rivulet payout july.csv --dry-run',
        'rivulet payout july.csv --report july-report.csv',
        'rivulet payout refunds.json --yes --max-fee 10 --approval-above 100,000 --json',
      ),
    )
    .action((path: string, _, command) => {
      const options = allOptions<PayoutOptions>(command);
      return withToolkit(context, options, (toolkit) => runFile(context, { toolkit, path, options }));
    });

  payout
    .command('list')
    .description('the payouts there are, and how far they have come')
    .addHelpText('after', examples('rivulet payout list'))
    .action((_, command) => {
      const options = allOptions<ToolkitOptions>(command);
      return withToolkit(context, options, async ({ store }) => {
        const payouts = listPayouts(store);
        if (options.json === true) {
          const shown = payouts.map(({ summary, ...rest }) => ({ ...rest, ...summaryJson(summary) }));
          return printJson(context, { payouts: shown });
        }
        const rows = payouts.map(({ name, createdAtMs, summary }) => [
          name,
          formatTime(createdAtMs),
          String(summary.legs),
          formatMsat(summary.amountMsat),
          describeStates(summary),
        ]);
        context.out(
          rows.length === 0
            ? 'no payouts yet\n'
            : `${formatTable(['NAME', 'PLANNED AT', '>PAYMENTS', '>AMOUNT', 'STATES'], rows)}\n`,
        );
      });
    });

  payout
    .command('show')
    .description('what became of each key of a payout')
    .argument('<name>')
    .option('--state <state>', `only these: ${states.join(', ')}`)
    .option('--report <file>', 'write it to a file: CSV, or JSON where the name ends so')
    .addHelpText(
      'after',
      examples('rivulet payout show july', 'rivulet payout show july --state failed --report failed.csv'),
    )
    .action((name: string, _, command) => {
      const options = allOptions<ToolkitOptions & { state?: string; report?: string }>(command);
      if (options.state !== undefined && !states.includes(options.state)) {
        throw usageError(`--state is one of: ${states.join(', ')}`);
      }
      return withToolkit(context, options, async ({ store }) => {
        const { summary } = readPayout(store, name);
        const all = payoutRows(store, { name });
        const { state } = options;
        const rows = state === undefined ? all : all.filter((row) => row.state === state);
        if (options.report !== undefined) writeReport(options.report, rows);
        if (options.json === true)
          return printJson(context, { name, ...summaryJson(summary), payments: rows });
        context.out(`${describeRows(rows)}\n${describeSummary(summary)}\n`);
      });
    });

  addToolkitOptions(
    payout
      .command('resume')
      .description('go on with a payout whose file is not at hand: after an interruption, approvals, retries')
      .argument('<name>')
      .option('--concurrency <number>', 'how many are under way at once', '100'),
  )
    .addHelpText('after', examples('rivulet payout resume july'))
    .action((name: string, _, command) => {
      const options = allOptions<PayoutOptions>(command);
      return withToolkit(context, options, async (toolkit) => {
        readPayout(toolkit.store, name);
        const summary = await pay(context, { toolkit, name, options });
        finish(context, { options, name, summary });
      });
    });

  registerPayoutDecisions(payout, context);
};

async function runFile(
  context: CliContext,
  given: { toolkit: CliToolkit; path: string; options: PayoutOptions },
): Promise<void> {
  const { toolkit, path, options } = given;
  const { store, now } = toolkit;
  const format = formatOf(path, options.format);
  const file = readPayoutFile(readTextFile(path), format, {
    keysFromContent: options.keysFromContent === true,
  });
  const name = options.name ?? basename(path, extname(path)).replace(/[^a-zA-Z0-9._-]/g, '-');
  if (options.dryRun === true) {
    return showDryRun(context, { ...given, name, file, preview: previewPayout(store, file.lines) });
  }
  // Problems that only a run would tell of are told before anybody is asked.
  const plan = {
    ledger: openLedger(toolkit),
    store,
    now,
    audit: toolkit.audit,
    name,
    lines: file.lines,
    ...(options.budget === undefined ? {} : { budgets: options.budget }),
    ...(options.maxFee === undefined ? {} : { maxFeeMsat: parseFee(options.maxFee, '--max-fee') }),
    ...(options.approvalAbove === undefined
      ? {}
      : { approvalAboveMsat: parseSatsToMsat(options.approvalAbove, '--approval-above') }),
  };
  if (options.json !== true) {
    const preview = previewPayout(store, file.lines);
    context.err(`${describeFile({ name, file, preview }).join('\n')}\n`);
    if (preview.conflicts.length === 0) await confirm(context, { options, preview });
  }
  createPayout(plan);
  await pay(context, { toolkit, name, options });
  const keys = file.lines.map(({ key }) => key);
  const rows = payoutRows(store, { keys });
  if (options.report !== undefined) writeReport(options.report, rows);
  finish(context, { options, name, summary: summaryOf(rows), duplicates: file.duplicates.length });
}

async function confirm(
  context: CliContext,
  { options, preview }: { options: PayoutOptions; preview: PayoutPreview },
): Promise<void> {
  if (options.yes === true || context.ask === undefined || preview.fresh.length === 0) return;
  const amount = formatMsat(preview.freshMsat);
  const answer = await context.ask(`Pay ${countPayments(preview.fresh.length)}, ${amount} in all? [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new CliError('payment_declined', 'nothing was paid');
}

async function pay(
  context: CliContext,
  given: { toolkit: CliToolkit; name: string; options: PayoutOptions },
): Promise<LegSummary> {
  const { toolkit, name, options } = given;
  const concurrency = parseWholeNumber(options.concurrency ?? '100', {
    what: '--concurrency',
    minimum: 1,
    maximum: 1_000,
  });
  const ledger = openLedger(toolkit, await toolkit.wallet());
  const progress = printProgress(context, { options, now: toolkit.now });
  try {
    return await runPayout({
      ledger,
      name,
      now: toolkit.now,
      concurrency,
      signal: toolkit.signal,
      onProgress: progress.show,
    });
  } finally {
    progress.end();
  }
}

async function showDryRun(
  context: CliContext,
  given: {
    toolkit: CliToolkit;
    options: PayoutOptions;
    name: string;
    file: PayoutFile;
    preview: PayoutPreview;
  },
): Promise<void> {
  const { toolkit, options, name, file, preview } = given;
  const { store, now } = toolkit;
  const balance = await toolkit
    .wallet()
    .then((wallet) => wallet.balance({ signal: toolkit.signal }))
    .then(({ spendableMsat }) => spendableMsat)
    .catch(() => undefined);
  const budgets = listBudgets(store)
    .filter(({ name: budget, period }) => options.budget?.includes(budget) === true && period !== 'episode')
    .map((budget) => budgetState(store, { name: budget.name, atMs: now() }));
  if (options.json === true) {
    printJson(context, {
      dryRun: true,
      name,
      payments: file.lines.length,
      amountMsat: file.totalMsat.toString(),
      toPay: preview.fresh.length,
      toPayMsat: preview.freshMsat.toString(),
      duplicates: file.duplicates,
      known: preview.known.map(({ line, ...rest }) => ({ line: line.line, key: line.key, ...rest })),
      conflicts: preview.conflicts,
      ...(balance === undefined ? {} : { spendableMsat: balance.toString() }),
      budgets: budgets.map(({ name: budget, remainingMsat }) => ({
        name: budget,
        remainingMsat: remainingMsat.toString(),
      })),
    });
  } else {
    const lines = describeFile({ name, file, preview });
    const funds = balance === undefined ? 'not known: the wallet does not answer' : formatMsat(balance);
    const short = balance !== undefined && balance < preview.freshMsat ? ' (too little)' : '';
    lines.push(`wallet        ${funds}${short}`);
    for (const { name: budget, remainingMsat } of budgets) {
      const little = remainingMsat < preview.freshMsat ? ' (too little)' : '';
      lines.push(`budget        ${printable(budget)}: ${formatMsat(remainingMsat)} left${little}`);
    }
    context.out(`${lines.join('\n')}\nnothing was paid: this was a dry run\n`);
  }
  if (preview.conflicts.length > 0) {
    throw new CliError('payment_failed', 'some keys stand for other payments: see above');
  }
}

/** Prints what became of it. @throws CliError where not all of it was paid. */
function finish(
  context: CliContext,
  given: { options: PayoutOptions; name: string; summary: Outcome; duplicates?: number },
): void {
  const { options, name, summary, duplicates } = given;
  if (options.json === true) printJson(context, { name, ...summaryJson(summary), duplicates });
  else context.out(`${describeSummary(summary)}\n`);
  const { planned, sending, unknown, failed } = summary.states;
  if (unknown.legs + sending.legs > 0) {
    throw new CliError(
      'payment_outcome_unknown',
      `of ${countPayments(unknown.legs + sending.legs)} nobody knows the outcome: repeat the command, it pays nothing twice. See: rivulet payout show ${name}`,
      { exitCode: exitCodes.unknownOutcome },
    );
  }
  if (context.signal.aborted && planned.legs > 0) {
    throw new CliError(
      'payment_pending',
      `interrupted: ${countPayments(planned.legs)} still to be made; repeat the command, or: rivulet payout resume ${name}`,
      { exitCode: exitCodes.interrupted },
    );
  }
  if (failed.legs + planned.legs > 0) {
    throw new CliError(
      'payment_failed',
      `${countPayments(failed.legs + planned.legs)} not made. See: rivulet payout show ${name}${planned.legs === 0 ? ' --state failed' : ''}`,
    );
  }
}
