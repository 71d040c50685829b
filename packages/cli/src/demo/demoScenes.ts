import type { Regtest } from '@rivulet/chain';
import { type ChannelInfo, ClientError, type Payment, type ResponseOf } from '@rivulet/sdk';
import { CliError } from '../cliError.js';
import { formatMsat, formatSat } from '../format/amount.js';
import { shortId } from '../format/text.js';
import type { DemoNode } from './demoNode.js';
import { describeViews, describeWay } from './demoStory.js';

/** Blocks that bury a channel's funding, so that it can be announced; or its close. */
const burialBlocks = 6;

/** Where the story is played. */
export interface Stage {
  readonly spring: DemoNode;
  readonly brook: DemoNode;
  readonly lake: DemoNode;
  readonly chain: Regtest;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

export function everybody({ spring, brook, lake }: Stage): readonly [DemoNode, DemoNode, DemoNode] {
  return [spring, brook, lake];
}

/** Mines until all nodes have seen the tip. Without `to` the rewards are nobody's. */
async function mine(stage: Stage, { blocks, to }: { blocks: number; to?: DemoNode }): Promise<void> {
  const { chain, signal } = stage;
  const height = chain.chain.tip.height + blocks;
  const waits = await Promise.all(
    everybody(stage).map((node) =>
      node.watch((event) => (event.type === 'block' && event.height >= height ? true : undefined), signal),
    ),
  );
  if (to === undefined) chain.chain.mine({ blocks });
  else await to.client.mine({ blocks }, { signal });
  await Promise.all(waits.map(({ seen }) => seen));
}

export async function fundAll(stage: Stage): Promise<void> {
  const { spring, say, signal } = stage;
  say('\nMining: the reward of a block for each node, and 100 blocks more, which make them spendable.');
  for (const node of everybody(stage)) await mine(stage, { to: node, blocks: 1 });
  await mine(stage, { blocks: 100 });
  const { onchain } = await spring.client.balance({}, { signal });
  say(`  spring has ${formatSat(onchain.confirmedSat)} on chain`);
}

/** Opens a channel and mines until both ends can use it. */
export async function openChannel(
  stage: Stage,
  given: { from: DemoNode; to: DemoNode; capacitySat: bigint; announce: boolean },
): Promise<ChannelInfo> {
  const { say, signal } = stage;
  const { from, to, capacitySat, announce } = given;
  const usable = (node: DemoNode, peer: DemoNode) =>
    node.watch(
      (event) =>
        event.type === 'channel_changed' && event.channel.usable && event.channel.nodeId === peer.nodeId
          ? event.channel
          : undefined,
      signal,
    );
  const waits = await Promise.all([usable(from, to), usable(to, from)]);
  const opened = await from.client.openChannel(
    { nodeId: to.nodeId, ...to.address, capacitySat, announce },
    { signal },
  );
  say(`  funded   by transaction ${opened.fundingTxidHex}, a 2-of-2 output`);
  await mine(stage, { blocks: burialBlocks });
  const [channel] = await Promise.all(waits.map(({ seen }) => seen));
  if (channel === undefined) throw new CliError('not_available', 'the channel did not open');
  say(`  open     ${channel.shortChannelId}, type ${channel.channelType}, ${formatSat(channel.capacitySat)}`);
  return channel;
}

/** The way to a node, as soon as it is known. */
export async function findWay(
  { say, signal }: Stage,
  given: { from: DemoNode; to: DemoNode; amountMsat: bigint; names: ReadonlyMap<string, string> },
): Promise<ResponseOf<'route'>> {
  const { from, to, amountMsat, names } = given;
  const found = await from.until(
    (client) => client.route({ nodeId: to.nodeId, amountMsat }, { signal }).catch(unlessUnknown),
    { what: `it knows a way to ${to.name}`, signal },
  );
  say(describeWay(found, { from: from.name, names }));
  return found;
}

/** No way so far: gossip is on its way. Nothing was sent. */
function unlessUnknown(error: unknown): undefined {
  const waiting = ['destination_unknown', 'no_route', 'no_channels', 'request_invalid'];
  if (error instanceof ClientError && waiting.includes(error.code)) return undefined;
  throw error;
}

export async function keysend(
  { brook, say, signal }: Stage,
  given: { from: DemoNode; to: DemoNode; amountMsat: bigint; message: string },
): Promise<Payment> {
  const { from, to, amountMsat, message } = given;
  const before = await forwardedBy(brook);
  const arrived = await to.watch(
    (event) => (event.type === 'payment_received' ? event.payment : undefined),
    signal,
  );
  const started = performance.now();
  const sent = await from.client.keysend({ nodeId: to.nodeId, amountMsat, message }, { signal });
  const milliseconds = performance.now() - started;
  mustSucceed(sent);
  const received = await arrived.seen;
  say(
    `  settled in ${milliseconds.toFixed(0)} ms, fee ${formatMsat(sent.feeMsat)}, hash ${shortId(sent.paymentHash)}…`,
  );
  // The forward is over when brook has its own money back, a moment after lake has its.
  const earned = await brook.until(
    async () => {
      const { settled, amountMsat, feeMsat } = await forwardedBy(brook);
      if (settled === before.settled) return undefined;
      return { amountMsat: amountMsat - before.amountMsat, feeMsat: feeMsat - before.feeMsat };
    },
    { what: 'the forward is counted', signal },
  );
  say(
    describeViews({
      payment: received,
      earned,
      sender: from.name,
      between: brook.name,
      receiver: to.name,
    }),
  );
  return sent;
}

async function forwardedBy({ client }: DemoNode) {
  const { settled, feeMsat, totals } = await client.forwards();
  return { settled, feeMsat, amountMsat: totals.reduce((sum, { amountMsat }) => sum + amountMsat, 0n) };
}

function mustSucceed(payment: Payment): void {
  if (payment.status === 'succeeded') return;
  throw new CliError('payment_failed', `the payment failed: ${payment.failure?.message ?? payment.status}`);
}

/** The other way round: the receiver asks, and the payer answers. */
export async function payInvoice(
  { say, signal }: Stage,
  given: { from: DemoNode; to: DemoNode; amountMsat: bigint; description: string },
): Promise<Payment> {
  const { from, to, amountMsat, description } = given;
  const asked = await to.client.createInvoice({ amountMsat, description }, { signal });
  say(`  ${to.name} gives out ${asked.invoice.slice(0, 40)}… (${asked.invoice.length} characters)`);
  const paid = await from.client.pay({ invoice: asked.invoice }, { signal });
  mustSucceed(paid);
  say(
    `  ${from.name} has paid ${formatMsat(paid.amountMsat)}, fee ${formatMsat(paid.feeMsat)}; the preimage ${shortId(paid.preimage ?? '')}… is its receipt`,
  );
  return paid;
}

/** Pays oneself in a circle; a peer may still have to tell its terms. */
export async function rebalance(
  { say, signal }: Stage,
  given: { node: DemoNode; from: ChannelInfo; to: ChannelInfo; amountMsat: bigint },
): Promise<Payment> {
  const { node, from, to, amountMsat } = given;
  const request = { fromChannelId: from.channelId, toChannelId: to.channelId, amountMsat, maxFeePpm: 5_000 };
  const moved = await node.until((client) => client.rebalance(request, { signal }).catch(unlessUnknown), {
    what: 'there is a circle',
    signal,
  });
  mustSucceed(moved);
  say(
    `  ${formatMsat(moved.amountMsat)} left by ${from.shortChannelId} and came back by ${to.shortChannelId}, fee ${formatMsat(moved.feeMsat)}`,
  );
  return moved;
}

/** Closes a channel together with the peer. */
export async function closeChannel(
  stage: Stage,
  given: { from: DemoNode; to: DemoNode; channelId: string },
): Promise<void> {
  const { signal, say } = stage;
  const { from, to, channelId } = given;
  const changed = (node: DemoNode, holds: (channel: ChannelInfo) => boolean) =>
    node.watch(
      (event) =>
        event.type === 'channel_changed' && event.channel.channelId === channelId && holds(event.channel)
          ? event.channel
          : undefined,
      signal,
    );
  const agreed = (channel: ChannelInfo) => channel.closingTxidHex !== undefined;
  const waits = await Promise.all([changed(from, agreed), changed(to, agreed)]);
  await from.client.closeChannel({ channelId }, { signal });
  const [closing] = await Promise.all(waits.map(({ seen }) => seen));
  say(`  closing transaction ${closing?.closingTxidHex}`);
  say('  Each side signed one whose fee it pays itself; the next block takes one of the two.');
  const spent = ({ state }: ChannelInfo) => state === 'spent' || state === 'closed';
  const confirmations = await Promise.all([changed(from, spent), changed(to, spent)]);
  await mine(stage, { blocks: burialBlocks });
  await Promise.all(confirmations.map(({ seen }) => seen));
}
