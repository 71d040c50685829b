import { readFileSync } from 'node:fs';
import type { Leg, LegLedger } from '@rivulet/keysend';
import {
  formatTriggerSecret,
  parseTriggerSecret,
  RuleRunner,
  type RuleRunnerOptions,
  ruleGroup,
} from '@rivulet/keysend/automation';
import { startWebhookServer } from '@rivulet/keysend/node';
import type { CliContext } from '../cliContext.js';
import { CliError, exitCodes, usageError } from '../cliError.js';
import { formatMsat } from '../format/amount.js';
import { parseWholeNumber } from '../format/number.js';
import { formatTable, formatTime } from '../format/text.js';
import { printJson } from '../output.js';
import { readJsonFile } from '../textFile.js';
import { addToolkitOptions, type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { openLedger, wakefulSchedule } from '../toolkitLedger.js';
import { allOptions, everyValue, examples, type RegisterCommand } from './registerCommand.js';
import {
  describeLegs,
  describePayment,
  describeRule,
  legJson,
  paymentJson,
  printEvent,
  ruleJson,
} from './rulesText.js';

type Options = ToolkitOptions & { readonly by?: string };

interface RunOptions extends ToolkitOptions {
  readonly once?: boolean;
  readonly webhookPort?: string;
  readonly webhookHost?: string;
  readonly secretFile?: readonly string[];
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
    .description('payments that make themselves: schedules, subscriptions, meters, triggers')
    .addHelpText(
      'after',
      examples('rivulet rules add rent.json', 'rivulet rules due', 'rivulet rules run --webhook-port 8090'),
    );

  rules
    .command('list')
    .description('the rules there are')
    .addHelpText('after', examples('rivulet rules list'))
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
      const definition = readJsonFile(path);
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
    .addHelpText('after', examples('rivulet rules show rent'))
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
      .addHelpText('after', examples(`rivulet rules ${enabled ? 'enable' : 'disable'} rent --by ann`))
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
    .addHelpText('after', examples('rivulet rules remove rent'))
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
    .addHelpText('after', examples('rivulet rules due'))
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
      .option('--webhook-host <host>', 'where to listen for them', '127.0.0.1')
      .option(
        '--secret-file <rule=file>',
        'the secret of a sender that brings its own (whsec_… or hex), in a file; else see rivulet rules secret',
        everyValue,
      ),
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
    .addHelpText('after', examples('rivulet rules pay-owed traffic'))
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
    .addHelpText('after', examples('rivulet rules secret prize'))
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

function runnerOf(
  toolkit: CliToolkit,
  ledger: LegLedger,
  more: Pick<RuleRunnerOptions, 'onEvent' | 'secretOf'> = {},
): RuleRunner {
  const { store, now, audit, secret } = toolkit;
  return new RuleRunner({
    store,
    ledger,
    now,
    schedule: wakefulSchedule,
    audit,
    secret,
    ...more,
  });
}

/** Secrets that senders of webhooks brought, by rule. */
function readSecrets(files: readonly string[] = []): ReadonlyMap<string, Uint8Array> {
  return new Map(
    files.map((text) => {
      const [, rule, path] = /^([a-z0-9][a-z0-9-]{0,39})=(.+)$/.exec(text) ?? [];
      if (rule === undefined || path === undefined) throw usageError('--secret-file is <rule>=<file>');
      try {
        return [rule, parseTriggerSecret(readFileSync(path, 'utf8').trim())];
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException;
        throw usageError(`${path} has no secret of webhooks in it (${code ?? 'unreadable'})`);
      }
    }),
  );
}

async function runRules(context: CliContext, options: RunOptions): Promise<void> {
  const port =
    options.webhookPort === undefined
      ? undefined
      : parseWholeNumber(options.webhookPort, { what: '--webhook-port', minimum: 0, maximum: 65_535 });
  const secrets = readSecrets(options.secretFile);
  await withToolkit(context, options, async (toolkit) => {
    const ledger = openLedger(toolkit, await toolkit.wallet());
    const problems = new Set<string>();
    const legs = new Map<string, Leg>();
    const runner = runnerOf(toolkit, ledger, {
      onEvent: (event) => {
        printEvent(context, { options, event });
        if (event.type === 'problem') problems.add(event.rule);
        if (event.type === 'leg') legs.set(event.leg.key, event.leg);
      },
      secretOf: (rule) => secrets.get(rule),
    });
    if (options.once === true) {
      runner.planDue();
      await runner.pay(context.signal);
      return failUnlessDone({ problems, legs: [...legs.values()] });
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

/** @throws CliError where something that was due is not paid, for whoever calls it by a timer. */
function failUnlessDone({ problems, legs }: { problems: ReadonlySet<string>; legs: readonly Leg[] }): void {
  const unknown = legs.filter(({ state }) => state === 'unknown' || state === 'sending').length;
  if (unknown > 0) {
    const message = `of ${unknown} payments nobody knows the outcome: the next run looks; nothing is paid twice`;
    throw new CliError('payment_outcome_unknown', message, { exitCode: exitCodes.unknownOutcome });
  }
  const failed = legs.filter(({ state }) => state === 'failed').length;
  if (problems.size + failed === 0) return;
  const what = [
    ...(failed === 0 ? [] : [`${failed} ${failed === 1 ? 'payment' : 'payments'} failed`]),
    ...(problems.size === 0 ? [] : [`not planned: ${[...problems].join(', ')}`]),
  ];
  throw new CliError('payment_failed', what.join('; '));
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
