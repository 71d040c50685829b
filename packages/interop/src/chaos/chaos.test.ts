import { describe, expect, test } from 'vitest';
import { runChaos } from './runChaos.js';

/** How long faults are made, and what may follow: calming down, closing, comparing. */
const minutes = 5;
const limitMs = (minutes + 4) * 60_000;

describe('three nodes in processes of their own', () => {
  test(
    'lose, double and hold up no payment and no satoshi, whatever is killed, torn, cut or reorganised',
    async () => {
      const seed = Number(process.env.RIVULET_CHAOS_SEED ?? 20_261_121);
      const result = await runChaos({ seed, minutes, paymentsPerSecond: 4 });
      expect(
        result.violations,
        `${result.summary}\nagain: npm run chaos -- --minutes ${minutes} --seed ${seed}\nkept: ${result.folder}`,
      ).toEqual([]);
      expect(result.payments.succeeded).toBeGreaterThan(100);
    },
    limitMs,
  );
});
