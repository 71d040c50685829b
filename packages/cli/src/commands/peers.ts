import { withDaemon } from '../daemonClient.js';
import { parseNodeAddress, parseNodeId } from '../format/nodeAddress.js';
import { formatTable } from '../format/text.js';
import { printAnswer, withProgress } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

const exampleId = '02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619';

export const registerPeers: RegisterCommand = (program, context) => {
  program
    .command('connect')
    .description('connect to a node')
    .argument('<node@host:port>', 'its id and address; the port is 9735 if none is given')
    .addHelpText('after', examples(`rivulet connect ${exampleId}@127.0.0.1:9735`))
    .action(async (text: string, _, command) => {
      const options = allOptions(command);
      const target = parseNodeAddress(text);
      await withDaemon(context, options, async (client) => {
        const work = client.connect(target, { signal: context.signal });
        const answer = await withProgress(context, { what: `connecting to ${target.host}`, options, work });
        printAnswer(context, {
          options,
          endpoint: 'connect',
          answer,
          text: ({ nodeId }) => `connected to ${nodeId}`,
        });
      });
    });

  program
    .command('disconnect')
    .description('close the connection to a node; its channels stay open')
    .argument('<node>', 'its id')
    .addHelpText('after', examples(`rivulet disconnect ${exampleId}`))
    .action(async (text: string, _, command) => {
      const options = allOptions(command);
      const nodeId = parseNodeId(text);
      await withDaemon(context, options, async (client) => {
        const answer = await client.disconnect({ nodeId }, { signal: context.signal });
        printAnswer(context, {
          options,
          endpoint: 'disconnect',
          answer,
          text: ({ disconnected }) => (disconnected ? 'disconnected' : 'it was not connected'),
        });
      });
    });

  program
    .command('peers')
    .description('list the nodes that are connected')
    .addHelpText('after', examples('rivulet peers', 'rivulet peers --json'))
    .action(async (_, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.peers({}, { signal: context.signal });
        printAnswer(context, {
          options,
          endpoint: 'peers',
          answer,
          text: ({ peers }) =>
            peers.length === 0
              ? 'no peers; connect to one with: rivulet connect <node>@<host>:<port>'
              : formatTable(
                  ['NODE', 'ADDRESS', 'DIRECTION', '>CHANNELS'],
                  peers.map((peer) => [
                    peer.nodeId,
                    `${peer.host}:${peer.port}`,
                    peer.inbound ? 'in' : 'out',
                    String(peer.channels),
                  ]),
                ),
        });
      });
    });
};
