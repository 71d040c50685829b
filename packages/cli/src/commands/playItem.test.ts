import { describe, expect, test } from 'vitest';
import { playItem } from './playItem.js';

function world(positionSeconds = 0) {
  const heard: string[] = [];
  let timers: { atMs: number; run: () => void }[] = [];
  const clock = { ms: 1_000 };
  const session = {
    positionSeconds,
    playing: (at: number) => void heard.push(`playing ${at}`),
    paused: (at: number) => void heard.push(`paused ${at}`),
  };
  const schedule = (delayMs: number, run: () => void) => {
    const timer = { atMs: clock.ms + delayMs, run };
    timers.push(timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  };
  const pass = (ms: number) => {
    clock.ms += ms;
    const due = timers.filter(({ atMs }) => atMs <= clock.ms);
    timers = timers.filter(({ atMs }) => atMs > clock.ms);
    for (const { run } of due) run();
  };
  const stop = new AbortController();
  const options = { session, schedule, clock: () => clock.ms, signal: stop.signal };
  return { heard, options, pass, stop, timers: () => timers.length };
}

describe('playing an item', () => {
  test('goes by the clock, at its speed, to the end', async () => {
    const { heard, options, pass, timers } = world(30);
    const done = playItem({ ...options, toSeconds: 100, speed: 60 });
    pass(200);
    pass(500);
    pass(10_000);
    expect(await done).toBe(true);
    expect(heard).toEqual(['playing 30', 'playing 30', 'playing 42', 'playing 72', 'playing 100']);
    expect(timers()).toBe(0);
  });

  test('that is stopped says where', async () => {
    const { heard, options, pass, stop, timers } = world();
    const done = playItem({ ...options, toSeconds: 100, speed: 2 });
    pass(1_000);
    stop.abort();
    expect(await done).toBe(false);
    expect(heard.at(-1)).toBe('paused 2');
    expect(timers()).toBe(0);
  });

  test('that is stopped from within goes no further', async () => {
    const { heard, options, pass, stop, timers } = world();
    const onPosition = (at: number) => at > 0 && stop.abort();
    const done = playItem({ ...options, toSeconds: 100, speed: 2, onPosition });
    pass(1_000);
    expect(await done).toBe(false);
    pass(1_000);
    expect(heard).toEqual(['playing 0', 'playing 0', 'playing 2', 'paused 2']);
    expect(timers()).toBe(0);
  });

  test('ends with what the session throws', async () => {
    const { options, pass, timers } = world();
    const session = {
      ...options.session,
      playing: (at: number) => {
        if (at > 0) throw new Error('disk full');
      },
    };
    const done = playItem({ ...options, session, toSeconds: 100, speed: 1 });
    pass(1_000);
    await expect(done).rejects.toThrow('disk full');
    expect(timers()).toBe(0);
  });
});
