import { mkdirSync } from 'node:fs';
import { initCrypto } from '@rivulet/core/crypto';
import { type BenchArguments, benchUsage, parseBenchArguments } from './benchArguments.js';
import { benchLdkPair } from './ldkPair.js';
import { describeMachine } from './machine.js';
import { formatComparison, type PaymentsComparison } from './paymentsReport.js';
import { benchRivuletPair } from './rivuletPair.js';

/** LDK tells that a payment is sent before its HTLC is gone: half of 483 leaves room for those. */
const ldkMaxInFlight = 240;

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

async function main(args: BenchArguments): Promise<void> {
  const cryptoBackend = await initCrypto();
  if (args.profileDir !== undefined) mkdirSync(args.profileDir, { recursive: true });
  const machine = { ...describeMachine(), cryptoBackend };
  if (!args.json) {
    const { cores, cpu, memoryGb, node, platform } = machine;
    console.log(
      `${cores} cores of ${cpu}, ${memoryGb} GB, ${platform}, Node.js ${node}, secp256k1 ${cryptoBackend}`,
    );
    console.log('Each node its own process, loopback TCP, every commit synced to disk.');
  }
  const comparisons: PaymentsComparison[] = [];
  for (const amountSat of args.amountsSat) {
    for (const inFlight of args.inFlight) {
      const comparison = await compare(args, { amountMsat: amountSat * 1000n, inFlight });
      comparisons.push(comparison);
      if (!args.json) console.log(`\n${formatComparison(comparison)}`);
    }
  }
  if (args.json) {
    const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value);
    console.log(JSON.stringify({ machine, comparisons }, plain, 2));
  }
}

let args: BenchArguments | undefined;
try {
  args = parseBenchArguments(process.argv.slice(2));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n\n${benchUsage}`);
  process.exitCode = 2;
}
if (args !== undefined) await main(args);
