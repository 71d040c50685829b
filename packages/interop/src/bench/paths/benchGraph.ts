import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** One direction of a channel, as its `channel_update` would say it. Amounts in msat, below 2^53. */
export interface BenchDirection {
  readonly enabled: boolean;
  readonly htlcMinimumMsat: number;
  readonly htlcMaximumMsat: number;
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
  readonly cltvExpiryDelta: number;
}

export interface BenchChannel {
  /** Numbers of nodes, never the same. */
  readonly nodes: readonly [number, number];
  readonly capacitySat: number;
  /** From the first node to the second, and back. */
  readonly directions: readonly [BenchDirection, BenchDirection];
}

/** The shape of a network, without keys, ids and signatures. */
export interface BenchGraph {
  readonly nodeCount: number;
  readonly channels: readonly BenchChannel[];
  /** For the report: the name of a file, or the seed. */
  readonly origin: string;
}

/** `node1,node2,capacity_sat`, then for each direction the six fields of BenchDirection. */
const columns = 15;

function readDirection(fields: readonly number[], at: number): BenchDirection {
  const [enabled, minimum, maximum, base, proportional, delta] = fields.slice(at, at + 6);
  return {
    enabled: enabled === 1,
    htlcMinimumMsat: minimum as number,
    htlcMaximumMsat: maximum as number,
    feeBaseMsat: base as number,
    feeProportionalMillionths: proportional as number,
    cltvExpiryDelta: delta as number,
  };
}

/**
 * Reads a network from CSV with a line of titles: a line a channel.
 * @throws RangeError that names the line.
 */
export function parseGraphCsv(text: string, origin: string): BenchGraph {
  const channels: BenchChannel[] = [];
  let nodeCount = 0;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (index === 0 || line === '') continue;
    const fields = line.split(',').map(Number);
    if (fields.length !== columns || !fields.every((field) => Number.isSafeInteger(field) && field >= 0)) {
      throw new RangeError(`${origin}, line ${index + 1}: not ${columns} numbers with commas between them`);
    }
    const [a, b, capacitySat] = fields as [number, number, number];
    if (a === b) throw new RangeError(`${origin}, line ${index + 1}: a channel from node ${a} to itself`);
    channels.push({
      nodes: [a, b],
      capacitySat,
      directions: [readDirection(fields, 3), readDirection(fields, 9)],
    });
    nodeCount = Math.max(nodeCount, a + 1, b + 1);
  }
  return { nodeCount, channels, origin };
}

/** Reads a `.csv` or `.csv.gz` file. */
export function readGraphFile(path: string): BenchGraph {
  const bytes = readFileSync(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return parseGraphCsv(text, path.split(/[\\/]/).at(-1) ?? path);
}
