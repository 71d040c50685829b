import { readFileSync, writeFileSync } from 'node:fs';
import type { WalletCoinInfo, WalletTransactionInfo } from '@rivulet/sdk';
import { usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatSat } from '../format/amount.js';
import { parseWholeNumber } from '../format/number.js';
import { formatTable, printable, shorten } from '../format/text.js';
import { printAnswer, printJson } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import { parseCoin } from './walletInput.js';

const exampleTxid = 'f91d0a8a78462bc59398f2c5d7a84fcff491c26ba54c4833478b202796c8aafd';

export const registerWalletCoins: RegisterCommand = (program, context) => {
  const coins = program
    .command('coins')
    .description('list the coins on chain: what they are worth, whether they are free, what they are for')
    .addHelpText(
      'after',
      examples('rivulet coins', 'rivulet coins --json', `rivulet coins lock ${exampleTxid}:0`),
    )
    .action(async (_, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const answer = await client.coins({}, { signal: context.signal });
        const text = (given: typeof answer) =>
          given.coins.length === 0 ? 'no coins; get some at: rivulet address' : describeCoins(given.coins);
        printAnswer(context, { options, endpoint: 'coins', answer, text });
      });
    });

  for (const [name, locked, description] of [
    ['lock', true, 'keep coins from being spent, until they are unlocked'],
    ['unlock', false, 'give locked coins free'],
  ] as const) {
    coins
      .command(name)
      .description(description)
      .argument('<coins...>', 'as rivulet coins prints them: a transaction and an index')
      .addHelpText('after', examples(`rivulet coins ${name} ${exampleTxid}:0 ${exampleTxid}:1`))
      .action(async (names: readonly string[], _, command) => {
        const options = allOptions(command);
        const request = { coins: names.map(parseCoin), locked };
        await withDaemon(context, options, async (client) => {
          const answer = await client.lockCoins(request, { signal: context.signal });
          const text = ({ changed }: typeof answer) =>
            `${changed} ${changed === 1 ? 'coin is' : 'coins are'} ${locked ? 'locked' : 'free again'}`;
          printAnswer(context, { options, endpoint: 'lockCoins', answer, text });
        });
      });
  }

  program
    .command('transactions')
    .description('list what happened on chain')
    .option('--limit <number>', 'how many, the newest first', '50')
    .addHelpText('after', examples('rivulet transactions', 'rivulet transactions --limit 10 --json'))
    .action(async (_, command) => {
      const options = allOptions<{ limit: string }>(command);
      const limit = parseWholeNumber(options.limit, { what: '--limit', minimum: 1, maximum: 1_000_000 });
      await withDaemon(context, options, async (client) => {
        const all = await client.transactions({}, { signal: context.signal });
        const answer = { transactions: all.transactions.slice(0, limit) };
        const text = ({ transactions }: typeof answer) =>
          transactions.length === 0 ? 'nothing yet' : describeTransactions(transactions);
        printAnswer(context, { options, endpoint: 'transactions', answer, text });
      });
    });

  program
    .command('label')
    .description('give a transaction, a coin or an address a name of your own')
    .argument('<of>', 'a transaction id, a coin (txid:index) or an address')
    .argument('[text...]', 'the label; nothing to remove it')
    .addHelpText(
      'after',
      examples(`rivulet label ${exampleTxid} rent of November`, `rivulet label ${exampleTxid}`),
    )
    .action(async (of: string, words: readonly string[], _, command) => {
      const options = allOptions(command);
      const label = words.join(' ').trim();
      if (label.length > 255) throw usageError('a label has at most 255 characters');
      await withDaemon(context, options, async (client) => {
        const answer = await client.setLabel({ of, label }, { signal: context.signal });
        const text = () => (label === '' ? 'the label is removed' : 'the label is set');
        printAnswer(context, { options, endpoint: 'setLabel', answer, text });
      });
    });

  const labels = program
    .command('labels')
    .description('take labels out, or in (BIP 329)')
    .addHelpText(
      'after',
      examples('rivulet labels export labels.jsonl', 'rivulet labels import labels.jsonl'),
    );
  labels
    .command('export')
    .description('print all labels and locked coins, a JSON object a line (BIP 329)')
    .argument('[file]', 'where to write them instead; a file that is there is kept')
    .addHelpText('after', examples('rivulet labels export', 'rivulet labels export labels.jsonl'))
    .action(async (file: string | undefined, _, command) => {
      const options = allOptions(command);
      await withDaemon(context, options, async (client) => {
        const { lines } = await client.exportLabels({}, { signal: context.signal });
        if (file !== undefined) writeNew(file, lines);
        if (options.json === true) printJson(context, { lines });
        else context.out(file === undefined ? lines : `written to ${file}\n`);
      });
    });
  labels
    .command('import')
    .description('take labels and locked coins of another wallet in (BIP 329)')
    .argument('<file>', 'with a JSON object a line')
    .addHelpText('after', examples('rivulet labels import labels.jsonl'))
    .action(async (file: string, _, command) => {
      const options = allOptions(command);
      const parts = inParts(readText(file));
      await withDaemon(context, options, async (client) => {
        const sum = { labels: 0, coins: 0, cut: 0, ignored: 0 };
        for (const lines of parts) {
          const done = await client.importLabels({ lines }, { signal: context.signal });
          for (const key of ['labels', 'coins', 'cut', 'ignored'] as const) sum[key] += done[key];
        }
        printAnswer(context, { options, endpoint: 'importLabels', answer: sum, text: describeImport });
      });
    });
};

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw usageError(
      `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'no reason given'})`,
    );
  }
}

