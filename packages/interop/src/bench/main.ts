import { benchesUsage, prepareBench } from './benches.js';

let run: (() => Promise<void>) | undefined;
try {
  run = prepareBench(process.argv.slice(2));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n\n${benchesUsage}`);
  process.exitCode = 2;
}
await run?.();
