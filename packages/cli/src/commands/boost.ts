import { randomUUID } from 'node:crypto';
import {
  type BoostLeg,
  type BoostResult,
  boost,
  boostagramRecordType,
  boostGroup,
  boostResult,
  carriedMsat,
  type Leg,
  type LegPlan,
} from '@rivulet/keysend';
import {
  paymentOfLeg,
  proveLeg,
  ReceiptBook,
  senderProofSize,
  senderProofType,
} from '@rivulet/keysend/proof';
import type { CliContext } from '../cliContext.js';
import { CliError, exitCodes, usageError } from '../cliError.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { formatTable, printable, shorten } from '../format/text.js';
import { printJson, withProgress } from '../output.js';
import { addToolkitOptions, type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { openLedger } from '../toolkitLedger.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';
import { describeRecipient, formatPosition, loadPlan, parsePosition } from './valueInput.js';
import {
  addValuePaying,
  describeUnpaid,
  failUnlessAllPaid,
  legJson,
  type ValuePayingOptions,
  valuePayingOf,
} from './valuePaying.js';

interface BoostOptions extends ToolkitOptions, ValuePayingOptions {
  readonly message?: string;
  readonly position?: string;
  readonly id?: string;
  readonly sign?: boolean;
  readonly receipt?: boolean;
  readonly yes?: boolean;
}

export const registerBoost: RegisterCommand = (program, context) => {
  addToolkitOptions(
    addValuePaying(
      program
        .command('boost')
        .description('pay everybody who is to be paid for an episode, with a message')
        .argument('<feed>', 'a file, or a URL')
        .argument('<item>', 'the guid of the episode')
        .argument('<sats>', 'how much in all')
        .option('--message <text>', 'what to tell them')
        .option('--position <time>', 'where in the episode, such as 12:34', '0')
        .option('--id <uuid>', 'names this boost: with the same one, it goes on, and nothing is paid twice')
        .option('--sign', "let the wallet's node sign who sends it, so that the recipients can tell")
        .option('--receipt', 'ask each recipient for a signed receipt, sent back by keysend')
        .option('--yes', 'do not ask (nobody is asked where there is no terminal, or with --json)'),
    ),
  )
    .addHelpText(
      'after',
      examples(
        'rivulet boost feed.xml episode-12 1,000 --message "what a song" --position 12:34 --name Ada',
        'rivulet boost feed.xml episode-12 1,000 --sign --receipt',
        'rivulet boost https://example.com/feed.xml episode-12 2,500 --yes --json',
      ),
    )
    .action((feed: string, item: string, sats: string, _, command) => {
      const options = allOptions<BoostOptions>(command);
      const amountMsat = parseSatsToMsat(sats);
      const positionSeconds = parsePosition(options.position ?? '0', '--position');
      const boostUuid = parseUuid(options.id) ?? randomUUID();
      const paying = valuePayingOf(options);
      return withToolkit(context, options, async (toolkit) => {
        const json = options.json === true;
        const plan = await loadPlan(context, { toolkit, feed, item, json });
        if (!json) {
          const title = printable([plan.feed.title, plan.item?.title].filter(Boolean).join(': '));
          context.err(`${formatMsat(amountMsat)} for ${title} at ${formatPosition(positionSeconds)}\n`);
          await confirm(context, { amountMsat, options });
        }
        const wallet = await toolkit.wallet();
        // A wallet that is away is found before anything is planned, and takes nothing of a budget.
        await wallet.info({ signal: toolkit.signal });
        const ledger = openLedger(toolkit, wallet);
        // What failed before is tried again.
        const failed = ledger.list({ group: boostGroup(boostUuid), state: 'failed' });
        ledger.retry(failed.map(({ key }) => key));
        const { sign = false, receipt = false } = options;
        const proofs = sign || receipt ? await proving(toolkit, { sign, receipt }) : undefined;
        const request = {
          ...paying,
          ...(proofs === undefined ? {} : { reserveBytes: proofs.reserveBytes }),
          boostUuid,
          plan,
          amountMsat,
          positionSeconds,
          ...(options.message === undefined ? {} : { message: options.message }),
        };
        const again = `to go on with it: the same command with --id ${boostUuid}`;
        const prove = proofs === undefined ? {} : { prove: proofs.prove };
        const work = boost(ledger, request, { signal: toolkit.signal, ...prove }).catch((cause) => {
          throw stopped(toolkit.signal, {
            cause,
            again,
            planned: ledger.list({ group: boostGroup(boostUuid) }),
          });
        });
        await withProgress(context, { what: 'paying', options, work });
        const result = boostResult(ledger, boostUuid);
        if (json) printJson(context, jsonOf(result));
        else {
          const unproven = proofs === undefined ? [] : describeUnproven(result.legs);
          context.out(`${describe(result)}\n${unproven.map((line) => `${line}\n`).join('')}`);
        }
        failUnlessAllPaid(
          result.legs.map(({ leg }) => leg).filter(({ state }) => state !== 'succeeded'),
          again,
        );
      });
    });
};

/**
 * What goes with each payment to a node: the signature of ours, the wish for a receipt, or both.
 * @throws CliError for a wallet that cannot
 */
async function proving(
  { wallet: open, secret, now, store, audit }: CliToolkit,
  { sign, receipt }: { sign: boolean; receipt: boolean },
) {
  const wallet = await open();
  const { nodeId } = await wallet.info();
  const { signs, repeats } = await wallet.capabilities();
  if (nodeId === undefined || (sign && !signs) || repeats !== 'preimage') {
    const message = `this ${wallet.kind} wallet cannot: leave ${sign ? '--sign' : '--receipt'} out`;
    throw new CliError('not_available', message);
  }
  const signer = { nodeId, sign: (text: string) => wallet.signMessage(text) };
  const wish = receipt ? { receipt: { replyTo: nodeId } } : {};
  const book = new ReceiptBook({ store, now, audit });
  return {
    reserveBytes: senderProofSize({ types: [boostagramRecordType], signed: sign, ...wish }),
    prove: async (leg: LegPlan): Promise<LegPlan> => {
      const proven = await proveLeg(leg, { secret, nowMs: now(), ...(sign ? { signer } : {}), ...wish });
      // Before it leaves: a receipt of what nobody remembers to have asked for is refused.
      if (receipt) store.transaction((tx) => book.ask(tx, paymentOfLeg(proven, secret), leg.key));
      return proven;
    },
  };
}

async function confirm(
  context: CliContext,
  { amountMsat, options }: { amountMsat: bigint; options: BoostOptions },
): Promise<void> {
  if (options.yes === true || context.ask === undefined) return;
  const answer = await context.ask(`Boost with ${formatMsat(amountMsat)}? [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new CliError('payment_declined', 'nothing was paid');
}

/** What ended it: where payments were planned, or are under way, how to go on. */
function stopped(
  signal: AbortSignal,
  { cause, again, planned }: { cause: unknown; again: string; planned: readonly Leg[] },
): unknown {
  if (planned.length === 0) return cause;
  if (!signal.aborted) {
    const message = `${cause instanceof Error ? cause.message : String(cause)}; ${again}`;
    return new CliError('payment_failed', message, { cause });
  }
  return new CliError('payment_outcome_unknown', `interrupted; ${again}`, {
    exitCode: exitCodes.unknownOutcome,
    cause,
  });
}

/** An address is looked up when it is paid: by then nothing can be signed for its node any more. */
function describeUnproven(legs: readonly BoostLeg[]): string[] {
  return legs
    .filter(({ leg }) => !leg.records.has(senderProofType))
    .map(
      ({ leg }) => `${describeRecipient(leg.recipient)} is paid by its address: not signed, no receipt asked`,
    );
}

function parseUuid(text: string | undefined): string | undefined {
  if (text === undefined || /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    return text?.toLowerCase();
  }
  throw usageError(`--id is a UUID, such as ${randomUUID()}`);
}

function describe({ legs, paidMsat, feesMsat, carried, boostUuid }: BoostResult): string {
  const rows = legs.map(({ leg, fee }) => [
    shorten(describeRecipient(leg.recipient)),
    formatMsat(leg.amountMsat),
    leg.feeMsat === undefined ? '' : formatMsat(leg.feeMsat),
    `${leg.state}${fee ? ' (a fee)' : ''}`,
  ]);
  const waiting = carriedMsat(carried);
  return [
    ...(rows.length === 0 ? [] : [formatTable(['RECIPIENT', '>AMOUNT', '>COST', 'STATE'], rows)]),
    ...legs.filter(({ leg }) => leg.state !== 'succeeded').map(({ leg }) => describeUnpaid(leg)),
    ...describeTrimmed(legs),
    `${formatMsat(paidMsat)} have arrived, and cost ${formatMsat(feesMsat)}`,
    ...(waiting > 0n
      ? [`${formatMsat(waiting)} of shares below 1 sat wait for the next boost of this feed`]
      : []),
    `boost ${boostUuid}`,
  ].join('\n');
}

/** Messages that were cut are told of, not lost in silence. */
function describeTrimmed(legs: readonly BoostLeg[]): string[] {
  return legs.flatMap(({ leg, trimmed }) =>
    trimmed
      .filter(({ field }) => field === 'message' || field === 'boostagram')
      .map(({ kept, lost }) =>
        kept === 0
          ? `${describeRecipient(leg.recipient)} gets no message: there is no room for it`
          : `${describeRecipient(leg.recipient)} gets ${kept} of ${kept + lost} characters of the message: there is no room for more`,
      ),
  );
}

function jsonOf({
  boostUuid,
  amountMsat,
  legs,
  paidMsat,
  feesMsat,
  carried,
  warnings,
}: BoostResult): unknown {
  return {
    boostUuid,
    amountMsat: amountMsat.toString(),
    paidMsat: paidMsat.toString(),
    feesMsat: feesMsat.toString(),
    payments: legs.map(({ leg, fee, trimmed }) => ({
      ...legJson(leg),
      fee,
      trimmed,
      proof: leg.records.has(senderProofType),
    })),
    carriedMsat: carriedMsat(carried).toString(),
    carried,
    warnings,
  };
}
