import { parseArgs } from 'node:util';
import { positiveArgument } from '../positiveArgument.js';
import type { PathsBenchArguments } from './pathsBench.js';

export const pathsUsage = `npm run bench -- paths [options]
  --graph FILE         a network as .csv or .csv.gz, a line a channel: its nodes as numbers, capacity (sat), and for
                       each direction: enabled (0 or 1), htlc_minimum_msat, htlc_maximum_msat, fee_base_msat,
                       fee_proportional_millionths, cltv_expiry_delta. Without it, one of the public network's
                       size is drawn
  --pairs N            pairs of nodes with one path between them (default 5000)
  --split-pairs N      pairs and amounts that need several parts (default 500)
  --seed N             of the pairs, and of the network that is drawn (default 1)
  --skip-ldk           without LDK's path-finder beside it
  --json               results as JSON`;

/** @throws RangeError or TypeError, with a sentence for the user. */
export function parsePathsArguments(args: readonly string[]): PathsBenchArguments & { json: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      graph: { type: 'string' },
      pairs: { type: 'string', default: '5000' },
      'split-pairs': { type: 'string', default: '500' },
      seed: { type: 'string', default: '1' },
      'skip-ldk': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    graphFile: values.graph,
    pairs: positiveArgument('pairs', values.pairs),
    splitPairs: positiveArgument('split-pairs', values['split-pairs']),
    seed: positiveArgument('seed', values.seed),
    skipLdk: values['skip-ldk'],
    json: values.json,
  };
}
