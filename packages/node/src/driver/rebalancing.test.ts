import { type Channel, spendableNowMsat } from '@rivulet/core/channel';
import { openMemoryStorage } from '@rivulet/storage';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../logging/logger.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { defaultPaymentPolicy } from './paymentPolicy.js';
import { PaymentError } from './payments/paymentError.js';
import type { RebalanceRequest } from './payments/rebalance.js';
import { nextRebalance, type RebalancePolicy, Rebalancer, type RebalancerOptions } from './rebalancer.js';
import { pause, Trio } from './trio.test.support.js';
import { channelKey, type Turn, type TurnWork } from './turns.js';

/** A triangle: spring - brook - lake - spring. */
let trio: Trio;
beforeAll(async () => {
  trio = await Trio.withChannels();
  await trio.open('lake', 'spring', true);
  await trio.mine(6);
  await trio.usable();
  await trio.known(3);
});
afterAll(() => trio.stop());

describe('a payment to ourselves', () => {
  test('moves the balance from one channel to the other, costs the fee alone, and is no payment received', async () => {
    const { spring, brook, lake } = trio;
    const balances = () => [
      trio.channel('spring', 'brook').localMsat,
      trio.channel('spring', 'lake').localMsat,
    ];
    const before = { spring: balances(), brook: trio.balance('brook'), lake: trio.balance('lake') };
    const amountMsat = 100_000_000n;
    const paid = await spring.node.rebalance({
      amountMsat,
      maxFeeMsat: 100_000n,
      from: trio.channel('spring', 'brook'),
      to: trio.channel('spring', 'lake'),
    }).outcome;
    // Lake's fee for 100,000 sat, then brook's for that and lake's fee.
    const feeMsat = 11_000n + 11_001n;
    expect(paid).toMatchObject({ status: 'succeeded', amountMsat, feeMsat, label: 'rebalance' });
    await trio.settled();
    expect(balances()).toEqual([before.spring[0]! - amountMsat - feeMsat, before.spring[1]! + amountMsat]);
    expect(trio.balance('brook') - before.brook).toBe(11_001n);
    expect(trio.balance('lake') - before.lake).toBe(11_000n);
    expect(spring.node.storage.listPayments({ direction: 'incoming' }).payments).toEqual([]);
    for (const { node } of [spring, brook, lake]) expect(node.storage.loadForwards()).toEqual([]);
    expect(spring.node.storage.loadSendings()).toEqual([]);
  });

  test('finds either end itself, and goes nowhere but by the ends it was given', async () => {
    const { spring } = trio;
    const request = { amountMsat: 1_000_000n, maxFeeMsat: 10_000n };
    const toLake = trio.channel('spring', 'lake').localMsat;
    await spring.node.rebalance({ ...request, from: trio.channel('spring', 'brook') }).outcome;
    await trio.settled();
    await spring.node.rebalance({ ...request, to: trio.channel('spring', 'lake') }).outcome;
    await trio.settled();
    expect(trio.channel('spring', 'lake').localMsat - toLake).toBe(2_000_000n);
    const same = trio.channel('spring', 'brook');
    expect(() => spring.node.rebalance({ ...request, from: same, to: { ...same } })).toThrow(
      /the same channel/,
    );
    expect(() => spring.node.rebalance(request)).toThrow(/say where/);
  });

  test('above its fee limit does not happen', async () => {
    const before = trio.balance('spring');
    const sent = trio.spring.node.rebalance({
      amountMsat: 100_000_000n,
      maxFeeMsat: 22_000n,
      from: trio.channel('spring', 'brook'),
      to: trio.channel('spring', 'lake'),
    });
    await expect(sent.outcome).rejects.toMatchObject({ code: 'fee_limit' });
    expect(trio.balance('spring')).toBe(before);
  });

  test('is received even by a node that takes no keysend', async () => {
    const { policy } = trio.spring.node;
    const { receive } = policy;
    Object.assign(receive, { acceptKeysend: false });
    const paid = await trio.spring.node.rebalance({
      amountMsat: 1_000_000n,
      maxFeeMsat: 10_000n,
      from: trio.channel('spring', 'brook'),
      to: trio.channel('spring', 'lake'),
    }).outcome;
    Object.assign(receive, { acceptKeysend: true });
    expect(paid.status).toBe('succeeded');
    await trio.settled();
  });
});

