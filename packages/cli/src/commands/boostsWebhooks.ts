import { guardedFetch } from '@rivulet/keysend/node';
import {
  type DeliveryOutcome,
  fetchPoster,
  filterToJson,
  type Webhook,
  type WebhookStatus,
  WebhookStore,
  WebhookWorker,
} from '@rivulet/keysend/receiving';
import type { Command } from 'commander';
import type { CliContext } from '../cliContext.js';
import { CliError } from '../cliError.js';
import { parseWholeNumber } from '../format/number.js';
import { printable } from '../format/text.js';
import { printJson } from '../output.js';
import { readTextFile } from '../textFile.js';
import { type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { addFilterOptions, type FilterOptions, parseFilter } from './boostsFilter.js';
import { describeWebhooks } from './boostsText.js';
import { allOptions, examples } from './registerCommand.js';

interface AddOptions extends ToolkitOptions, FilterOptions {
  readonly secretFile?: string;
  readonly after?: string;
}

interface Hooks {
  readonly webhooks: WebhookStore;
  readonly worker: WebhookWorker;
  readonly toolkit: CliToolkit;
}

export function registerBoostsWebhooks(boosts: Command, context: CliContext): void {
  const webhooks = boosts
    .command('webhooks')
    .description('servers that are told of received payments, by a daemon that runs')
    .addHelpText(
      'after',
      examples('rivulet boosts webhooks add https://example.com/boosts', 'rivulet boosts webhooks list'),
    );

  addFilterOptions(
    webhooks
      .command('add')
      .description('tell a server of every payment from now on, or of those that fit')
      .argument('<url>', 'https, or http on this machine')
      .option(
        '--secret-file <file>',
        'what deliveries are signed with: whsec_… or hex digits (default: drawn)',
      )
      .option('--after <number>', 'of payments with a number above this, 0 for all (default: of new ones)'),
  )
    .addHelpText(
      'after',
      examples('rivulet boosts webhooks add https://example.com/boosts --kind boost --min 100'),
    )
    .action(async (url: string, _, command) => {
      const options = allOptions<AddOptions>(command);
      const { secretFile, after } = options;
      const secret = secretFile === undefined ? undefined : readTextFile(secretFile).trim();
      const afterId =
        after === undefined
          ? undefined
          : parseWholeNumber(after, { what: '--after', minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
      await withHooks(context, options, async ({ webhooks: store, toolkit }) => {
        const added = store.add(
          {
            url,
            filter: parseFilter(options, toolkit.now()),
            ...(secret === undefined ? {} : { secret }),
            ...(afterId === undefined ? {} : { afterId }),
          },
          toolkit,
        );
        const { id } = added.webhook;
        if (options.json === true)
          printJson(context, { ...webhookJson(added.webhook), secret: added.secret });
        else {
          context.out(`webhook ${id}\nsecret  ${added.secret}\n`);
          context.err('the secret is not shown again: deliveries are signed with it\n');
        }
      });
    });

  webhooks
    .command('list')
    .description('the webhooks, and how far each has come')
    .addHelpText('after', examples('rivulet boosts webhooks list'))
    .action(async (_, command) => {
      const options = allOptions<ToolkitOptions>(command);
      await withHooks(context, options, async ({ webhooks: store, toolkit }) => {
        const all = store.status();
        if (options.json === true) printJson(context, { webhooks: all.map(webhookJson) });
        else context.out(`${describeWebhooks(all, toolkit.now())}\n`);
      });
    });

  for (const [name, description, change] of [
    ['remove', 'forget a webhook, and what it has not been told', (store, id) => store.remove(id)],
    ['enable', 'go on with one that was disabled, where it was', (store, id) => store.disable(id, undefined)],
    [
      'disable',
      'tell it nothing until it is enabled again',
      (store, id, atMs) => store.disable(id, { atMs, reason: 'disabled from the command line' }),
    ],
  ] as readonly (readonly [string, string, (store: WebhookStore, id: string, atMs: number) => void])[]) {
    webhooks
      .command(name)
      .description(description)
      .argument('<webhook>', 'its id')
      .addHelpText('after', examples(`rivulet boosts webhooks ${name} 3f9a0c71d2e4b586`))
      .action(async (id: string, _, command) => {
        const options = allOptions<ToolkitOptions>(command);
        await withHooks(context, options, async ({ webhooks: store, toolkit }) => {
          change(store, id, toolkit.now());
          if (options.json === true) printJson(context, { id });
          else context.out(`webhook ${id}: ${name}d\n`);
        });
      });
  }

  webhooks
    .command('test')
    .description('send it a delivery of the type test')
    .argument('<webhook>', 'its id')
    .addHelpText('after', examples('rivulet boosts webhooks test 3f9a0c71d2e4b586'))
    .action(async (id: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      await withHooks(context, options, async ({ worker, toolkit }) => {
        printOutcome(context, options, await worker.test(id, toolkit.randomBytes));
      });
    });

  webhooks
    .command('redeliver')
    .description('send one delivery again, at once')
    .argument('<delivery>', 'its id: the webhook and the number of the payment, with - in between')
    .addHelpText('after', examples('rivulet boosts webhooks redeliver 3f9a0c71d2e4b586-12'))
    .action(async (id: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      await withHooks(context, options, async ({ worker }) => {
        printOutcome(context, options, await worker.redeliver(id));
      });
    });
}

async function withHooks(
  context: CliContext,
  options: ToolkitOptions,
  work: (hooks: Hooks) => Promise<void>,
): Promise<void> {
  await withToolkit(context, options, async (toolkit) => {
    const { store, now } = toolkit;
    const { boosts } = toolkit.toolkit;
    const webhooks = new WebhookStore({ store, boosts });
    const worker = new WebhookWorker({
      webhooks,
      boosts,
      // Whoever has this command line may reach what it reaches.
      poster: fetchPoster(guardedFetch({ allow: { loopback: true, private: true } })),
      now,
      schedule: context.schedule,
      random: Math.random,
    });
    await work({ webhooks, worker, toolkit });
  });
}

function webhookJson<T extends Webhook | WebhookStatus>({ filter, ...rest }: T): object {
  return { ...rest, filter: filterToJson(filter) };
}

/** @throws CliError for one that failed. */
function printOutcome(context: CliContext, options: ToolkitOptions, outcome: DeliveryOutcome): void {
  if (outcome.status === 'failed') {
    throw new CliError('delivery_failed', `it was not delivered: ${printable(outcome.problem)}`);
  }
  if (options.json === true) printJson(context, outcome);
  else context.out(`delivered (HTTP ${outcome.httpStatus})\n`);
}
