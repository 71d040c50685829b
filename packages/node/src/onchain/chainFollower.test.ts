import {
  type ChainBackend,
  ChainError,
  type ChainHealth,
  type ChainTip,
  embeddedBackend,
  RegtestChain,
} from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { ChainFollower, type ChainFollowerOptions } from './chainFollower.js';

function setUp(options: Partial<ChainFollowerOptions> & { chain?: RegtestChain } = {}) {
  const chain = options.chain ?? new RegtestChain({ now: () => 1_700_000_000_000 });
  const log: string[] = [];
  const errors: { error: unknown; retryInMs: number | undefined }[] = [];
  const scheduler = new ManualScheduler();
  const name = ({ height, hash }: ChainTip) => `${height}:${bytesToHex(hash).slice(0, 8)}`;
  const follower = new ChainFollower({
    backend: embeddedBackend(chain),
    scheduler,
    onBlock: (block) => void log.push(`+${name(block)}`),
    onUndo: (block) => void log.push(`-${name(block)}`),
    onError: (error, retryInMs) => void errors.push({ error, retryInMs }),
    ...options,
  });
  return { chain, log, errors, scheduler, follower, name };
}

describe('following a chain', () => {
  test('begins after the present tip without a stored point', async () => {
    const { chain, follower, log, name } = setUp();
    chain.mine({ blocks: 3 });
    follower.start();
    await follower.waitUntilSynced();
    expect(log).toEqual([]);
    const [block] = chain.mine();
    await follower.waitUntilSynced();
    expect(log).toEqual([`+${name(block!)}`]);
    await follower.stop();
  });

  test('delivers every block since the stored point once and in order, one at a time', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    const start = { height: 0, hash: chain.tip.hash };
    const mined = chain.mine({ blocks: 20 });
    let handling = 0;
    const heights: number[] = [];
    const { follower } = setUp({
      chain,
      start,
      onBlock: async ({ height }) => {
        expect(++handling).toBe(1);
        await Promise.resolve();
        heights.push(height);
        handling--;
      },
    });
    follower.start();
    const first = follower.waitUntilSynced();
    chain.mine({ blocks: 5 });
    await Promise.all([first, follower.waitUntilSynced()]);
    await follower.waitUntilSynced();
    expect(heights).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
    expect(follower.tip?.height).toBe(25);
    expect(follower.recentHashes.slice(1, 21)).toEqual(mined.map(({ hash }) => hash));
    await follower.stop();
  });

  test('undoes down to the fork before it applies the blocks of the other branch', async () => {
    const { chain, follower, log, name } = setUp();
    follower.start();
    await follower.waitUntilSynced();
    const old = chain.mine({ blocks: 4 });
    await follower.waitUntilSynced();
    log.length = 0;
    const fresh = chain.reorganise({ depth: 3 });
    await follower.waitUntilSynced();
    expect(log).toEqual([
      ...[old[3]!, old[2]!, old[1]!].map((block) => `-${name(block)}`),
      ...fresh.map((block) => `+${name(block)}`),
    ]);
    await follower.stop();
  });

  test('undoes what was reorganised away while the node was down', async () => {
    const first = setUp();
    first.follower.start();
    await first.follower.waitUntilSynced();
    const old = first.chain.mine({ blocks: 3 });
    await first.follower.waitUntilSynced();
    await first.follower.stop();
    const fresh = first.chain.reorganise({ depth: 2 });

    const second = setUp({
      chain: first.chain,
      start: first.follower.tip,
      recentHashes: first.follower.recentHashes,
    });
    second.follower.start();
    await second.follower.waitUntilSynced();
    const { name } = second;
    expect(second.log).toEqual([
      `-${name(old[2]!)}`,
      `-${name(old[1]!)}`,
      ...fresh.map((block) => `+${name(block)}`),
    ]);
    await second.follower.stop();
  });

  test('waits for a backend that is behind, instead of undoing', async () => {
    const { chain, follower, log } = setUp();
    follower.start();
    await follower.waitUntilSynced();
    const blocks = chain.mine({ blocks: 2 });
    await follower.waitUntilSynced();
    log.length = 0;
    chain.invalidateBlock(blocks[1]!.hashHex);
    await follower.waitUntilSynced();
    chain.reconsiderBlock(blocks[1]!.hashHex);
    await follower.waitUntilSynced();
    expect(log).toEqual([]);
    expect(follower.tip?.height).toBe(2);
    await follower.stop();
  });

  test('a backend that lost blocks is not in step, until it is where it was, whether it tells that or not', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    let lost = false;
    let tell: (tip: ChainTip) => void = () => {};
    let now = 0;
    const backend = embeddedBackend(chain);
    const { follower, scheduler } = setUp({
      chain,
      now: () => now,
      backend: {
        getTip: () => backend.getTip(),
        getBlock: async (at) => (lost ? undefined : backend.getBlock(at)),
        getBlockHash: async (height) => (lost ? undefined : backend.getBlockHash(height)),
        onTip: (listener) => {
          tell = listener;
          return () => {};
        },
      },
    });
    follower.start();
    await follower.waitUntilSynced();
    expect([follower.synced, follower.blindForMs]).toEqual([true, 0]);
    lost = true;
    tell({ height: 0, hash: chain.tip.hash });
    await expect.poll(() => follower.synced).toBe(false);
    now += 5_000;
    expect(follower.blindForMs).toBe(5_000);
    lost = false;
    await expect
      .poll(() => {
        scheduler.advance(5_000);
        return follower.synced;
      })
      .toBe(true);
    expect(follower.blindForMs).toBe(0);
    await follower.stop();
  });

  test('stops for good at a reorganisation deeper than it remembers', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    chain.mine({ blocks: 3 });
    const { follower, errors } = setUp({ chain, start: { height: 2, hash: new Uint8Array(32).fill(9) } });
    follower.start();
    await expect(follower.waitUntilSynced()).rejects.toMatchObject({ code: 'reorg_too_deep' });
    expect(errors).toMatchObject([{ error: { code: 'reorg_too_deep' }, retryInMs: undefined }]);
    await follower.stop();
  });

  test('reports a failing backend, tries again later and later, and goes on', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    const start = { height: 0, hash: chain.tip.hash };
    chain.mine({ blocks: 2 });
    const real = embeddedBackend(chain);
    let failures = 3;
    const backend: ChainBackend = {
      ...real,
      getBlock: async (at) => {
        if (failures-- > 0) throw new Error('the backend is down');
        return real.getBlock(at);
      },
    };
    let failed = () => {};
    const delays: (number | undefined)[] = [];
    const { follower, log, scheduler } = setUp({
      chain,
      start,
      backend,
      onError: (_, retryInMs) => {
        delays.push(retryInMs);
        failed();
      },
    });
    for (let i = 0; i < 3; i++) {
      const failure = new Promise<void>((resolve) => {
        failed = resolve;
      });
      if (i === 0) follower.start();
      else scheduler.advance(delays.at(-1)!);
      await failure;
    }
    const synced = follower.waitUntilSynced();
    expect(log).toEqual([]);
    scheduler.advance(delays.at(-1)!);
    await synced;
    expect(log).toHaveLength(2);
    expect(delays).toEqual([500, 1000, 2000]);
    await follower.stop();
  });

  test('hands the same block over again when the handler failed', async () => {
    let failures = 1;
    const heights: number[] = [];
    const failed: Promise<void>[] = [];
    let report = () => {};
    failed.push(
      new Promise((resolve) => {
        report = resolve;
      }),
    );
    const { chain, follower, scheduler } = setUp({
      onBlock: ({ height }) => {
        heights.push(height);
        if (failures-- > 0) throw new Error('the disk is full');
      },
      onError: () => report(),
    });
    follower.start();
    await follower.waitUntilSynced();
    chain.mine({ blocks: 2 });
    await failed[0];
    const synced = follower.waitUntilSynced();
    scheduler.advance(500);
    await synced;
    expect(heights).toEqual([1, 1, 2]);
    await follower.stop();
  });

  test('tells when it has caught up, once for each tip', async () => {
    const tips: number[] = [];
    const { chain, follower } = setUp({ onCaughtUp: ({ height }) => void tips.push(height) });
    follower.start();
    await follower.waitUntilSynced();
    await follower.waitUntilSynced();
    chain.mine({ blocks: 3 });
    await follower.waitUntilSynced();
    expect(tips).toEqual([0, 3]);
    await follower.stop();
  });

  test('calls nothing any more once it is stopped', async () => {
    const { chain, follower, log } = setUp();
    follower.start();
    await follower.waitUntilSynced();
    const waiting = follower.waitUntilSynced().catch((error: { code: string }) => error.code);
    await follower.stop();
    expect(await waiting).toBe('follower_stopped');
    chain.mine();
    await expect(follower.waitUntilSynced()).rejects.toMatchObject({ code: 'follower_stopped' });
    expect(log).toEqual([]);
  });
});

