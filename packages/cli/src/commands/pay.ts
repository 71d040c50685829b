import type { DecodedInvoice, Payment } from '@rivulet/sdk';
import type { CliContext, GlobalOptions } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { printAnswer, withProgress } from '../output.js';
import { describeDecoded, parseInvoiceText } from './invoices.js';
import {
  addLimits,
  describePaid,
  failUnlessPaid,
  type LimitOptions,
  parseLimits,
  parseWait,
  unknownOutcome,
} from './paying.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface PayOptions extends LimitOptions {
  readonly amount?: string;
  readonly yes?: boolean;
  readonly wait?: string;
}

export const registerPay: RegisterCommand = (program, context) => {
  addLimits(
    program
      .command('pay')
      .description('pay an invoice, once: a second call shows the payment of the first')
      .argument('<invoice>', 'the text that begins with ln…')
      .option('--amount <sats>', 'how much, where the invoice leaves it open; or more than it asks for')
      .option('--yes', 'do not ask (nobody is asked where there is no terminal, or with --json)')
      .option('--wait <seconds>', 'how long to wait for the outcome', '60'),
  )
    .addHelpText(
      'after',
      examples(
        'rivulet pay lnbcrt25u1p…',
        'rivulet pay lnbcrt1p… --amount 2,500 --max-fee 10',
        'rivulet pay lnbcrt25u1p… --yes --json',
      ),
    )
    .action(async (text: string, _, command) => {
      const options = allOptions<PayOptions>(command);
      const invoice = parseInvoiceText(text);
      const amountMsat = options.amount === undefined ? undefined : parseSatsToMsat(options.amount);
      const limits = parseLimits(options);
      const waitSeconds = parseWait(options.wait);
      await withDaemon(context, options, async (client) => {
        const decoded = await client.decodeInvoice({ invoice }, { signal: context.signal });
        checkAmount(decoded, amountMsat);
        if (options.json !== true) await confirm(context, { decoded, amountMsat, limits, options });
        const request = {
          invoice,
          waitSeconds,
          ...limits,
          ...(amountMsat === undefined ? {} : { amountMsat }),
        };
        const repeat = 'repeat the command: an invoice is never paid twice';
        const work = client
          .pay(request, { signal: context.signal })
          .catch((cause) => Promise.reject(unknownOutcome(cause, { repeat })));
        const answer = await withProgress(context, { what: 'paying', options, work });
        if (options.json === true || answer.status === 'succeeded') {
          const describe = (payment: Payment) => describePaid(context, payment);
          printAnswer(context, { options, endpoint: 'pay', answer, text: describe });
        }
        failUnlessPaid(answer);
      });
    });
};

function checkAmount(decoded: DecodedInvoice, amountMsat: bigint | undefined): void {
  if (decoded.amountMsat === undefined && amountMsat === undefined) {
    throw usageError('this invoice leaves the amount to you: give it with --amount <sats>');
  }
  if (decoded.amountMsat !== undefined && amountMsat !== undefined && amountMsat < decoded.amountMsat) {
    throw usageError(
      `this invoice asks for ${formatMsat(decoded.amountMsat)}: less than that is not taken, so leave --amount out`,
    );
  }
}

/** Shows what is about to be paid, and asks who is there. @throws CliError where the answer is no. */
async function confirm(
  context: CliContext,
  given: {
    decoded: DecodedInvoice;
    amountMsat: bigint | undefined;
    limits: ReturnType<typeof parseLimits>;
    options: PayOptions & GlobalOptions;
  },
): Promise<void> {
  const { decoded, amountMsat = decoded.amountMsat ?? 0n, limits, options } = given;
  const { maxFeeMsat, maxDelayBlocks, maxParts } = limits;
  const most = [
    maxFeeMsat === undefined
      ? "the daemon's limit (5 % of it, or up to 1,000 sat as much again, where its settings say nothing else)"
      : `at most ${formatMsat(maxFeeMsat)}`,
    ...(maxDelayBlocks === undefined ? [] : [`locked for at most ${maxDelayBlocks} blocks`]),
    ...(maxParts === undefined ? [] : [`in at most ${maxParts} parts`]),
  ];
  const asked = decoded.amountMsat !== undefined && decoded.amountMsat !== amountMsat;
  context.err(
    `${[
      describeDecoded(decoded, Date.now()),
      ...(asked || decoded.amountMsat === undefined ? [`to pay        ${formatMsat(amountMsat)}`] : []),
      `fee           ${most.join(', ')}`,
    ].join('\n')}\n`,
  );
  if (options.yes === true || context.ask === undefined) return;
  const answer = await context.ask(`Pay ${formatMsat(amountMsat)}? [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new CliError('payment_declined', 'not paid');
}
