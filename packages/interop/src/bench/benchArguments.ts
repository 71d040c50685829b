import { parseArgs } from 'node:util';

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

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`--${name}: ${text} is no number from 1`);
  return value;
}

/** @throws RangeError or TypeError, with a sentence for the user. */
export function parseBenchArguments(args: readonly string[]): BenchArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
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
  if (positionals.length > 1 || (positionals[0] ?? 'payments') !== 'payments') {
    throw new RangeError(`there is no benchmark ${positionals.join(' ')}`);
  }
  return {
    payments: positive('payments', values.payments),
    amountsSat: values.amount.split(',').map((text) => BigInt(positive('amount', text))),
    inFlight: values['in-flight'].split(',').map((text) => positive('in-flight', text)),
    channels: positive('channels', values.channels),
    skipLdk: values['skip-ldk'],
    json: values.json,
    profileDir: values.profile,
  };
}
