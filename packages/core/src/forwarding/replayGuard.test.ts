import { describe, expect, test } from 'vitest';
import { ReplayGuard } from './replayGuard.js';

const secret = (first: number) => new Uint8Array(32).fill(first);

describe('the replay guard', () => {
  test('knows an onion that another HTLC had, and lets the same HTLC ask again', () => {
    const guard = new ReplayGuard();
    const onion = { sharedSecret: secret(1), expiry: 100 };
    expect(guard.isReplay({ ...onion, htlcKey: 'a/1' })).toBe(false);
    expect(guard.isReplay({ ...onion, htlcKey: 'a/1' })).toBe(false);
    expect(guard.isReplay({ ...onion, htlcKey: 'a/2' })).toBe(true);
    expect(guard.isReplay({ ...onion, htlcKey: 'b/1' })).toBe(true);
    expect(guard.isReplay({ sharedSecret: secret(2), expiry: 100, htlcKey: 'b/1' })).toBe(false);
  });

  test('forgets an onion once its expiry refuses it, not before', () => {
    const guard = new ReplayGuard();
    guard.isReplay({ sharedSecret: secret(1), expiry: 100, htlcKey: 'a/1' });
    guard.isReplay({ sharedSecret: secret(2), expiry: 101, htlcKey: 'a/2' });
    guard.prune(99);
    expect(guard.size).toBe(2);
    guard.prune(100);
    expect(guard.size).toBe(1);
    expect(guard.isReplay({ sharedSecret: secret(2), expiry: 101, htlcKey: 'b/1' })).toBe(true);
  });

  test('is bounded: the oldest goes first', () => {
    const guard = new ReplayGuard(3);
    for (let i = 1; i <= 5; i++) guard.isReplay({ sharedSecret: secret(i), expiry: 100, htlcKey: `a/${i}` });
    expect(guard.size).toBe(3);
    expect(guard.isReplay({ sharedSecret: secret(3), expiry: 100, htlcKey: 'b/1' })).toBe(true);
    expect(guard.isReplay({ sharedSecret: secret(1), expiry: 100, htlcKey: 'b/1' })).toBe(false);
  });
});
