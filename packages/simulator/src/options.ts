import type { CurveKind } from './curve.js';
import { type HostilityKind, hostilityKinds } from './hostility.js';
import { SimulationError } from './simulationError.js';
import type { Topology } from './topology.js';

export interface SimulationOptions {
  /** All that is random follows from it: the same options give the same run, message by message. */
  readonly seed: number | string;
  readonly nodes?: number;
  readonly channels?: number;
  /** A network of its own shape, instead of a generated one of `nodes` and `channels`. */
  readonly topology?: Topology;
  readonly payments?: number;
  readonly paymentsPerSecond?: number;
  /** Amounts are between these, each order of magnitude as likely as any other. */
  readonly leastAmountSat?: number;
  readonly mostAmountSat?: number;
  /** What share of payments is pushed without an invoice. */
  readonly keysendShare?: number;
  /** How many nodes pay; fewer learn more each. All honest ones where it is absent. */
  readonly senders?: number;
  readonly maxParts?: number;
  readonly maxAttempts?: number;
  /** Of the amount; 5 sat are always allowed. */
  readonly maxFeePercent?: number;
  /** How many nodes misbehave. */
  readonly hostile?: number;
  /** In which ways, in turn. */
  readonly hostilities?: readonly HostilityKind[];
  /** In which share of cases they do. */
  readonly hostileRate?: number;
  /** How likely each delivery is to be lost, with its connection. */
  readonly loss?: number;
  /** How often a node loses its memory, in all. */
  readonly crashes?: number;
  /** Of a link, one way; links differ by an order of magnitude. */
  readonly medianLatencyMs?: number;
  /** How long a node collects what it does before it commits. */
  readonly turnMs?: number;
  readonly blockIntervalMs?: number;
  readonly feeratePerKw?: number;
  readonly maxAcceptedHtlcs?: number;
  /** Without it, payments do not use what earlier ones taught. */
  readonly learning?: boolean;
  /** `toy` is several times as fast and signs nothing: for planning large networks. Default: `real`. */
  readonly curve?: CurveKind;
  /** Every event, in order. */
  readonly onTrace?: (line: string) => void;
  /** How many payments are begun. */
  readonly onProgress?: (begun: number) => void;
}

export type ResolvedOptions = Required<
  Omit<SimulationOptions, 'topology' | 'senders' | 'onTrace' | 'onProgress'>
> &
  Pick<SimulationOptions, 'topology' | 'senders' | 'onTrace' | 'onProgress'>;

/** @throws SimulationError `options_invalid` */
export function resolveOptions(options: SimulationOptions): ResolvedOptions {
  const nodes = options.topology?.nodeCount ?? options.nodes ?? 200;
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: ResolvedOptions = {
    channels: nodes * 4,
    payments: 10_000,
    paymentsPerSecond: 10,
    leastAmountSat: 1,
    mostAmountSat: 200_000,
    keysendShare: 0.5,
    maxParts: 8,
    maxAttempts: 20,
    maxFeePercent: 3,
    hostile: 0,
    hostilities: hostilityKinds,
    hostileRate: 0.5,
    loss: 0,
    crashes: 0,
    medianLatencyMs: 40,
    turnMs: 1,
    blockIntervalMs: 600_000,
    feeratePerKw: 500,
    maxAcceptedHtlcs: 483,
    learning: true,
    curve: 'real',
    ...(given as unknown as SimulationOptions),
    nodes,
  };
  check(Number.isInteger(nodes) && nodes >= 2, 'a network has two nodes at least');
  check(isCount(resolved.payments), 'the number of payments is a whole number');
  check(resolved.paymentsPerSecond > 0, 'the rate of payments is above zero');
  check(
    resolved.leastAmountSat >= 1 && resolved.mostAmountSat >= resolved.leastAmountSat,
    'amounts are from 1 sat on, the least first',
  );
  check(isCount(resolved.hostile) && resolved.hostile <= nodes - 2, 'two nodes at least have to be honest');
  check(resolved.hostilities.length > 0, 'hostile nodes need a way to be hostile');
  for (const name of ['keysendShare', 'hostileRate', 'loss'] as const) {
    check(resolved[name] >= 0 && resolved[name] <= 1, `${name} is from 0 to 1`);
  }
  check(isCount(resolved.crashes), 'the number of crashes is a whole number');
  check(
    resolved.senders === undefined || (isCount(resolved.senders) && resolved.senders > 0),
    'the number of senders is a whole number above zero',
  );
  return resolved;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new SimulationError('options_invalid', message);
}
