import { closeSync, writeSync } from 'node:fs';
import { KeysendError } from '@rivulet/keysend';
import {
  type AuditAnchor,
  type AuditFault,
  AuditLog,
  type AuditRecord,
  type AuditVerdict,
  auditTypes,
  type Flag,
  FlagBook,
  makeAuditAnchor,
  parseAuditAnchor,
  reportToCsv,
  reportToJson,
  storeReport,
  verifyAudit,
  verifyAuditLines,
} from '@rivulet/keysend/compliance';
import type { CliContext } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { formatMsat } from '../format/amount.js';
import { parseWholeNumber } from '../format/number.js';
import { formatTable, formatTime, printable, shorten } from '../format/text.js';
import { openNewFile, writeNewFile } from '../newFile.js';
import { printJson } from '../output.js';
import { readTextFile } from '../textFile.js';
import { addToolkitOptions, type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { linesOf } from './auditFile.js';
import { describeReport } from './auditReport.js';
import { registerCounterparties, registerMonitors } from './auditRules.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface ListOptions extends ToolkitOptions {
  readonly type?: string;
  readonly limit: string;
}

interface VerifyOptions extends ToolkitOptions {
  readonly anchor?: readonly string[];
}

interface ExportOptions extends ToolkitOptions {
  readonly out?: string;
  readonly after?: string;
}

interface AnchorOptions extends ToolkitOptions {
  readonly out?: string;
  readonly sign?: boolean;
}

interface ReportOptions extends ToolkitOptions {
  readonly from: string;
  readonly to?: string;
  readonly csv?: boolean;
}

