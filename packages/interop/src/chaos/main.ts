import { chaosUsage, parseChaosArguments } from './chaosArguments.js';
import { runChaos } from './runChaos.js';

async function main(args: readonly string[]): Promise<void> {
  let parsed: ReturnType<typeof parseChaosArguments>;
  try {
    parsed = parseChaosArguments(args, () => (Date.now() % 1_000_000) + 1);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${chaosUsage}`);
    process.exitCode = 2;
    return;
  }
  const { json, ...options } = parsed;
  const result = await runChaos({ ...options, onProgress: (line) => console.error(line) });
  if (json) console.log(JSON.stringify(result, undefined, 2));
  else {
    console.log(result.summary);
    const faults = Object.entries(result.faults).map(([kind, count]) => `${count} ${kind}`);
    console.log(`faults: ${faults.join(', ')}`);
    console.log(
      `${result.channels} channels; ${result.onchainFeesSat} sat of fees on chain; ${result.payments.dustLost} payments lost as dust; ` +
        `difference by node ${result.differencesMsat.join(', ')} msat (may be ${result.tolerancesMsat.join(', ')})`,
    );
    console.log(
      `${result.wallSeconds} s; CPU: nodes ${result.cpuSeconds} s, the rest ${result.ownCpuSeconds} s; memory at most ${result.peakRssMb.join(', ')} MB`,
    );
    for (const [message, count] of Object.entries(result.errors))
      console.log(`in the logs ${count} times: ${message}`);
    for (const violation of result.violations) console.log(`VIOLATION ${violation}`);
  }
  if (result.folder !== undefined) console.error(`kept: ${result.folder}`);
  if (!result.ok) {
    console.error(`again: npm run chaos -- --minutes ${options.minutes} --seed ${options.seed}`);
    process.exitCode = 1;
  }
}

await main(process.argv.slice(2));
