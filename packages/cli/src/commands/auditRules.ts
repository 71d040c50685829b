import {
  type Counterparty,
  CounterpartyBook,
  type CounterpartyChange,
  type CounterpartyLimits,
  type Monitor,
  MonitorBook,
} from '@rivulet/keysend/compliance';
import { type Command, Option } from 'commander';
import type { CliContext } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { formatMsat, parseSatsToMsat } from '../format/amount.js';
import { parseSeconds, parseWholeNumber } from '../format/number.js';
import { formatTable, printable, shorten } from '../format/text.js';
import { printJson } from '../output.js';
import { type CliToolkit, type ToolkitOptions, withToolkit } from '../toolkit.js';
import { allOptions, examples } from './registerCommand.js';

interface SetOptions extends ToolkitOptions {
  readonly name?: string;
  readonly note?: string;
  readonly tag?: readonly string[];
  readonly block?: 'outgoing' | 'incoming' | 'both' | 'none';
  readonly direction: 'outgoing' | 'incoming';
  readonly perPayment?: string;
  readonly perDay?: string;
  readonly perMonth?: string;
  readonly whenOver?: 'refuse' | 'hold';
}

/** What has arrived is looked at afterwards: what is not taken, the node decides. */
const incomingHelp = `What comes in is settled before it is looked at: it is flagged, whatever is said here. To take nothing of a node:
rivulet policy keysend deny <node>`;

/** `rivulet audit counterparty`: whom we know, and what they may get and send. */
export function registerCounterparties(audit: Command, context: CliContext): void {
  const counterparty = audit
    .command('counterparty')
    .description('notes, tags, limits and blocks of those who are paid and who pay')
    .addHelpText(
      'after',
      examples('rivulet audit counterparty set ann@host.example --per-day 10,000 --tag podcast'),
    );

  counterparty
    .command('set')
    .description('say something of a counterparty; what is not said stays, and "none" removes')
    .argument('<id>', 'node id, name@host, or "unknown" for those who did not prove who they are')
    .option('--name <text>', 'who it is')
    .option('--note <text>', 'what is to be known')
    .option('--tag <tags...>', 'its tags, all of them')
    .addOption(
      new Option('--block <direction>', 'refuse what leaves, flag what comes in').choices([
        'outgoing',
        'incoming',
        'both',
        'none',
      ]),
    )
    .addOption(
      new Option('--direction <direction>', 'what the limits are of')
        .choices(['outgoing', 'incoming'])
        .default('outgoing'),
    )
    .option('--per-payment <sats>', 'the most in one payment')
    .option('--per-day <sats>', 'the most in a day of UTC')
    .option('--per-month <sats>', 'the most in a month of UTC')
    .addOption(
      new Option('--when-over <action>', 'what becomes of a payment beyond a limit').choices([
        'refuse',
        'hold',
      ]),
    )
    .addHelpText(
      'after',
      `\n${incomingHelp}\n${examples(
        'rivulet audit counterparty set ann@host.example --per-day none',
        'rivulet audit counterparty set 02ab… --block both',
      )}`,
    )
    .action(async (id: string, _, command) => {
      const options = allOptions<SetOptions>(command);
      await withToolkit(context, options, async (toolkit) => {
        const book = bookOf(toolkit);
        const set = book.set(id, changeOf(options, book.get(id)), 'user');
        show(context, { options, value: set, text: describe(set) });
      });
    });

  counterparty
    .command('show')
    .description('what is known of one')
    .argument('<id>', 'node id or name@host')
    .addHelpText('after', examples('rivulet audit counterparty show ann@host.example'))
    .action(async (id: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      await withToolkit(context, options, async (toolkit) => {
        const found = bookOf(toolkit).get(id);
        if (found === undefined) throw new CliError('not_available', `nothing is known of ${id}`);
        show(context, { options, value: found, text: describe(found) });
      });
    });

  counterparty
    .command('list')
    .description('everybody in the book')
    .option('--tag <tag>', 'only with this tag')
    .addHelpText('after', examples('rivulet audit counterparty list'))
    .action(async (_, command) => {
      const options = allOptions<ToolkitOptions & { tag?: string }>(command);
      await withToolkit(context, options, async (toolkit) => {
        const all = bookOf(toolkit).list(options.tag === undefined ? {} : { tag: options.tag });
        const text = all.length === 0 ? 'nobody yet' : describeBook(all);
        show(context, { options, value: { counterparties: all }, text });
      });
    });

  counterparty
    .command('remove')
    .description('forget what was said of one, with its limits')
    .argument('<id>', 'node id or name@host')
    .addHelpText('after', examples('rivulet audit counterparty remove ann@host.example'))
    .action(async (id: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      await withToolkit(context, options, async (toolkit) => {
        bookOf(toolkit).remove(id, 'user');
        show(context, { options, value: { removed: id }, text: `${id}: removed` });
      });
    });
}

