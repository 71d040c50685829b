import type { ChannelInfo, ResponseOf } from '@rivulet/sdk';
import { Option } from 'commander';
import { usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { channelArgument, checkChannelName, findChannel } from '../findChannel.js';
import { formatMsat, formatSat, parseSats } from '../format/amount.js';
import { parseNode } from '../format/nodeAddress.js';
import { formatTable, printable, shortId } from '../format/text.js';
import { printAnswer, withProgress } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import { parseFeerate } from './walletInput.js';

const exampleId = '02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619';

interface OpenOptions {
  readonly push?: string;
  readonly type?: 'anchors' | 'static_remotekey';
  readonly announce?: boolean;
}

interface CloseOptions {
  readonly force?: boolean;
  readonly address?: string;
  readonly abandon?: boolean;
  readonly feerate?: string;
}

export const registerChannels: RegisterCommand = (program, context) => {
  program
    .command('open')
    .description('open a channel to a node')
    .argument('<node>', 'its id, with @host:port if it is not connected')
    .argument('<sats>', 'what the channel holds, out of the on-chain balance')
    .option('--push <sats>', 'give this much of it to the peer at once')
    .option(
      '--announce',
      'let all the network know of it, so that others can pay through it (default: private)',
    )
    .addOption(new Option('--type <type>', 'the commitment format').choices(['anchors', 'static_remotekey']))
    .addHelpText(
      'after',
      examples(
        `rivulet open ${exampleId} 1000000`,
        `rivulet open ${exampleId}@127.0.0.1:9735 1,000,000 --push 50000`,
        `rivulet open ${exampleId} 5,000,000 --announce`,
      ),
    )
    .action(async (node: string, sats: string, _, command) => {
      const options = allOptions<OpenOptions>(command);
      const target = parseNode(node);
      const capacitySat = parseSats(sats, 'the capacity');
      const pushSat = options.push === undefined ? undefined : parseSats(options.push, 'what is pushed');
      if (pushSat !== undefined && pushSat >= capacitySat) {
        throw usageError(
          `${formatSat(pushSat)} cannot be pushed out of a channel of ${formatSat(capacitySat)}`,
        );
      }
      const request = {
        ...target,
        capacitySat,
        ...(pushSat === undefined ? {} : { pushSat }),
        ...(options.type === undefined ? {} : { channelType: options.type }),
        ...(options.announce === true ? { announce: true } : {}),
      };
      await withDaemon(context, options, async (client) => {
        const work = client.openChannel(request, { signal: context.signal });
        const answer = await withProgress(context, { what: 'opening the channel', options, work });
        printAnswer(context, {
          options,
          endpoint: 'openChannel',
          answer,
          text: (opened) =>
            [
              `channel ${shortId(opened.channelId)} of ${formatSat(capacitySat)} is funded by ${opened.fundingTxidHex}:${opened.fundingOutputIndex}`,
              `it is usable after ${opened.minimumDepth} confirmations${options.announce === true ? ', and announced after 6' : ''}; see: rivulet channels`,
            ].join('\n'),
        });
      });
    });

  program
    .command('close')
    .description('close a channel and take our share of it on chain')
    .argument('<channel>', channelArgument)
    .option('--force', 'do not ask the peer: publish our commitment, and wait for the delay')
    .option('--address <address>', 'where our share goes (default: a new address of our own)')
    .option(
      '--abandon',
      'of one that we have opened, whose funding transaction no block takes: take its coins back into the wallet',
    )
    .option('--feerate <sat/vB>', 'with --abandon: what that pays (default: an estimate for two blocks)')
    .addHelpText(
      'after',
      examples(
        'rivulet close 1f2e3d4c5b6a',
        'rivulet close 103x1x0 --force',
        'rivulet close 1f2e3d4c5b6a --abandon --feerate 20',
      ),
    )
    .action(async (name: string, _, command) => {
      const options = allOptions<CloseOptions>(command);
      const { force, address, abandon, feerate } = options;
      if (abandon === true && (force === true || address !== undefined)) {
        throw usageError(
          '--abandon goes with neither --force nor --address: the coins go back into the wallet',
        );
      }
      if (abandon !== true && feerate !== undefined) {
        throw usageError('--feerate is for --abandon: the feerate of a close follows the chain');
      }
      if (force === true && address !== undefined) {
        throw usageError('--address has no effect with --force: the commitment pays to keys of our own');
      }
      checkChannelName(name);
      await withDaemon(context, options, async (client) => {
        const { channelId } = await findChannel(client, name);
        if (abandon === true) {
          const feeratePerKw = feerate === undefined ? {} : { feeratePerKw: parseFeerate(feerate) };
          const work = client.abandonChannel({ channelId, ...feeratePerKw }, { signal: context.signal });
          const answer = await withProgress(context, { what: 'taking its coins back', options, work });
          printAnswer(context, { options, endpoint: 'abandonChannel', answer, text: describeAbandoned });
          return;
        }
        const request = {
          channelId,
          ...(force === true ? { force } : {}),
          ...(address === undefined ? {} : { address }),
        };
        const work = client.closeChannel(request, { signal: context.signal });
        const answer = await withProgress(context, { what: 'closing the channel', options, work });
        printAnswer(context, {
          options,
          endpoint: 'closeChannel',
          answer,
          text: ({ closingTxidHex, state }) => {
            const follow = 'follow it with: rivulet channels';
            const by = closingTxidHex === undefined ? '' : ` by transaction ${closingTxidHex}`;
            // By force it is `failed` until its commitment confirms.
            const how = state === 'failed' ? ' by us alone: our share comes back after the delay' : '';
            return `channel ${shortId(channelId)} is being closed${by}${how}; ${follow}`;
          },
        });
      });
    });

  program
    .command('channels')
    .description('list the channels')
    .addHelpText('after', examples('rivulet channels', 'rivulet channels --json'))
    .action(async (_, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.channels({}, { signal: context.signal });
        printAnswer(context, {
          options,
          endpoint: 'channels',
          answer,
          text: ({ channels }) =>
            channels.length === 0
              ? 'no channels; open one with: rivulet open <node> <sats>'
              : describe(channels),
        });
      });
    });
};

