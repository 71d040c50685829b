import {
  type Budget,
  type BudgetState,
  budgetState,
  getBudget,
  listBudgets,
  removeBudget,
  setBudget,
} from '@rivulet/keysend';
import type { CliContext } from '../cliContext.js';
import { usageError } from '../cliError.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { formatTable, printable } from '../format/text.js';
import { printJson } from '../output.js';
import { type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface SetOptions extends ToolkitOptions {
  readonly per: string;
}

const periods: readonly Budget['period'][] = ['day', 'month', 'episode', 'total'];

export const registerBudgets: RegisterCommand = (program, context) => {
  const budgets = program
    .command('budgets')
    .description('how much boosts, streams, payouts and rules may spend, fees included')
    .action((_, command) => {
      const options = allOptions<ToolkitOptions>(command);
      return withToolkit(context, options, async (toolkit) => {
        const states = statesOf(toolkit);
        if (options.json === true) printJson(context, { budgets: states.map(jsonOf) });
        else context.out(`${describe(states)}\n`);
      });
    })
    .addHelpText(
      'after',
      examples(
        'rivulet budgets set podcasts 10,000 --per month',
        'rivulet stream --feed feed.xml --item episode-12 --budget podcasts',
        'rivulet budgets',
      ),
    );

  budgets
    .command('set')
    .description('set a budget, or change it: what was spent of it stays')
    .argument('<name>', 'what --budget of other commands names')
    .argument('<sats>', 'how much in the time')
    .requiredOption('--per <time>', `one of: ${periods.join(', ')} (days and months of UTC)`)
    .addHelpText('after', examples('rivulet budgets set podcasts 10,000 --per month'))
    .action((name: string, sats: string, _, command) => {
      const options = allOptions<SetOptions>(command);
      const period = periods.find((one) => one === options.per);
      if (period === undefined) throw usageError(`--per is one of: ${periods.join(', ')}`);
      const budget: Budget = { name, amountMsat: parseSatsToMsat(sats), period };
      return withToolkit(context, options, (toolkit) => change(context, toolkit, { options, name, budget }));
    });

  budgets
    .command('remove')
    .description('remove a budget; what payments have reserved stays theirs')
    .argument('<name>')
    .addHelpText('after', examples('rivulet budgets remove podcasts'))
    .action((name: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      return withToolkit(context, options, (toolkit) =>
        change(context, toolkit, { options, name, budget: undefined }),
      );
    });
};

/** A limit that changes is in the audit log, in the transaction that changes it. */
async function change(
  context: CliContext,
  toolkit: CliToolkit,
  { options, name, budget }: { options: ToolkitOptions; name: string; budget: Budget | undefined },
): Promise<void> {
  const { store, audit, now } = toolkit;
  store.transaction((tx) => {
    const before = getBudget(tx, name);
    if (before === undefined && budget === undefined) {
      throw usageError(`there is no budget ${printable(JSON.stringify(name))}`);
    }
    if (budget === undefined) removeBudget(tx, name);
    else setBudget(tx, budget);
    audit.append(tx, {
      type: 'limit_changed',
      atMs: now(),
      actor: 'user',
      data: { name: `budget ${name}`, before: limitOf(before), after: limitOf(budget) },
    });
  });
  const states = statesOf(toolkit);
  if (options.json === true) printJson(context, { budgets: states.map(jsonOf) });
  else context.out(`${describe(states)}\n`);
}

function limitOf(budget: Budget | undefined): string {
  return budget === undefined ? 'none' : `${budget.amountMsat} msat per ${budget.period}`;
}

/** An episode's budget begins anew with each: there is no one state of it. */
function statesOf({ store, now }: CliToolkit): (Budget & Partial<BudgetState>)[] {
  return listBudgets(store).map((budget) =>
    budget.period === 'episode' ? budget : budgetState(store, { name: budget.name, atMs: now() }),
  );
}

function jsonOf({ name, amountMsat, period, usedMsat, reservedMsat, remainingMsat }: Partial<BudgetState>) {
  return {
    name,
    amountMsat: amountMsat?.toString(),
    period,
    usedMsat: usedMsat?.toString(),
    reservedMsat: reservedMsat?.toString(),
    remainingMsat: remainingMsat?.toString(),
  };
}

function describe(states: readonly (Budget & Partial<BudgetState>)[]): string {
  if (states.length === 0) return 'no budgets; set one with: rivulet budgets set <name> <sats> --per day';
  const shown = (amountMsat: bigint | undefined) =>
    amountMsat === undefined ? 'by episode' : formatMsat(amountMsat);
  return formatTable(
    ['BUDGET', '>IN ALL', 'PER', '>SPENT', '>RESERVED', '>LEFT'],
    states.map(({ name, amountMsat, period, usedMsat, reservedMsat, remainingMsat }) => [
      printable(name),
      formatMsat(amountMsat),
      period,
      shown(usedMsat),
      shown(reservedMsat),
      shown(remainingMsat),
    ]),
  );
}
