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
import { describeHoldings, describeViews, type Holdings, holdingsOf } from './demoStory.js';

const capacitySat = 1_000_000n;
/** What lake gets at the start, so that it has something to send back above its reserve. */
const pushSat = 100_000n;
const amountMsat = 1_000_000n;
/** Blocks that bury a channel's funding, or its close. */
const burialBlocks = 6;

export interface DemoOptions {
  readonly folder: string;
  /** Ends after the payments, with the channel closed. */
  readonly once: boolean;
  readonly json: boolean;
}

/** What a demo that has run its course tells a program. */
interface DemoReport {
  readonly channelId: string;
  readonly payments: readonly { readonly from: string; readonly to: string; readonly payment: Payment }[];
  readonly before: readonly Holdings[];
  readonly after: readonly Holdings[];
}

/** Two nodes in processes of their own, on a chain of their own, push payments to each other. */
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
    say('Rivulet demo: a Bitcoin chain for tests, and two Lightning nodes, each a process of its own.');
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
    const spring = await start('spring');
    const lake = await start('lake');
    const report = await play({ spring, lake, chain, signal, say });
    if (json) context.out(`${JSON.stringify(report, (_, value) => jsonValue(value))}\n`);
    if (once) {
      await close({ spring, lake, chain, signal, say, channelId: report.channelId });
      return;
    }
    say(nextCommands(spring, lake, folder));
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

