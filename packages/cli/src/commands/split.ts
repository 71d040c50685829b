import { carriedMsat, planAt, type SplitResult, splitAmount, type ValuePlan } from '@rivulet/keysend';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { formatTable, printable, shorten } from '../format/text.js';
import { printJson } from '../output.js';
import { addToolkitOptions, fetcherOf, type ToolkitOptions } from '../toolkit.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import { describeRecipient, formatPosition, loadPlan, parsePosition } from './valueInput.js';

interface SplitOptions extends ToolkitOptions {
  readonly position?: string;
  readonly feeShares?: boolean;
}

export const registerSplit: RegisterCommand = (program, context) => {
  addToolkitOptions(
    program
      .command('split')
      .description('show what each recipient of an episode would get; nothing is paid')
      .argument('<feed>', 'a file, or a URL')
      .argument('<item>', 'the guid of the episode')
      .argument('<sats>', 'how much in all')
      .option('--position <time>', 'where in the episode, such as 12:34', '0')
      .option('--fee-shares', 'take fees as their share of all splits, instead of as percent of the whole'),
  )
    .addHelpText('after', examples('rivulet split feed.xml episode-12 1,000 --position 12:34'))
    .action((feed: string, item: string, sats: string, _, command) => {
      const options = allOptions<SplitOptions>(command);
      const amountMsat = parseSatsToMsat(sats);
      const positionSeconds = parsePosition(options.position ?? '0', '--position');
      // Nothing is paid: it takes no wallet and no data folder.
      const toolkit = { fetcher: fetcherOf(options), signal: context.signal };
      const json = options.json === true;
      return loadPlan(context, { toolkit, feed, item, json }).then((plan) => {
        const active = planAt(plan, positionSeconds);
        const split = splitAmount({
          amountMsat,
          block: active.block,
          remote: active.remote,
          remotePercentage: active.remotePercentage,
          feeMode: options.feeShares === true ? 'share' : 'percent',
        });
        if (json) printJson(context, jsonOf(plan, { positionSeconds, split }));
        else context.out(`${describe(plan, { positionSeconds, split })}\n`);
      });
    });
};

interface Shown {
  readonly positionSeconds: number;
  readonly split: SplitResult;
}

function describe(plan: ValuePlan, { positionSeconds, split }: Shown): string {
  const { feed, item, remotes } = plan;
  const { timeSplitIndex } = planAt(plan, positionSeconds);
  const remote = timeSplitIndex === undefined ? undefined : remotes[timeSplitIndex];
  const title = printable([feed.title, item?.title].filter((text) => text !== undefined).join(': '));
  const played =
    remote?.status === 'loaded' ? printable(remote.itemTitle ?? remote.feedTitle ?? '') : undefined;
  const rows = split.payments.map(({ recipient, amountMsat, share, fee, sources }) => [
    shorten(describeRecipient(recipient)),
    formatMsat(amountMsat),
    `${(share * 100).toFixed(2).replace(/\.?0+$/, '')} %`,
    [fee ? 'fee' : '', sources.includes('remote') ? 'time split' : '']
      .filter((text) => text !== '')
      .join(', '),
  ]);
  const waiting = carriedMsat(split.carried);
  return [
    `${title} at ${formatPosition(positionSeconds)}${played === undefined || played === '' ? '' : `, which plays ${played}`}`,
    formatTable(['RECIPIENT', '>GETS', '>SHARE', 'WHY'], rows),
    ...(waiting > 0n
      ? [`${formatMsat(waiting)} of shares below 1 sat would wait for the next payment to this feed`]
      : []),
  ].join('\n');
}

function jsonOf(plan: ValuePlan, { positionSeconds, split }: Shown): unknown {
  return {
    feed: plan.feed,
    item: plan.item,
    positionSeconds,
    paidMsat: split.paidMsat.toString(),
    payments: split.payments.map(({ recipient, amountMsat, share, fee, sources }) => ({
      recipient,
      amountMsat: amountMsat.toString(),
      share,
      fee,
      sources,
    })),
    carriedMsat: carriedMsat(split.carried).toString(),
    carried: split.carried,
    warnings: split.warnings,
    problems: plan.problems,
  };
}