/** A backend that can be away, and says so. */
function moodyBackend(chain: RegtestChain, now: () => number = Date.now) {
  const real = embeddedBackend(chain);
  const listeners = new Set<(health: ChainHealth) => void>();
  let health: ChainHealth = { ...real.health(), state: 'ok' };
  const gate = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (health.state === 'unreachable') throw new ChainError('chain_unreachable', 'nobody there');
    return ask();
  };
  const backend: ChainBackend = {
    ...real,
    getTip: () => gate(() => real.getTip()),
    getBlock: (at) => gate(() => real.getBlock(at)),
    getBlockHash: (height) => gate(() => real.getBlockHash(height)),
    onTip: (listener) => real.onTip((tip) => health.state !== 'unreachable' && listener(tip)),
    health: () => ({ ...health, tipHeight: chain.height }),
    onHealth: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const set = (state: ChainHealth['state'], tell = true): void => {
    health = { ...health, state, sinceMs: now(), detail: state };
    if (tell) for (const listener of listeners) listener(health);
  };
  return { backend, set };
}

describe('health', () => {
  const hour = 3_600_000;

  test('a backend that comes back after an hour: no block is missed, and nobody was told that all is well', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    let now = 1000;
    const { backend, set } = moodyBackend(chain, () => now);
    const states: string[] = [];
    const failures: (() => void)[] = [];
    const failed = () => new Promise<void>((resolve) => failures.push(resolve));
    const { follower, log, scheduler, name } = setUp({
      chain,
      backend,
      now: () => now,
      onHealth: ({ state }) => states.push(state),
      onError: () => {
        for (const resolve of failures.splice(0)) resolve();
      },
    });
    expect(follower.synced).toBe(false);
    follower.start();
    await follower.waitUntilSynced();
    expect(follower.synced).toBe(true);
    const old = chain.mine({ blocks: 2 });
    await follower.waitUntilSynced();
    now = 2000;
    set('unreachable');
    expect(follower.synced).toBe(false);
    expect(follower.health).toMatchObject({ state: 'unreachable', sinceMs: 2000 });
    const mined = chain.reorganise({ depth: 1, blocks: 7 });
    const trouble = failed();
    const synced = follower.waitUntilSynced();
    await trouble;
    for (let minute = 0; minute < 60; minute++) {
      const again = failed();
      scheduler.advance(60_000);
      await again;
    }
    now += hour;
    expect(follower.health).toMatchObject({ state: 'unreachable', sinceMs: 2000 });
    expect(log).toHaveLength(2);
    // It says that it is back: then nobody waits for the next attempt.
    set('ok');
    await synced;
    expect(log.slice(2)).toEqual([`-${name(old[1]!)}`, ...mined.map((block) => `+${name(block)}`)]);
    expect(follower.synced).toBe(true);
    expect(follower.health).toMatchObject({ state: 'ok', sinceMs: now, tipHeight: 8 });
    expect(states[0]).toBe('ok');
    expect(states).toContain('unreachable');
    expect(states.at(-1)).toBe('ok');
    await follower.stop();
  });

  test('a chain that stalls without an event is told at the next look, once', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    const { backend, set } = moodyBackend(chain);
    const states: string[] = [];
    const { follower, scheduler } = setUp({ chain, backend, onHealth: ({ state }) => states.push(state) });
    follower.start();
    await follower.waitUntilSynced();
    set('stalled', false);
    expect(follower.synced).toBe(false);
    // Who asks does not keep it from those who listen.
    expect(follower.health.state).toBe('stalled');
    scheduler.advance(120_000);
    set('ok', false);
    scheduler.advance(120_000);
    expect(states).toEqual(['ok', 'stalled', 'ok']);
    await follower.stop();
    set('stalled');
    scheduler.advance(120_000);
    expect(states).toHaveLength(3);
    expect(scheduler.pending).toBe(0);
  });

  test('servers that disagree leave it in step with the one that is followed', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    const { backend, set } = moodyBackend(chain);
    const { follower } = setUp({ chain, backend });
    follower.start();
    await follower.waitUntilSynced();
    set('disagreeing');
    expect(follower.synced).toBe(true);
    expect(follower.health.state).toBe('disagreeing');
    await follower.stop();
  });

  test('a block or two do not make it fall behind, many do', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    const seen: string[] = [];
    const { follower } = setUp({
      chain,
      onBlock: ({ height }) => void seen.push(`${height} ${follower.synced} ${follower.health.state}`),
    });
    follower.start();
    await follower.waitUntilSynced();
    chain.mine({ blocks: 2 });
    await follower.waitUntilSynced();
    expect(seen).toEqual(['1 true ok', '2 true ok']);
    chain.mine({ blocks: 5 });
    await follower.waitUntilSynced();
    expect(seen.at(-1)).toBe('7 false behind');
    expect(follower.synced).toBe(true);
    await follower.stop();
  });

  test('a block that cannot be handled is named, and is no fault of the backend', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    let fail = true;
    let report = () => {};
    const failed = new Promise<void>((resolve) => {
      report = resolve;
    });
    const { follower, scheduler } = setUp({
      chain,
      onBlock: () => {
        if (fail) throw new Error('the disk is full');
      },
      onError: () => report(),
    });
    follower.start();
    await follower.waitUntilSynced();
    chain.mine();
    await failed;
    expect(follower.synced).toBe(false);
    expect(follower.health).toMatchObject({
      state: 'behind',
      detail: 'block 1 is not taken: the disk is full',
    });
    fail = false;
    const synced = follower.waitUntilSynced();
    scheduler.advance(500);
    await synced;
    expect(follower.synced).toBe(true);
    await follower.stop();
  });
});