interface Stage {
  readonly spring: DemoNode;
  readonly lake: DemoNode;
  readonly chain: Regtest;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

async function play(stage: Stage): Promise<DemoReport> {
  const { spring, lake, say } = stage;
  await fundSpring(stage);
  const channel = await openChannel(stage);
  const before = [await holdingsOf(spring), await holdingsOf(lake)];
  say(`\n${describeHoldings('Before', before)}`);
  const there = await pay(stage, {
    from: spring,
    to: lake,
    message: 'Hello lake, 1,000 sat are flowing your way.',
  });
  const back = await pay(stage, {
    from: lake,
    to: spring,
    message: 'Thank you, spring. Here they are again.',
  });
  const after = [await holdingsOf(spring), await holdingsOf(lake)];
  say(`\n${describeHoldings('After', after)}`);
  return {
    channelId: channel.channelId,
    payments: [
      { from: spring.name, to: lake.name, payment: there },
      { from: lake.name, to: spring.name, payment: back },
    ],
    before,
    after,
  };
}

/** Mines until a node has seen the tip. */
async function mine(
  { chain, signal }: Stage,
  given: { to: string; blocks: number; seenBy: readonly DemoNode[] },
) {
  const { to, blocks, seenBy } = given;
  const height = chain.chain.tip.height + blocks;
  const waits = await Promise.all(
    seenBy.map((node) =>
      node.watch((event) => (event.type === 'block' && event.height >= height ? true : undefined), signal),
    ),
  );
  const [miner] = seenBy as [DemoNode];
  await miner.client.mine({ blocks, address: to }, { signal });
  await Promise.all(waits.map(({ seen }) => seen));
}

async function fundSpring(stage: Stage): Promise<void> {
  const { spring, say, signal } = stage;
  const { address } = await spring.client.newAddress({}, { signal });
  say(`\nMining: the first block's reward goes to spring, 100 more make it spendable.`);
  await mine(stage, { to: address, blocks: 101, seenBy: [spring] });
  const { onchain } = await spring.client.balance({}, { signal });
  say(`  spring has ${formatSat(onchain.confirmedSat)} on chain`);
}

async function openChannel(stage: Stage): Promise<ChannelInfo> {
  const { spring, lake, say, signal } = stage;
  const usable = (node: DemoNode) =>
    node.watch(
      (event) => (event.type === 'channel_changed' && event.channel.usable ? event.channel : undefined),
      signal,
    );
  const waits = [await usable(spring), await usable(lake)] as const;
  say(
    `\nOpening a private channel of ${formatSat(capacitySat)}: spring pays, and gives lake ${formatSat(pushSat)} of it.`,
  );
  const opened = await spring.client.openChannel(
    { nodeId: lake.nodeId, ...lake.address, capacitySat, pushSat },
    { signal },
  );
  say(`  channel  ${opened.channelId}`);
  say(`  funded   by transaction ${opened.fundingTxidHex}, a 2-of-2 output`);
  const { address } = await spring.client.newAddress({}, { signal });
  await mine(stage, { to: address, blocks: burialBlocks, seenBy: [spring, lake] });
  const [channel] = await Promise.all(waits.map(({ seen }) => seen));
  if (channel === undefined) throw new CliError('not_available', 'the channel did not open');
  say(`  open     after ${opened.minimumDepth} confirmations, type ${channel.channelType}`);
  return channel;
}

async function pay(
  { say, signal }: Stage,
  { from, to, message }: { from: DemoNode; to: DemoNode; message: string },
): Promise<Payment> {
  say(
    `\nKeysend: ${from.name} pushes ${formatMsat(amountMsat)} to ${to.name}. No invoice: only the public key ${shortId(to.nodeId)}…`,
  );
  const arrived = await to.watch(
    (event) => (event.type === 'payment_received' ? event.payment : undefined),
    signal,
  );
  const started = performance.now();
  const sent = await from.client.keysend({ nodeId: to.nodeId, amountMsat, message }, { signal });
  const milliseconds = performance.now() - started;
  if (sent.status !== 'succeeded') {
    throw new CliError('payment_failed', `the payment failed: ${sent.failure?.message ?? sent.status}`);
  }
  const received = await arrived.seen;
  say(
    `  settled in ${milliseconds.toFixed(0)} ms, fee ${formatMsat(sent.feeMsat)}, hash ${shortId(sent.paymentHash)}…`,
  );
  say(describeViews({ payment: received, sender: from.name, receiver: to.name }));
  return sent;
}

async function close(stage: Stage & { channelId: string }): Promise<void> {
  const { spring, lake, signal, say, channelId } = stage;
  say('\nClosing the channel together.');
  const agreed = (node: DemoNode) =>
    node.watch(
      (event) =>
        event.type === 'channel_changed' && event.channel.closingTxidHex !== undefined
          ? event.channel
          : undefined,
      signal,
    );
  const waits = [await agreed(spring), await agreed(lake)] as const;
  await spring.client.closeChannel({ channelId }, { signal });
  const [closing] = await Promise.all(waits.map(({ seen }) => seen));
  say(`  closing transaction ${closing?.closingTxidHex}`);
  say('  Each side signed one whose fee it pays itself; the next block takes one of the two.');
  const spent = (node: DemoNode) =>
    node.watch(
      (event) =>
        event.type === 'channel_changed' &&
        (event.channel.state === 'spent' || event.channel.state === 'closed')
          ? true
          : undefined,
      signal,
    );
  const confirmations = [await spent(spring), await spent(lake)];
  const { address } = await spring.client.newAddress({}, { signal });
  await mine(stage, { to: address, blocks: burialBlocks, seenBy: [spring, lake] });
  await Promise.all(confirmations.map(({ seen }) => seen));
  say(`\n${describeHoldings('In the end', [await holdingsOf(spring), await holdingsOf(lake)])}`);
}

function nextCommands(spring: DemoNode, lake: DemoNode, folder: string): string {
  const at = (node: DemoNode) => `npx rivulet --data-dir ${join(folder, node.name)}`;
  return [
    '\nBoth nodes keep running. In another terminal, from this folder, try:',
    `  ${at(lake)} listen`,
    `  ${at(spring)} keysend ${lake.nodeId} 21 --message "a tip"`,
    `  ${at(spring)} channels`,
    `  ${at(lake)} payments`,
    `  ${at(lake)} balance`,
    `  ${at(spring)} mine 1`,
    '\nCtrl-C ends the demo.',
  ].join('\n');
}
