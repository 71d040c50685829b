import type { ChannelInfo, ForwardingPolicyInfo, ForwardTotalInfo, ResponseOf } from '@rivulet/sdk';
import { usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { channelArgument, checkChannelName, pickChannel } from '../findChannel.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { parseWholeNumber } from '../format/number.js';
import { formatTable, formatTime, shortId } from '../format/text.js';
import { printAnswer } from '../output.js';
import { registerHeldKeysends } from './policyHeld.js';
import { registerKeysendPolicy } from './policyKeysend.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface PolicyOptions {
  readonly base?: string;
  readonly ppm?: string;
  readonly delay?: string;
  readonly min?: string;
  readonly max?: string;
}

const maxU32 = 0xffff_ffff;

export const registerForwarding: RegisterCommand = (program, context) => {
  const policy = program
    .command('policy')
    .description('show or set our terms for what others send through our channels; which keysends are taken')
    .argument('[channel]', `${channelArgument}; or all`)
    .option('--base <msat>', 'what each forwarded payment pays, in millisatoshi')
    .option('--ppm <number>', 'what it pays of each million that it forwards')
    .option('--delay <blocks>', 'the blocks that we need between an incoming and an outgoing payment')
    .option('--min <sats>', 'the smallest payment that is forwarded')
    .option('--max <sats>', 'the largest one')
    .addHelpText(
      'after',
      examples(
        'rivulet policy',
        'rivulet policy 103x1x0 --base 0 --ppm 250',
        'rivulet policy all --delay 80 --max 500,000',
        'rivulet policy keysend set --minimum 10',
        'rivulet policy held',
      ),
    )
    .action(async (name: string | undefined, _, command) => {
      const options = allOptions<PolicyOptions>(command);
      const change = parseChange(options);
      const one = name === undefined || name.toLowerCase() === 'all' ? undefined : name;
      if (one !== undefined) checkChannelName(one);
      const isChange = Object.keys(change).length > 0;
      if (isChange && name === undefined) {
        throw usageError('say which channel is meant, or all: rivulet policy all …');
      }
      await withDaemon(context, options, async (client) => {
        const { channels } = await client.channels({}, { signal: context.signal });
        const chosen = one === undefined ? channels : [pickChannel(channels, one)];
        if (!isChange) {
          const shown = chosen.flatMap((channel) =>
            channel.policy === undefined ? [] : [{ channelId: channel.channelId, policy: channel.policy }],
          );
          printAnswer(context, {
            options,
            endpoint: 'setPolicy',
            answer: { policies: shown },
            text: (answer) => describePolicies(answer, channels),
          });
          return;
        }
        const [only] = chosen;
        const answer = await client.setPolicy(
          { ...change, ...(one === undefined || only === undefined ? {} : { channelId: only.channelId }) },
          { signal: context.signal },
        );
        printAnswer(context, {
          options,
          endpoint: 'setPolicy',
          answer,
          text: (set) => describePolicies(set, channels),
        });
      });
    });

  registerKeysendPolicy(policy, context);
  registerHeldKeysends(policy, context);

  program
    .command('forwards')
    .description('show what others sent through this node, and what it earned')
    .option('--hours <number>', 'how many hours back', '24')
    .addHelpText('after', examples('rivulet forwards', 'rivulet forwards --hours 168'))
    .action(async (_, command) => {
      const options = allOptions<{ hours: string }>(command);
      const hours = parseWholeNumber(options.hours, { what: '--hours', minimum: 1, maximum: 87_600 });
      await withDaemon(context, options, async (client) => {
        const answer = await client.forwards({ hours }, { signal: context.signal });
        if (options.json === true) {
          printAnswer(context, { options, endpoint: 'forwards', answer, text: () => '' });
          return;
        }
        const { channels } = await client.channels({}, { signal: context.signal });
        context.out(`${describeForwards(answer, { channels, hours })}\n`);
      });
    });
};

