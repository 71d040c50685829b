import { parseArgs } from 'node:util';

export interface SettlementArguments {
  /** Of the names: only situations whose name contains it. */
  readonly filter: string;
  readonly all: boolean;
  readonly list: boolean;
  readonly json: boolean;
  readonly log: boolean;
  readonly seed: number;
  readonly count: number;
  readonly jobs: number;
}

export const settlementUsage = `npm run settlement -- [options]

  --filter TEXT  only situations whose name contains TEXT
  --all          the whole cross product, not a sample of it
  --count N      how many the sample has at most (default 400)
  --seed N       which sample (default 1)
  --jobs N       processes that run them (default 2)
  --list         print names, run nothing
  --json         one JSON value in the end instead of lines
  --log          with each failure the end of each node's log`;

/** @throws Error for what is no option or no number. */
export function parseSettlementArguments(args: readonly string[]): SettlementArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      filter: { type: 'string', default: '' },
      all: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      log: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '400' },
      jobs: { type: 'string', default: '2' },
    },
  });
  const number = (name: 'seed' | 'count' | 'jobs', least: number) => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < least) {
      throw new Error(`--${name} ${values[name]}: give a whole number of at least ${least}`);
    }
    return value;
  };
  return {
    ...values,
    seed: number('seed', 0),
    count: number('count', 1),
    jobs: number('jobs', 1),
  };
}