function bookOf({ store, audit, now }: CliToolkit): CounterpartyBook {
  return new CounterpartyBook({ store, audit, now });
}

function changeOf(options: SetOptions, before: Counterparty | undefined): CounterpartyChange {
  const { name, note, tag, block, direction, perPayment, perDay, perMonth, whenOver } = options;
  const limits: { -readonly [K in keyof CounterpartyLimits]: CounterpartyLimits[K] } = {
    ...before?.[direction],
  };
  for (const [key, text, what] of [
    ['perPaymentMsat', perPayment, '--per-payment'],
    ['perDayMsat', perDay, '--per-day'],
    ['perMonthMsat', perMonth, '--per-month'],
  ] as const) {
    if (text === 'none') delete limits[key];
    else if (text !== undefined) limits[key] = text === '0' ? 0n : parseSatsToMsat(text, what);
  }
  const textOrNone = (text: string) => (text === 'none' ? null : text);
  return {
    ...(name === undefined ? {} : { name: textOrNone(name) }),
    ...(note === undefined ? {} : { note: textOrNone(note) }),
    ...(tag === undefined ? {} : { tags: tag.length === 1 && tag[0] === 'none' ? null : [...tag] }),
    ...(block === undefined ? {} : { blocked: block === 'none' ? null : block }),
    ...(whenOver === undefined ? {} : { whenOver }),
    [direction]: Object.keys(limits).length === 0 ? null : limits,
  };
}

function describe(counterparty: Counterparty): string {
  const { id, name, note, tags = [], blocked, whenOver = 'refuse' } = counterparty;
  const limits = (['outgoing', 'incoming'] as const).flatMap((direction) => {
    const text = describeLimits(counterparty[direction]);
    const beyond = direction === 'incoming' ? 'flag' : whenOver;
    return text === '' ? [] : [`${direction}  ${text}; beyond: ${beyond}`];
  });
  return [
    printable(name === undefined ? id : `${id} (${name})`),
    ...(blocked === undefined
      ? []
      : [`blocked   ${blocked}${blocked === 'outgoing' ? '' : ' (what comes in is flagged)'}`]),
    ...(tags.length === 0 ? [] : [`tags      ${tags.join(', ')}`]),
    ...limits,
    ...(note === undefined ? [] : [`note      ${printable(note)}`]),
  ].join('\n');
}

function describeLimits({ perPaymentMsat, perDayMsat, perMonthMsat }: CounterpartyLimits = {}): string {
  return [
    ['payment', perPaymentMsat],
    ['day', perDayMsat],
    ['month', perMonthMsat],
  ]
    .flatMap(([per, limit]) => (typeof limit === 'bigint' ? [`${formatMsat(limit)} a ${per}`] : []))
    .join(', ');
}

