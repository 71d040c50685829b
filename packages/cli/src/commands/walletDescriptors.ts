import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@rivulet/node/config';
import type { CliContext } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { dataDirOf, withDaemon } from '../daemonClient.js';
import { printAnswer, printJson } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import { confirm } from './walletSend.js';

interface DescriptorOptions {
  readonly private?: boolean;
  readonly core?: boolean;
  readonly yes?: boolean;
}

export const registerWalletDescriptors: RegisterCommand = (program, context) => {
  program
    .command('descriptors')
    .description("print the on-chain wallet's descriptors, for another wallet: they show all its coins")
    .option('--private', 'with private keys, which spend the coins; read from the words, without the daemon')
    .option('--core', "as Bitcoin Core's importdescriptors takes them")
    .option('--yes', 'do not ask before private keys are printed')
    .addHelpText(
      'after',
      examples(
        'rivulet descriptors',
        'rivulet descriptors --core',
        'rivulet descriptors --private --core --yes > keys.json',
      ),
    )
    .action(async (_, command) => {
      const options = allOptions<DescriptorOptions>(command);
      if (options.private === true) {
        const descriptors = await privateOnes(context, options);
        await print(context, { options, descriptors });
        return;
      }
      await withDaemon(context, options, async (client) => {
        const answer = await client.descriptors({}, { signal: context.signal });
        if (options.core === true) {
          await print(context, { options, descriptors: answer.descriptors });
          return;
        }
        const text = ({ descriptors }: typeof answer) => descriptors.join('\n');
        printAnswer(context, { options, endpoint: 'descriptors', answer, text });
      });
    });
};

async function print(
  context: CliContext,
  {
    options,
    descriptors,
  }: { options: DescriptorOptions & { json?: boolean }; descriptors: readonly string[] },
): Promise<void> {
  if (options.core === true) {
    const { coreImport } = await import('@rivulet/node');
    printJson(context, coreImport(descriptors));
  } else if (options.json === true) printJson(context, { descriptors });
  else context.out(`${descriptors.join('\n')}\n`);
}

/** From the file of the words: what can spend the coins goes through no API. */
async function privateOnes(
  context: CliContext,
  options: DescriptorOptions & { dataDir?: string },
): Promise<string[]> {
  const dataDir = dataDirOf(context, options);
  const { env, homeDir } = context;
  const { network } = loadConfig({ flags: { dataDir }, env, homeDir });
  if (options.yes !== true) {
    if (context.ask === undefined) {
      throw usageError('private keys are printed only where somebody agrees: add --yes');
    }
    context.err(
      'Whoever sees what follows can spend all coins of this wallet on chain. It stays in the scrollback of this\nterminal. The coins in channels need the backup of the channels as well.\n',
    );
    await confirm(context, 'Print the private keys?');
  }
  const { privateDescriptors, wordsFileName } = await import('@rivulet/node');
  const file = join(dataDir, wordsFileName);
  let words: string;
  try {
    words = readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CliError('not_available', `the words of the wallet, ${file}, cannot be read (${code})`, {
      cause,
    });
  }
  return privateDescriptors({ words, network });
}
