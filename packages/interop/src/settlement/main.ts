import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runAll } from './runAll.js';
import { sample } from './sampling.js';
import {
  parseSettlementArguments,
  type SettlementArguments,
  settlementUsage,
} from './settlementArguments.js';
import { nameOf } from './situation.js';
import { allSituations } from './table.js';

async function main(options: SettlementArguments): Promise<void> {
  const { filter, all, list, json, log, seed, count, jobs } = options;
  const matching = allSituations().filter((situation) => nameOf(situation).includes(filter));
  const chosen = all ? matching : sample(matching, { seed, count });
  if (list) {
    const names = chosen.map(nameOf);
    console.log(json ? JSON.stringify(names) : names.join('\n'));
    return;
  }
  const parent = mkdtempSync(join(tmpdir(), 'rivulet-settlement-'));
  try {
    const results = await runAll(chosen, {
      jobs,
      parent,
      withLog: log,
      onResult: ({ name, ms, error }) => {
        if (json) return;
        const seconds = `${(ms / 1000).toFixed(1)} s`;
        console.log(
          error === undefined ? `ok    ${name} (${seconds})` : `FAIL  ${name} (${seconds})\n${error}`,
        );
      },
    });
    const failed = results.filter(({ error }) => error !== undefined);
    const passed = results.length - failed.length;
    if (json) {
      console.log(JSON.stringify({ seed, passed, failed: failed.length, results }));
    } else {
      for (const { name } of failed) console.log(`FAIL  ${name}`);
      console.log(`${passed} passed, ${failed.length} failed`);
    }
    if (failed.length > 0 || passed === 0) process.exitCode = 1;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

let options: SettlementArguments | undefined;
try {
  options = parseSettlementArguments(process.argv.slice(2));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${settlementUsage}`);
  process.exitCode = 1;
}
if (options !== undefined) await main(options);
