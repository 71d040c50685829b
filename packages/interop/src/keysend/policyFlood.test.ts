import { expect, test } from 'vitest';
import { floodProblems, runFlood } from '../flood/runFlood.js';

test('a flood of hostile keysends is refused, keeps nobody honest waiting, and leaves nothing behind', {
  timeout: 240_000,
}, async () => {
  const result = await runFlood({ hostile: 420, honest: 20, inFlight: 20 });
  expect(floodProblems(result), JSON.stringify(result)).toEqual([]);
  const rules = ['minimum', 'message_links', 'message_words', 'signature_missing', 'signature_wrong'];
  expect(Object.keys(result.refusedBy)).toEqual(
    expect.arrayContaining([...rules, 'channel_rate', 'hold_full']),
  );
});
