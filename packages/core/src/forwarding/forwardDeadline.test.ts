import { expect, test } from 'vitest';
import { timeOutOutgoingHeight } from './forwardDeadline.js';

test('an outgoing HTLC is timed out from 3 blocks after its expiry on, and not before', () => {
  expect(timeOutOutgoingHeight(800_000)).toBe(800_003);
});
