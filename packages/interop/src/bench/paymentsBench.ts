import { mkdirSync } from 'node:fs';
import type { BenchArguments } from './benchArguments.js';
import { printJson, printMachine } from './benchOutput.js';
import { ldkMaxInFlight } from './ldkBenchNodes.js';
import { benchLdkPair } from './ldkPair.js';
import { formatComparison, type PaymentsComparison } from './paymentsReport.js';
import { benchRivuletPair } from './rivuletPair.js';

async function compare(
  args: BenchArguments,
  { amountMsat, inFlight }: { amountMsat: bigint; inFlight: number },
): Promise<PaymentsComparison> {
  const { payments, channels, profileDir } = args;
  const rivulet = await benchRivuletPair({ payments, amountMsat, inFlight, channels, profileDir });
  if (args.skipLdk) return { rivulet, ldk: undefined, ratio: undefined };
  const ldk = await benchLdkPair({ payments, amountMsat, inFlight: Math.min(inFlight, ldkMaxInFlight) });
  return { rivulet, ldk, ratio: rivulet.paymentsPerSecond / ldk.paymentsPerSecond };
}

/** Payments over one hop, and LDK's beside them. */
export async function runPaymentsBench(args: BenchArguments): Promise<void> {
  if (args.profileDir !== undefined) mkdirSync(args.profileDir, { recursive: true });
  const machine = await printMachine(
    args,
    'Each node its own process, loopback TCP, every commit synced to disk.',
  );
  const comparisons: PaymentsComparison[] = [];
  for (const amountSat of args.amountsSat) {
    for (const inFlight of args.inFlight) {
      const comparison = await compare(args, { amountMsat: amountSat * 1000n, inFlight });
      comparisons.push(comparison);
      if (!args.json) console.log(`\n${formatComparison(comparison)}`);
    }
  }
  if (args.json) printJson({ machine, comparisons });
}
