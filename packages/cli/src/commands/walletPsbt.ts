import { readFileSync } from 'node:fs';
import type { ResponseOf } from '@rivulet/sdk';
import { Option } from 'commander';
import { usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatSat, parseSats } from '../format/amount.js';
import { printAnswer } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import { parseSpending, type SpendingOptions } from './walletInput.js';
import { addSpending, confirm } from './walletSend.js';

const exampleAddress = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const argument = 'its text in base64, or the name of a file with it';

interface PsbtOptions {
  readonly foreignInputs?: boolean;
  readonly maxFee?: string;
  readonly label?: string;
  readonly yes?: boolean;
}

type View = ResponseOf<'showPsbt'>;

export const registerWalletPsbt: RegisterCommand = (program, context) => {
  const psbt = program
    .command('psbt')
    .description('exchange partly signed transactions with other wallets (BIP 174, BIP 370)')
    .addHelpText(
      'after',
      examples(`rivulet psbt create ${exampleAddress} 50,000`, 'rivulet psbt broadcast signed.psbt'),
    );

  addSpending(
    psbt
      .command('create')
      .description('make one that pays, unsigned; its coins are locked until it is broadcast')
      .argument(
        '<payments...>',
        'an address and an amount in satoshi, or all; more of them for more recipients',
      ),
  )
    .addOption(new Option('--psbt-version <version>', 'of its format').choices(['0', '2']).default('0'))
    .option('--unlocked', 'leave its coins free for other payments')
    .addHelpText(
      'after',
      examples(
        `rivulet psbt create ${exampleAddress} 50,000`,
        `rivulet psbt create ${exampleAddress} all --psbt-version 2`,
      ),
    )
    .action(async (words: readonly string[], _, command) => {
      const options = allOptions<SpendingOptions & { psbtVersion: string; unlocked?: boolean }>(command);
      const request = {
        ...parseSpending(words, options),
        version: options.psbtVersion === '2' ? (2 as const) : (0 as const),
        ...(options.unlocked === true ? { unlocked: true } : {}),
      };
      await withDaemon(context, options, async (client) => {
        const answer = await client.createPsbt(request, { signal: context.signal });
        const text = (made: typeof answer) => `${made.psbt}\n${describe(made)}`;
        printAnswer(context, { options, endpoint: 'createPsbt', answer, text });
      });
    });

  psbt
    .command('show')
    .description('say what one does, and what of it is ours')
    .argument('<psbt>', argument)
    .addHelpText('after', examples('rivulet psbt show payment.psbt', 'rivulet psbt show cHNidP8B…'))
    .action(async (text: string, _, command) => {
      const options = allOptions(command);
      const request = { psbt: readPsbt(text) };
      await withDaemon(context, options, async (client) => {
        const answer = await client.showPsbt(request, { signal: context.signal });
        printAnswer(context, { options, endpoint: 'showPsbt', answer, text: describe });
      });
    });

  psbt
    .command('sign')
    .description('sign our inputs of one')
    .argument('<psbt>', argument)
    .option('--foreign-inputs', 'agree to inputs of others in it')
    .option('--max-fee <sats>', 'the most it may cost (default: refuses what is surely a mistake)')
    .option('--yes', 'do not ask (nobody is asked where there is no terminal, or with --json)')
    .addHelpText('after', examples('rivulet psbt sign payment.psbt', 'rivulet psbt sign cHNidP8B… --json'))
    .action(async (text: string, _, command) => {
      const options = allOptions<PsbtOptions>(command);
      const request = {
        psbt: readPsbt(text),
        ...(options.foreignInputs === true ? { foreignInputs: true } : {}),
        ...maxFeeOf(options),
      };
      await withDaemon(context, options, async (client) => {
        if (context.ask !== undefined && options.yes !== true && options.json !== true) {
          const view = await client.showPsbt({ psbt: request.psbt }, { signal: context.signal });
          context.err(`${describe(view)}\n`);
          await confirm(context, 'Sign this?');
        }
        const answer = await client.signPsbt(request, { signal: context.signal });
        const signed = (made: typeof answer) => `${made.psbt}\n${describe(made)}`;
        printAnswer(context, { options, endpoint: 'signPsbt', answer, text: signed });
      });
    });

  for (const [name, dryRun, description] of [
    ['finalize', true, 'print the finished transaction of one that is signed, and do no more'],
    ['broadcast', false, 'send the transaction of one that is signed, here or elsewhere'],
  ] as const) {
    psbt
      .command(name)
      .description(description)
      .argument('<psbt>', argument)
      .option('--max-fee <sats>', 'the most it may cost (default: refuses what is surely a mistake)')
      .option('--label <text>', 'a note for yourself, kept with the transaction')
      .addHelpText('after', examples(`rivulet psbt ${name} signed.psbt`))
      .action(async (text: string, _, command) => {
        const options = allOptions<PsbtOptions>(command);
        const request = {
          psbt: readPsbt(text),
          ...maxFeeOf(options),
          ...(options.label === undefined ? {} : { label: options.label }),
          ...(dryRun ? { dryRun } : {}),
        };
        await withDaemon(context, options, async (client) => {
          const answer = await client.broadcastPsbt(request, { signal: context.signal });
          const told = (sent: typeof answer) => {
            if (dryRun) return sent.rawTx;
            const { accepted, message } = sent;
            const first = accepted
              ? 'sent'
              : `stored, and sent again at every block: it is not accepted yet (${message ?? 'no reason given'})`;
            return `${first}\n${describe(sent)}`;
          };
          printAnswer(context, { options, endpoint: 'broadcastPsbt', answer, text: told });
        });
      });
  }
};

const maxFeeOf = ({ maxFee }: PsbtOptions) =>
  maxFee === undefined ? {} : { maxFeeSat: parseSats(maxFee, '--max-fee') };

/** Base64 as it is, or a file with base64 or the bytes. */
function readPsbt(text: string): string {
  const trimmed = text.trim();
  if (/^cHNidP[A-Za-z0-9+/]*={0,2}$/.test(trimmed)) return trimmed;
  let content: Buffer;
  try {
    content = readFileSync(text);
  } catch {
    throw usageError(
      'that is neither a PSBT in base64, which begins with cHNidP, nor a file that can be read',
    );
  }
  if (content.subarray(0, 5).toString('latin1') === 'psbt\u00ff') return content.toString('base64');
  const inside = content.toString('latin1').replace(/\s+/g, '');
  if (/^cHNidP[A-Za-z0-9+/]*={0,2}$/.test(inside)) return inside;
  throw usageError(`${text} is no PSBT: it begins neither with psbt nor with cHNidP`);
}

function describe({ txidHex, inputs, outputs, netSat, feeSat, complete }: View): string {
  const whose = (ours: boolean) => (ours ? 'ours' : 'of others');
  return [
    `transaction   ${txidHex}`,
    ...inputs.map(
      ({ coin, valueSat, ours, signed }) =>
        `spends        ${valueSat === undefined ? 'an unknown amount' : formatSat(valueSat)}, ${whose(ours)}${ours ? '' : ', as it says'}${signed ? ', signed' : ''} (${coin})`,
    ),
    ...outputs.map(
      ({ address, valueSat, ours }) =>
        `${ours ? 'comes to us  ' : 'pays         '} ${formatSat(valueSat)} to ${address ?? 'a script without an address'}`,
    ),
    `fee           ${feeSat === undefined ? 'not known: it does not say what its inputs have' : formatSat(feeSat)}`,
    `changes ours  by ${formatSat(netSat)}`,
    complete ? 'every input is signed' : 'signatures are missing',
  ].join('\n');
}
