import { parseArgs } from 'node:util';
import { positiveArgument } from '../bench/positiveArgument.js';

export interface ChaosArguments {
  /** How long faults are made; what comes before and after is on top of it. */
  readonly minutes: number;
  readonly seed: number;
  readonly json: boolean;
  /** The folders of the nodes stay, also when all is well. */
  readonly keep: boolean;
}

export const chaosUsage = `npm run chaos -- [options]
  --minutes M   how long faults are made (default 5); the calm after them takes about another minute
  --seed S      chooses the network and the faults (default: a new one each time)
  --json        the result as JSON
  --keep        leaves the nodes' folders, with their logs; after a violation they are always left`;

/** @throws RangeError or TypeError, with a sentence for the user. */
export function parseChaosArguments(args: readonly string[], newSeed: () => number): ChaosArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
    },
  });
  return {
    minutes: positiveArgument('minutes', values.minutes),
    seed: values.seed === undefined ? newSeed() : positiveArgument('seed', values.seed),
    json: values.json,
    keep: values.keep,
  };
}
