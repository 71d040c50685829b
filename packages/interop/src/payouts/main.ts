import { parseArgs } from 'node:util';
import { describeMachine } from '../bench/machine.js';
import { payoutsProblems, runPayouts } from './runPayouts.js';

const usage = `npm run payouts -- [--count 10000] [--kills 20] [--daemon-kills 0] [--concurrency 100] [--json]

Pays a file with rivulet payout from one daemon to another, each in a process of its own, kills the command (and the
daemon that pays) again and again on the way, and checks that the recipient got each key exactly once.`;

function numberOf(text: string, what: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new RangeError(`--${what} is a whole number, not ${JSON.stringify(text)}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '10000' },
      kills: { type: 'string', default: '20' },
      'daemon-kills': { type: 'string', default: '0' },
      concurrency: { type: 'string', default: '100' },
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
  const result = await runPayouts({
    count: numberOf(values.count, 'count'),
    kills: numberOf(values.kills, 'kills'),
    daemonKills: numberOf(values['daemon-kills'], 'daemon-kills'),
    concurrency: numberOf(values.concurrency, 'concurrency'),
    duplicateEvery: 10,
    onProgress: say,
  });
  const problems = payoutsProblems(result);
  if (values.json) {
    const digits = (_: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value);
    console.log(JSON.stringify({ machine, ...result, problems }, digits));
  } else {
    console.log(`
${result.count} payments in ${result.seconds.toFixed(1)} s: ${result.perSecond.toFixed(0)} a second, restarts included; ${result.perSecondPaying.toFixed(0)} a second while it pays
killed        ${result.kills} times the command, ${result.daemonKills} times the daemon with it
repeated      ${result.duplicateLines} lines of the file
received      ${result.keysReceived} keys, ${result.keysTwice} of them more than once, ${result.keysUnknown} of no line
planned       ${result.plannedMsat} msat
sent          ${result.sentMsat} msat, fees included
received      ${result.receivedMsat} msat
ledger        ${result.ledgerMsat} msat
${problems.length === 0 ? 'each key was paid exactly once' : `WRONG: ${problems.join('; ')}`}`);
  }
  return problems.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof RangeError ? `${error.message}\n\n${usage}` : error);
  process.exitCode = 2;
}
