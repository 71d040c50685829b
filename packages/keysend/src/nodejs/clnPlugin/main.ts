import { randomBytes } from 'node:crypto';
import { systemSchedule } from '../../timing/schedule.js';
import { ClnPlugin } from './clnPlugin.js';
import { JsonSplitter } from './jsonSplitter.js';
import { callLightningd } from './lightningRpc.js';

// Nothing but messages may go to stdout: lightningd ends a plugin that says anything else.
const plugin = new ClnPlugin({
  send: (message) => process.stdout.write(`${JSON.stringify(message)}\n\n`),
  callLightningd,
  now: Date.now,
  randomBytes,
  schedule: systemSchedule,
  onEnd: () => process.exit(0),
});
const splitter = new JsonSplitter();
process.stdin.setEncoding('utf8');
process.stdin.on('data', (text: string) => {
  for (const message of splitter.push(text)) plugin.receive(message);
});
process.stdin.on('end', () => process.exit(0));
