import type { Payment, ResponseOf, RouteInfo } from '@rivulet/sdk';
import type { CliContext } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { channelArgument, checkChannelName, pickChannel } from '../findChannel.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { parseNodeId } from '../format/nodeAddress.js';
import { formatBlocks, formatProbability, parseWholeNumber } from '../format/number.js';
import { formatTable, printable, shortId } from '../format/text.js';
import { printAnswer, styler, withProgress } from '../output.js';
import {
  addLimits,
  failUnlessPaid,
  type LimitOptions,
  parseLimits,
  parseWait,
  unknownOutcome,
} from './paying.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

const exampleId = '02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619';

interface RebalanceOptions {
  readonly from?: string;
  readonly to?: string;
  readonly amount: string;
  readonly maxFeePpm: string;
  readonly wait?: string;
}

export const registerRouting: RegisterCommand = (program, context) => {
  addLimits(
    program
      .command('route')
      .description('show the way that a payment to a node would take, and what it would cost')
      .argument('<node>', 'its id (public key)')
      .argument('<sats>', 'how much would be paid')
      .option(
        '--probe',
        'try the way, with a payment that nobody can take: ends with 1 if it does not arrive',
      ),
  )
    .addHelpText(
      'after',
      examples(`rivulet route ${exampleId} 1000`, `rivulet route ${exampleId} 250,000 --max-fee 100 --probe`),
    )
    .action(async (node: string, sats: string, _, command) => {
      const options = allOptions<LimitOptions & { probe?: boolean }>(command);
      const limits = parseLimits(options);
      if (options.probe === true && (limits.maxParts ?? 1) > 1) {
        throw usageError('--probe tries one way: it does not go with --max-parts');
      }
      const request = {
        nodeId: parseNodeId(node),
        amountMsat: parseSatsToMsat(sats),
        ...limits,
        ...(options.probe === true ? { probe: true } : {}),
      };
      await withDaemon(context, options, async (client) => {
        const work = client.route(request, { signal: context.signal });
        const what = options.probe === true ? 'probing' : 'looking for a way';
        const answer = await withProgress(context, { what, options, work });
        printAnswer(context, { options, endpoint: 'route', answer, text: describeRoutes });
        if (answer.probe?.reached === false) {
          throw new CliError('probe_failed', `the probe did not arrive: ${answer.probe.message}`);
        }
      });
    });

  program
    .command('rebalance')
    .description('pay yourself in a circle: what leaves by one channel comes back by another')
    .option('--from <channel>', `where it leaves: ${channelArgument} (default: any)`)
    .option('--to <channel>', 'where it comes back (default: any)')
    .requiredOption('--amount <sats>', 'how much is moved')
    .requiredOption('--max-fee-ppm <number>', 'the most that it may cost, in millionths of the amount')
    .option('--wait <seconds>', 'how long to wait for the outcome', '60')
    .addHelpText(
      'after',
      examples(
        'rivulet rebalance --from 103x1x0 --to 110x1x0 --amount 100,000 --max-fee-ppm 500',
        'rivulet rebalance --to 1f2e3d4c5b6a --amount 50000 --max-fee-ppm 1000',
      ),
    )
    .action(async (_, command) => {
      const options = allOptions<RebalanceOptions>(command);
      const { from, to } = options;
      if (from === undefined && to === undefined) {
        throw usageError(
          'say where it leaves (--from <channel>), where it comes back (--to <channel>), or both',
        );
      }
      for (const name of [from, to]) if (name !== undefined) checkChannelName(name);
      const limits = {
        amountMsat: parseSatsToMsat(options.amount, '--amount'),
        maxFeePpm: parseWholeNumber(options.maxFeePpm, {
          what: '--max-fee-ppm',
          minimum: 0,
          maximum: 1_000_000,
        }),
        waitSeconds: parseWait(options.wait),
      };
      await withDaemon(context, options, async (client) => {
        const { channels } = await client.channels({}, { signal: context.signal });
        const request = {
          ...limits,
          ...(from === undefined ? {} : { fromChannelId: pickChannel(channels, from).channelId }),
          ...(to === undefined ? {} : { toChannelId: pickChannel(channels, to).channelId }),
        };
        if (request.fromChannelId !== undefined && request.fromChannelId === request.toChannelId) {
          throw usageError('--from and --to are the same channel: a circle needs two');
        }
        const work = client
          .rebalance(request, { signal: context.signal })
          .catch((cause) => Promise.reject(unknownOutcome(cause, { repeat: '' })));
        const answer = await withProgress(context, { what: 'rebalancing', options, work });
        if (options.json === true || answer.status === 'succeeded') {
          const text = (payment: Payment) => describeMoved(context, payment);
          printAnswer(context, { options, endpoint: 'rebalance', answer, text });
        }
        failUnlessPaid(answer);
      });
    });
};

function describeMoved(context: CliContext, { amountMsat, feeMsat }: Payment): string {
  const style = styler(context, 'out');
  const ppm = amountMsat === 0n ? 0n : (feeMsat * 1_000_000n) / amountMsat;
  return `${style('green', 'moved')} ${formatMsat(amountMsat)} (fee ${formatMsat(feeMsat)}, ${ppm} ppm)`;
}

function describeRoutes(answer: ResponseOf<'route'>): string {
  const { routes, probe } = answer;
  const parts = routes.length === 1 ? '' : `, in ${routes.length} parts`;
  return [
    `${formatMsat(answer.amountMsat)}${parts}: fee ${formatMsat(answer.feeMsat)}, locked for at most ${formatBlocks(answer.delayBlocks)}, likely to arrive: ${formatProbability(answer.probability)}`,
    ...routes.map((route, i) =>
      routes.length === 1
        ? describeHops(route)
        : `\npart ${i + 1}: ${formatMsat(route.amountMsat)}, fee ${formatMsat(route.feeMsat)}\n${describeHops(route)}`,
    ),
    ...(probe?.reached === true ? [`the probe arrived: ${printable(probe.message)}`] : []),
  ].join('\n');
}

function describeHops({ hops }: RouteInfo): string {
  const names = hops.map(({ nodeId, alias }) =>
    alias === undefined || alias === '' ? shortId(nodeId) : `${shortId(nodeId)} ${printable(alias)}`,
  );
  return formatTable(
    ['FROM', 'CHANNEL', 'TO', '>CARRIES', '>FEE', 'LOCKED FOR'],
    hops.map((hop, i) => [
      names[i - 1] ?? 'this node',
      hop.shortChannelId,
      names[i] ?? '',
      formatMsat(hop.amountMsat),
      formatMsat(hop.feeMsat),
      formatBlocks(hop.delayBlocks),
    ]),
  );
}
