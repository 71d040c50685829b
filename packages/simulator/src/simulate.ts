import { checkEnd, closedChannels, forwardingGainMsat } from './checks.js';
import { replaceCurve } from './curve.js';
import { resolveOptions, type SimulationOptions } from './options.js';
import { Simulation } from './simulation.js';
import { type PaymentStatistics, paymentStatistics, sorted } from './statistics.js';

export interface SimulationResult {
  readonly nodes: number;
  readonly channels: number;
  readonly hostileNodes: number;
  /** In hex: the same for the same options, and for no other course of events. */
  readonly digest: string;
  readonly events: number;
  /** Everything that must not be: an empty list, whatever was asked for. */
  readonly violations: readonly string[];
  readonly payments: PaymentStatistics;
  /** Why forwards were refused: how often, by cause. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Fees that honest nodes earned by forwarding. */
  readonly earnedMsat: bigint;
  /** Payments that failed though their receiver has the money: somebody else paid, who broke the rules. */
  readonly paidByOthers: number;
  /** How evenly channels are filled, from 0 (all on one side) to 1 (half and half), before and after. */
  readonly balance: { readonly before: number; readonly after: number };
  readonly closedChannels: number;
  readonly virtualMs: number;
  readonly blocks: number;
  readonly messages: number;
  readonly bytes: number;
  readonly htlcs: number;
  readonly commitments: number;
  readonly disconnects: number;
  readonly crashes: number;
}

/**
 * Runs a network of real nodes, their channels, onions and payments, over a virtual clock, network and chain:
 * the same seed gives the same run. It is synchronous; how long it takes depends on the number of HTLCs.
 *
 * What is simulated and what is not: signatures (but with the toy curve), commitments, claims and all messages are real; the chain
 * checks no scripts (see SimChain); gossip has reached everybody at once; storage is memory that keeps what a
 * commit wrote.
 *
 * `initCrypto` of core has to be called before, or plain JavaScript computes all.
 * @throws SimulationError for options that make no sense.
 */
export function simulate(options: SimulationOptions): SimulationResult {
  const restore = replaceCurve(options.curve ?? 'real');
  try {
    const { simulation, before } = create(options);
    simulation.run();
    return resultOf(simulation, before);
  } finally {
    restore();
  }
}

const eventsBetweenPauses = 500;

/**
 * The same, with pauses in which others can run, and by which it can be ended: `pause` may throw. No two at a
 * time in one process, and nothing else that uses the curve.
 */
export async function simulateWithPauses(
  options: SimulationOptions,
  pause: () => Promise<void>,
): Promise<SimulationResult> {
  const restore = replaceCurve(options.curve ?? 'real');
  try {
    const { simulation, before } = create(options);
    simulation.begin();
    while (simulation.advance(eventsBetweenPauses)) await pause();
    return resultOf(simulation, before);
  } finally {
    restore();
  }
}

function create(options: SimulationOptions): { simulation: Simulation; before: number } {
  const simulation = new Simulation(resolveOptions(options));
  return { simulation, before: evenness(simulation) };
}

function resultOf(simulation: Simulation, before: number): SimulationResult {
  const { violations, disagreements } = checkEnd(simulation);
  const { nodes, topology, trace, counts, records } = simulation;
  const honest = nodes.filter((node) => node.honest);
  return {
    nodes: nodes.length,
    channels: topology.channels.length,
    hostileNodes: nodes.length - honest.length,
    digest: trace.digest(),
    events: trace.count,
    violations: [...simulation.violations, ...violations],
    payments: paymentStatistics(records),
    refusals: sorted(simulation.refusals),
    earnedMsat: honest.reduce((sum, node) => sum + forwardingGainMsat(simulation, node), 0n),
    paidByOthers: disagreements.paidByOthers,
    balance: { before, after: evenness(simulation) },
    closedChannels: closedChannels(simulation),
    virtualMs: simulation.elapsedMs,
    blocks: simulation.blocks,
    messages: counts.messages,
    bytes: counts.bytes,
    htlcs: counts.htlcs,
    commitments: counts.commitments,
    disconnects: counts.disconnects,
    crashes: counts.crashes,
  };
}

function evenness({ nodes }: Simulation): number {
  let sum = 0;
  let count = 0;
  for (const node of nodes) {
    for (const { phase, params, localMsat } of node.channels()) {
      if (phase.name !== 'open' || !params.localIsOpener) continue;
      const share = Number(localMsat) / Number(params.fundingSat * 1000n);
      sum += 1 - Math.abs(2 * share - 1);
      count++;
    }
  }
  return count === 0 ? 0 : sum / count;
}
