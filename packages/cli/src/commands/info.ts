import type { ResponseOf } from '@rivulet/sdk';
import { withDaemon } from '../daemonClient.js';
import { formatMsat } from '../format/amount.js';
import { formatNodeAddress } from '../format/nodeAddress.js';
import { printable } from '../format/text.js';
import { printAnswer } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

export const registerInfo: RegisterCommand = (program, context) => {
  program
    .command('info')
    .description('show the node: its id, addresses, chain and channels')
    .addHelpText('after', examples('rivulet info', 'rivulet info --json'))
    .action(async (_, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.info({}, { signal: context.signal });
        printAnswer(context, { options, endpoint: 'info', answer, text: describe });
      });
    });
};

function describe(info: ResponseOf<'info'>): string {
  const { channels, keysend } = info;
  const addresses = info.listening.map((address) => formatNodeAddress({ nodeId: info.nodeId, ...address }));
  return [
    `${printable(info.alias)} (Rivulet ${info.version})`,
    `node id    ${info.nodeId}`,
    ...(addresses.length === 0
      ? ['address    does not listen']
      : addresses.map((one) => `address    ${one}`)),
    `chain      ${info.network}, block ${info.blockHeight}${info.synced ? '' : ' (catching up)'}`,
    `peers      ${info.peers}`,
    `channels   ${channels.open} open (${channels.usable} usable), ${channels.pending} opening, ${channels.closing} closing`,
    `keysend    ${keysend.accept ? `accepted from ${formatMsat(keysend.minAmountMsat)}` : 'not accepted (see --keysend-accept of rivulet up)'}`,
    `crypto     ${info.crypto}`,
  ].join('\n');
}
