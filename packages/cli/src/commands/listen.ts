import { encodeEvent, type NodeEvent, type Payment } from '@rivulet/sdk';
import type { CliContext } from '../cliContext.js';
import { CliError, exitCodes } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatMsat } from '../format/amount.js';
import { formatTime, printable, shortId } from '../format/text.js';
import { printJson, styler } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

export const registerListen: RegisterCommand = (program, context) => {
  program
    .command('listen')
    .description('show payments as they arrive, and those that wait for rivulet settle, until Ctrl-C')
    .option('--all', 'show what is sent, channels, peers and blocks too')
    .addHelpText('after', examples('rivulet listen', 'rivulet listen --all --json'))
    .action(async (_, command) => {
      const options = allOptions<{ all?: boolean }>(command);
      await withDaemon(context, options, async (client) => {
        const events = await client.events({ signal: context.signal });
        if (options.json !== true) context.err('listening for payments; end with Ctrl-C\n');
        for await (const event of events) {
          if (options.all !== true && !arrivals.has(event.type)) continue;
          if (options.json === true) printJson(context, encodeEvent(event));
          else context.out(`${describe(context, event)}\n`);
        }
      });
      if (context.signal.aborted) return;
      throw new CliError('daemon_not_running', 'the daemon has stopped', { exitCode: exitCodes.notRunning });
    });
};

/** What is shown without --all. */
const arrivals: ReadonlySet<NodeEvent['type']> = new Set([
  'payment_received',
  'invoice_held',
  'keysend_held',
]);

function describe(context: CliContext, event: NodeEvent): string {
  const style = styler(context, 'out');
  switch (event.type) {
    case 'payment_received':
      return `${style('green', '+')} ${describeReceived(event.payment)}`;
    case 'payment_sent': {
      const { amountMsat, nodeId, feeMsat } = event.payment;
      return `- ${formatMsat(amountMsat)} paid to ${shortId(nodeId ?? '')} (fee ${formatMsat(feeMsat)})`;
    }
    case 'payment_failed': {
      const { amountMsat, failure } = event.payment;
      return `! ${formatMsat(amountMsat)} not paid: ${printable(failure?.message ?? 'no reason given')}`;
    }
    case 'invoice_held': {
      const { paymentHash, receivedMsat = 0n, description } = event.invoice;
      const hash = shortId(paymentHash);
      return `= ${formatMsat(receivedMsat)} held (${printable(description)}): rivulet settle ${hash}, or rivulet cancel ${hash}`;
    }
    case 'keysend_held': {
      const { paymentHash, amountMsat, rule, message } = event.keysend;
      const text = message === undefined ? '' : ` "${printable(message)}"`;
      return `= keysend of ${formatMsat(amountMsat)} held${text} (${printable(rule)}): rivulet policy accept ${shortId(paymentHash)}, or rivulet policy refuse ${shortId(paymentHash)}`;
    }
    case 'channel_changed': {
      const { channelId, nodeId, state, link } = event.channel;
      return `channel ${shortId(channelId)} with ${shortId(nodeId)} is ${state}, ${link}`;
    }
    case 'peer_connected':
      return `peer ${shortId(event.nodeId)} connected`;
    case 'peer_disconnected':
      return `peer ${shortId(event.nodeId)} disconnected: ${printable(event.reason)}`;
    case 'block':
      return `block ${event.height}`;
  }
}

/** The records that are text are shown as text: what most senders write. */
function describeReceived(payment: Payment): string {
  const { amountMsat, createdAtMs, message, senderName, nodeId, records } = payment;
  const from = senderName === undefined ? nodeId && shortId(nodeId) : printable(senderName);
  const others = [...records.keys()].filter((type) => type !== 34349334n && type !== 34349340n);
  return [
    `${formatTime(createdAtMs)}  ${formatMsat(amountMsat)}`,
    ...(from === undefined || from === '' ? [] : [` from ${from}`]),
    ...(message === undefined ? [] : [`: ${printable(message)}`]),
    ...(others.length === 0 ? [] : [`  [records ${others.join(', ')}]`]),
  ].join('');
}
