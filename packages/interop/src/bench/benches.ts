import { benchUsage, parseBenchArguments } from './benchArguments.js';
import { printJson, printMachine } from './benchOutput.js';
import { boostsUsage, parseBoostsArguments, runBoostsBench } from './boosts/boostsBench.js';
import {
  forwardingUsage,
  parseForwardingArguments,
  runForwardingBench,
} from './forwarding/forwardingBench.js';
import { gossipUsage, parseGossipArguments, runGossipBench } from './gossip/gossipBench.js';
import { parsePathsArguments, pathsUsage } from './paths/pathsArguments.js';
import { benchPaths } from './paths/pathsBench.js';
import { formatPathsResult } from './paths/pathsResult.js';
import { runPaymentsBench } from './paymentsBench.js';

/** Checks its arguments, with an error for the user, and gives what is to be run. */
type Prepare = (args: readonly string[]) => () => Promise<void>;

const benches: Readonly<Record<string, Prepare>> = {
  payments(args) {
    const parsed = parseBenchArguments(args);
    return () => runPaymentsBench(parsed);
  },
  forwarding(args) {
    const parsed = parseForwardingArguments(args);
    return () => runForwardingBench(parsed);
  },
  paths(args) {
    const parsed = parsePathsArguments(args);
    return async () => {
      const machine = await printMachine(parsed, 'Each path-finder its own process, one after the other.');
      const result = await benchPaths(parsed);
      if (parsed.json) printJson({ machine, ...result });
      else console.log(`\n${formatPathsResult(result)}`);
    };
  },
  boosts(args) {
    const parsed = parseBoostsArguments(args);
    return () => runBoostsBench(parsed);
  },
  gossip(args) {
    const parsed = parseGossipArguments(args);
    return () => runGossipBench(parsed);
  },
};

export const benchesUsage = [benchUsage, forwardingUsage, pathsUsage, gossipUsage, boostsUsage].join('\n\n');

/**
 * What the command line asks for: a benchmark's name and its options; payments, where there is no name.
 * @throws RangeError or TypeError, with a sentence for the user.
 */
export function prepareBench(args: readonly string[]): () => Promise<void> {
  const [first, ...rest] = args;
  if (first === undefined || first.startsWith('-')) return (benches.payments as Prepare)(args);
  const prepare = Object.hasOwn(benches, first) ? benches[first] : undefined;
  if (prepare === undefined) throw new RangeError(`there is no benchmark ${first}`);
  return prepare(rest);
}