describe('deep reorganisations', () => {
  test('of 100 and of 144 blocks are followed', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    const start = { height: 0, hash: chain.tip.hash };
    const { follower, log } = setUp({ chain, start });
    chain.mine({ blocks: 150 });
    follower.start();
    await follower.waitUntilSynced();
    for (const depth of [100, 144]) {
      log.length = 0;
      const { height } = chain;
      chain.reorganise({ depth });
      await follower.waitUntilSynced();
      expect(log.filter((entry) => entry.startsWith('-'))).toHaveLength(depth);
      expect(follower.tip).toEqual({ height: height + 1, hash: chain.tip.hash });
      // As many blocks again, so that as many are remembered.
      chain.mine({ blocks: 150 });
      await follower.waitUntilSynced();
    }
    await follower.stop();
  });

  test('of 145 blocks end it before anything is undone, and it says so', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    const start = { height: 0, hash: chain.tip.hash };
    const states: string[] = [];
    const { follower, log, errors } = setUp({ chain, start, onHealth: ({ state }) => states.push(state) });
    chain.mine({ blocks: 150 });
    follower.start();
    await follower.waitUntilSynced();
    log.length = 0;
    chain.reorganise({ depth: 145 });
    await expect(follower.waitUntilSynced()).rejects.toMatchObject({ code: 'reorg_too_deep' });
    expect(log).toEqual([]);
    expect(errors).toMatchObject([{ error: { code: 'reorg_too_deep' }, retryInMs: undefined }]);
    expect(errors[0]?.error).toMatchObject({ message: expect.stringMatching(/144/) });
    expect(follower.synced).toBe(false);
    expect(follower.health.state).toBe('disagreeing');
    expect(states.at(-1)).toBe('disagreeing');
    await follower.stop();
  });

  test('with fewer hashes than that, what the backend still has is undone, up to 144', async () => {
    const chain = new RegtestChain({ now: () => 1_700_000_000_000 });
    chain.mine({ blocks: 200 });
    const start = { height: 200, hash: chain.tip.hash };
    const { follower, log } = setUp({ chain, start });
    chain.reorganise({ depth: 160 });
    follower.start();
    await expect(follower.waitUntilSynced()).rejects.toMatchObject({ code: 'reorg_too_deep' });
    expect(log).toHaveLength(144);
    await follower.stop();
  });
});
