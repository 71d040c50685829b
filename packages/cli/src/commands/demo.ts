import { resolve } from 'node:path';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

export const registerDemo: RegisterCommand = (program, context) => {
  program
    .command('demo')
    .description('three nodes on a chain of their own pay each other across the middle one')
    .option('--once', 'end after the payments, with a channel closed')
    .addHelpText(
      'after',
      `\nEverything is in one folder, .rivulet/demo here unless --data-dir says otherwise; a new demo empties it.\n${examples(
        'rivulet demo',
        'rivulet demo --once',
        'rivulet demo --data-dir /tmp/rivulet-demo',
      )}`,
    )
    .action(async (_, command) => {
      const { dataDir, once, json } = allOptions<{ once?: boolean }>(command);
      // Loaded when it is asked for: it starts daemons.
      const { runDemo } = await import('../demo/runDemo.js');
      const folder = resolve(dataDir ?? '.rivulet/demo');
      await runDemo(context, { folder, once: once === true, json: json === true });
    });
};
