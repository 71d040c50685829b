import { randomUUID } from 'node:crypto';
import { ClientError, type ResponseOf } from '@rivulet/sdk';
import type { Command } from 'commander';
import type { CliContext } from '../cliContext.js';
import { CliError, exitCodes } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatSat, parseSats } from '../format/amount.js';
import { printAnswer, styler, withProgress } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import {
  formatFeerate,
  parseFeerate,
  parseSpending,
  parseTxid,
  type SpendingOptions,
} from './walletInput.js';

const exampleAddress = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const exampleTxid = 'f91d0a8a78462bc59398f2c5d7a84fcff491c26ba54c4833478b202796c8aafd';

interface SendOptions extends SpendingOptions {
  readonly label?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly idempotencyKey?: string;
}

interface BumpOptions {
  readonly feerate?: string;
  readonly maxFee?: string;
  readonly cancel?: boolean;
  readonly dryRun?: boolean;
}

/** The options of all commands that choose coins. */
export function addSpending(command: Command): Command {
  return command
    .option('--feerate <sat/vB>', 'what it pays for its size (default: an estimate for six blocks)')
    .option(
      '--coin <txid:index>',
      'spend this coin, and no others but those named the same way',
      (coin: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), coin],
    )
    .option('--max-fee <sats>', 'the most it may cost (default: refuses what is surely a mistake)')
    .option('--including-reserve', 'spend also what is kept to pay the fees of open channels');
}

export const registerWalletSend: RegisterCommand = (program, context) => {
  addSpending(
    program
      .command('send')
      .description('pay bitcoin on chain')
      .argument(
        '<payments...>',
        'an address and an amount in satoshi, or all; more of them for more recipients',
      ),
  )
    .option('--label <text>', 'a note for yourself, kept with the transaction')
    .option('--dry-run', 'say what it would be, and do nothing')
    .option('--idempotency-key <text>', 'a repeated command with the same key pays nothing more')
    .option('--yes', 'do not ask (nobody is asked where there is no terminal, or with --json)')
    .addHelpText(
      'after',
      examples(
        `rivulet send ${exampleAddress} 50,000`,
        `rivulet send ${exampleAddress} all --feerate 2.5`,
        `rivulet send ${exampleAddress} 50,000 --label rent --idempotency-key rent-2026-11`,
        `rivulet send ${exampleAddress} 1000 --coin ${exampleTxid}:0 --dry-run`,
      ),
    )
    .action(async (words: readonly string[], _, command) => {
      const options = allOptions<SendOptions>(command);
      const idempotencyKey = options.idempotencyKey ?? randomUUID();
      const request = {
        ...parseSpending(words, options),
        ...(options.label === undefined ? {} : { label: options.label }),
      };
      await withDaemon(context, options, async (client) => {
        const asks = context.ask !== undefined && options.yes !== true && options.json !== true;
        if (options.dryRun === true || asks) {
          const trial = await client.send({ ...request, dryRun: true }, { signal: context.signal });
          if (options.dryRun === true) {
            const text = (answer: typeof trial) => `would send:\n${describeSent(answer)}`;
            printAnswer(context, { options, endpoint: 'send', answer: trial, text });
            return;
          }
          context.err(`${describeSent(trial)}\n`);
          await confirm(context, `Send ${formatSat(paidSat(trial))}?`);
        }
        const work = client
          .send({ ...request, idempotencyKey }, { signal: context.signal })
          .catch((cause) => Promise.reject(unknownOutcome(cause, idempotencyKey)));
        const answer = await withProgress(context, { what: 'sending', options, work });
        const text = (sent: typeof answer) => `${headline(context, sent)}\n${describeSent(sent)}`;
        printAnswer(context, { options, endpoint: 'send', answer, text });
      });
    });

  program
    .command('bump')
    .description('raise the fee of a transaction that does not confirm')
    .argument('<txid>', 'the transaction, as rivulet transactions prints it')
    .option('--feerate <sat/vB>', 'what it shall pay (default: an estimate for two blocks)')
    .option('--max-fee <sats>', 'the most it may cost (default: refuses what is surely a mistake)')
    .option('--cancel', 'take its place, and pay all of it back to this wallet')
    .option('--dry-run', 'say what it would be, and do nothing')
    .addHelpText(
      'after',
      `\nA transaction that only this wallet has paid for is replaced: its recipients get the same. One that others
have paid for, or that a channel waits for, is helped by a child that spends an output of this wallet.\n${examples(
        `rivulet bump ${exampleTxid}`,
        `rivulet bump ${exampleTxid} --feerate 20`,
        `rivulet bump ${exampleTxid} --cancel`,
      )}`,
    )
    .action(async (txid: string, _, command) => {
      const options = allOptions<BumpOptions>(command);
      const { feerate, maxFee, cancel, dryRun } = options;
      const request = {
        txidHex: parseTxid(txid),
        ...(feerate === undefined ? {} : { feeratePerKw: parseFeerate(feerate) }),
        ...(maxFee === undefined ? {} : { maxFeeSat: parseSats(maxFee, '--max-fee') }),
        ...(cancel === true ? { cancel } : {}),
        ...(dryRun === true ? { dryRun } : {}),
      };
      await withDaemon(context, options, async (client) => {
        const work = client.bumpTransaction(request, { signal: context.signal });
        const answer = await withProgress(context, { what: 'raising the fee', options, work });
        const text = (bumped: typeof answer) => describeBump(bumped, { cancel, dryRun });
        printAnswer(context, { options, endpoint: 'bumpTransaction', answer, text });
      });
    });
};