const band: RebalancePolicy = {
  ...defaultPaymentPolicy.rebalance,
  enabled: true,
  minLocalPercent: 25,
  maxLocalPercent: 75,
};

/** Channels of spring's with so many thousandths on our side. */
function channelsWith(...shares: number[]): Channel[] {
  const bases = [trio.channel('spring', 'brook'), trio.channel('spring', 'lake')];
  return shares.map((share, i) => {
    const base = bases[i % 2]!;
    const total = base.params.fundingSat * 1000n;
    const localMsat = (total * BigInt(share)) / 1000n;
    const channelId = new Uint8Array(32).fill(i + 1);
    return { ...base, localMsat, remoteMsat: total - localMsat, params: { ...base.params, channelId } };
  });
}

describe('the next rebalancing', () => {
  test('brings the channel that is out of the band to the middle, and the other not beyond it', () => {
    const [low, high] = channelsWith(200, 600) as [Channel, Channel];
    expect(nextRebalance([low, high], band)).toEqual({ from: high, to: low, amountMsat: 100_000_000n });
    const [empty, full] = channelsWith(400, 800) as [Channel, Channel];
    expect(nextRebalance([full, empty], band)).toEqual({ from: full, to: empty, amountMsat: 100_000_000n });
  });

  test.each([
    ['all are in the band', [300, 700]],
    ['there is but one', [100]],
    ['all are low', [100, 300, 400]],
    ['all are high', [600, 900]],
    ['it would move less than is worth it', [240, 505]],
  ])('is none where %s', (_, shares) => {
    expect(nextRebalance(channelsWith(...shares), band)).toBeUndefined();
  });

  test('is between chosen channels alone, and never with a channel that cannot be used', () => {
    const [low, middle, high] = channelsWith(100, 600, 900) as [Channel, Channel, Channel];
    const channels = [low, middle].map(({ params }) => channelKey(params.channelId));
    expect(nextRebalance([low, middle, high], { ...band, channels })).toMatchObject({
      from: middle,
      to: low,
    });
    const away: Channel = { ...high, link: 'offline' };
    expect(nextRebalance([low, middle, away], band)).toMatchObject({ from: middle, to: low });
    const hidden: Channel = { ...high, params: { ...high.params, announce: false } };
    expect(nextRebalance([low, middle, hidden], band)).toMatchObject({ from: middle, to: low });
  });

  test('whatever the channels hold, no channel crosses the middle, and what is asked for can be sent', () => {
    const share = fc.integer({ min: 0, max: 1000 });
    fc.assert(
      fc.property(fc.array(share, { minLength: 0, maxLength: 6 }), share, share, (shares, a, b) => {
        const [min, max] = [Math.min(a, b) / 10, Math.max(a, b) / 10];
        const channels = channelsWith(...shares);
        const step = nextRebalance(channels, { ...band, minLocalPercent: min, maxLocalPercent: max });
        const percent = ({ localMsat, params }: Channel) =>
          (Number(localMsat) / Number(params.fundingSat * 1000n)) * 100;
        if (channels.every((channel) => percent(channel) >= min && percent(channel) <= max)) {
          expect(step).toBeUndefined();
        }
        if (step === undefined) return;
        const { from, to, amountMsat } = step;
        expect(from).not.toBe(to);
        expect(amountMsat).toBeGreaterThan(0n);
        expect(amountMsat).toBeLessThanOrEqual(spendableNowMsat(from));
        const half = (from.params.fundingSat * 1000n) / 2n;
        expect(from.localMsat - amountMsat).toBeGreaterThanOrEqual(half);
        expect(to.localMsat + amountMsat).toBeLessThanOrEqual(half);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the rebalancer', () => {
  const dayMs = 86_400_000;

  class Bench {
    readonly storage = openMemoryStorage();
    readonly scheduler = new ManualScheduler();
    readonly asked: RebalanceRequest[] = [];
    /** What it costs, or why it does not happen; never ends where it is a promise that does not. */
    answer: (request: RebalanceRequest) => Promise<bigint> = async ({ maxFeeMsat }) => maxFeeMsat;
    nowMs = 5 * dayMs;
    full = false;
    rebalancer: Rebalancer;

    constructor(readonly policy: RebalancePolicy = band) {
      this.rebalancer = this.next();
    }

    /** As another process would begin it. */
    next(): Rebalancer {
      const channels = new Map(channelsWith(100, 900).map((one) => [channelKey(one.params.channelId), one]));
      const enqueue = ({ run, failed }: TurnWork) => {
        const effects: (() => void)[] = [];
        if (this.full) {
          failed?.(new Error('no room'));
          return;
        }
        this.storage.transaction((tx) =>
          run({ tx, afterCommit: (effect: () => void) => void effects.push(effect) } as unknown as Turn),
        );
        for (const effect of effects) effect();
      };
      return new Rebalancer({
        policy: this.policy,
        turns: { channels, enqueue } as unknown as RebalancerOptions['turns'],
        storage: this.storage,
        rebalance: (request) => {
          this.asked.push(request);
          return this.answer(request);
        },
        scheduler: this.scheduler,
        now: () => this.nowMs,
        logger: silentLogger,
      });
    }

    get limits(): bigint[] {
      return this.asked.map(({ maxFeeMsat }) => maxFeeMsat);
    }
  }

  // 400,000 sat are to be moved, at 200 millionths.
  const policy = { ...band, dailyBudgetSat: 100n };

  test('does nothing unless it is enabled, and it is not by default', async () => {
    expect(defaultPaymentPolicy.rebalance.enabled).toBe(false);
    const bench = new Bench({ ...policy, enabled: false });
    bench.rebalancer.start();
    expect(bench.scheduler.pending).toBe(0);
  });

  test('asks for no more than its rate, and no more a day than its budget', async () => {
    const bench = new Bench(policy);
    await bench.rebalancer.run();
    await bench.rebalancer.run();
    await bench.rebalancer.run();
    expect(bench.limits).toEqual([80_000n, 20_000n]);
    bench.nowMs += dayMs;
    await bench.rebalancer.run();
    expect(bench.limits).toEqual([80_000n, 20_000n, 80_000n]);
  });

  test('takes what it did not spend for later', async () => {
    const bench = new Bench(policy);
    bench.answer = async () => 5_000n;
    for (let i = 0; i < 4; i++) await bench.rebalancer.run();
    expect(bench.limits).toEqual([80_000n, 80_000n, 80_000n, 80_000n]);
    bench.answer = async () => {
      throw new PaymentError('no_route', 'there is no way');
    };
    await bench.rebalancer.run();
    bench.answer = async ({ maxFeeMsat }) => maxFeeMsat;
    await bench.rebalancer.run();
    await bench.rebalancer.run();
    expect(bench.limits.slice(4)).toEqual([80_000n, 80_000n]);
  });

  test('has spent what it was about to spend when it died, or stumbled', async () => {
    const bench = new Bench(policy);
    bench.answer = () => new Promise(() => {});
    void bench.rebalancer.run();
    await pause();
    expect(bench.limits).toEqual([80_000n]);
    const next = bench.next();
    bench.answer = async () => {
      throw new TypeError('a fault (a test)');
    };
    await next.run();
    await next.run();
    expect(bench.limits).toEqual([80_000n, 20_000n]);
  });

  test('pays nothing where its budget cannot be stored', async () => {
    const bench = new Bench(policy);
    bench.full = true;
    await bench.rebalancer.run();
    expect(bench.asked).toEqual([]);
  });

  test('looks again after its interval, one payment at a time, until it is stopped', async () => {
    const bench = new Bench({ ...policy, dailyBudgetSat: 1_000n });
    let finish = (_feeMsat: bigint) => {};
    bench.answer = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    bench.rebalancer.start();
    bench.scheduler.advance(policy.intervalMs);
    await pause();
    bench.scheduler.advance(policy.intervalMs * 3);
    await pause();
    expect(bench.asked).toHaveLength(1);
    finish(1n);
    await pause();
    bench.scheduler.advance(policy.intervalMs);
    await pause();
    expect(bench.asked).toHaveLength(2);
    bench.rebalancer.stop();
    finish(1n);
    await pause();
    bench.scheduler.advance(policy.intervalMs);
    await pause();
    expect(bench.asked).toHaveLength(2);
  });
});
