import type { HeldKeysendInfo } from '@rivulet/sdk';
import type { Command } from 'commander';
import type { CliContext, GlobalOptions } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatMsat } from '../format/amount.js';
import { shortId } from '../format/text.js';
import { printAnswer, printJson } from '../output.js';
import { describeHeld } from './policyText.js';
import { allOptions, examples } from './registerCommand.js';

/** Adds `policy held`, `accept` and `refuse`: keysends that wait for somebody to decide. */
export function registerHeldKeysends(policy: Command, context: CliContext): void {
  policy
    .command('held')
    .description('show the keysends that wait for your decision')
    .addHelpText('after', examples('rivulet policy held', 'rivulet policy held --json'))
    .action(async (_, command) => {
      const options = allOptions<GlobalOptions>(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.heldKeysends({}, { signal: context.signal });
        printAnswer(context, { options, endpoint: 'heldKeysends', answer, text: describeHeld });
      });
    });

  for (const [name, description, accept, done] of [
    ['accept', 'take a keysend that waits', true, 'taken'],
    ['refuse', 'send a keysend that waits back', false, 'sent back'],
  ] as const) {
    policy
      .command(name)
      .description(description)
      .argument('<payment>', 'its payment hash, or the first digits of it')
      .addHelpText('after', examples(`rivulet policy ${name} 3f9a0c71d2e4`))
      .action(async (hash: string, _, command) => {
        const options = allOptions<GlobalOptions>(command);
        const wanted = hash.toLowerCase();
        if (!/^[0-9a-f]{4,64}$/.test(wanted)) {
          throw usageError(
            `${JSON.stringify(hash.slice(0, 80))} is no payment hash: give 4 hex digits of it or more`,
          );
        }
        await withDaemon(context, options, async (client) => {
          const { keysends } = await client.heldKeysends({}, { signal: context.signal });
          const { paymentHash, amountMsat } = pickKeysend(keysends, wanted);
          await client.decideKeysend({ paymentHash, accept }, { signal: context.signal });
          if (options.json === true) printJson(context, { paymentHash, accepted: accept });
          else context.out(`${shortId(paymentHash)}: ${formatMsat(amountMsat)} ${done}\n`);
        });
      });
  }
}

/** @throws CliError where none or several are meant. */
function pickKeysend(keysends: readonly HeldKeysendInfo[], wanted: string): HeldKeysendInfo {
  const found = keysends.filter(({ paymentHash }) => paymentHash.startsWith(wanted));
  const [first] = found;
  if (first === undefined) {
    throw new CliError(
      'keysend_not_held',
      `no keysend ${shortId(wanted)} waits: it went back, or was decided; list them with: rivulet policy held`,
    );
  }
  if (found.length > 1) throw usageError(`${found.length} payments start with ${wanted}: give more digits`);
  return first;
}
