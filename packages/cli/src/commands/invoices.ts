import type { DecodedInvoice, Invoice, RivuletClient } from '@rivulet/sdk';
import type { CliContext, GlobalOptions } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { withDaemon } from '../daemonClient.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { formatDistance, parseSeconds, parseWholeNumber } from '../format/number.js';
import { formatTable, formatTime, printable, shorten, shortId } from '../format/text.js';
import { printAnswer, withProgress } from '../output.js';
import { parseHash } from './paying.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface InvoiceOptions {
  readonly expiry: string;
  readonly hold?: boolean;
  readonly paymentHash?: string;
}

const exampleHash = '7d3c6f1e0b5a49288f7e6d5c4b3a29181f0e1d2c3b4a59687f8e9dacbbcadbec';
/** BOLT 11: a tagged field has at most 1,023 groups of five bits. */
const maxDescriptionBytes = 639;

export const registerInvoices: RegisterCommand = (program, context) => {
  program
    .command('invoice')
    .description('ask for a payment: make a BOLT 11 invoice')
    .argument('<sats>', 'how much; or `any`, and the payer chooses')
    .argument('[description]', 'what it is for: the payer reads it')
    .option('--expiry <time>', 'how long it can be paid: 90s, 30m, 1h, 7d', '1h')
    .option('--hold', 'keep what is paid on hold until: rivulet settle, or rivulet cancel')
    .option('--payment-hash <hash>', 'hold, with a preimage that only you have: settle it with --preimage')
    .addHelpText(
      'after',
      examples(
        'rivulet invoice 2,500 "one coffee"',
        'rivulet invoice any "a tip" --expiry 7d',
        'rivulet invoice 50000 "if it fits" --hold',
      ),
    )
    .action(async (sats: string, description: string | undefined, _, command) => {
      const options = allOptions<InvoiceOptions>(command);
      const request = invoiceRequest({ sats, description, options });
      await withDaemon(context, options, async (client) => {
        const answer = await client.createInvoice(request, { signal: context.signal });
        printAnswer(context, { options, endpoint: 'createInvoice', answer, text: describeNew });
      });
    });

  program
    .command('invoices')
    .description('list the invoices that this node made, the latest first')
    .option('--limit <number>', 'how many', '20')
    .option('--before <number>', 'only invoices with a number below this, for the next page')
    .addHelpText('after', examples('rivulet invoices', 'rivulet invoices --limit 5 --json'))
    .action(async (_, command) => {
      const options = allOptions<{ limit: string; before?: string }>(command);
      const { before } = options;
      const maximum = Number.MAX_SAFE_INTEGER;
      const request = {
        limit: parseWholeNumber(options.limit, { what: '--limit', minimum: 1, maximum: 1_000 }),
        ...(before === undefined
          ? {}
          : { before: parseWholeNumber(before, { what: '--before', minimum: 1, maximum }) }),
      };
      await withDaemon(context, options, async (client) => {
        const answer = await client.invoices(request, { signal: context.signal });
        printAnswer(context, {
          options,
          endpoint: 'invoices',
          answer,
          text: ({ invoices, next }) =>
            invoices.length === 0
              ? 'no invoices; make one with: rivulet invoice <sats> [description]'
              : `${describeList(invoices)}${next === undefined ? '' : `\nmore with: rivulet invoices --before ${next}`}`,
        });
      });
    });

  program
    .command('settle')
    .description('take what is held for a hold invoice: the payer has paid then')
    .argument('<hash>', 'its payment hash, or the first 8 digits of it or more')
    .option('--preimage <preimage>', 'needed where the invoice was made with --payment-hash')
    .addHelpText('after', examples('rivulet settle 7d3c6f1e0b5a', `rivulet settle ${exampleHash}`))
    .action(async (name: string, _, command) => {
      const options = allOptions<{ preimage?: string }>(command);
      const preimage = options.preimage === undefined ? undefined : parseHash(options.preimage, 'a preimage');
      await onInvoice(context, { options, name }, async (client, paymentHash) => {
        const request = { paymentHash, ...(preimage === undefined ? {} : { preimage }) };
        const work = client.settleInvoice(request, { signal: context.signal });
        const answer = await withProgress(context, { what: 'settling', options, work });
        printAnswer(context, {
          options,
          endpoint: 'settleInvoice',
          answer,
          text: ({ state, receivedMsat = 0n }) =>
            `invoice ${shortId(paymentHash)} is ${state}: ${formatMsat(receivedMsat)} are ours`,
        });
      });
    });

  program
    .command('cancel')
    .description('refuse payments to an invoice; what is held for it goes back to the payer')
    .argument('<hash>', 'its payment hash, or the first 8 digits of it or more')
    .addHelpText('after', examples('rivulet cancel 7d3c6f1e0b5a', `rivulet cancel ${exampleHash}`))
    .action(async (name: string, _, command) => {
      const options = allOptions(command);
      await onInvoice(context, { options, name }, async (client, paymentHash) => {
        const work = client.cancelInvoice({ paymentHash }, { signal: context.signal });
        const answer = await withProgress(context, { what: 'cancelling', options, work });
        printAnswer(context, {
          options,
          endpoint: 'cancelInvoice',
          answer,
          text: ({ state }) => `invoice ${shortId(paymentHash)} is ${state}`,
        });
      });
    });

  program
    .command('decode')
    .description('show what an invoice says; nothing is paid')
    .argument('<invoice>', 'the text that begins with ln…')
    .addHelpText('after', examples('rivulet decode lnbcrt25u1p…', 'rivulet decode lnbcrt25u1p… --json'))
    .action(async (text: string, _, command) => {
      const options = allOptions(command);
      const request = { invoice: parseInvoiceText(text) };
      await withDaemon(context, options, async (client) => {
        const answer = await client.decodeInvoice(request, { signal: context.signal });
        const describe = (decoded: DecodedInvoice) => describeDecoded(decoded, Date.now());
        printAnswer(context, { options, endpoint: 'decodeInvoice', answer, text: describe });
      });
    });
};

