import { describe, expect, test } from 'vitest';
import { parseBenchArguments } from './benchArguments.js';
import { prepareBench } from './benches.js';

describe('the arguments of the benchmark', () => {
  test('measure what the goals are about unless told otherwise', () => {
    expect(parseBenchArguments([])).toEqual({
      payments: 10000,
      amountsSat: [1n, 10000n],
      inFlight: [1, 100, 966],
      channels: 1,
      skipLdk: false,
      json: false,
      profileDir: undefined,
    });
  });

  test('take lists of amounts and of payments in flight', () => {
    const args = ['--amount', '5', '--in-flight', '1,483', '--channels', '10', '--skip-ldk'];
    const { amountsSat, inFlight, channels, skipLdk } = parseBenchArguments(args);
    expect({ amountsSat, inFlight, channels, skipLdk }).toEqual({
      amountsSat: [5n],
      inFlight: [1, 483],
      channels: 10,
      skipLdk: true,
    });
  });

  test.each([
    [['--payments', '0'], '--payments: 0 is no number from 1'],
    [['--in-flight', '1,x'], '--in-flight: x is no number from 1'],
    [['--amount', '0.5'], '--amount: 0.5 is no number from 1'],
  ])('refuse %j with a sentence', (args, message) => {
    expect(() => parseBenchArguments(args)).toThrow(message);
  });
});

test.each([
  [['onions'], 'there is no benchmark onions'],
  [['paths', '--pairs', '0'], '--pairs: 0 is no number from 1'],
  [['paths', 'more'], 'more'],
  [['forwarding', '--in-flight', '484'], '483 payments at most'],
  [['gossip', '--channels', '1e999'], '--channels: 1e999 is no number from 1'],
  [['forwarding', '--skip-ldk', '--skip-rivulet'], 'nothing left to measure'],
  [['--seed', '3'], '--seed'],
])('a command line of %j is refused before anything runs', (args, message) => {
  expect(() => prepareBench(args)).toThrow(message);
});
