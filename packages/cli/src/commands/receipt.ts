import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { derivePreimage, KeysendError, type ReceivedPayment } from '@rivulet/keysend';
import {
  parseReceipt,
  type Receipt,
  ReceiptBook,
  type ReceiptExpectation,
  type ReceiptFault,
  ReceiptIssuer,
  verifyReceipt,
} from '@rivulet/keysend/proof';
import type { CliContext } from '../cliContext.js';
import { CliError } from '../cliError.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { parseNodeId } from '../format/nodeAddress.js';
import { parseWholeNumber } from '../format/number.js';
import { formatTable, formatTime, shortId } from '../format/text.js';
import { writeNewFile } from '../newFile.js';
import { printJson, withProgress } from '../output.js';
import { readTextFile } from '../textFile.js';
import { addToolkitOptions, type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { parseHash } from './paying.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface VerifyOptions {
  readonly expectNode?: string;
  readonly expectSender?: string;
  readonly expectHash?: string;
  readonly expectAmount?: string;
}

interface GetOptions extends ToolkitOptions {
  readonly url?: string;
}

interface ExportOptions extends ToolkitOptions {
  readonly out?: string;
  readonly withPreimage?: boolean;
}

interface IssueOptions extends ToolkitOptions {
  readonly nonce?: string;
  readonly unasked?: boolean;
  readonly wait: string;
}

const exampleHash = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

/** `rivulet receipt`: what recipients of keysends sign, and what we sign for others. */
export const registerReceipt: RegisterCommand = (program, context) => {
  const receipt = program
    .command('receipt')
    .description('receipts of keysends: signed by whoever was paid')
    .addHelpText('after', examples('rivulet receipt list', 'rivulet receipt verify receipt.json'));

  receipt
    .command('verify')
    .description('check a receipt, with nothing but the file: exit code 1 if it is wrong')
    .argument('<file>', 'the receipt as JSON; - for what is piped in')
    .option('--expect-node <id>', 'the node that has to have been paid')
    .option('--expect-sender <id>', 'who has to have paid')
    .option('--expect-hash <hash>', 'the payment that it has to be of')
    .option('--expect-amount <sats>', 'how much has to have arrived')
    .addHelpText('after', examples(`rivulet receipt verify receipt.json --expect-node 02ab…`))
    .action((file: string, _, command) => {
      const options = allOptions<VerifyOptions>(command);
      const given = parseReceipt(readTextFile(file, { stdin: true }));
      const verdict = verifyReceipt(given, { expected: expectationOf(options) });
      if (verdict.status === 'invalid') {
        if (options.json === true) printJson(context, verdict);
        throw new KeysendError('receipt_invalid', `this receipt is not valid: ${faults[verdict.reason]}`);
      }
      if (options.json === true) printJson(context, { ...verdict, receipt: publicPart(verdict.receipt) });
      else context.out(`${describe(verdict.receipt)}\n${describeWorth(verdict.hasPreimage)}\n`);
    });

  addToolkitOptions(receipt.command('list'))
    .description('the receipts that came for payments of ours')
    .addHelpText('after', examples('rivulet receipt list'))
    .action(async (_, command) => {
      const options = allOptions<ToolkitOptions>(command);
      await withToolkit(context, options, async (toolkit) => {
        const receipts = allReceipts(bookOf(toolkit));
        if (options.json === true) printJson(context, { receipts });
        else context.out(`${describeList(receipts)}\n`);
      });
    });

  addToolkitOptions(receipt.command('get'))
    .description('show the receipt of a payment of ours; fetch it first where it is not here')
    .argument('<hash>', 'the payment hash')
    .option('--url <url>', "the recipient's address of receipts: fetches <url>/<hash>?nonce=…")
    .addHelpText('after', examples(`rivulet receipt get ${exampleHash} --url https://host.example/receipts`))
    .action(async (hash: string, _, command) => {
      const options = allOptions<GetOptions>(command);
      const paymentHash = parseHash(hash, 'a payment hash');
      await withToolkit(context, options, async (toolkit) => {
        const found =
          bookOf(toolkit).get(paymentHash) ??
          (await fetchReceipt(toolkit, { paymentHash, url: options.url }));
        if (options.json === true) printJson(context, found);
        else context.out(`${describe(found)}\n`);
      });
    });

  addToolkitOptions(receipt.command('export'))
    .description('write the receipt of a payment of ours as a file that `receipt verify` checks')
    .argument('<hash>', 'the payment hash')
    .option('--out <file>', 'where to; it must not be there yet (default: printed)')
    .option(
      '--with-preimage',
      'add the preimage, which shows that the payment was ours to everybody who reads it',
    )
    .addHelpText('after', examples(`rivulet receipt export ${exampleHash} --out receipt.json`))
    .action(async (hash: string, _, command) => {
      const options = allOptions<ExportOptions>(command);
      const paymentHash = parseHash(hash, 'a payment hash');
      await withToolkit(context, options, async (toolkit) => {
        const book = bookOf(toolkit);
        const found = book.get(paymentHash);
        if (found === undefined) throw noReceipt(paymentHash);
        const preimage =
          options.withPreimage === true ? preimageOf(toolkit, { book, paymentHash }) : undefined;
        const text = JSON.stringify({ ...found, ...(preimage === undefined ? {} : { preimage }) }, null, 2);
        if (options.out === undefined) context.out(`${text}\n`);
        else writeNewFile(options.out, [`${text}\n`]);
      });
    });

  addToolkitOptions(receipt.command('issue'))
    .description('sign the receipt of a payment that this wallet has received')
    .argument('<hash>', 'the payment hash')
    .option('--nonce <hex>', 'what the payer asks with, 32 hex digits')
    .option('--unasked', 'also for a payment that asked for none, with the nonce that is given')
    .option('--wait <seconds>', 'how long to look for the payment', '30')
    .addHelpText(
      'after',
      examples(`rivulet receipt issue ${exampleHash} --nonce 000102030405060708090a0b0c0d0e0f`),
    )
    .action(async (hash: string, _, command) => {
      const options = allOptions<IssueOptions>(command);
      const paymentHash = parseHash(hash, 'a payment hash');
      const wait = { what: '--wait', minimum: 1, maximum: 3_600 };
      const waitSeconds = parseWholeNumber(options.wait, wait);
      await withToolkit(context, options, async (toolkit) => {
        const work = issue(toolkit, { context, paymentHash, options, waitSeconds });
        const issued = await withProgress(context, { what: 'looking for the payment', options, work });
        context.out(`${JSON.stringify(issued, null, options.json === true ? 0 : 2)}\n`);
      });
    });
};