function invoiceRequest(given: {
  sats: string;
  description: string | undefined;
  options: InvoiceOptions & GlobalOptions;
}) {
  const { sats, description, options } = given;
  const { hold, paymentHash } = options;
  const bytes = description === undefined ? 0 : new TextEncoder().encode(description).length;
  if (bytes > maxDescriptionBytes) {
    throw usageError(`the description has ${bytes} bytes: an invoice has room for ${maxDescriptionBytes}`);
  }
  return {
    expirySeconds: parseSeconds(options.expiry, '--expiry'),
    ...(sats.toLowerCase() === 'any' ? {} : { amountMsat: parseSatsToMsat(sats) }),
    ...(description === undefined ? {} : { description }),
    ...(hold === true ? { hold } : {}),
    ...(paymentHash === undefined ? {} : { paymentHash: parseHash(paymentHash, 'a payment hash') }),
  };
}

/** The text of an invoice as it is typed or pasted; some write it as a URI. @throws CliError */
export function parseInvoiceText(text: string): string {
  const invoice = text.trim().replace(/^lightning:/i, '');
  if (/^ln[a-z0-9]+$/i.test(invoice)) return invoice;
  throw usageError(
    `${JSON.stringify(printable(text.slice(0, 40)))} is no invoice: give all of the text that begins with ln`,
  );
}

/** Calls with the payment hash of the one invoice that is meant. */
function onInvoice(
  context: CliContext,
  { options, name }: { options: GlobalOptions; name: string },
  work: (client: RivuletClient, paymentHash: string) => Promise<void>,
): Promise<void> {
  if (!/^[0-9a-f]{8,64}$/i.test(name)) {
    throw usageError(
      `${JSON.stringify(printable(name.slice(0, 80)))} is no payment hash: give its 64 hex digits, or at least the first eight`,
    );
  }
  return withDaemon(context, options, async (client) =>
    work(client, await findHash(client, name.toLowerCase())),
  );
}

/** So many of the latest invoices are looked through for the first digits of a hash. */
const searched = 1_000;

async function findHash(client: RivuletClient, wanted: string): Promise<string> {
  if (wanted.length === 64) return wanted;
  const { invoices } = await client.invoices({ limit: searched });
  const found = invoices.filter(({ paymentHash }) => paymentHash.startsWith(wanted));
  const [first] = found;
  if (first === undefined) {
    throw new CliError(
      'invoice_not_found',
      `none of the last ${searched} invoices has a payment hash that starts with ${wanted}; list them with: rivulet invoices`,
    );
  }
  if (found.length > 1) throw usageError(`${found.length} invoices start with ${wanted}: give more digits`);
  return first.paymentHash;
}

/** The invoice stands alone on the first line, to be copied. */
function describeNew(invoice: Invoice): string {
  const { amountMsat, paymentHash, expiresAtMs } = invoice;
  return [
    invoice.invoice,
    `amount        ${amountMsat === undefined ? 'as much as the payer likes' : formatMsat(amountMsat)}`,
    `payment hash  ${paymentHash}`,
    `expires       ${formatTime(expiresAtMs)} UTC`,
  ].join('\n');
}

function describeList(invoices: readonly Invoice[]): string {
  return formatTable(
    ['>NUMBER', 'MADE (UTC)', 'STATE', '>AMOUNT', '>RECEIVED', 'HASH', 'DESCRIPTION'],
    invoices.map((invoice) => [
      String(invoice.sequence),
      formatTime(invoice.createdAtMs),
      invoice.state,
      invoice.amountMsat === undefined ? 'any' : formatMsat(invoice.amountMsat),
      invoice.receivedMsat === undefined ? '' : formatMsat(invoice.receivedMsat),
      shortId(invoice.paymentHash),
      shorten(printable(invoice.description)),
    ]),
  );
}

export function describeDecoded(decoded: DecodedInvoice, nowMs: number): string {
  const { amountMsat, description, descriptionHash, expiresAtMs, hints } = decoded;
  const says =
    descriptionHash === undefined
      ? printable(description ?? '') || 'none'
      : `the hash ${descriptionHash} of a text that is given elsewhere`;
  const ways = hints.map((hint) =>
    hint.map(({ nodeId, shortChannelId }) => `${shortId(nodeId)} (channel ${shortChannelId})`).join(', '),
  );
  return [
    `amount        ${amountMsat === undefined ? 'as much as the payer likes' : formatMsat(amountMsat)}`,
    `description   ${says}`,
    `to            ${decoded.nodeId}`,
    `payment hash  ${decoded.paymentHash}`,
    `network       ${decoded.network}`,
    `${decoded.expired ? 'expired      ' : 'expires      '} ${formatTime(expiresAtMs)} UTC (${formatDistance(expiresAtMs, nowMs)})`,
    `parts         ${decoded.takesParts ? 'can be paid in several' : 'has to be paid in one'}`,
    ...ways.map((way) => `private way   through ${way}`),
  ].join('\n');
}
