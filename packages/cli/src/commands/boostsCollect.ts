import { boostToJson, type CollectState, collect, sourceOf } from '@rivulet/keysend/receiving';
import type { Command } from 'commander';
import type { CliContext } from '../cliContext.js';
import { CliError } from '../cliError.js';
import { formatMsat } from '../format/amount.js';
import { parseWholeNumber } from '../format/number.js';
import { printable } from '../format/text.js';
import { printJson } from '../output.js';
import { type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { wakefulSchedule } from '../toolkitLedger.js';
import { describeArrival } from './boostsText.js';
import { allOptions, examples } from './registerCommand.js';

interface CollectingOptions extends ToolkitOptions {
  readonly name?: string;
  readonly wait?: string;
}

const nameHelp = "the wallet's name in the store, for good (default: its kind and node id)";
/** How often it is looked whether a daemon has stored something. */
const pollMs = 2_000;
const longestTimerMs = 2 ** 31 - 1;

export function registerBoostsCollect(boosts: Command, context: CliContext): void {
  boosts
    .command('follow')
    .description('take in what the wallet receives and show it as it comes, until Ctrl-C')
    .option('--name <name>', nameHelp)
    .addHelpText('after', examples('rivulet boosts follow', 'rivulet boosts follow --json'))
    .action(async (_, command) => {
      const options = allOptions<CollectingOptions>(command);
      await withToolkit(context, options, async (toolkit) => {
        const { boosts: store } = toolkit.toolkit;
        let shown = store.lastId();
        /** Also what a daemon, which may collect from the same wallet, was the first to store. */
        const show = (): void => {
          for (;;) {
            const arrived = store.arrivals(shown, 500);
            const last = arrived.at(-1);
            if (last === undefined) return;
            for (const boost of arrived) {
              if (options.json === true) printJson(context, boostToJson(boost));
              else context.out(`${describeArrival(boost)}\n`);
            }
            shown = last.id;
          }
        };
        let cancel = (): void => {};
        const poll = (): void => {
          cancel = context.schedule(pollMs, () => {
            show();
            poll();
          });
        };
        poll();
        try {
          await collectFrom(toolkit, {
            context,
            options,
            signal: context.signal,
            onBoosts: show,
            onState: (state) => {
              if (options.json === true) return;
              if (state.status === 'waiting') context.err(`${describeWaiting(state)}; trying again\n`);
              if (state.status === 'listening') context.err('waiting for payments; end with Ctrl-C\n');
            },
          });
        } finally {
          cancel();
        }
      });
    });

  boosts
    .command('sync')
    .description('take in what the wallet has received, and end')
    .option('--name <name>', nameHelp)
    .option('--wait <seconds>', 'end when nothing has come for so long (default: 5)')
    .addHelpText('after', examples('rivulet boosts sync', 'rivulet boosts sync --wait 30'))
    .action(async (_, command) => {
      const options = allOptions<CollectingOptions>(command);
      const seconds = parseWholeNumber(options.wait ?? '5', { what: '--wait', minimum: 1, maximum: 3_600 });
      await withToolkit(context, options, async (toolkit) => {
        const end = new AbortController();
        const stop = (): void => end.abort();
        context.signal.addEventListener('abort', stop);
        let count = 0;
        let amountMsat = 0n;
        let trouble: CollectState | undefined;
        let cancel = (): void => {};
        const wait = (): void => {
          cancel();
          cancel = context.schedule(seconds * 1_000, stop);
        };
        try {
          await collectFrom(toolkit, {
            context,
            options,
            signal: end.signal,
            onBoosts: (taken) => {
              count += taken.length;
              for (const boost of taken) amountMsat += boost.amountMsat;
              wait();
            },
            onState: (state) => {
              if (state.status === 'listening') wait();
              if (state.status !== 'waiting') return;
              trouble = state;
              stop();
            },
          });
        } finally {
          cancel();
          context.signal.removeEventListener('abort', stop);
        }
        if (trouble?.status === 'waiting') throw new CliError('wallet_failed', describeWaiting(trouble));
        if (options.json === true) printJson(context, { count, amountMsat: amountMsat.toString() });
        else context.out(`${count} new ${count === 1 ? 'payment' : 'payments'}, ${formatMsat(amountMsat)}\n`);
      });
    });
}

async function collectFrom(
  { store, toolkit, wallet, now }: CliToolkit,
  given: {
    context: CliContext;
    options: CollectingOptions;
    signal: AbortSignal;
    onBoosts: NonNullable<Parameters<typeof collect>[0]['onBoosts']>;
    onState: (state: CollectState) => void;
  },
): Promise<void> {
  const { context, options, ...rest } = given;
  const opened = await wallet();
  const source = options.name ?? (await sourceOf(opened, rest.signal));
  // While a wallet is away nothing else may keep the process alive.
  const sleep = wakefulSchedule(longestTimerMs, () => {});
  try {
    await collect({
      ...rest,
      wallet: opened,
      source,
      store,
      boosts: toolkit.boosts,
      now,
      schedule: context.schedule,
    });
  } finally {
    sleep();
  }
}

function describeWaiting(state: CollectState): string {
  return state.status === 'waiting' ? printable(state.message) : state.status;
}