function parseChange({ base, ppm, delay, min, max }: PolicyOptions): Partial<ForwardingPolicyInfo> {
  const whole = (text: string, what: string, [minimum, maximum]: readonly [number, number]) =>
    parseWholeNumber(text, { what, minimum, maximum });
  return {
    ...(base === undefined ? {} : { feeBaseMsat: whole(base, '--base', [0, maxU32]) }),
    ...(ppm === undefined ? {} : { feeProportionalMillionths: whole(ppm, '--ppm', [0, maxU32]) }),
    ...(delay === undefined ? {} : { cltvExpiryDelta: whole(delay, '--delay', [34, 2_016]) }),
    ...(min === undefined ? {} : { htlcMinimumMsat: parseSatsToMsat(min, '--min') }),
    ...(max === undefined ? {} : { htlcMaximumMsat: parseSatsToMsat(max, '--max') }),
  };
}

function nameOf(channelId: string, channels: readonly ChannelInfo[]): string {
  return channels.find((one) => one.channelId === channelId)?.shortChannelId ?? shortId(channelId);
}

function describePolicies({ policies }: ResponseOf<'setPolicy'>, channels: readonly ChannelInfo[]): string {
  if (policies.length === 0) return 'no open channels; open one with: rivulet open <node> <sats>';
  return formatTable(
    ['CHANNEL', 'PEER', '>BASE', '>PPM', '>DELAY', '>MIN', '>MAX'],
    policies.map(({ channelId, policy }) => {
      const peer = channels.find((one) => one.channelId === channelId)?.nodeId ?? '';
      return [
        nameOf(channelId, channels),
        shortId(peer),
        `${policy.feeBaseMsat} msat`,
        String(policy.feeProportionalMillionths),
        `${policy.cltvExpiryDelta} blocks`,
        formatMsat(policy.htlcMinimumMsat),
        formatMsat(policy.htlcMaximumMsat),
      ];
    }),
  );
}

interface Sum {
  settled: number;
  failed: number;
  amountMsat: bigint;
  feeMsat: bigint;
}

function sumBy<K>(totals: readonly ForwardTotalInfo[], keyOf: (total: ForwardTotalInfo) => K): Map<K, Sum> {
  const sums = new Map<K, Sum>();
  for (const total of totals) {
    const key = keyOf(total);
    const sum = sums.get(key) ?? { settled: 0, failed: 0, amountMsat: 0n, feeMsat: 0n };
    sum.settled += total.settled;
    sum.failed += total.failed;
    sum.amountMsat += total.amountMsat;
    sum.feeMsat += total.feeMsat;
    sums.set(key, sum);
  }
  return sums;
}

const cellsOf = ({ settled, failed, amountMsat, feeMsat }: Sum): string[] => [
  String(settled),
  String(failed),
  formatMsat(amountMsat),
  formatMsat(feeMsat),
];

function describeForwards(
  { pending, settled, feeMsat, totals }: ResponseOf<'forwards'>,
  { channels, hours }: { channels: readonly ChannelInfo[]; hours: number },
): string {
  const headings = ['>FORWARDED', '>FAILED', '>AMOUNT', '>EARNED'];
  const head = `${settled} forwarded in the last ${hours === 1 ? 'hour' : `${hours} hours`}, ${formatMsat(feeMsat)} earned; ${pending} under way`;
  if (totals.length === 0) return head;
  const byWay = sumBy(
    totals,
    ({ incomingChannelId, outgoingChannelId }) =>
      `${nameOf(incomingChannelId, channels)} ${nameOf(outgoingChannelId, channels)}`,
  );
  const byHour = sumBy(totals, ({ fromMs }) => fromMs);
  return [
    head,
    '',
    formatTable(
      ['FROM', 'TO', ...headings],
      [...byWay]
        .sort(([, a], [, b]) => (a.feeMsat < b.feeMsat ? 1 : a.feeMsat > b.feeMsat ? -1 : 0))
        .map(([way, sum]) => [...way.split(' '), ...cellsOf(sum)]),
    ),
    '',
    formatTable(
      ['HOUR (UTC)', ...headings],
      [...byHour]
        .sort(([a], [b]) => b - a)
        .map(([fromMs, sum]) => [formatTime(fromMs).slice(0, 16), ...cellsOf(sum)]),
    ),
  ].join('\n');
}