function describeBook(all: readonly Counterparty[]): string {
  return formatTable(
    ['COUNTERPARTY', 'NAME', 'TAGS', 'BLOCKED', 'OUTGOING', 'INCOMING'],
    all.map(({ id, name = '', tags = [], blocked = '', outgoing, incoming }) => [
      shorten(id),
      shorten(printable(name)),
      shorten(tags.join(', ')),
      blocked,
      describeLimits(outgoing),
      describeLimits(incoming),
    ]),
  );
}

interface MonitorOptions extends ToolkitOptions {
  readonly kind: Monitor['kind'];
  readonly direction: Monitor['direction'];
  readonly action: Monitor['action'];
  readonly scope: 'all' | 'counterparty';
  readonly window?: string;
  readonly maxPayments?: string;
  readonly maxAmount?: string;
  readonly above?: string;
  readonly knownFor?: string;
  readonly below?: string;
  readonly percent: string;
  readonly payments: string;
}

/** `rivulet audit monitor`: what payments are watched for. */
export function registerMonitors(audit: Command, context: CliContext): void {
  const monitor = audit
    .command('monitor')
    .description('what payments are watched for, and what becomes of those that are found')
    .addHelpText(
      'after',
      examples(
        'rivulet audit monitor list',
        'rivulet audit monitor add large --kind threshold --above 500,000',
      ),
    );

  monitor
    .command('add')
    .description('add a monitor, or change the one of this name')
    .argument('<name>', 'letters, digits and ._-')
    .addOption(
      new Option('--kind <kind>', 'what it looks for')
        .choices(['velocity', 'threshold', 'new_counterparty', 'structuring'])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--action <action>', 'what becomes of a payment')
        .choices(['flag', 'hold', 'refuse'])
        .default('flag'),
    )
    .addOption(
      new Option('--direction <direction>', 'of which payments')
        .choices(['outgoing', 'incoming', 'both'])
        .default('outgoing'),
    )
    .addOption(
      new Option('--scope <scope>', 'counted of all together, or of each counterparty')
        .choices(['all', 'counterparty'])
        .default('all'),
    )
    .option('--window <time>', 'velocity, structuring: the time that is looked at, such as 1h or 7d')
    .option('--max-payments <number>', 'velocity: the most payments in the window')
    .option('--max-amount <sats>', 'velocity: the most in the window')
    .option('--above <sats>', 'threshold, new_counterparty: payments above this')
    .option('--known-for <time>', 'new_counterparty: how long somebody is new (default: 1d)')
    .option('--below <sats>', 'structuring: payments just below this')
    .option('--percent <number>', 'structuring: how far below at most', '10')
    .option('--payments <number>', 'structuring: from how many in the window on', '3')
    .addHelpText('after', `\n${incomingHelp}`)
    .addHelpText(
      'after',
      examples(
        'rivulet audit monitor add fast --kind velocity --window 1h --max-payments 100 --action hold',
        'rivulet audit monitor add large --kind threshold --above 500,000 --action hold',
        'rivulet audit monitor add split --kind structuring --below 1,000,000 --window 7d --scope counterparty',
      ),
    )
    .action(async (name: string, _, command) => {
      const options = allOptions<MonitorOptions>(command);
      const value = monitorOf(name, options);
      await withToolkit(context, options, async (toolkit) => {
        const set = monitorsOf(toolkit).set(value, 'user');
        show(context, { options, value: set, text: `${set.name}: ${describeMonitor(set)}` });
      });
    });

  monitor
    .command('list')
    .description('all monitors')
    .addHelpText('after', examples('rivulet audit monitor list'))
    .action(async (_, command) => {
      const options = allOptions<ToolkitOptions>(command);
      await withToolkit(context, options, async (toolkit) => {
        const monitors = monitorsOf(toolkit).list();
        const rows = monitors.map((one) => [one.name, one.direction, one.action, describeMonitor(one)]);
        const text =
          rows.length === 0 ? 'no monitors yet' : formatTable(['NAME', 'DIRECTION', 'ACTION', 'FINDS'], rows);
        show(context, { options, value: { monitors }, text });
      });
    });

  monitor
    .command('remove')
    .description('watch for this no more')
    .argument('<name>', 'its name')
    .addHelpText('after', examples('rivulet audit monitor remove fast'))
    .action(async (name: string, _, command) => {
      const options = allOptions<ToolkitOptions>(command);
      await withToolkit(context, options, async (toolkit) => {
        monitorsOf(toolkit).remove(name, 'user');
        show(context, { options, value: { removed: name }, text: `${name}: removed` });
      });
    });
}

