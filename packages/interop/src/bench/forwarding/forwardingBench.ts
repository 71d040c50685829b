import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { printJson, printMachine } from '../benchOutput.js';
import { ldkMaxInFlight } from '../ldkBenchNodes.js';
import { positiveArgument } from '../positiveArgument.js';
import { type ForwardingComparison, formatForwarding } from './forwardingResult.js';
import { benchLdkLine } from './ldkLine.js';
import { benchRivuletLine } from './rivuletLine.js';

export interface ForwardingArguments {
  readonly payments: number;
  readonly amountsSat: readonly bigint[];
  readonly inFlight: readonly number[];
  /** What is not measured. */
  readonly skip: 'ldk' | 'rivulet' | undefined;
  readonly profileDir: string | undefined;
  readonly json: boolean;
}

export const forwardingUsage = `npm run bench -- forwarding [options]
  --payments N         payments a measurement, over the middle of three nodes (default 10000)
  --amount 1,10000     sat a payment
  --in-flight 1,100    payments under way at once, 483 at most; LDK is held at 240
  --skip-ldk, --skip-rivulet
  --profile FOLDER     the Rivulet processes leave CPU profiles there
  --json               results as JSON`;

/** @throws RangeError or TypeError, with a sentence for the user. */
export function parseForwardingArguments(args: readonly string[]): ForwardingArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      payments: { type: 'string', default: '10000' },
      amount: { type: 'string', default: '1,10000' },
      'in-flight': { type: 'string', default: '1,100' },
      'skip-ldk': { type: 'boolean', default: false },
      'skip-rivulet': { type: 'boolean', default: false },
      profile: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const inFlight = values['in-flight'].split(',').map((text) => positiveArgument('in-flight', text));
  if (inFlight.some((count) => count > 483)) {
    throw new RangeError('--in-flight: one channel holds 483 payments at most');
  }
  if (values['skip-ldk'] && values['skip-rivulet']) throw new RangeError('there is nothing left to measure');
  return {
    payments: positiveArgument('payments', values.payments),
    amountsSat: values.amount.split(',').map((text) => BigInt(positiveArgument('amount', text))),
    inFlight,
    skip: values['skip-ldk'] ? 'ldk' : values['skip-rivulet'] ? 'rivulet' : undefined,
    profileDir: values.profile,
    json: values.json,
  };
}

/** Payments over the middle of three nodes, and LDK's beside them. */
export async function runForwardingBench(args: ForwardingArguments): Promise<void> {
  if (args.profileDir !== undefined) mkdirSync(args.profileDir, { recursive: true });
  const machine = await printMachine(
    args,
    'Three nodes in a row, each its own process, loopback TCP, every commit synced to disk.',
  );
  const { payments, profileDir } = args;
  const comparisons: ForwardingComparison[] = [];
  for (const amountSat of args.amountsSat) {
    for (const inFlight of args.inFlight) {
      const request = { payments, amountMsat: amountSat * 1000n, inFlight };
      const rivulet =
        args.skip === 'rivulet' ? undefined : await benchRivuletLine({ ...request, profileDir });
      const ldk =
        args.skip === 'ldk'
          ? undefined
          : await benchLdkLine({ ...request, inFlight: Math.min(inFlight, ldkMaxInFlight) });
      const ratio = rivulet && ldk && rivulet.paymentsPerSecond / ldk.paymentsPerSecond;
      comparisons.push({ rivulet, ldk, ratio });
      if (!args.json) console.log(`\n${formatForwarding({ rivulet, ldk, ratio })}`);
    }
  }
  if (args.json) printJson({ machine, comparisons });
}