async function issue(
  toolkit: CliToolkit,
  given: { context: CliContext; paymentHash: string; options: IssueOptions; waitSeconds: number },
): Promise<Receipt> {
  const { context, paymentHash, options, waitSeconds } = given;
  const { store, audit, now } = toolkit;
  const wallet = await toolkit.wallet();
  const { nodeId } = await wallet.info({ signal: toolkit.signal });
  if (nodeId === undefined) {
    throw new CliError(
      'not_available',
      'this wallet does not say which node it is, and so cannot sign for it',
    );
  }
  const sign = (text: string) => wallet.signMessage(text, { signal: toolkit.signal });
  const issuer = new ReceiptIssuer({ store, recipient: nodeId, sign, audit, now });
  const payment = await findReceived(toolkit, { context, paymentHash, waitSeconds });
  return issuer.issue(payment, {
    unasked: options.unasked === true,
    ...(options.nonce === undefined ? {} : { nonce: options.nonce.toLowerCase() }),
  });
}

/** Reads the wallet's list of what it received, from the beginning. */
async function findReceived(
  toolkit: CliToolkit,
  given: { context: CliContext; paymentHash: string; waitSeconds: number },
): Promise<ReceivedPayment> {
  const { context, paymentHash, waitSeconds } = given;
  const wallet = await toolkit.wallet();
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  const cancel = context.schedule(waitSeconds * 1000, stop);
  toolkit.signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const payment of wallet.subscribe({ signal: enough.signal })) {
      if (payment.paymentHash === paymentHash) return payment;
    }
  } finally {
    cancel();
    toolkit.signal.removeEventListener('abort', stop);
    enough.abort();
  }
  throw new KeysendError(
    'not_found',
    `the wallet has received no keysend ${paymentHash} that was found in ${waitSeconds} s`,
  );
}

