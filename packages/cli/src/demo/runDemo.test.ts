import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { killAll, spawnRivulet } from '../crash/daemonProcess.test.support.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rivulet-demo-'));
});

afterEach(() => {
  killAll();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

interface Report {
  readonly channels: readonly { readonly announced: boolean; readonly capacitySat: string }[];
  readonly payments: readonly {
    readonly from: string;
    readonly to: string;
    readonly payment: { readonly status: string; readonly amountMsat: string; readonly feeMsat: string };
  }[];
  readonly before: readonly { readonly name: string; readonly channelMsat: string }[];
  readonly after: readonly { readonly name: string; readonly channelMsat: string }[];
}

test('the demo ends by itself, and what it reports adds up', async () => {
  const demo = spawnRivulet(['demo', '--once', '--json', '--data-dir', folder]);
  expect(await demo.exited).toEqual({ code: 0, signal: null });
  expect(demo.printed.err).toBe('');
  const report: Report = JSON.parse(demo.printed.out);
  expect(report.channels.map(({ announced }) => announced)).toEqual([true, false, false]);
  expect(report.payments.map(({ from, to, payment }) => [from, to, payment.status])).toEqual([
    ['spring', 'lake', 'succeeded'],
    ['spring', 'lake', 'succeeded'],
    ['spring', 'spring', 'succeeded'],
  ]);
  const held = (name: string, holdings: Report['before']) =>
    BigInt(holdings.find((one) => one.name === name)?.channelMsat ?? -1);
  const gained = (name: string) => held(name, report.after) - held(name, report.before);
  const [pushed, paid, moved] = report.payments.map(({ payment }) => ({
    amountMsat: BigInt(payment.amountMsat),
    feeMsat: BigInt(payment.feeMsat),
  })) as [Money, Money, Money];
  expect(gained('spring')).toBe(
    -(pushed.amountMsat + pushed.feeMsat + paid.amountMsat + paid.feeMsat + moved.feeMsat),
  );
  // The last channel is lake's own money, which came into channels between the two counts.
  const opened = BigInt(report.channels[2]?.capacitySat ?? 0) * 1000n;
  expect(gained('spring') + gained('brook') + gained('lake')).toBe(opened);
  expect(gained('brook')).toBeGreaterThan(0n);
});

interface Money {
  readonly amountMsat: bigint;
  readonly feeMsat: bigint;
}

/** The words of a command line; those in double quotes are one. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

test('every command that the demo proposes works, in the order in which they are printed', async () => {
  const demo = spawnRivulet(['demo', '--data-dir', folder]);
  await demo.printedLine(/Ctrl-C ends the demo/);
  const lines = demo.printed.out.split('\n').filter((line) => line.startsWith('  npx rivulet '));
  expect(lines.length).toBeGreaterThan(10);
  let invoice = '';
  for (const line of lines) {
    const args = wordsOf(line.replace('<what it printed first>', invoice).replace('  npx rivulet ', ''));
    if (args.includes('listen')) continue;
    const command = spawnRivulet(args);
    const { code } = await command.exited;
    expect({ line, code, err: code === 0 ? '' : command.printed.err }).toEqual({ line, code: 0, err: '' });
    if (args.includes('invoice')) invoice = command.printed.out.split('\n')[0] ?? '';
  }
  expect(invoice).toMatch(/^lnbcrt/);
  demo.process.kill('SIGINT');
  expect(await demo.exited).toEqual({ code: 0, signal: null });
});
