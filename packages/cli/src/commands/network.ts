import type { ResponseOf } from '@rivulet/sdk';
import { withDaemon } from '../daemonClient.js';
import { formatSat } from '../format/amount.js';
import { parseNodeId } from '../format/nodeAddress.js';
import { formatTable, printable, shortId } from '../format/text.js';
import { printAnswer } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

const exampleId = '02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619';

export const registerNetwork: RegisterCommand = (program, context) => {
  program
    .command('network')
    .description('show how much of the network is known, or what is known of one node')
    .argument('[node]', 'its id (public key)')
    .addHelpText('after', examples('rivulet network', `rivulet network ${exampleId}`))
    .action(async (node: string | undefined, _, command) => {
      const options = allOptions(command);
      const nodeId = node === undefined ? undefined : parseNodeId(node);
      await withDaemon(context, options, async (client) => {
        const { signal } = context;
        if (nodeId === undefined) {
          const answer = await client.network({}, { signal });
          printAnswer(context, { options, endpoint: 'network', answer, text: describeNetwork });
        } else {
          const answer = await client.networkNode({ nodeId }, { signal });
          printAnswer(context, { options, endpoint: 'networkNode', answer, text: describeNode });
        }
      });
    });
};

function describeNetwork({ nodes, channels, synced, pending }: ResponseOf<'network'>): string {
  const sync = synced
    ? 'a peer has answered for all that it knows'
    : 'not yet: no peer has told all that it knows';
  return [
    `nodes     ${nodes}`,
    `channels  ${channels}`,
    `synced    ${sync}`,
    ...(pending === 0 ? [] : [`checking  ${pending} announcements`]),
  ].join('\n');
}

function describeNode(node: ResponseOf<'networkNode'>): string {
  const { alias, addresses, keysend, channels } = node;
  const head = [
    `${printable(alias ?? '') || 'no name'}`,
    `node id   ${node.nodeId}`,
    ...(addresses.length === 0
      ? ['address   none announced']
      : addresses.map((address) => `address   ${printable(address)}`)),
    `keysend   ${keysend ? 'announced' : 'not announced (many take it all the same)'}`,
    `channels  ${channels.length}`,
  ];
  if (channels.length === 0) return head.join('\n');
  const table = formatTable(
    ['CHANNEL', 'WITH', '>CAPACITY', '>BASE', '>PPM', '>DELAY', ''],
    channels.map(({ shortChannelId, nodeId, capacitySat, policy }) => [
      shortChannelId,
      shortId(nodeId),
      formatSat(capacitySat),
      policy === undefined ? '' : `${policy.feeBaseMsat} msat`,
      policy === undefined ? '' : String(policy.feeProportionalMillionths),
      policy === undefined ? '' : `${policy.cltvExpiryDelta} blocks`,
      policy === undefined ? 'no terms known' : policy.disabled ? 'disabled' : '',
    ]),
  );
  return [...head, '', table].join('\n');
}
