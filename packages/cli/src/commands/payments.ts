import { randomUUID } from 'node:crypto';
import type { Payment, RequestOf } from '@rivulet/sdk';
import { Option } from 'commander';
import type { GlobalOptions } from '../cliContext.js';
import { usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { parseNodeId } from '../format/nodeAddress.js';
import { parseWholeNumber } from '../format/number.js';
import { parseRecords } from '../format/record.js';
import { formatTable, formatTime, printable, shorten, shortId } from '../format/text.js';
import { printAnswer, withProgress } from '../output.js';
import {
  addLimits,
  describePaid,
  failUnlessPaid,
  type LimitOptions,
  parseLimits,
  parseWait,
  unknownOutcome,
} from './paying.js';
import { allOptions, everyValue, examples, type RegisterCommand } from './registerCommand.js';

const exampleId = '02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619';

interface KeysendOptions extends LimitOptions {
  readonly message?: string;
  readonly record: readonly string[];
  readonly idempotencyKey?: string;
  readonly wait?: string;
}

export const registerPayments: RegisterCommand = (program, context) => {
  addLimits(
    program
      .command('keysend')
      .description('pay a node, without an invoice')
      .argument('<node>', 'its id (public key)')
      .argument('<sats>', 'how much, with up to three decimals: 1.5 is 1,500 millisatoshi')
      .option('--message <text>', 'text for the recipient')
      .option('--record <type=hex>', 'a custom record; may be given several times', everyValue, [])
      .option('--idempotency-key <key>', 'a second call with the same key pays nothing and shows the first')
      .option('--wait <seconds>', 'how long to wait for the outcome', '60'),
  )
    .addHelpText(
      'after',
      examples(
        `rivulet keysend ${exampleId} 1000`,
        `rivulet keysend ${exampleId} 0.5 --message "thank you"`,
        `rivulet keysend ${exampleId} 100,000 --max-fee 50 --max-parts 4`,
        `rivulet keysend ${exampleId} 21 --record 7629169=7b7d --idempotency-key order-42`,
      ),
    )
    .action(async (node: string, sats: string, _, command) => {
      const options = allOptions<KeysendOptions>(command);
      const request = keysendRequest({ node, sats, options });
      await withDaemon(context, options, async (client) => {
        const work = client.keysend(request, { signal: context.signal }).catch((cause) =>
          Promise.reject(
            unknownOutcome(cause, {
              repeat: `repeat the command with --idempotency-key ${request.idempotencyKey}, which cannot pay twice`,
            }),
          ),
        );
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
      const limit = parseWholeNumber(options.limit, { what: '--limit', minimum: 1, maximum: 1_000 });
      const before =
        options.before === undefined
          ? undefined
          : parseWholeNumber(options.before, {
              what: '--before',
              minimum: 1,
              maximum: Number.MAX_SAFE_INTEGER,
            });
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
    waitSeconds: parseWait(options.wait),
    ...parseLimits(options),
    ...(message === undefined ? {} : { message }),
  };
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
