import { initCrypto } from '@rivulet/core/crypto';
import { formatBenchResult } from './benchResult.js';
import { benchLdkPair } from './ldkPair.js';

/** `node main.js [payments]`: 1 sat, which is below dust, and 10,000 sat; one at a time, and many at once. */
async function main(payments: number): Promise<void> {
  await initCrypto();
  for (const amountMsat of [1000n, 10_000_000n]) {
    for (const inFlight of [1, 100]) {
      console.log(formatBenchResult(await benchLdkPair({ payments, amountMsat, inFlight })));
    }
  }
}

await main(Number(process.argv[2] ?? 2000));
