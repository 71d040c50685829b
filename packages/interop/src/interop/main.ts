import { initCrypto } from '@rivulet/core/crypto';
import { allCases } from './cases/index.js';
import { runInteropCase } from './interopCase.js';

/** Runs the cases whose name contains the argument, one after the other, and says how each went. */
async function main(filter: string): Promise<void> {
  await initCrypto();
  let passed = 0;
  const failed: string[] = [];
  for (const each of allCases) {
    for (const channelType of each.channelTypes ?? (['anchors', 'static_remotekey'] as const)) {
      const name = `${each.name} [${channelType}]`;
      if (!name.includes(filter)) continue;
      const begin = performance.now();
      const seconds = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
      try {
        await runInteropCase(each, channelType);
        passed++;
        console.log(`ok    ${name} (${seconds()})`);
      } catch (error) {
        failed.push(name);
        console.log(
          `FAIL  ${name} (${seconds()})\n${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
  }
  for (const name of failed) console.log(`FAIL  ${name}`);
  console.log(`${passed} passed, ${failed.length} failed`);
  if (failed.length > 0 || passed === 0) process.exitCode = 1;
}

await main(process.argv.slice(2).join(' '));