function describeAbandoned({
  channelId,
  txidHex,
  feeSat,
  accepted,
  message,
}: ResponseOf<'abandonChannel'>): string {
  return [
    `transaction ${txidHex} takes the coins of channel ${shortId(channelId)} back, for a fee of ${formatSat(feeSat)}`,
    ...(accepted
      ? []
      : [`not accepted yet, and sent again at every block: ${printable(message ?? 'no answer')}`]),
    'until it is buried the channel stays listed, and may still be funded: then it is closed by us alone',
    `pay more with: rivulet bump ${txidHex}; follow it with: rivulet channels`,
  ].join('\n');
}

function describe(channels: readonly ChannelInfo[]): string {
  const table = formatTable(
    ['CHANNEL', 'PEER', 'STATE', 'SEEN BY', '>CAPACITY', '>OURS', '>THEIRS', '>CAN SEND', '>PENDING'],
    channels.map((channel) => [
      channel.shortChannelId ?? shortId(channel.channelId),
      shortId(channel.nodeId),
      channel.state === 'open' && channel.link !== 'online' ? `open, ${channel.link}` : channel.state,
      channel.announced ? 'all' : 'peer',
      formatSat(channel.capacitySat),
      formatMsat(channel.localMsat),
      formatMsat(channel.remoteMsat),
      formatMsat(channel.spendableMsat),
      String(channel.pendingHtlcs),
    ]),
  );
  const notes = channels.flatMap(({ note, shortChannelId, channelId }) =>
    note === undefined ? [] : [`${shortChannelId ?? shortId(channelId)}: ${printable(note)}`],
  );
  return [table, ...notes].join('\n');
}
