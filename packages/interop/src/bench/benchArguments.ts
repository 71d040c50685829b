import { parseArgs } from 'node:util';
import { positiveArgument } from './positiveArgument.js';

export interface BenchArguments {
  payments: number;
  amountsSat: readonly bigint[];
  inFlight: readonly number[];
  channels: number;
  skipLdk: boolean;
  json: boolean;
  profileDir: string | undefined;
}

export const benchUsage = `npm run bench -- payments [options]
  --payments N         payments a measurement (default 10000; quoted figures take at least that many)
  --amount 1,10000     sat a payment; 1 is below dust and needs no HTLC signature
  --in-flight 1,100    payments under way at once. One channel holds 483 each way: above that, half of the
                       payments go the other way at the same time (966 is a full channel). LDK is held at
                       240 at most
  --channels N         channels between the two nodes (default 1; LDK has one always)
  --skip-ldk           without the pair of LDK nodes beside it
  --profile FOLDER     both Rivulet processes leave a CPU profile there
  --json               results as JSON`;

/** @throws RangeError or TypeError, with a sentence for the user. */
export function parseBenchArguments(args: readonly string[]): BenchArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      payments: { type: 'string', default: '10000' },
      amount: { type: 'string', default: '1,10000' },
      'in-flight': { type: 'string', default: '1,100,966' },
      channels: { type: 'string', default: '1' },
      'skip-ldk': { type: 'boolean', default: false },
      profile: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    payments: positiveArgument('payments', values.payments),
    amountsSat: values.amount.split(',').map((text) => BigInt(positiveArgument('amount', text))),
    inFlight: values['in-flight'].split(',').map((text) => positiveArgument('in-flight', text)),
    channels: positiveArgument('channels', values.channels),
    skipLdk: values['skip-ldk'],
    json: values.json,
    profileDir: values.profile,
  };
}
