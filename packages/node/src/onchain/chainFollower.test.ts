import { type ChainBackend, type ChainTip, embeddedBackend, RegtestChain } from '@rivulet/chain';
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
