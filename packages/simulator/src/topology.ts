import type { ForwardingPolicy } from '@rivulet/core/forwarding';
import type { Random } from './random.js';
import { SimulationError } from './simulationError.js';

/** The terms of one end of a channel. */
export interface EndPolicy extends ForwardingPolicy {
  readonly disabled: boolean;
}

/** A channel between two nodes, by their numbers; `a` opened it. */
export interface TopologyChannel {
  readonly a: number;
  readonly b: number;
  readonly capacitySat: bigint;
  /** Of `a`, of `b`. */
  readonly policies: readonly [EndPolicy, EndPolicy];
  /** What part of the capacity is on `a`'s side, from 0 to 1. */
  readonly shareOfA: number;
}

/** The shape of a network: nodes are numbers from 0. */
export interface Topology {
  readonly nodeCount: number;
  readonly channels: readonly TopologyChannel[];
}

export interface TopologyOptions {
  readonly nodeCount: number;
  /** At least one less than the nodes: every node can be reached. */
  readonly channelCount: number;
  /** In sat: half of the channels have more. */
  readonly medianCapacitySat?: number;
}

const leastCapacitySat = 60_000;
const mostCapacitySat = 500_000_000;

/** What nodes ask for, with about the frequencies of the public network early in 2026. */
const feeBases = [0, 0, 0, 1, 1000, 1000, 1000, 2000];
const feeRates = [0, 1, 1, 10, 50, 100, 150, 250, 350, 500, 800, 1500, 2500];
const cltvDeltas = [34, 40, 40, 80, 80, 80, 100, 144, 144];
const minimums = [1n, 1n, 1000n, 1000n, 1000n];

function randomPolicy(random: Random, capacitySat: bigint): EndPolicy {
  const part = random.chance(0.7) ? 99n : BigInt(random.below(90) + 10);
  return {
    feeBaseMsat: random.pick(feeBases),
    feeProportionalMillionths: random.pick(feeRates),
    cltvExpiryDelta: random.pick(cltvDeltas),
    htlcMinimumMsat: random.pick(minimums),
    htlcMaximumMsat: capacitySat * 10n * part,
    disabled: random.chance(0.02),
  };
}

/**
 * A network that grows as the real one did: whoever joins opens a channel with a node that has many already
 * (Barabási and Albert), later channels join two nodes that are chosen so. Capacities are log-normal, balances
 * random, some channels quite one-sided.
 */
export function generateTopology(options: TopologyOptions, random: Random): Topology {
  const { nodeCount, channelCount, medianCapacitySat = 2_000_000 } = options;
  if (!Number.isInteger(nodeCount) || nodeCount < 2) {
    throw new SimulationError('options_invalid', 'a network has two nodes at least');
  }
  if (!Number.isInteger(channelCount) || channelCount < nodeCount - 1) {
    throw new SimulationError(
      'options_invalid',
      `${nodeCount} nodes need ${nodeCount - 1} channels at least, so that each can be reached`,
    );
  }
  /** A node as often as it has channels. */
  const ends: number[] = [0];
  const channels: TopologyChannel[] = [];
  const connect = (a: number, b: number) => {
    const wanted = random.logNormal(medianCapacitySat, 1.3);
    const capacitySat = BigInt(Math.round(Math.min(Math.max(wanted, leastCapacitySat), mostCapacitySat)));
    const policies = [randomPolicy(random, capacitySat), randomPolicy(random, capacitySat)] as const;
    channels.push({ a, b, capacitySat, policies, shareOfA: randomShare(random) });
    ends.push(a, b);
  };
  for (let node = 1; node < nodeCount; node++) connect(node, random.pick(ends));
  while (channels.length < channelCount) {
    const a = random.chance(0.5) ? random.below(nodeCount) : random.pick(ends);
    const b = random.pick(ends);
    if (a !== b) connect(a, b);
  }
  return { nodeCount, channels };
}

/** A third of the channels is nearly empty on one side. */
export function randomShare(random: Random): number {
  if (random.chance(0.66)) return random.next();
  const little = random.next() * 0.05;
  return random.chance(0.5) ? little : 1 - little;
}
