import { bytesToHex, equalBytes } from '../bytes/index.js';
import { LiquidityEstimates } from './liquidityEstimates.js';
import { NetworkGraph } from './networkGraph.js';
import type { DirectedChannel, FirstHop, HintHop, Route, RouteRequest } from './route.js';

/** Node ids in the order of their numbers. */
export function nodeId(number: number): Uint8Array {
  const id = new Uint8Array(33);
  id[0] = 2;
  id[31] = number >> 8;
  id[32] = number & 255;
  return id;
}

export interface TestPolicy {
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
  readonly cltvExpiryDelta: number;
  readonly htlcMinimumMsat: bigint;
  readonly htlcMaximumMsat: bigint;
  readonly disabled: boolean;
}

/** A channel of one direction, between numbered nodes. */
export interface TestEdge extends TestPolicy {
  readonly from: number;
  readonly to: number;
  readonly shortChannelId: bigint;
  readonly capacitySat: bigint;
}

const plainPolicy: TestPolicy = {
  feeBaseMsat: 1000,
  feeProportionalMillionths: 100,
  cltvExpiryDelta: 40,
  htlcMinimumMsat: 1n,
  htlcMaximumMsat: 1_000_000_000n,
  disabled: false,
};

export function testEdge(
  shortChannelId: number,
  [from, to]: readonly [number, number],
  policy: Partial<TestPolicy> & { readonly capacitySat?: bigint } = {},
): TestEdge {
  return {
    capacitySat: 1_000_000n,
    ...plainPolicy,
    ...policy,
    from,
    to,
    shortChannelId: BigInt(shortChannelId),
  };
}

/** The graph with these directions; the other ones of their channels have no policy. */
export function graphOf(edges: readonly TestEdge[]): NetworkGraph {
  const graph = new NetworkGraph();
  for (const edge of edges) {
    const { from, to, shortChannelId, capacitySat } = edge;
    graph.addChannel({
      shortChannelId,
      capacitySat,
      nodeId1: nodeId(Math.min(from, to)),
      nodeId2: nodeId(Math.max(from, to)),
    });
    graph.updateChannel({ ...edge, direction: from < to ? 0 : 1, timestamp: 1 });
  }
  return graph;
}

/** By default node 0 pays node 9, without limits that matter. */
export function routeRequest(
  request: Partial<RouteRequest> & { readonly firstHops: readonly FirstHop[] },
): RouteRequest {
  return {
    source: nodeId(0),
    destination: nodeId(9),
    amountMsat: 1_000_000n,
    finalCltvDelta: 18,
    maxFeeMsat: 1_000_000_000n,
    maxCltvDelta: 2016,
    hints: [],
    maxParts: 1,
    maxHops: 20,
    excludedNodes: new Set(),
    excludedChannels: new Set(),
    inFlightMsat: new Map(),
    nowMs: 1_700_000_000_000,
    blockHeight: 800_000,
    ...request,
  };
}

export function firstHop(shortChannelId: number, to: number, spendableMsat = 100_000_000n): FirstHop {
  return { nodeId: nodeId(to), shortChannelId: BigInt(shortChannelId), spendableMsat, minimumMsat: 1n };
}

/** A hint of one hop. */
export function hintFrom(from: number, shortChannelId: number, policy: Partial<HintHop> = {}): HintHop {
  return {
    nodeId: nodeId(from),
    shortChannelId: BigInt(shortChannelId),
    feeBaseMsat: 1000,
    feeProportionalMillionths: 100,
    cltvExpiryDelta: 40,
    ...policy,
  };
}

export function noKnowledge(): LiquidityEstimates {
  return new LiquidityEstimates();
}

/** What forwards into a channel: what the graph says, or a hint. */
interface Terms {
  readonly to: Uint8Array;
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
  readonly cltvExpiryDelta: number;
  readonly htlcMinimumMsat: bigint;
  readonly htlcMaximumMsat: bigint;
  readonly capacityMsat: bigint | undefined;
}

function termsOf(
  { graph, request }: { graph: NetworkGraph; request: RouteRequest },
  { node, shortChannelId }: { node: Uint8Array; shortChannelId: bigint },
): Terms | undefined {
  for (const hint of request.hints) {
    for (const [i, hop] of hint.entries()) {
      if (hop.shortChannelId !== shortChannelId || !equalBytes(hop.nodeId, node)) continue;
      return {
        ...hop,
        to: hint[i + 1]?.nodeId ?? request.destination,
        htlcMinimumMsat: hop.htlcMinimumMsat ?? 0n,
        htlcMaximumMsat: hop.htlcMaximumMsat ?? 1n << 60n,
        capacityMsat: undefined,
      };
    }
  }
  const channel = graph.getChannel(shortChannelId);
  if (channel === undefined) return undefined;
  const direction = equalBytes(channel.nodeId1, node) ? 0 : 1;
  const policy = channel.policies[direction];
  if (policy === undefined || policy.disabled) return undefined;
  const to = direction === 0 ? channel.nodeId2 : channel.nodeId1;
  return { ...policy, to, capacityMsat: channel.capacitySat * 1000n };
}

