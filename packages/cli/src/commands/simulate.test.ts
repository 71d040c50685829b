import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld } from '../cli.test.support.js';
import { exitCodes } from '../cliError.js';

let world: CliWorld;

beforeEach(() => {
  world = new CliWorld();
});

afterEach(() => world.close());

const few = ['simulate', '--nodes', '8', '--channels', '16', '--payments', '12', '--toy-curve'];

describe('rivulet simulate', () => {
  test('says how payments went, and the same again for the same seed', async () => {
    const { code, out, err } = await world.run(...few, '--hostile', '2', '--crashes', '2', '--loss', '0.01');
    expect(err).toBe('');
    expect(code).toBe(exitCodes.ok);
    expect(out).toMatch(/^network {6}8 nodes, 16 channels, 2 nodes hostile\npayments {5}\d+ of 12 succeeded/);
    expect(out).not.toContain('broken');
    const again = await world.run(...few, '--hostile', '2', '--crashes', '2', '--loss', '0.01');
    expect(again.out).toBe(out);
  });

  test('prints JSON, amounts as text', async () => {
    const { out } = await world.run(...few, '--json');
    const result = JSON.parse(out);
    expect(result).toMatchObject({ nodes: 8, channels: 16, hostileNodes: 0, violations: [] });
    expect(result.payments.payments).toBe(12);
    expect(result.payments.deliveredMsat).toMatch(/^\d+$/);
    expect(result.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test('takes the shape of a network from a file, compressed or not', async () => {
    const rows = ['0,1', '1,2', '2,3'].map(
      (nodes) => `${nodes},5000000${',1,1,4900000000,0,10,40'.repeat(2)}`,
    );
    const text = `titles\n${rows.join('\n')}\n`;
    const plain = join(world.dataDir, 'network.csv');
    const compressed = `${plain}.gz`;
    writeFileSync(plain, text);
    writeFileSync(compressed, gzipSync(text));
    const first = await world.run(
      'simulate',
      '--nodes',
      '4',
      '--graph',
      plain,
      '--payments',
      '5',
      '--toy-curve',
    );
    expect(first.out).toMatch(/^network {6}4 nodes, 3 channels/);
    const second = await world.run(
      'simulate',
      '--nodes',
      '4',
      '--graph',
      compressed,
      '--payments',
      '5',
      '--toy-curve',
    );
    expect(second.out).toBe(first.out);
  });

  test('traces every event', async () => {
    const { out, err } = await world.run(...few, '--trace', '--json');
    expect(err.trimEnd().split('\n')).toHaveLength(JSON.parse(out).events);
  });

  test('ends with Ctrl-C', async () => {
    const started = world.start({}, 'simulate', '--nodes', '20', '--payments', '100000', '--toy-curve');
    started.interrupt();
    expect(await started.done).toMatchObject({ code: exitCodes.interrupted, err: 'interrupted\n' });
  });

  test.each([
    [['--nodes', 'many'], /--nodes many is no whole number/],
    [['--nodes', '1'], /two nodes at least/],
    [['--loss', '1.5'], /--loss 1.5 is no number from 0 to 1/],
    [['--hostile-rate', '-1'], /--hostile-rate/],
    [['--hostility', 'sulk'], /there is no hostility "sulk": withhold,/],
    [['--graph', 'not there.csv'], /the graph file .* cannot be read/],
  ])('refuses %j', async (args, message) => {
    const { code, err } = await world.run('simulate', ...args);
    expect(code).toBe(exitCodes.usage);
    expect(err).toMatch(message);
  });
});
