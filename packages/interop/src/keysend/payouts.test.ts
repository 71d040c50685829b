import { expect, test } from 'vitest';
import { payoutsProblems, runPayouts } from '../payouts/runPayouts.js';

test('a payout over real nodes pays each key once, through kills of the command and of the daemon', {
  timeout: 240_000,
}, async () => {
  const result = await runPayouts({
    count: 300,
    kills: 2,
    daemonKills: 1,
    duplicateEvery: 7,
    concurrency: 50,
  });
  expect(payoutsProblems(result)).toEqual([]);
  expect(result).toMatchObject({ keysReceived: 300, keysTwice: 0, duplicateLines: 43 });
});