/**
 * Sends routes hop by hop, as nodes that obey BOLT 7 would, and says what is wrong with them: each node gets
 * an HTLC, looks whether it leaves exactly its fee and its time, and passes on the rest.
 */
export function faultsOf(
  routes: readonly Route[],
  { graph, request }: { graph: NetworkGraph; request: RouteRequest },
): string[] {
  const faults: string[] = [];
  const held = new Map<DirectedChannel, bigint>(request.inFlightMsat);
  const spent = new Map<bigint, bigint>();
  const check = (holds: boolean, fault: string): void => {
    if (!holds) faults.push(fault);
  };
  check(routes.length >= 1 && routes.length <= Math.max(1, request.maxParts), 'number of parts');
  check(
    routes.reduce((sum, { amountMsat }) => sum + amountMsat, 0n) === request.amountMsat,
    'sum of the parts',
  );
  check(routes.reduce((sum, { feeMsat }) => sum + feeMsat, 0n) <= request.maxFeeMsat, 'fee limit');
  for (const { hops, amountMsat, feeMsat, probability } of routes) {
    const [first] = hops;
    const last = hops.at(-1);
    if (first === undefined || last === undefined) return [...faults, 'no hops'];
    check(probability > 0 && probability <= 1, 'probability');
    check(hops.length <= request.maxHops, 'too many hops');
    check(first.cltvDelta <= request.maxCltvDelta, 'time limit');
    check(last.amountMsat === amountMsat && last.cltvDelta === request.finalCltvDelta, 'what arrives');
    check(equalBytes(last.nodeId, request.destination), 'where it arrives');
    check(first.amountMsat - amountMsat === feeMsat, 'fee');
    const ours = request.firstHops.find(({ shortChannelId }) => shortChannelId === first.shortChannelId);
    check(ours !== undefined && equalBytes(ours.nodeId, first.nodeId), 'first hop');
    check(first.amountMsat >= (ours?.minimumMsat ?? 0n), 'minimum of the first hop');
    spent.set(first.shortChannelId, (spent.get(first.shortChannelId) ?? 0n) + first.amountMsat);
    const seen = new Set<string>([bytesToHex(request.source)]);
    for (const [i, hop] of hops.entries()) {
      const from = i === 0 ? request.source : (hops[i - 1] as typeof hop).nodeId;
      check(hop.direction === (bytesToHex(from) < bytesToHex(hop.nodeId) ? 0 : 1), 'direction');
      const key: DirectedChannel = `${hop.shortChannelId}/${hop.direction}`;
      check(!request.excludedChannels.has(key), 'excluded channel');
      check(!request.excludedNodes.has(bytesToHex(hop.nodeId)), 'excluded node');
      const isCircleEnd = i === hops.length - 1 && equalBytes(request.source, request.destination);
      check(isCircleEnd || !seen.has(bytesToHex(hop.nodeId)), 'a node twice');
      seen.add(bytesToHex(hop.nodeId));
      if (i === 0) continue;
      check(hop.shortChannelId !== first.shortChannelId, 'back through the first channel');
      const incoming = hops[i - 1] as typeof hop;
      const terms = termsOf({ graph, request }, { node: from, shortChannelId: hop.shortChannelId });
      if (terms === undefined) return [...faults, 'no such channel'];
      check(!graph.requiresUnknown(from), 'through a node with unknown features');
      check(equalBytes(terms.to, hop.nodeId), 'where the channel leads');
      const fee =
        BigInt(terms.feeBaseMsat) + (hop.amountMsat * BigInt(terms.feeProportionalMillionths)) / 1_000_000n;
      check(incoming.amountMsat === hop.amountMsat + fee, 'fee of a hop');
      check(incoming.cltvDelta === hop.cltvDelta + terms.cltvExpiryDelta, 'time of a hop');
      check(
        hop.amountMsat >= terms.htlcMinimumMsat && hop.amountMsat <= terms.htlcMaximumMsat,
        'HTLC limits',
      );
      const inChannel = (held.get(key) ?? 0n) + hop.amountMsat;
      held.set(key, inChannel);
      check(terms.capacityMsat === undefined || inChannel <= terms.capacityMsat, 'overcommitted channel');
    }
  }
  for (const { shortChannelId, spendableMsat } of request.firstHops) {
    check((spent.get(shortChannelId) ?? 0n) <= spendableMsat, 'overspent channel of ours');
  }
  return faults;
}
