import type { ResponseOf } from '@rivulet/sdk';
import { usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatMsat, formatSat } from '../format/amount.js';
import { formatTable } from '../format/text.js';
import { printAnswer, withProgress } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

export const registerWallet: RegisterCommand = (program, context) => {
  program
    .command('address')
    .description('make a new address to receive bitcoin on chain')
    .addHelpText('after', examples('rivulet address'))
    .action(async (_, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.newAddress({}, { signal: context.signal });
        printAnswer(context, { options, endpoint: 'newAddress', answer, text: ({ address }) => address });
      });
    });

  program
    .command('balance')
    .description('show what is on chain and in channels')
    .addHelpText('after', examples('rivulet balance', 'rivulet balance --json'))
    .action(async (_, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.balance({}, { signal: context.signal });
        printAnswer(context, { options, endpoint: 'balance', answer, text: describe });
      });
    });

  program
    .command('mine')
    .description('mine blocks (regtest only)')
    .argument('[blocks]', 'how many', '1')
    .option('--address <address>', 'who gets the reward (default: this node)')
    .addHelpText('after', examples('rivulet mine', 'rivulet mine 6', 'rivulet mine 101'))
    .action(async (text: string, _, command) => {
      const options = allOptions<{ address?: string }>(command);
      const blocks = /^\d{1,4}$/.test(text) ? Number(text) : 0;
      if (blocks < 1 || blocks > 1_000) {
        throw usageError(`${JSON.stringify(text)} is no number of blocks: give 1 to 1000`);
      }
      const { address } = options;
      await withDaemon(context, options, async (client) => {
        const request = { blocks, ...(address === undefined ? {} : { address }) };
        const work = client.mine(request, { signal: context.signal });
        const answer = await withProgress(context, { what: `mining ${blocks} blocks`, options, work });
        printAnswer(context, {
          options,
          endpoint: 'mine',
          answer,
          text: ({ height }) =>
            `mined ${blocks} ${blocks === 1 ? 'block' : 'blocks'}; the height is ${height}`,
        });
      });
    });
};

function describe({ onchain, channels }: ResponseOf<'balance'>): string {
  const rows: readonly (readonly [string, string])[] = [
    ['on chain', formatSat(onchain.confirmedSat)],
    ['  unconfirmed', formatSat(onchain.unconfirmedSat)],
    ['in channels', formatMsat(channels.localMsat)],
    ['  in payments under way', formatMsat(channels.pendingMsat)],
    ['  in channels being closed', formatMsat(channels.closingMsat)],
    ['  on the side of peers', formatMsat(channels.remoteMsat)],
  ];
  return formatTable(['', '>'], rows).split('\n').slice(1).join('\n');
}