function monitorsOf({ store, audit, now }: CliToolkit): MonitorBook {
  return new MonitorBook({ store, audit, now });
}

/** What was typed, as a monitor; the book checks the rest. @throws CliError for what is missing. */
function monitorOf(name: string, options: MonitorOptions): object {
  const { kind, direction, action, scope } = options;
  const base = { name, kind, direction, action };
  const needed = (value: string | undefined, option: string): string => {
    if (value !== undefined) return value;
    throw usageError(`a monitor of ${kind} needs ${option}`);
  };
  const msat = (value: string | undefined, option: string): string =>
    parseSatsToMsat(needed(value, option), option).toString();
  const windowSeconds = (): number => parseSeconds(needed(options.window, '--window'), '--window');
  const count = (text: string, what: string): number =>
    parseWholeNumber(text, { what, minimum: 1, maximum: 1_000_000 });
  switch (kind) {
    case 'velocity': {
      const { maxPayments, maxAmount } = options;
      if (maxPayments === undefined && maxAmount === undefined) {
        throw usageError('a monitor of velocity needs --max-payments, --max-amount or both');
      }
      return {
        ...base,
        scope,
        windowSeconds: windowSeconds(),
        ...(maxPayments === undefined ? {} : { maxCount: count(maxPayments, '--max-payments') }),
        ...(maxAmount === undefined ? {} : { maxMsat: msat(maxAmount, '--max-amount') }),
      };
    }
    case 'threshold':
      return { ...base, aboveMsat: msat(options.above, '--above') };
    case 'new_counterparty': {
      const { knownFor } = options;
      const known = knownFor === undefined ? {} : { knownSeconds: parseSeconds(knownFor, '--known-for') };
      return { ...base, aboveMsat: msat(options.above, '--above'), ...known };
    }
    case 'structuring':
      return {
        ...base,
        scope,
        belowMsat: msat(options.below, '--below'),
        percent: parseWholeNumber(options.percent, { what: '--percent', minimum: 1, maximum: 99 }),
        windowSeconds: windowSeconds(),
        count: count(options.payments, '--payments'),
      };
  }
}

function describeMonitor(monitor: Monitor): string {
  const msat = (text: string): string => formatMsat(BigInt(text));
  switch (monitor.kind) {
    case 'velocity': {
      const { maxCount, maxMsat, windowSeconds, scope } = monitor;
      const parts = [
        ...(maxCount === undefined ? [] : [`${maxCount} payments`]),
        ...(maxMsat === undefined ? [] : [msat(maxMsat)]),
      ];
      return `more than ${parts.join(' or ')} in ${windowSeconds} s, of ${scopeText(scope)}`;
    }
    case 'threshold':
      return `more than ${msat(monitor.aboveMsat)} at once`;
    case 'new_counterparty':
      return `more than ${msat(monitor.aboveMsat)} with somebody known for less than ${monitor.knownSeconds ?? 86_400} s`;
    case 'structuring': {
      const { count, percent, belowMsat, windowSeconds, scope } = monitor;
      return `${count} payments at most ${percent} % below ${msat(belowMsat)} in ${windowSeconds} s, of ${scopeText(scope)}`;
    }
  }
}

function scopeText(scope: 'all' | 'counterparty'): string {
  return scope === 'all' ? 'all together' : 'one counterparty';
}

function show(
  context: CliContext,
  { options, value, text }: { options: ToolkitOptions; value: unknown; text: string },
): void {
  if (options.json === true) printJson(context, value);
  else context.out(`${text}\n`);
}
