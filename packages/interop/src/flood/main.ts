import { parseArgs } from 'node:util';
import { describeMachine } from '../bench/machine.js';
import { type FloodResult, floodProblems, runFlood } from './runFlood.js';

const usage = `npm run flood -- [--payments 5000] [--honest 100] [--in-flight 50] [--minutes N] [--json]

Two senders push dust, links, banned words, unsigned, forged, polite and large payments as fast as they can, each over a
channel of its own, at a node whose policy refuses them; a third one pays honestly over another channel. Each node is a
daemon in a process of its own. --minutes N is 5,000 hostile payments a minute. Ends with 1 where anything is not as it
has to be.`;

function numberOf(text: string, what: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new RangeError(`--${what} is a whole number, not ${JSON.stringify(text)}`);
}

function describe(result: FloodResult): string {
  const { hostile, seconds, honest, honestSettled, concludedMeanwhile, heldAtOnce, kept, rssMb } = result;
  const { accepted, held, refused } = result.statistics;
  const sorted = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `  ${name}: ${count}`)
      .join('\n');
  return `
${hostile} hostile payments in ${seconds.toFixed(1)} s: ${((hostile / seconds) * 60).toFixed(0)} a minute
honest        ${honestSettled} of ${honest} settled; while one was under way ${concludedMeanwhile.median} hostile ones were concluded in the middle, ${concludedMeanwhile.most} at most (${2 * result.inFlight} were under way)
the policy    took ${accepted}, held ${held}, refused ${refused}
${sorted(result.refusedBy)}
hostile ones
${sorted(result.hostileByOutcome)}
held at once  ${heldAtOnce.most} of ${heldAtOnce.allowed}; HTLCs left afterwards ${result.pendingHtlcsAfter}
receiver      ${rssMb.before} MB before, ${rssMb.half} MB in the middle, ${rssMb.after} MB after
kept          ${kept.payments} payments, ${kept.toolkitPayments} in the toolkit; of refused ones ${kept.refusedHashes} hashes, ${kept.heldRows} rows
              ${kept.auditEntries} entries in the audit log, ${kept.toolkitEntries} in the toolkit's file; the policy's state ${kept.policyStateBytes} bytes
              toolkit.sqlite ${(kept.toolkitBytes / 1e6).toFixed(1)} MB, rivulet.db ${(kept.databaseBytes / 1e6).toFixed(1)} MB`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      payments: { type: 'string' },
      minutes: { type: 'string', default: '1' },
      honest: { type: 'string', default: '100' },
      'in-flight': { type: 'string', default: '50' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const say = values.json ? () => {} : (text: string) => console.log(text);
  const machine = describeMachine();
  say(`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, Node.js ${machine.node}`);
  const result = await runFlood({
    hostile:
      values.payments === undefined
        ? 5_000 * numberOf(values.minutes, 'minutes')
        : numberOf(values.payments, 'payments'),
    honest: numberOf(values.honest, 'honest'),
    inFlight: numberOf(values['in-flight'], 'in-flight'),
    onProgress: say,
  });
  const problems = floodProblems(result);
  if (values.json) console.log(JSON.stringify({ machine, ...result, problems }));
  else console.log([describe(result), ...problems.map((problem) => `PROBLEM: ${problem}`)].join('\n'));
  return problems.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof RangeError || error instanceof TypeError;
  console.error(isUsage ? `${(error as Error).message}\n\n${usage}` : error);
  process.exitCode = isUsage ? 2 : 1;
}
