import type { Random } from './random.js';
import { SimulationError } from './simulationError.js';
import { type EndPolicy, randomShare, type Topology, type TopologyChannel } from './topology.js';

const columns = 15;
/** Below, nothing is left beside reserve and fees. */
const leastCapacitySat = 60_000n;
/** What a node takes at least for the difference of expiries (BOLT 2), whatever its channel's terms say. */
const leastCltvDelta = 34;

/**
 * Reads a network's shape from CSV: a line a channel, with a line of titles before them: its two nodes as
 * numbers, capacity (sat), and for each of its directions: enabled (0 or 1), `htlc_minimum_msat`,
 * `htlc_maximum_msat`, `fee_base_msat`, `fee_proportional_millionths`, `cltv_expiry_delta`. Balances are random.
 * @param nodeCount only nodes with lesser numbers, and the channels between them, are taken.
 * @throws SimulationError `graph_file_invalid`
 */
export function readGraphFile(
  text: string,
  { nodeCount, random }: { nodeCount: number; random: Random },
): Topology {
  const channels: TopologyChannel[] = [];
  let nodes = 0;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (index === 0 || line.trim() === '') continue;
    const channel = readLine(line, { lineNumber: index + 1, random });
    const { a, b, capacitySat } = channel;
    if (a >= nodeCount || b >= nodeCount || a === b || capacitySat < leastCapacitySat) continue;
    nodes = Math.max(nodes, a + 1, b + 1);
    channels.push(channel);
  }
  if (channels.length === 0) {
    throw new SimulationError(
      'graph_file_invalid',
      `the graph file has no channel between ${nodeCount} nodes`,
    );
  }
  return { nodeCount: nodes, channels };
}

function readLine(
  line: string,
  { lineNumber, random }: { lineNumber: number; random: Random },
): TopologyChannel {
  const fields = line.split(',');
  if (fields.length !== columns || !fields.every((field) => /^\d{1,16}$/.test(field))) {
    throw new SimulationError(
      'graph_file_invalid',
      `line ${lineNumber} of the graph file is not ${columns} numbers with commas between them`,
    );
  }
  const numbers = fields.map(Number);
  const capacitySat = BigInt(fields[2] as string);
  const policyAt = (at: number): EndPolicy => ({
    disabled: numbers[at] === 0,
    htlcMinimumMsat: BigInt(fields[at + 1] as string),
    htlcMaximumMsat: BigInt(fields[at + 2] as string),
    feeBaseMsat: numbers[at + 3] as number,
    feeProportionalMillionths: numbers[at + 4] as number,
    cltvExpiryDelta: Math.max(numbers[at + 5] as number, leastCltvDelta),
  });
  return {
    a: numbers[0] as number,
    b: numbers[1] as number,
    capacitySat,
    policies: [policyAt(3), policyAt(9)],
    shareOfA: randomShare(random),
  };
}