/** `rivulet audit`: what was paid, decided and changed, so that nobody can change it unseen. */
export const registerAudit: RegisterCommand = (program, context) => {
  const audit = program
    .command('audit')
    .description('the audit log: payments, decisions and changes of limits, each bound to the one before')
    .addHelpText(
      'after',
      examples('rivulet audit list', 'rivulet audit verify', 'rivulet audit report --from 2026-01-01'),
    );

  audit
    .command('list')
    .description('the latest entries')
    .option('--type <type>', `only of this type: ${Object.keys(auditTypes).join(', ')}`)
    .option('--limit <number>', 'at most so many', '50')
    .addHelpText('after', examples('rivulet audit list --type limit_changed'))
    .action(async (_, command) => {
      const options = allOptions<ListOptions>(command);
      const limit = parseWholeNumber(options.limit, { what: '--limit', minimum: 1, maximum: 10_000 });
      if (options.type !== undefined && !Object.hasOwn(auditTypes, options.type)) {
        throw usageError(`--type is one of: ${Object.keys(auditTypes).join(', ')}`);
      }
      await withToolkit(context, options, async ({ store }) => {
        const records: AuditRecord[] = [];
        for (const record of new AuditLog({ store }).records({ reverse: true })) {
          if (options.type !== undefined && record.type !== options.type) continue;
          records.push(record);
          if (records.length >= limit) break;
        }
        if (options.json === true) printJson(context, { entries: records });
        else context.out(`${describeEntries(records)}\n`);
      });
    });

  audit
    .command('verify')
    .description('check the log, or an export of it, for any change: exit code 1 if there is one')
    .argument('[file]', 'an export; - for what is piped in (default: the log of the data folder)')
    .option(
      '--anchor <file...>',
      'what was said of the log before: only this shows that it was not written anew',
    )
    .addHelpText(
      'after',
      examples('rivulet audit verify', 'rivulet audit verify log.ndjson --anchor anchor.json'),
    )
    .action(async (file: string | undefined, _, command) => {
      const options = allOptions<VerifyOptions>(command);
      const anchors = (options.anchor ?? []).map((one) => parseAuditAnchor(readTextFile(one)));
      const verdict =
        file === undefined
          ? await withToolkit(context, options, async ({ store }) => verifyAudit(store, { anchors }))
          : await verifyAuditLines(linesOf(file), { anchors });
      if (file !== undefined && verdict.status === 'intact' && verdict.entries === 0) {
        throw new CliError('log_empty', 'there is no entry in it: it was cut off, or is no export of a log');
      }
      if (options.json === true) printJson(context, verdict);
      if (verdict.status === 'damaged') throw damaged(verdict);
      if (options.json !== true) context.out(`${describeIntact(verdict, anchors)}\n`);
    });

  audit
    .command('export')
    .description('write the log as lines of JSON, which `audit verify` checks anywhere')
    .option('--out <file>', 'where to; it must not be there yet (default: printed)')
    .option('--after <number>', 'only what comes after this entry')
    .addHelpText('after', examples('rivulet audit export --out log.ndjson'))
    .action(async (_, command) => {
      const options = allOptions<ExportOptions>(command);
      const range = { what: '--after', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
      const after = options.after === undefined ? 0 : parseWholeNumber(options.after, range);
      await withToolkit(context, options, async (toolkit) =>
        exportLog(context, { toolkit, after, out: options.out }),
      );
    });

  addToolkitOptions(audit.command('anchor'))
    .description(
      'say where the log is now: kept elsewhere, it shows later that nothing was changed or cut off',
    )
    .option('--out <file>', 'where to; it must not be there yet (default: printed)')
    .option('--sign', "sign it with the wallet's node")
    .addHelpText('after', examples('rivulet audit anchor --sign --out anchor-2026-01.json'))
    .action(async (_, command) => {
      const options = allOptions<AnchorOptions>(command);
      await withToolkit(context, options, async (toolkit) => {
        const anchor = await makeAnchor(toolkit, options.sign === true);
        writeOut(context, { text: `${JSON.stringify(anchor)}\n`, out: options.out });
      });
    });

  audit
    .command('report')
    .description(
      'what left and what came in a time: by day, counterparty and purpose. Nothing is sent anywhere',
    )
    .requiredOption('--from <time>', 'a day such as 2026-01-31 (UTC), or a time such as 2026-01-31T12:00:00Z')
    .option('--to <time>', 'not after this; a day is meant to its end (default: now)')
    .option('--csv', 'as CSV')
    .addHelpText(
      'after',
      examples('rivulet audit report --from 2026-01-01 --to 2026-01-31 --csv > january.csv'),
    )
    .action(async (_, command) => {
      const options = allOptions<ReportOptions>(command);
      const fromMs = parseTime(options.from, '--from').startMs;
      const toMs = options.to === undefined ? Date.now() + 1 : parseTime(options.to, '--to').endMs;
      if (toMs <= fromMs) throw usageError('--to is before --from');
      await withToolkit(context, options, async ({ store }) => {
        const report = storeReport(store, { fromMs, toMs });
        if (options.csv === true) context.out(reportToCsv(report));
        else if (options.json === true) context.out(`${reportToJson(report)}\n`);
        else context.out(`${describeReport(report)}\n`);
      });
    });

  audit
    .command('flags')
    .description('what the monitors found: the newest first')
    .option('--all', 'also those that somebody has looked at')
    .option('--limit <number>', 'at most so many', '50')
    .addHelpText('after', examples('rivulet audit flags', 'rivulet audit ack 3 --note "a known partner"'))
    .action(async (_, command) => {
      const options = allOptions<ToolkitOptions & { all?: boolean; limit: string }>(command);
      const limit = parseWholeNumber(options.limit, { what: '--limit', minimum: 1, maximum: 10_000 });
      await withToolkit(context, options, async ({ store, audit: sink, now }) => {
        const flags = new FlagBook({ store, audit: sink, now }).list({ open: options.all !== true, limit });
        if (options.json === true) printJson(context, { flags });
        else context.out(`${describeFlags(flags)}\n`);
      });
    });

  audit
    .command('ack')
    .description('say that somebody has looked at a flag, and what was found')
    .argument('<flag>', 'its number')
    .requiredOption('--note <text>', 'what was found')
    .option('--by <name>', 'who has looked', 'user')
    .addHelpText('after', examples('rivulet audit ack 3 --note "a known partner"'))
    .action(async (text: string, _, command) => {
      const options = allOptions<ToolkitOptions & { note: string; by: string }>(command);
      const id = parseWholeNumber(text, { what: 'the flag', minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
      await withToolkit(context, options, async ({ store, audit: sink, now }) => {
        const flag = new FlagBook({ store, audit: sink, now }).acknowledge(id, options);
        if (options.json === true) printJson(context, flag);
        else context.out(`flag ${id}: ${printable(options.note)}\n`);
      });
    });

  registerCounterparties(audit, context);
  registerMonitors(audit, context);
};

function exportLog(
  context: CliContext,
  given: { toolkit: CliToolkit; after: number; out: string | undefined },
): void {
  const { toolkit, after, out } = given;
  const { store, now } = toolkit;
  const log = new AuditLog({ store });
  const entry = {
    type: 'log_exported',
    atMs: now(),
    actor: 'user',
    data: { after, entries: log.head().seq - after + 1 },
  };
  if (out === undefined) {
    store.transaction((tx) => log.append(tx, entry));
    for (const line of log.lines({ after })) context.out(`${line}\n`);
    return;
  }
  const file = openNewFile(out);
  try {
    store.transaction((tx) => log.append(tx, entry));
    for (const line of log.lines({ after })) writeSync(file, `${line}\n`);
  } finally {
    closeSync(file);
  }
}

async function makeAnchor(
  { store, audit, now, wallet, signal }: CliToolkit,
  signed: boolean,
): Promise<AuditAnchor> {
  const given = { store, audit, now, actor: 'user' };
  if (!signed) return makeAuditAnchor(given);
  const opened = await wallet();
  const { nodeId } = await opened.info({ signal });
  if (nodeId === undefined) {
    throw new CliError(
      'not_available',
      'this wallet does not say which node it is: leave out --sign, or sign the file yourself',
    );
  }
  const signer = { nodeId, sign: (text: string) => opened.signMessage(text, { signal }) };
  return makeAuditAnchor({ ...given, signer });
}

const faults: Readonly<Record<AuditFault, string>> = {
  malformed: 'this is no entry',
  hash_wrong: 'this entry was changed',
  order_wrong: 'an entry is missing, or in the wrong place',
  previous_wrong: 'the entry before is not the one that it was',
  cut_off: 'the end is missing',
  anchor_wrong: 'this entry is not the one that the anchor names: the log was written anew',
  anchor_outside: 'this part of the log begins after the anchor, which says nothing of it',
};

function damaged({ reason, seq, line }: Extract<AuditVerdict, { status: 'damaged' }>): KeysendError {
  return new KeysendError(
    'log_damaged',
    `the log is damaged at entry ${seq} (line ${line}): ${faults[reason]}`,
  );
}

function describeIntact(
  { entries, firstSeq, head }: Extract<AuditVerdict, { status: 'intact' }>,
  anchors: readonly AuditAnchor[],
): string {
  const part = firstSeq === undefined || firstSeq === 1 ? '' : `, from entry ${firstSeq} on`;
  const by = anchors.map(
    ({ seq, nodeId }) => `entry ${seq}${nodeId === undefined ? '' : `, signed by ${nodeId}`}`,
  );
  return [
    `intact: ${entries} entries${part}`,
    ...(entries === 0 ? [] : [`head    ${head.seq} ${head.hash}`]),
    ...by.map((text) => `anchor  ${text}`),
    ...(anchors.length === 0
      ? ['Only an anchor that was kept elsewhere shows that it was not written anew as a whole.']
      : []),
  ].join('\n');
}

function describeEntries(records: readonly AuditRecord[]): string {
  if (records.length === 0) return 'nothing yet';
  return formatTable(
    ['>ENTRY', 'TIME', 'WHAT', 'BY', 'DETAILS'],
    records.map(({ seq, atMs, type, actor, data }) => [
      `${seq}`,
      formatTime(atMs),
      type,
      shorten(printable(actor)),
      printable(
        Object.entries(data)
          .map(([name, value]) => `${name}=${value ?? '-'}`)
          .join(' '),
      ),
    ]),
  );
}

/** Node ids as short as elsewhere: what is said after them has room. */
function shortIds(text: string): string {
  return text.replace(/\b(0[23][0-9a-f]{10})[0-9a-f]{54}\b/g, '$1…');
}

function describeFlags(flags: readonly Flag[]): string {
  if (flags.length === 0) return 'no flags';
  return formatTable(
    ['>FLAG', 'TIME', 'ACTION', 'DIRECTION', '>AMOUNT', 'COUNTERPARTY', 'REASON', 'NOTE'],
    flags.map(({ id, atMs, action, direction, amountMsat, counterparty, reason, acknowledged }) => [
      `${id}`,
      formatTime(atMs),
      action,
      direction,
      formatMsat(BigInt(amountMsat)),
      shorten(printable(shortIds(counterparty))),
      shorten(printable(shortIds(reason))),
      shorten(printable(acknowledged?.note ?? '')),
    ]),
  );
}

/** A day or a time of UTC. @throws CliError */
function parseTime(text: string, what: string): { startMs: number; endMs: number } {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const startMs = isDay || /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(startMs)) {
    throw usageError(`${what} must be a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z`);
  }
  return { startMs, endMs: isDay ? startMs + 86_400_000 : startMs };
}

function writeOut(context: CliContext, { text, out }: { text: string; out: string | undefined }): void {
  if (out === undefined) context.out(text);
  else writeNewFile(out, [text]);
}