function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw usageError(
      code === 'EEXIST'
        ? `${file} is there already: choose another name`
        : `${file} cannot be written (${code})`,
    );
  }
}

const partLength = 20_000;

/** As much as one request of the API takes. */
function inParts(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (const line of text.split('\n')) {
    if (part.length + line.length > partLength && part !== '') {
      parts.push(part);
      part = '';
    }
    // Longer than any label can be: it would be passed over anyway.
    part += `${line.slice(0, partLength)}\n`;
  }
  return [...parts, part];
}

function describeImport(sum: { labels: number; coins: number; cut: number; ignored: number }): string {
  const parts = [`${sum.labels} labels`];
  if (sum.coins > 0) parts.push(`${sum.coins} coins locked or unlocked`);
  if (sum.cut > 0) parts.push(`${sum.cut} labels cut to 255 characters`);
  if (sum.ignored > 0) parts.push(`${sum.ignored} lines that BIP 329 does not have passed over`);
  return parts.join(', ');
}

function describeCoins(coins: readonly WalletCoinInfo[]): string {
  const table = formatTable(
    ['COIN', '>VALUE', 'STATE', '>CONFIRMATIONS', 'ADDRESS', 'LABEL'],
    coins.map(({ coin, valueSat, state, confirmations, address, label, reason }) => [
      coin,
      formatSat(valueSat),
      reason === undefined ? state : `${state}: ${shorten(printable(reason))}`,
      String(confirmations),
      address,
      shorten(printable(label ?? '')),
    ]),
  );
  const free = coins.filter(({ state }) => state === 'confirmed' || state === 'change');
  const freeSat = free.reduce((sum, { valueSat }) => sum + valueSat, 0n);
  return `${table}\n${formatSat(freeSat)} in ${free.length} of ${coins.length} coins can be spent now`;
}

function describeTransactions(transactions: readonly WalletTransactionInfo[]): string {
  const table = formatTable(
    ['TRANSACTION', 'WHAT', 'STATE', '>CHANGE', '>FEE', 'LABEL'],
    transactions.map(({ txidHex, kind, state, confirmations, netSat, feeSat, label }) => [
      txidHex,
      kind,
      state === 'confirmed' ? `${confirmations} confirmations` : state,
      formatSat(netSat),
      feeSat === undefined ? '' : formatSat(feeSat),
      shorten(printable(label ?? '')),
    ]),
  );
  const notes = transactions.flatMap(({ txidHex, replacedByTxidHex, note, state }) => [
    ...(replacedByTxidHex === undefined ? [] : [`${txidHex} was replaced by ${replacedByTxidHex}`]),
    ...(note === undefined ? [] : [`${txidHex} is not accepted yet: ${printable(note)}`]),
    ...(state === 'lost' ? [`${txidHex} can never confirm: a block spends its coins`] : []),
  ]);
  return [table, ...notes].join('\n');
}
