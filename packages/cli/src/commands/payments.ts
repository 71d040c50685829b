import { randomUUID } from 'node:crypto';
import { ClientError, type Payment, type RequestOf } from '@rivulet/sdk';
import { Option } from 'commander';
import type { CliContext, GlobalOptions } from '../cliContext.js';
import { CliError, exitCodes, usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { parseNodeId } from '../format/nodeAddress.js';
import { parseRecords } from '../format/record.js';
import { formatTable, formatTime, printable, shorten, shortId } from '../format/text.js';
import { printAnswer, styler, withProgress } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

const exampleId = '02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619';

interface KeysendOptions {
  readonly message?: string;
  readonly record: readonly string[];
  readonly idempotencyKey?: string;
  readonly wait?: string;
}

export const registerPayments: RegisterCommand = (program, context) => {
  program
    .command('keysend')
    .description('pay a node, without an invoice')
    .argument('<node>', 'its id (public key)')
    .argument('<sats>', 'how much, with up to three decimals: 1.5 is 1,500 millisatoshi')
    .option('--message <text>', 'text for the recipient')
    .option(
      '--record <type=hex>',
      'a custom record; may be given several times',
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .option('--idempotency-key <key>', 'a second call with the same key pays nothing and shows the first')
    .option('--wait <seconds>', 'how long to wait for the outcome', '60')
    .addHelpText(
      'after',
      examples(
        `rivulet keysend ${exampleId} 1000`,
        `rivulet keysend ${exampleId} 0.5 --message "thank you"`,
        `rivulet keysend ${exampleId} 21 --record 7629169=7b7d --idempotency-key order-42`,
      ),
    )
    .action(async (node: string, sats: string, _, command) => {
      const options = allOptions<KeysendOptions>(command);
      const request = keysendRequest({ node, sats, options });
      await withDaemon(context, options, async (client) => {
        const work = client
          .keysend(request, { signal: context.signal })
          .catch((cause) => Promise.reject(unknownOutcome(cause, request)));
        const answer = await withProgress(context, { what: 'paying', options, work });
        if (options.json === true || answer.status === 'succeeded') {
          const text = (payment: Payment) => describePaid(context, payment);
          printAnswer(context, { options, endpoint: 'keysend', answer, text });
        }
        failUnlessPaid(answer);
      });
    });

  program
    .command('payments')
    .description('list payments, the latest first')
    .addOption(new Option('--direction <direction>', 'only these').choices(['incoming', 'outgoing']))
    .option('--limit <number>', 'how many', '20')
    .option('--before <number>', 'only payments with a number below this, for the next page')
    .addHelpText('after', examples('rivulet payments', 'rivulet payments --direction incoming --limit 5'))
    .action(async (_, command) => {
      const options = allOptions<{ direction?: Payment['direction']; limit: string; before?: string }>(
        command,
      );
      const { direction } = options;
      const limit = wholeNumber(options.limit, { what: '--limit', minimum: 1, maximum: 1_000 });
      const before =
        options.before === undefined
          ? undefined
          : wholeNumber(options.before, { what: '--before', minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
      const request = {
        limit,
        ...(direction === undefined ? {} : { direction }),
        ...(before === undefined ? {} : { before }),
      };
      await withDaemon(context, options, async (client) => {
        const answer = await client.payments(request, { signal: context.signal });
        printAnswer(context, {
          options,
          endpoint: 'payments',
          answer,
          text: ({ payments, next }) =>
            payments.length === 0
              ? 'no payments'
              : `${describeList(payments)}${next === undefined ? '' : `\nmore with: rivulet payments --before ${next}`}`,
        });
      });
    });
};

function wholeNumber(text: string, given: { what: string; minimum: number; maximum: number }): number {
  const { what, minimum, maximum } = given;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= minimum && value <= maximum) return value;
  throw usageError(
    `${what} must be a whole number from ${minimum} to ${maximum}, not ${JSON.stringify(text)}`,
  );
}

function keysendRequest(given: {
  node: string;
  sats: string;
  options: KeysendOptions & GlobalOptions;
}): RequestOf<'keysend'> & { idempotencyKey: string } {
  const { node, sats, options } = given;
  const { message } = options;
  const idempotencyKey = options.idempotencyKey ?? randomUUID();
  if (idempotencyKey === '' || idempotencyKey.length > 128) {
    throw usageError('--idempotency-key must have 1 to 128 characters');
  }
  return {
    nodeId: parseNodeId(node),
    amountMsat: parseSatsToMsat(sats),
    records: parseRecords(options.record),
    idempotencyKey,
    waitSeconds: wholeNumber(options.wait ?? '60', { what: '--wait', minimum: 0, maximum: 600 }),
    ...(message === undefined ? {} : { message }),
  };
}

/** After the request has gone out, silence is not failure: nobody must pay twice because of it. */
function unknownOutcome(cause: unknown, request: { idempotencyKey: string }): unknown {
  const interrupted = cause instanceof Error && cause.name === 'AbortError';
  if (!interrupted && !(cause instanceof ClientError && cause.code === 'connection_lost')) return cause;
  const message = `${interrupted ? 'interrupted' : 'the connection to the daemon broke'}: the payment may or may not have been made. Look at rivulet payments, or repeat the command with --idempotency-key ${request.idempotencyKey}, which cannot pay twice`;
  return new CliError('payment_outcome_unknown', message, { exitCode: exitCodes.unknownOutcome, cause });
}

function failUnlessPaid(payment: Payment): void {
  const amount = formatMsat(payment.amountMsat);
  switch (payment.status) {
    case 'succeeded':
      return;
    case 'failed':
      throw new CliError(
        'payment_failed',
        `${amount} were not paid: ${payment.failure?.message ?? 'no reason given'}`,
      );
    case 'pending': {
      const message = `the payment of ${amount} is still under way and may yet succeed; see: rivulet payments`;
      throw new CliError('payment_pending', message, { exitCode: exitCodes.unknownOutcome });
    }
  }
}

function describePaid(context: CliContext, payment: Payment): string {
  const style = styler(context, 'out');
  return [
    `${style('green', 'paid')} ${formatMsat(payment.amountMsat)} to ${shortId(payment.nodeId ?? '')} (fee ${formatMsat(payment.feeMsat)})`,
    `payment hash  ${payment.paymentHash}`,
    `preimage      ${payment.preimage ?? ''}`,
  ].join('\n');
}

function describeList(payments: readonly Payment[]): string {
  return formatTable(
    ['>NUMBER', 'TIME (UTC)', 'DIRECTION', 'STATUS', '>AMOUNT', '>FEE', 'NODE', 'MESSAGE'],
    payments.map((payment) => [
      String(payment.sequence),
      formatTime(payment.createdAtMs),
      payment.direction,
      payment.status,
      formatMsat(payment.amountMsat),
      payment.direction === 'outgoing' ? formatMsat(payment.feeMsat) : '',
      shortId(payment.nodeId ?? ''),
      shorten(printable(payment.message ?? payment.failure?.message ?? '')),
    ]),
  );
}
