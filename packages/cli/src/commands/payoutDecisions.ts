import type { LegLedger } from '@rivulet/keysend';
import { payoutLegKey, payoutRows, readPayout } from '@rivulet/keysend/automation';
import type { Command } from 'commander';
import type { CliContext } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { printable } from '../format/text.js';
import { printJson } from '../output.js';
import { type ToolkitOptions, withToolkit } from '../toolkit.js';
import { openLedger } from '../toolkitLedger.js';
import { countPayments } from './payoutText.js';
import { allOptions, examples } from './registerCommand.js';

/** What a person decides about single payments: approvals, second tries, what nobody knows. */
export function registerPayoutDecisions(payout: Command, context: CliContext): void {
  addDecision(payout, context, {
    name: 'approve',
    description: 'let held payments leave with the next run of their payout',
    done: 'approved',
    decide: ({ ledger, keys, by }) => ledger.approve(keys, by),
  });
  addDecision(payout, context, {
    name: 'deny',
    description: 'give held payments up',
    done: 'denied',
    decide: ({ ledger, keys, by }) => ledger.deny(keys, by),
  });
  addDecision(payout, context, {
    name: 'abandon',
    description: 'give up payments that are planned, held or failed',
    done: 'abandoned',
    decide: ({ ledger, keys, by }) => ledger.abandon(keys, by),
  });
  addDecision(payout, context, {
    name: 'retry',
    description: 'plan failed payments once more; then run the payout',
    done: 'planned again',
    decide: ({ ledger, keys }) => ledger.retry(keys),
  });

  payout
    .command('resolve')
    .description('say what became of a payment of which nobody knows; look into the wallet first')
    .argument('<key>')
    .requiredOption('--outcome <outcome>', 'paid or not-paid')
    .option('--by <name>', 'who says so', 'user')
    .addHelpText('after', examples('rivulet payout resolve july-17 --outcome not-paid --by ann'))
    .action((key: string, _, command) => {
      const options = allOptions<ToolkitOptions & { outcome: string; by: string }>(command);
      const { outcome, by } = options;
      if (outcome !== 'paid' && outcome !== 'not-paid') throw usageError('--outcome is paid or not-paid');
      return withToolkit(context, options, async (toolkit) => {
        const ledger = openLedger(toolkit);
        const leg = ledger.resolve(knownKey(ledger, key), outcome === 'paid' ? 'paid' : 'not_paid', by);
        if (options.json === true) return printJson(context, { key, state: leg.state });
        context.out(
          `${key} is ${leg.state}${leg.state === 'failed' ? '; plan it again with: rivulet payout retry' : ''}\n`,
        );
      });
    });
}

type Decide = (given: { ledger: LegLedger; keys: readonly string[]; by: string }) => readonly unknown[];

function addDecision(
  payout: Command,
  context: CliContext,
  given: { name: string; description: string; done: string; decide: Decide },
): void {
  const { name, description, done, decide } = given;
  payout
    .command(name)
    .description(description)
    .argument('<keys...>', 'keys of payments; or with --all the name of a payout')
    .option('--all', 'all payments of a payout that are in such a state')
    .option('--by <name>', 'who decides', 'user')
    .addHelpText(
      'after',
      examples(
        `rivulet payout ${name} july-17 july-18 --by ann`,
        `rivulet payout ${name} july --all --by ann`,
      ),
    )
    .action((given: string[], _, command) => {
      const options = allOptions<ToolkitOptions & { all?: boolean; by: string }>(command);
      return withToolkit(context, options, async (toolkit) => {
        const ledger = openLedger(toolkit);
        const states = statesFor[name] ?? [];
        const keys =
          options.all === true
            ? given.flatMap((payoutName) => {
                readPayout(toolkit.store, payoutName);
                const rows = payoutRows(toolkit.store, { name: payoutName });
                return rows.filter(({ state }) => states.includes(state)).map(({ key }) => payoutLegKey(key));
              })
            : given.map((key) => knownKey(ledger, key));
        const { length } = decide({ ledger, keys, by: options.by });
        if (options.json === true) return printJson(context, { payments: length });
        const next =
          name === 'approve' || name === 'retry' ? '; pay them with: rivulet payout resume <name>' : '';
        context.out(`${countPayments(length)} ${done}${next}\n`);
      });
    });
}

/** @throws CliError for one that no payout has. */
function knownKey(ledger: LegLedger, key: string): string {
  const legKey = payoutLegKey(key);
  if (ledger.get(legKey) !== undefined) return legKey;
  throw new CliError(
    'payout_key_unknown',
    `no payout has the key ${printable(JSON.stringify(key))}: list the payouts with: rivulet payout list`,
  );
}

const statesFor: Readonly<Record<string, readonly string[]>> = {
  approve: ['held'],
  deny: ['held'],
  abandon: ['planned', 'held', 'failed'],
  retry: ['failed'],
};
