import { join } from 'node:path';
import type { Regtest } from '@rivulet/chain';
import type { ChannelInfo, Payment } from '@rivulet/sdk';
import type { CliContext } from '../cliContext.js';
import { untilAborted } from '../cliContext.js';
import { CliError } from '../cliError.js';
import { formatMsat, formatSat } from '../format/amount.js';
import { shortId } from '../format/text.js';
import { prepareDemoFolder } from './demoFolder.js';
import { DemoNode } from './demoNode.js';
import {
  closeChannel,
  everybody,
  findWay,
  fundAll,
  keysend,
  openChannel,
  payInvoice,
  rebalance,
  type Stage,
} from './demoScenes.js';
import { describeHoldings, type Holdings, holdingsOfAll } from './demoStory.js';

const capacitySat = 1_000_000n;
const amountMsat = 1_000_000n;
const coffeeMsat = 2_500_000n;
const movedMsat = 100_000_000n;

export interface DemoOptions {
  readonly folder: string;
  /** Ends after the payments, with a channel closed. */
  readonly once: boolean;
  readonly json: boolean;
}

/** What a demo that has run its course tells a program. */
interface DemoReport {
  readonly channels: readonly ChannelInfo[];
  readonly payments: readonly { readonly from: string; readonly to: string; readonly payment: Payment }[];
  readonly before: readonly Holdings[];
  readonly after: readonly Holdings[];
}

/** Three nodes in processes of their own, on a chain of their own, pay each other across the middle one. */
export async function runDemo(context: CliContext, options: DemoOptions): Promise<void> {
  const { folder, once, json } = options;
  const { signal } = context;
  const say = json ? () => {} : (text: string) => context.out(`${text}\n`);
  const release = prepareDemoFolder(folder);
  const nodes: DemoNode[] = [];
  let chain: Regtest | undefined;
  try {
    const startRegtest = await context.loadStartRegtest();
    chain = await startRegtest({ dataDir: join(folder, 'chain') });
    say('Rivulet demo: a Bitcoin chain for tests, and three Lightning nodes, each a process of its own.');
    const { rpcUrl, cookiePath } = chain;
    if (cookiePath === undefined) throw new CliError('not_available', 'the chain has no folder');
    const start = async (name: string): Promise<DemoNode> => {
      const node = await DemoNode.start({
        name,
        dataDir: join(folder, name),
        chain: { rpcUrl, cookiePath },
        signal,
      });
      nodes.push(node);
      say(`  ${name.padEnd(8)} ${node.nodeId}`);
      return node;
    };
    const stage: Stage = {
      spring: await start('spring'),
      brook: await start('brook'),
      lake: await start('lake'),
      chain,
      signal,
      say,
    };
    const report = await play(stage);
    if (json) context.out(`${JSON.stringify(report, (_, value) => jsonValue(value))}\n`);
    if (once) {
      await close(stage, report);
      return;
    }
    say(nextCommands(stage, { folder, report }));
    await untilAborted(signal);
    say('stopping');
  } catch (error) {
    // Whatever failed because it was interrupted.
    signal.throwIfAborted();
    throw error;
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
    await chain?.stop();
    release();
  }
}

function jsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value;
}

async function play(stage: Stage): Promise<DemoReport> {
  const { spring, brook, lake, say } = stage;
  const names = new Map(everybody(stage).map(({ nodeId, name }) => [nodeId, name]));
  await fundAll(stage);
  const size = formatSat(capacitySat);
  say(
    `\nbrook opens an announced channel of ${size} to lake: all the network may hear of it, and pay through it.`,
  );
  const onward = await openChannel(stage, { from: brook, to: lake, capacitySat, announce: true });
  say(
    `\nspring opens a private one of ${size} to brook: it only pays, and nobody else need know that it is there.`,
  );
  const first = await openChannel(stage, { from: spring, to: brook, capacitySat, announce: false });
  const before = await holdingsOfAll(everybody(stage));
  say(`\n${describeHoldings('Before', before)}`);

  say(
    `\nspring has no channel to lake, and has heard of one from brook. The way for ${formatMsat(amountMsat)}:`,
  );
  await findWay(stage, { from: spring, to: lake, amountMsat, names });
  say(
    `\nKeysend: spring pushes ${formatMsat(amountMsat)} to lake. No invoice: only the public key ${shortId(lake.nodeId)}…`,
  );
  const message = 'Hello lake, 1,000 sat are flowing your way.';
  const pushed = await keysend(stage, { from: spring, to: lake, amountMsat, message });
  say(`\nInvoice: lake asks for ${formatMsat(coffeeMsat)}.`);
  const coffee = { from: spring, to: lake, amountMsat: coffeeMsat, description: 'one coffee' };
  const paid = await payInvoice(stage, coffee);

  say(
    `\nlake opens a private channel of ${size} to spring: spring could receive by it, and has nothing in it to send.`,
  );
  const back = await openChannel(stage, { from: lake, to: spring, capacitySat, announce: false });
  say('\nRebalancing: spring pays itself in a circle, through brook and lake.');
  const moved = await rebalance(stage, { node: spring, from: first, to: back, amountMsat: movedMsat });
  const after = await holdingsOfAll(everybody(stage));
  say(`\n${describeHoldings('After', after)}`);
  return {
    channels: [onward, first, back],
    payments: [
      { from: spring.name, to: lake.name, payment: pushed },
      { from: spring.name, to: lake.name, payment: paid },
      { from: spring.name, to: spring.name, payment: moved },
    ],
    before,
    after,
  };
}

async function close(stage: Stage, { channels }: DemoReport): Promise<void> {
  const { spring, brook, say } = stage;
  const channel = channels.find(({ nodeId }) => nodeId === brook.nodeId);
  if (channel === undefined) throw new CliError('not_available', 'spring has no channel with brook');
  say('\nspring and brook close their channel together.');
  await closeChannel(stage, { from: spring, to: brook, channelId: channel.channelId });
  say(`\n${describeHoldings('In the end', await holdingsOfAll(everybody(stage)))}`);
}

function nextCommands(stage: Stage, { folder, report }: { folder: string; report: DemoReport }): string {
  const { spring, brook, lake } = stage;
  const at = (node: DemoNode) => `npx rivulet --data-dir ${join(folder, node.name)}`;
  const [, first, back] = report.channels;
  return [
    '\nAll three keep running. In another terminal, from this folder, try:',
    `  ${at(lake)} listen`,
    `  ${at(spring)} keysend ${lake.nodeId} 21 --message "a tip"`,
    `  ${at(spring)} route ${lake.nodeId} 250,000 --probe`,
    `  ${at(lake)} invoice 2500 "another coffee"`,
    `  ${at(spring)} pay <what it printed first>`,
    `  ${at(brook)} forwards`,
    `  ${at(brook)} policy all --base 0 --ppm 500`,
    `  ${at(spring)} rebalance --from ${first?.shortChannelId} --to ${back?.shortChannelId} --amount 50,000 --max-fee-ppm 5000`,
    `  ${at(spring)} channels`,
    `  ${at(spring)} network ${lake.nodeId}`,
    `  ${at(lake)} payments`,
    `  ${at(lake)} balance`,
    `  ${at(spring)} mine 1`,
    '\nCtrl-C ends the demo.',
  ].join('\n');
}
