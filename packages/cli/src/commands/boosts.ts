import {
  boostToJson,
  type ExportFormat,
  exportBoosts,
  type TotalsBy,
  totalsToJson,
} from '@rivulet/keysend/receiving';
import { Option } from 'commander';
import { CliError, usageError } from '../cliError.js';
import { parseWholeNumber } from '../format/number.js';
import { writeNewFile } from '../newFile.js';
import { printJson } from '../output.js';
import { addToolkitOptions, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { registerBoostsCollect } from './boostsCollect.js';
import { addFilterOptions, type FilterOptions, parseFilter } from './boostsFilter.js';
import { describeBoost, describeBoosts, describeTotals } from './boostsText.js';
import { registerBoostsWebhooks } from './boostsWebhooks.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface ListOptions extends ToolkitOptions, FilterOptions {
  readonly limit?: string;
  readonly cursor?: string;
  readonly oldest?: boolean;
}

interface StatsOptions extends ToolkitOptions, FilterOptions {
  readonly by: TotalsBy;
  readonly limit?: string;
}

interface ExportOptions extends ToolkitOptions, FilterOptions {
  readonly format: ExportFormat;
}

/** `rivulet boosts`: what was received, and what it was about. */
export const registerBoosts: RegisterCommand = (program, context) => {
  const boosts = program
    .command('boosts')
    .description('received boosts, streams and other keysends: list, statistics, export, webhooks')
    .addHelpText(
      'after',
      examples(
        'rivulet boosts --kind boost --since 7d',
        'rivulet boosts stats --by show --since 30d',
        'rivulet boosts export --format csv boosts.csv',
        'rivulet boosts follow',
      ),
    );

  addFilterOptions(
    boosts
      .command('list', { isDefault: true })
      .description('received payments, the latest first')
      .option('--limit <number>', 'how many (default: 20)')
      .option('--cursor <cursor>', 'another page, as the one before says')
      .option('--oldest', 'the oldest first'),
  )
    .addHelpText(
      'after',
      examples('rivulet boosts list --show "My Show" --min 1,000', 'rivulet boosts list --text thanks'),
    )
    .action(async (_, command) => {
      const options = allOptions<ListOptions>(command);
      const { cursor, oldest } = options;
      const limit = parseWholeNumber(options.limit ?? '20', { what: '--limit', minimum: 1, maximum: 1_000 });
      if (cursor !== undefined && !/^[np]\d{1,16}\.\d{1,16}$/.test(cursor)) {
        throw usageError('--cursor takes what the end of a list says');
      }
      await withToolkit(context, options, async ({ toolkit, now }) => {
        const page = toolkit.boosts.list(parseFilter(options, now()), {
          limit,
          order: oldest === true ? 'oldest' : 'newest',
          ...(cursor === undefined ? {} : { cursor }),
        });
        const { boosts: found, next, previous } = page;
        if (options.json === true) {
          printJson(context, { boosts: found.map(boostToJson), next, previous });
          return;
        }
        const more = next === undefined ? '' : `\nmore with the same and: --cursor ${next}`;
        context.out(found.length === 0 ? 'no such payments\n' : `${describeBoosts(found)}${more}\n`);
      });
    });

  boosts
    .command('show')
    .description('all of one payment, with every record')
    .argument('<number>', 'its number in the list')
    .addHelpText('after', examples('rivulet boosts show 12'))
    .action(async (text: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      const id = parseWholeNumber(text, { what: 'the number', minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
      await withToolkit(context, options, async ({ toolkit }) => {
        const boost = toolkit.boosts.get(id);
        if (boost === undefined) throw new CliError('boost_not_found', `there is no received payment ${id}`);
        const legs = boost.boostUuid === undefined ? [] : toolkit.boosts.legs(boost.boostUuid);
        if (options.json === true) {
          printJson(context, { ...boostToJson(boost), legs: legs.map((leg) => leg.id) });
        } else context.out(`${describeBoost(boost, legs)}\n`);
      });
    });

  addFilterOptions(
    boosts
      .command('stats')
      .description('how many came and how much they were, streams apart')
      .addOption(
        new Option('--by <what>', 'what to add up by')
          .choices(['show', 'episode', 'app', 'sender', 'day', 'kind'])
          .default('show'),
      )
      .option('--limit <number>', 'how many lines (default: 30)'),
  )
    .addHelpText(
      'after',
      examples('rivulet boosts stats --by app', 'rivulet boosts stats --by day --since 30d'),
    )
    .action(async (_, command) => {
      const options = allOptions<StatsOptions>(command);
      const { by } = options;
      const limit = parseWholeNumber(options.limit ?? '30', { what: '--limit', minimum: 1, maximum: 10_000 });
      await withToolkit(context, options, async ({ toolkit, now }) => {
        const totals = toolkit.boosts.totals({ by, limit, filter: parseFilter(options, now()) });
        if (options.json === true) printJson(context, totalsToJson(totals));
        else context.out(`${describeTotals(totals, by)}\n`);
      });
    });

  addFilterOptions(
    boosts
      .command('export')
      .description('write received payments to a file, or to the standard output')
      .argument('[file]', 'a new file')
      .addOption(
        new Option('--format <format>', 'of what is written')
          .choices(['csv', 'json', 'ndjson'])
          .default('csv'),
      ),
  )
    .addHelpText(
      'after',
      examples('rivulet boosts export --format json --since 2026-01-01 --until 2026-12-31 2026.json'),
    )
    .action(async (file: string | undefined, _, command) => {
      const options = allOptions<ExportOptions>(command);
      const { format } = options;
      await withToolkit(context, options, async ({ toolkit, now }) => {
        const parts = exportBoosts(toolkit.boosts, { format, filter: parseFilter(options, now()) });
        if (file === undefined) {
          for (const part of parts) context.out(part);
          return;
        }
        writeNewFile(file, parts);
        if (options.json === true) printJson(context, { path: file, format });
        else context.err(`written to ${file}\n`);
      });
    });

  registerBoostsCollect(boosts, context);
  registerBoostsWebhooks(boosts, context);
  for (const command of boosts.commands) addToolkitOptions(command);
};