const paidSat = ({ outputs }: ResponseOf<'send'>): bigint =>
  outputs.reduce((sum, { ours, valueSat }) => (ours ? sum : sum + valueSat), 0n);

function headline(context: CliContext, { accepted, message, repeated }: ResponseOf<'send'>): string {
  const style = styler(context, 'out');
  if (repeated) return 'this was sent before: nothing more was paid';
  if (accepted) return style('green', 'sent');
  return `${style('yellow', 'stored')}, and sent again at every block: it is not accepted yet (${message ?? 'no reason given'})`;
}

function describeSent({
  txidHex,
  feeSat,
  feeratePerKw,
  coins,
  outputs,
  keptSat,
}: ResponseOf<'send'>): string {
  return [
    `transaction   ${txidHex}`,
    ...outputs
      .filter(({ ours }) => !ours)
      .map(
        ({ address, valueSat }) =>
          `pays          ${formatSat(valueSat)} to ${address ?? 'a script without an address'}`,
      ),
    ...outputs.filter(({ ours }) => ours).map(({ valueSat }) => `comes back    ${formatSat(valueSat)}`),
    `fee           ${formatSat(feeSat)} (${formatFeerate(feeratePerKw)}, ${coins.length} ${coins.length === 1 ? 'coin' : 'coins'})`,
    ...(keptSat === undefined
      ? []
      : [
          `kept          ${formatSat(keptSat)}, for the fees of open channels if they close on chain; --including-reserve sends them too`,
        ]),
  ].join('\n');
}

function describeBump(
  { how, txidHex, feeSat, feeratePerKw, feesUnknown, accepted, message }: ResponseOf<'bumpTransaction'>,
  { cancel, dryRun }: { cancel: boolean | undefined; dryRun: boolean | undefined },
): string {
  const what =
    how === 'child'
      ? 'a child that pays for it'
      : cancel === true
        ? 'what takes its place and pays all back'
        : 'its replacement; who is paid gets the same';
  return [
    `${dryRun === true ? 'would be ' : ''}${txidHex}: ${what}`,
    `fee           ${formatSat(feeSat)} (${formatFeerate(feeratePerKw)}${how === 'child' ? ' for both' : ''})`,
    ...(feesUnknown ? ['what the first pays itself is not known, and was taken for nothing'] : []),
    ...(cancel === true ? ['until this confirms the first one may still confirm instead'] : []),
    ...(accepted || dryRun === true
      ? []
      : [`stored, and sent again at every block: it is not accepted yet (${message ?? 'no reason given'})`]),
  ].join('\n');
}

/** @throws CliError where the answer is no */
export async function confirm(context: CliContext, question: string): Promise<void> {
  const answer = (await context.ask?.(`${question} [y/N] `)) ?? '';
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new CliError('payment_declined', 'nothing was done');
}

/** After the request has gone out, silence is not failure. */
function unknownOutcome(cause: unknown, key: string): unknown {
  const interrupted = cause instanceof Error && cause.name === 'AbortError';
  if (!interrupted && !(cause instanceof ClientError && cause.code === 'connection_lost')) return cause;
  const message = `${interrupted ? 'interrupted' : 'the connection to the daemon broke'}: the payment may or may not have been made. Look at rivulet transactions, or repeat the command with --idempotency-key ${key}: then it is made only once`;
  return new CliError('payment_outcome_unknown', message, { exitCode: exitCodes.unknownOutcome, cause });
}
