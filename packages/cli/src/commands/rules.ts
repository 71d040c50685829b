import { readFileSync } from 'node:fs';
import type { Leg, LegLedger } from '@rivulet/keysend';
import {
  formatTriggerSecret,
  type RuleEvent,
  type RulePayment,
  RuleRunner,
  ruleGroup,
} from '@rivulet/keysend/automation';
import { startWebhookServer } from '@rivulet/keysend/node';
import type { CliContext } from '../cliContext.js';
import { usageError } from '../cliError.js';
import { formatMsat } from '../format/amount.js';
import { parseWholeNumber } from '../format/number.js';
import { formatTable, formatTime, printable, shorten } from '../format/text.js';
import { printJson } from '../output.js';
import { addToolkitOptions, type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { openLedger, wakefulSchedule } from '../toolkitLedger.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import { describeRule, ruleJson } from './rulesText.js';

type Options = ToolkitOptions & { readonly by?: string };

interface RunOptions extends ToolkitOptions {
  readonly once?: boolean;
  readonly webhookPort?: string;
  readonly webhookHost?: string;
}

const ruleHelp = `
A rule is a JSON file. Amounts are satoshi with up to three decimals, as text or numbers. All rules have: name, kind, to
(a list of {"recipient", "share", "name", "customKey", "customValue"}); and, where wanted: message, budgets, maxFee,
approvalAbove, dryRun, description. The kinds:
  schedule      amount, cron (five fields), timeZone, from, until, times, missed {"catchUp", "graceMinutes"}
  subscription  amount, every {"days" | "weeks" | "months" | "years"}, start, timeZone, until, times, missed
  meter         unit, price (satoshi a unit, exact: "1/3"), payAt (satoshi), mostPerReport
  trigger       amount, or {"path", "unit", "least", "most"}; to, or {"path", "allowed"}; when, idPath, toleranceSeconds
Every occurrence, report and webhook is paid once. What is missed while nothing runs is skipped by a schedule; of a
subscription, the last one is made up for: see catchUp.
`;

export const registerRules: RegisterCommand = (program, context) => {
  const rules = program
    .command('rules')
    .description('payments that make themselves: schedules, subscriptions, meters, triggers');

  rules
    .command('list')
    .description('the rules there are')
    .action((_, command) => {
      const options = allOptions<Options>(command);
      return withRules(context, options, async ({ runner }) => {
        const all = runner.book.list();
        if (options.json === true) return printJson(context, { rules: all.map(ruleJson) });
        const due = new Map(runner.due().map((one) => [one.rule, one]));
        const rows = all.map(({ rule, enabled, state }) => {
          const nextMs = due.get(rule.name)?.nextMs;
          return [
            rule.name,
            rule.kind,
            enabled ? (rule.dryRun ? 'dry run' : 'enabled') : 'disabled',
            String(state.planned),
            nextMs === undefined ? '' : formatTime(nextMs),
          ];
        });
        const table = formatTable(['NAME', 'KIND', 'STATE', '>PAYMENTS', 'NEXT (UTC)'], rows);
        context.out(rows.length === 0 ? 'no rules yet\n' : `${table}\n`);
      });
    });

  rules
    .command('add')
    .description('add a rule, or change it')
    .argument('<file>', 'JSON')
    .option('--replace', 'change the rule of that name')
    .option('--disabled', 'add it without enabling it')
    .option('--by <name>', 'who does it, for the audit log')
    .addHelpText('after', ruleHelp)
    .addHelpText(
      'after',
      `${examples('rivulet rules add rent.json', 'rivulet rules add rent.json --replace --by ann')}

rent.json:
  {"name": "rent", "kind": "subscription", "every": {"months": 1}, "start": "2026-12-01",
   "timeZone": "Europe/Berlin", "amount": "250000", "approvalAbove": "300000",
   "to": [{"recipient": "landlord@example.com"}]}`,
    )
    .action((path: string, _, command) => {
      const options = allOptions<Options & { replace?: boolean; disabled?: boolean }>(command);
      const definition = readJson(path);
      return withRules(context, options, async ({ runner }) => {
        const by = byOf(options);
        const stored =
          options.replace === true
            ? runner.book.replace(definition, by)
            : runner.book.add(definition, { ...by, enabled: options.disabled !== true });
        if (options.json === true) return printJson(context, ruleJson({ ...stored, state: undefined }));
        const { rule } = stored;
        context.out(`${options.replace === true ? 'changed' : 'added'} ${rule.name}\n`);
        if (rule.kind === 'trigger') context.out(`its secret: rivulet rules secret ${rule.name}\n`);
      });
    });

  rules
    .command('show')
    .description('a rule, how far it has come, and its payments that are not settled')
    .argument('<name>')
    .action((name: string, _, command) => {
      const options = allOptions<Options>(command);
      return withRules(context, options, async ({ runner, ledger }) => {
        const stored = runner.book.get(name);
        if (stored === undefined) throw usageError(`there is no rule ${JSON.stringify(name)}`);
        const legs = ledger.list({ group: ruleGroup(name), limit: 10_000 });
        const open = legs.filter(({ state }) => state !== 'succeeded' && state !== 'abandoned');
        if (options.json === true) {
          return printJson(context, { ...ruleJson(stored), payments: legs.length, open: open.map(legJson) });
        }
        context.out(`${describeRule(stored)}\n`);
        if (open.length > 0) context.out(`\n${describeLegs(open)}\n`);
      });
    });

  for (const enabled of [true, false]) {
    rules
      .command(enabled ? 'enable' : 'disable')
      .description(
        enabled
          ? 'let a rule pay again; what was due meanwhile is not paid'
          : 'stop a rule; what it has planned stays planned',
      )
      .argument('<name>')
      .option('--by <name>', 'who does it, for the audit log')
      .action((name: string, _, command) => {
        const options = allOptions<Options>(command);
        return withRules(context, options, async ({ runner }) => {
          const stored = runner.book.setEnabled(name, enabled, byOf(options));
          if (options.json === true) return printJson(context, ruleJson({ ...stored, state: undefined }));
          context.out(`${name} is ${enabled ? 'enabled' : 'disabled'}\n`);
        });
      });
  }

  rules
    .command('remove')
    .description('remove a rule; what it has planned stays planned')
    .argument('<name>')
    .option('--by <name>', 'who does it, for the audit log')
    .action((name: string, _, command) => {
      const options = allOptions<Options>(command);
      return withRules(context, options, async ({ runner }) => {
        runner.book.remove(name, byOf(options));
        if (options.json === true) return printJson(context, { removed: name });
        context.out(`removed ${name}\n`);
      });
    });

  rules
    .command('due')
    .description('what the rules would pay now, and when they are due next; plans nothing')
    .action((_, command) => {
      const options = allOptions<Options>(command);
      return withRules(context, options, async ({ runner }) => {
        const due = runner.due();
        if (options.json === true) {
          const shown = due.map(({ occurrences, ...rest }) => ({
            ...rest,
            occurrences: occurrences.map(({ occurrence, amountMsat }) => ({
              occurrence,
              amountMsat: amountMsat.toString(),
            })),
          }));
          return printJson(context, { rules: shown });
        }
        const rows = due.map(({ rule, enabled, occurrences, skipped, nextMs }) => [
          rule,
          enabled
            ? occurrences
                .map(({ occurrence, amountMsat }) => `${occurrence}: ${formatMsat(amountMsat)}`)
                .join(', ')
            : 'disabled',
          skipped === 0 ? '' : `${skipped} missed`,
          nextMs === undefined ? '' : formatTime(nextMs),
        ]);
        const table = formatTable(['NAME', 'DUE NOW', 'SKIPPED', 'NEXT (UTC)'], rows);
        context.out(rows.length === 0 ? 'no rules yet\n' : `${table}\n`);
      });
    });

  addToolkitOptions(
    rules
      .command('run')
      .description('plan and pay what becomes due, until Ctrl-C')
      .option('--once', 'only what is due now')
      .option('--webhook-port <port>', 'take the webhooks of triggers at http://<host>:<port>/hooks/<rule>')
      .option('--webhook-host <host>', 'where to listen for them', '127.0.0.1'),
  )
    .addHelpText(
      'after',
      examples(
        'rivulet rules run --once',
        'rivulet rules run --webhook-port 8090',
        'rivulet rules run --json',
      ),
    )
    .action((_, command) => runRules(context, allOptions<RunOptions>(command)));

  for (const decision of ['approve', 'deny'] as const) {
    rules
      .command(decision)
      .description(
        decision === 'approve'
          ? 'let held payments leave with the next run; without keys, show what is held'
          : 'give held payments up',
      )
      .argument(decision === 'approve' ? '[keys...]' : '<keys...>', 'keys of payments, or names of rules')
      .option('--by <name>', 'who decides', 'user')
      .addHelpText('after', examples(`rivulet rules ${decision} rent --by ann`))
      .action((given: string[], _, command) => {
        const options = allOptions<ToolkitOptions & { by: string }>(command);
        return withRules(context, options, async ({ ledger }) => {
          const held = ledger.list({ state: 'held' });
          if (given.length === 0) return printHeld(context, { options, held });
          const keys = given.flatMap((name) => {
            const ofRule = held.filter(({ group }) => group === ruleGroup(name)).map(({ key }) => key);
            return ofRule.length > 0 ? ofRule : [name];
          });
          const legs =
            decision === 'approve' ? ledger.approve(keys, options.by) : ledger.deny(keys, options.by);
          if (options.json === true) return printJson(context, { payments: legs.map(legJson) });
          context.out(`${legs.length} ${decision === 'approve' ? 'approved' : 'denied'}\n`);
        });
      });
  }

  rules
    .command('report-units')
    .description('tell a meter what was used; the same report twice counts once')
    .argument('<rule>')
    .argument('<units>', 'exact: 12, 0.25, 3/7')
    .requiredOption('--id <id>', 'names the report')
    .addHelpText('after', examples('rivulet rules report-units traffic 12.5 --id 2026-11-21T14'))
    .action((rule: string, units: string, _, command) => {
      const options = allOptions<ToolkitOptions & { id: string }>(command);
      return withRules(context, options, async ({ runner }) => {
        const { status, payments } = runner.reportUnits({ rule, reportId: options.id, units });
        if (options.json === true) {
          return printJson(context, { status, payments: payments.map(paymentJson) });
        }
        context.out(status === 'counted' ? `counted ${units}\n` : 'counted before: nothing changes\n');
        for (const payment of payments) context.out(`${describePayment(payment)}\n`);
      });
    });

  rules
    .command('pay-owed')
    .description('plan everything that a meter owes, however little')
    .argument('<rule>')
    .action((rule: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      return withRules(context, options, async ({ runner }) => {
        const payments = runner.payOwed(rule);
        if (options.json === true) return printJson(context, { payments: payments.map(paymentJson) });
        context.out(payments.length === 0 ? 'nothing is owed\n' : '');
        for (const payment of payments) context.out(`${describePayment(payment)}\n`);
      });
    });

  rules
    .command('secret')
    .description("the secret with which a trigger's webhooks are signed (Standard Webhooks)")
    .argument('<rule>')
    .action((rule: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      return withRules(context, options, async ({ runner }) => {
        if (runner.book.get(rule)?.rule.kind !== 'trigger')
          throw usageError(`there is no trigger ${JSON.stringify(rule)}`);
        const secret = formatTriggerSecret(runner.triggerSecret(rule));
        if (options.json === true) return printJson(context, { rule, secret });
        context.out(`${secret}\n`);
      });
    });
};

async function withRules<T>(
  context: CliContext,
  options: ToolkitOptions,
  work: (given: { runner: RuleRunner; ledger: LegLedger }) => Promise<T>,
): Promise<T> {
  return withToolkit(context, options, (toolkit) => {
    const ledger = openLedger(toolkit);
    return work({ ledger, runner: runnerOf(toolkit, ledger) });
  });
}

function runnerOf(toolkit: CliToolkit, ledger: LegLedger, onEvent?: (event: RuleEvent) => void): RuleRunner {
  const { store, now, audit, secret } = toolkit;
  return new RuleRunner({
    store,
    ledger,
    now,
    schedule: wakefulSchedule,
    audit,
    secret,
    ...(onEvent === undefined ? {} : { onEvent }),
  });
}

async function runRules(context: CliContext, options: RunOptions): Promise<void> {
  const port =
    options.webhookPort === undefined
      ? undefined
      : parseWholeNumber(options.webhookPort, { what: '--webhook-port', minimum: 0, maximum: 65_535 });
  await withToolkit(context, options, async (toolkit) => {
    const ledger = openLedger(toolkit, await toolkit.wallet());
    const runner = runnerOf(toolkit, ledger, (event) => printEvent(context, { options, event }));
    if (options.once === true) {
      runner.planDue();
      return runner.pay(context.signal);
    }
    const server =
      port === undefined
        ? undefined
        : await startWebhookServer({ runner, port, host: options.webhookHost ?? '127.0.0.1' });
    if (server !== undefined) {
      if (options.json === true) printJson(context, { type: 'listening', url: server.url });
      else context.out(`takes webhooks at ${server.url}<rule>\n`);
    }
    try {
      await runner.run(context.signal);
    } finally {
      await server?.close();
    }
  });
}

function printEvent(
  context: CliContext,
  { options, event }: { options: ToolkitOptions; event: RuleEvent },
): void {
  if (options.json === true) {
    printJson(context, eventJson(event));
    return;
  }
  switch (event.type) {
    case 'payment':
      context.out(`${describePayment(event.payment)}\n`);
      return;
    case 'skipped':
      context.out(`${event.rule}: ${event.count} missed and skipped\n`);
      return;
    case 'problem':
      context.err(`${event.rule}: ${printable(event.message)}\n`);
      return;
    case 'leg': {
      const { key, state, failure, amountMsat } = event.leg;
      const why = failure === undefined ? '' : ` (${printable(failure.message)})`;
      context.out(`${key}: ${formatMsat(amountMsat)} ${state}${why}\n`);
      return;
    }
  }
}

function eventJson(event: RuleEvent) {
  switch (event.type) {
    case 'payment':
      return { type: 'payment', ...paymentJson(event.payment) };
    case 'leg':
      return { type: 'leg', ...legJson(event.leg) };
    case 'skipped':
    case 'problem':
      return event;
  }
}

function paymentJson({ amountMsat, ...rest }: RulePayment) {
  return { ...rest, amountMsat: amountMsat.toString() };
}

const statusText: Readonly<Record<RulePayment['status'], string>> = {
  planned: 'planned',
  held: 'held until somebody approves it',
  dry_run: 'would be paid (dry run)',
  repeated: 'planned before',
};

function describePayment({ rule, occurrence, amountMsat, status }: RulePayment): string {
  return `${rule} ${occurrence}: ${formatMsat(amountMsat)} ${statusText[status]}`;
}

function legJson({
  key,
  group,
  recipient,
  amountMsat,
  state,
  failure,
  heldFor,
  approvedBy,
  changedAtMs,
}: Leg) {
  return {
    key,
    group,
    recipient: recipient.address,
    amountMsat: amountMsat.toString(),
    state,
    changedAtMs,
    ...(failure === undefined ? {} : { failure: { code: failure.code, message: failure.message } }),
    ...(heldFor === undefined ? {} : { heldFor }),
    ...(approvedBy === undefined ? {} : { approvedBy }),
  };
}

function describeLegs(legs: readonly Leg[]): string {
  const rows = legs
    .slice(0, 200)
    .map(({ key, recipient, amountMsat, state, failure, heldFor }) => [
      printable(key),
      shorten(printable(recipient.name ?? recipient.address)),
      formatMsat(amountMsat),
      state,
      shorten(printable(heldFor ?? failure?.message ?? '')),
    ]);
  return formatTable(['KEY', 'RECIPIENT', '>AMOUNT', 'STATE', 'REASON'], rows);
}

function printHeld(
  context: CliContext,
  { options, held }: { options: ToolkitOptions; held: readonly Leg[] },
): void {
  if (options.json === true) printJson(context, { held: held.map(legJson) });
  else context.out(held.length === 0 ? 'nothing waits for approval\n' : `${describeLegs(held)}\n`);
}

function byOf({ by }: Options): { by?: string } {
  return by === undefined ? {} : { by };
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw usageError(`${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw usageError(`${path} is no JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}
