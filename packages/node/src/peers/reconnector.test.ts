import { expect, test } from 'vitest';
import { reconnectDelayMs } from './backoff.js';
import { Reconnector } from './reconnector.js';
import { ManualScheduler } from './testing/manualScheduler.js';

const options = { firstDelayMs: 1_000, maximumDelayMs: 60_000, stableAfterMs: 30_000 };
const address = { host: 'peer.example', port: 9735 };

test('the delay doubles up to its maximum, and jitter takes at most half of it away', () => {
  const delays = (random: number) =>
    [0, 1, 2, 5, 6, 1000].map((failures) => reconnectDelayMs(failures, { ...options, random: () => random }));
  expect(delays(0)).toEqual([500, 1_000, 2_000, 16_000, 30_000, 30_000]);
  expect(delays(1)).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000]);
});

test('a connection that held long makes the next wait short again', async () => {
  const scheduler = new ManualScheduler();
  let dialed = 0;
  const reconnector = new Reconnector({
    scheduler,
    random: () => 1,
    options,
    connect: async () => {
      dialed++;
      throw new Error('refused');
    },
  });
  reconnector.keep('peer', { address, connected: false });
  for (const wait of [1_000, 2_000, 4_000]) {
    scheduler.advance(wait);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(dialed).toBe(3);
  reconnector.connected('peer');
  scheduler.advance(30_000);
  reconnector.disconnected('peer');
  scheduler.advance(999);
  expect(dialed).toBe(3);
  scheduler.advance(1);
  expect(dialed).toBe(4);
  reconnector.forget('peer');
  await new Promise((resolve) => setImmediate(resolve));
  scheduler.advance(1_000_000);
  expect(dialed).toBe(4);
});

test('a peer without an address is waited for', () => {
  const scheduler = new ManualScheduler();
  const connect = async () => {};
  const reconnector = new Reconnector({ scheduler, random: () => 0, options, connect });
  reconnector.keep('peer', { address: undefined, connected: true });
  reconnector.disconnected('peer');
  expect(scheduler.pending).toBe(0);
  reconnector.stop();
});
