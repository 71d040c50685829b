import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { activeBackendName, initCrypto } from '@rivulet/core/crypto';
import type { HostilityKind, SimulationOptions, SimulationResult, Topology } from '@rivulet/simulator';
import type { CliContext } from '../cliContext.js';
import { CliError, usageError } from '../cliError.js';
import { formatMsat } from '../format/amount.js';
import { formatTable } from '../format/text.js';
import { printJson, styler } from '../output.js';
import { allOptions, examples, type RegisterCommand } from './registerCommand.js';

interface SimulateOptions {
  readonly seed: string;
  readonly nodes: string;
  readonly channels?: string;
  readonly graph?: string;
  readonly payments: string;
  readonly rate: string;
  readonly minAmount: string;
  readonly maxAmount: string;
  readonly senders?: string;
  readonly hostile: string;
  readonly hostility?: string;
  readonly hostileRate: string;
  readonly loss: string;
  readonly crashes: string;
  readonly learning: boolean;
  readonly toyCurve?: boolean;
  readonly trace?: boolean;
}

export const registerSimulate: RegisterCommand = (program, context) => {
  program
    .command('simulate')
    .description('run a network of many nodes in this process, over virtual time; no daemon is needed')
    .option('--seed <text>', 'the same seed and options give the same run', '1')
    .option('--nodes <count>', 'how many nodes', '200')
    .option('--channels <count>', 'how many channels (default: four for each node)')
    .option('--graph <file>', 'the shape of a real network instead: CSV or CSV.gz, its first nodes')
    .option('--payments <count>', 'how many payments', '10000')
    .option('--rate <count>', 'payments begun in a virtual second', '10')
    .option('--min-amount <sats>', 'the least amount of a payment', '1')
    .option('--max-amount <sats>', 'the greatest', '200000')
    .option('--senders <count>', 'how many of the nodes pay (default: all)')
    .option('--hostile <count>', 'how many nodes misbehave', '0')
    .option('--hostility <kinds>', 'how, with commas between (default: each kind in turn)')
    .option('--hostile-rate <share>', 'in which share of cases they do, from 0 to 1', '0.5')
    .option('--loss <share>', 'how likely a delivery is lost with its connection, from 0 to 1', '0')
    .option('--crashes <count>', 'how often a node loses its memory', '0')
    .option('--no-learning', 'let no payment use what earlier ones taught')
    .option('--toy-curve', 'sign with a group that protects nothing: several times as fast, for planning')
    .option('--trace', 'print every event to stderr')
    .addHelpText(
      'after',
      examples(
        'rivulet simulate --nodes 50 --payments 500',
        'rivulet simulate --nodes 200 --payments 10000 --hostile 10 --loss 0.001 --crashes 20',
        'rivulet simulate --nodes 300 --graph network.csv.gz --payments 5000 --json',
      ),
    )
    .action(async (_, command) => {
      const options = allOptions<SimulateOptions>(command);
      const result = await run(context, options);
      if (options.json === true) printJson(context, result);
      else
        context.out(
          `${describe(context, { result, curve: options.toyCurve === true ? 'toy' : activeBackendName() })}\n`,
        );
      if (result.violations.length > 0) {
        throw new CliError('simulation_failed', `${result.violations.length} rules were broken; report it`);
      }
    });
};

async function run(context: CliContext, options: SimulateOptions): Promise<SimulationResult> {
  // Loaded when it is asked for: nothing else needs it.
  const { hostilityKinds, Random, readGraphFile, SimulationError, simulateWithPauses } = await import(
    '@rivulet/simulator'
  );
  const { useOpensslCrypto } = await import('@rivulet/node');
  await initCrypto();
  useOpensslCrypto();
  try {
    const nodes = count(options, 'nodes');
    const random = new Random(`rivulet graph ${options.seed}`);
    const topology: Topology | undefined =
      options.graph === undefined
        ? undefined
        : readGraphFile(readText(options.graph), { nodeCount: nodes, random });
    const wanted: SimulationOptions = {
      seed: options.seed,
      nodes,
      ...(topology === undefined ? {} : { topology }),
      ...(options.channels === undefined ? {} : { channels: count(options, 'channels') }),
      payments: count(options, 'payments'),
      paymentsPerSecond: share(options, 'rate', 1_000_000),
      leastAmountSat: count(options, 'minAmount'),
      mostAmountSat: count(options, 'maxAmount'),
      ...(options.senders === undefined ? {} : { senders: count(options, 'senders') }),
      hostile: count(options, 'hostile'),
      ...(options.hostility === undefined ? {} : { hostilities: kinds(options.hostility, hostilityKinds) }),
      hostileRate: share(options, 'hostileRate', 1),
      loss: share(options, 'loss', 1),
      crashes: count(options, 'crashes'),
      learning: options.learning,
      curve: options.toyCurve === true ? 'toy' : 'real',
      ...(options.trace === true ? { onTrace: (line: string) => context.err(`${line}\n`) } : {}),
      ...(context.errIsTty && options.trace !== true ? { onProgress: progress(context) } : {}),
    };
    return await simulateWithPauses(wanted, () => pause(context));
  } catch (error) {
    if (error instanceof SimulationError) throw usageError(error.message);
    throw error;
  }
}