async function fetchReceipt(
  { store, now, audit, fetcher, signal }: CliToolkit,
  { paymentHash, url }: { paymentHash: string; url: string | undefined },
): Promise<Receipt> {
  if (url === undefined) throw noReceipt(paymentHash);
  const answer = await new ReceiptBook({ store, now, audit }).fetch(paymentHash, { url, fetcher, signal });
  if (answer.status !== 'refused') return answer.receipt;
  const why = answer.reason === 'payment_unknown' ? 'we made no such payment' : faults[answer.reason];
  throw new KeysendError('receipt_invalid', `the receipt that came is not valid: ${why}`);
}

function preimageOf(
  { secret }: CliToolkit,
  { book, paymentHash }: { book: ReceiptBook; paymentHash: string },
): string {
  const leg = book.legOf(paymentHash);
  const preimage = leg === undefined ? undefined : derivePreimage(secret, leg);
  if (preimage === undefined || bytesToHex(sha256(preimage)) !== paymentHash) {
    throw new CliError(
      'not_available',
      'the preimage of this payment is not known here: its wallet chose it',
    );
  }
  return bytesToHex(preimage);
}

function bookOf({ store, now, audit }: CliToolkit): ReceiptBook {
  return new ReceiptBook({ store, now, audit });
}

function allReceipts(book: ReceiptBook): Receipt[] {
  const all: Receipt[] = [];
  for (;;) {
    const after = all.at(-1)?.paymentHash;
    const page = book.list({ limit: 500, ...(after === undefined ? {} : { after }) });
    if (page.length === 0) return all;
    all.push(...page);
  }
}

function noReceipt(paymentHash: string): KeysendError {
  return new KeysendError(
    'not_found',
    `there is no receipt of payment ${shortId(paymentHash)}: fetch it with rivulet receipt get … --url <url>`,
  );
}

function expectationOf(options: VerifyOptions): ReceiptExpectation {
  const { expectNode, expectSender, expectHash, expectAmount } = options;
  return {
    ...(expectNode === undefined ? {} : { recipient: parseNodeId(expectNode) }),
    ...(expectSender === undefined ? {} : { sender: parseNodeId(expectSender) }),
    ...(expectHash === undefined ? {} : { paymentHash: parseHash(expectHash, 'a payment hash') }),
    ...(expectAmount === undefined ? {} : { amountMsat: parseSatsToMsat(expectAmount, '--expect-amount') }),
  };
}

const faults: Readonly<Record<ReceiptFault, string>> = {
  malformed: 'it is not of the form of a receipt',
  signature_wrong: 'its signature is not that of the node it names, over what it says',
  preimage_wrong: 'its preimage is that of another payment',
  other_payment: 'it is of another payment',
  other_recipient: 'it is of another node',
  other_amount: 'it is of another amount',
  other_nonce: 'it answers another question: its nonce is not ours',
  other_sender: 'it names another sender',
  other_records: 'it is of a payment with other records',
};

function describe(receipt: Receipt): string {
  const { recipient, amountMsat, receivedAtMs, paymentHash, sender } = receipt;
  return [
    `node      ${recipient}`,
    `received  ${formatMsat(BigInt(amountMsat))}`,
    `at        ${formatTime(receivedAtMs)}`,
    `of        ${sender ?? 'somebody who did not say who'}`,
    `payment   ${paymentHash}`,
  ].join('\n');
}

function describeWorth(hasPreimage: boolean): string {
  return hasPreimage
    ? 'The signature is right, and so is the preimage: whoever gave this file made the payment, or was given it.'
    : 'The signature is right. Who made the payment it says only as far as it names a sender.';
}

function describeList(receipts: readonly Receipt[]): string {
  if (receipts.length === 0) return 'no receipts yet';
  return formatTable(
    ['PAYMENT', 'NODE', '>AMOUNT', 'RECEIVED'],
    receipts.map(({ paymentHash, recipient, amountMsat, receivedAtMs }) => [
      shortId(paymentHash),
      shortId(recipient),
      formatMsat(BigInt(amountMsat)),
      formatTime(receivedAtMs),
    ]),
  );
}

/** A checked receipt as it is printed: without what would make a log of it worth stealing. */
function publicPart({ preimage: _, ...receipt }: Receipt): Omit<Receipt, 'preimage'> {
  return receipt;
}
