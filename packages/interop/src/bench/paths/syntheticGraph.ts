import type { BenchChannel, BenchDirection, BenchGraph } from './benchGraph.js';
import { type BenchRandom, below, createBenchRandom } from './benchRandom.js';

export interface SyntheticGraphOptions {
  readonly seed: number;
  /** 17,324 by default, as the public network had in February 2026. */
  readonly nodes?: number;
  /** The best connected node's channels, of all nodes: with so many channels in all. 50,808 by default. */
  readonly channels?: number;
}

/** Shares of a whole from 0 to 1, and the value at each; between them the logarithm is interpolated. */
type Quantiles = readonly (readonly [share: number, value: number])[];

// What the public network looked like on 3 February 2026, as far as a draw can be like it.
const degreeQuantiles: Quantiles = [
  [0, 1],
  [0.58, 1],
  [0.6, 2],
  [0.7, 2.4],
  [0.8, 4],
  [0.9, 8],
  [0.95, 17],
  [0.99, 74],
  [0.999, 451],
  [1, 1989],
];
const capacityQuantiles: Quantiles = [
  [0, 1050],
  [0.05, 20_000],
  [0.1, 20_000],
  [0.2, 100_000],
  [0.3, 318_438],
  [0.4, 1_000_000],
  [0.5, 1_283_260],
  [0.6, 2_500_000],
  [0.7, 5_000_000],
  [0.8, 8_000_000],
  [0.9, 15_665_544],
  [0.95, 40_000_000],
  [0.99, 200_000_000],
  [1, 1_000_000_000],
];
const proportionalQuantiles: Quantiles = [
  [0, 1],
  [0.25, 1],
  [0.3, 3],
  [0.4, 33],
  [0.5, 100],
  [0.6, 262],
  [0.7, 500],
  [0.8, 960],
  [0.9, 2000],
  [0.95, 3000],
  [0.99, 10_000],
  [0.999, 50_000],
  [1, 1_000_000],
];
type Choices = readonly (readonly [share: number, value: number])[];
const minimumChoices: Choices = [
  [0.77, 1000],
  [0.12, 1],
  [0.03, 100_000],
  [0.025, 1_000_000],
  [0.02, 0],
  [0.01, 10_000],
  [0.025, 5000],
];
const baseChoices: Choices = [
  [0.46, 0],
  [0.42, 1000],
  [0.035, 1],
  [0.02, 500],
  [0.02, 100],
  [0.015, 2000],
  [0.015, 5000],
  [0.01, 10_000],
  [0.005, 100_000],
];
const deltaChoices: Choices = [
  [0.4, 80],
  [0.19, 144],
  [0.18, 40],
  [0.12, 100],
  [0.07, 34],
  [0.025, 18],
  [0.015, 200],
];
/** The maximum as a share of the capacity. */
const maximumChoices: Choices = [
  [0.84, 0.99],
  [0.06, 0.45],
  [0.04, 0.2],
  [0.03, 1],
  [0.03, 0.05],
];
const bothDisabled = 0.333;
const oneDisabled = 0.039;

function quantile(quantiles: Quantiles, share: number): number {
  const next = quantiles.findIndex(([at]) => at >= share);
  const [toShare, toValue] = quantiles[Math.max(next, 1)] as readonly [number, number];
  const [fromShare, fromValue] = quantiles[Math.max(next, 1) - 1] as readonly [number, number];
  const part = (share - fromShare) / (toShare - fromShare);
  return fromValue * (toValue / fromValue) ** part;
}

function choose(random: BenchRandom, choices: Choices): number {
  let share = random() * choices.reduce((sum, [each]) => sum + each, 0);
  for (const [each, value] of choices) {
    share -= each;
    if (share < 0) return value;
  }
  return (choices.at(-1) as readonly [number, number])[1];
}

/** How many channels each node shall have, most first, so that all together have `channels`. */
function drawDegrees(nodes: number, channels: number): number[] {
  const draw = (scale: number): number[] =>
    Array.from({ length: nodes }, (_, i) => {
      const share = 1 - (i + 0.5) / nodes;
      return Math.min(nodes - 1, Math.max(1, Math.round(quantile(degreeQuantiles, share) * scale)));
    });
  let [low, high] = [0.01, 100];
  for (let i = 0; i < 40; i++) {
    const middle = Math.sqrt(low * high);
    const ends = draw(middle).reduce((sum, degree) => sum + degree, 0);
    if (ends < 2 * channels) low = middle;
    else high = middle;
  }
  return draw(high);
}

/** A list to draw from without putting back. */
class Urn {
  readonly #balls: number[] = [];
  readonly #random: BenchRandom;

  constructor(random: BenchRandom) {
    this.#random = random;
  }

  get size(): number {
    return this.#balls.length;
  }

  put(ball: number, times: number): void {
    for (let i = 0; i < times; i++) this.#balls.push(ball);
  }

  draw(): number | undefined {
    const last = this.#balls.length - 1;
    if (last < 0) return undefined;
    const at = below(this.#random, last + 1);
    const drawn = this.#balls[at] as number;
    this.#balls[at] = this.#balls[last] as number;
    this.#balls.pop();
    return drawn;
  }
}

/**
 * Preferential attachment with the degrees given: each new node's first channel goes to a node drawn by how many
 * of its channels are still to come; what is left then is paired at random. All nodes hang together.
 */
function connect(random: BenchRandom, degrees: readonly number[]): [number, number][] {
  const edges: [number, number][] = [];
  const open = new Urn(random);
  for (const [node, degree] of degrees.entries()) {
    const peer = open.draw();
    if (peer !== undefined) edges.push([node, peer]);
    open.put(node, peer === undefined ? degree : degree - 1);
  }
  let rejected = 0;
  while (open.size > 1 && rejected < 1000) {
    const [a, b] = [open.draw() as number, open.draw() as number];
    if (a !== b) {
      edges.push([a, b]);
      continue;
    }
    open.put(a, 2);
    rejected++;
  }
  return edges;
}

function drawDirection(random: BenchRandom, capacitySat: number, enabled: boolean): BenchDirection {
  const htlcMaximumMsat = Math.floor(capacitySat * 1000 * choose(random, maximumChoices));
  return {
    enabled,
    htlcMinimumMsat: Math.min(choose(random, minimumChoices), htlcMaximumMsat),
    htlcMaximumMsat,
    feeBaseMsat: choose(random, baseChoices),
    feeProportionalMillionths: random() < 0.07 ? 0 : Math.round(quantile(proportionalQuantiles, random())),
    cltvExpiryDelta: choose(random, deltaChoices),
  };
}

/**
 * A network of the size of the public one, with its distributions of degrees, capacities, fees, limits and
 * expiries, each drawn apart from the others; 35 % of the directions are disabled. The same for the same seed.
 */
export function createSyntheticGraph(options: SyntheticGraphOptions): BenchGraph {
  const { seed, nodes = 17_324, channels: wanted = 50_808 } = options;
  const random = createBenchRandom(seed);
  const channels = connect(random, drawDegrees(nodes, wanted)).map((ends): BenchChannel => {
    const capacitySat = Math.round(quantile(capacityQuantiles, random()));
    const dice = random();
    const off = dice < bothDisabled ? 2 : dice < bothDisabled + oneDisabled ? 1 : 0;
    const first = drawDirection(random, capacitySat, off === 0);
    const second = drawDirection(random, capacitySat, off < 2);
    return { nodes: ends, capacitySat, directions: [first, second] };
  });
  return { nodeCount: nodes, channels, origin: `synthetic, seed ${seed}` };
}