/** Lets Ctrl-C come through, which ends the run. */
async function pause({ signal }: CliContext): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

function progress(context: CliContext): (begun: number) => void {
  return (begun) => {
    if (begun % 100 === 0) context.err(`\r${begun} payments begun`);
  };
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
    if (path.endsWith('.gz')) bytes = gunzipSync(bytes);
  } catch (cause) {
    throw usageError(
      `the graph file ${path} cannot be read: ${cause instanceof Error ? cause.message : cause}`,
    );
  }
  return bytes.toString('utf8');
}

function flagOf(name: keyof SimulateOptions): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function count(options: SimulateOptions, name: keyof SimulateOptions): number {
  const text = String(options[name]);
  if (!/^\d{1,9}$/.test(text)) throw usageError(`${flagOf(name)} ${text} is no whole number`);
  return Number(text);
}

function share(options: SimulateOptions, name: keyof SimulateOptions, most: number): number {
  const text = String(options[name]);
  const value = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || value > most) {
    throw usageError(`${flagOf(name)} ${text} is no number from 0 to ${most}`);
  }
  return value;
}

function kinds(text: string, known: readonly HostilityKind[]): HostilityKind[] {
  return text.split(',').map((name) => {
    const kind = known.find((one) => one === name.trim());
    if (kind === undefined)
      throw usageError(`there is no hostility ${JSON.stringify(name)}: ${known.join(', ')}`);
    return kind;
  });
}

function percent(rate: number): string {
  return `${(rate * 100).toFixed(1)} %`;
}

function describe(
  context: CliContext,
  { result, curve }: { result: SimulationResult; curve: string },
): string {
  const { payments } = result;
  const style = styler(context, 'out');
  const table = (counts: Readonly<Record<string, number>>) =>
    formatTable(
      ['>times', 'why'],
      Object.entries(counts).map(([name, times]) => [String(times), name]),
    );
  const lines = [
    `network      ${result.nodes} nodes, ${result.channels} channels, ${result.hostileNodes} nodes hostile`,
    `payments     ${payments.succeeded} of ${payments.payments} succeeded (${percent(payments.successRate)})`,
    `attempts     ${payments.meanAttempts.toFixed(2)} a payment; the first was enough for ${percent(payments.firstAttemptRate)}`,
    `learning     first attempts: ${percent(payments.firstTenthRate)} of the first tenth, ${percent(payments.lastTenthRate)} of the last`,
    `delivered    ${formatMsat(payments.deliveredMsat)} over ${payments.meanHops.toFixed(2)} hops, fees ${payments.feePpm} ppm`,
    `time         ${payments.latencyP50Ms} ms for half of the payments, ${payments.latencyP95Ms} ms for 95 % (virtual)`,
    `balance      channels are even by ${percent(result.balance.before)} before, ${percent(result.balance.after)} after`,
    `forwarding   honest nodes earned ${formatMsat(result.earnedMsat)}`,
    `on chain     ${result.closedChannels} channels closed in ${result.blocks} blocks`,
    `disturbance  ${result.disconnects} disconnections, ${result.crashes} crashes`,
    `work         ${result.htlcs} HTLCs, ${result.commitments} commitments, ${result.messages} messages; curve: ${curve}`,
    `digest       ${result.digest}`,
  ];
  if (payments.failed > 0) lines.push('', 'payments that failed', table(payments.failures));
  if (Object.keys(payments.attemptFailures).length > 0) {
    lines.push('', 'HTLCs that failed', table(payments.attemptFailures));
  }
  if (result.paidByOthers > 0) {
    lines.push('', `${result.paidByOthers} payments failed and were paid by a hostile node`);
  }
  for (const violation of result.violations) lines.push(style('red', `broken: ${violation}`));
  return lines.join('\n');
}
