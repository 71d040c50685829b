import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import { paymentWith } from './boosts.test.support.js';
import { type CollectState, collect } from './collect.js';
import { keyedBoosts } from './keyedBoosts.js';
import { ManualTime, turn, until } from './manualTime.test.support.js';
import type { ReceivedBoost } from './receivedBoost.js';
import { type Mishap, ReceivingWallet } from './receivingWallet.test.support.js';

function begin(given: { wallet?: ReceivingWallet; store?: ToolkitStore } = {}) {
  const { wallet = new ReceivingWallet(), store = memoryStore() } = given;
  const time = new ManualTime();
  const end = new AbortController();
  const states: CollectState[] = [];
  const batches: (readonly ReceivedBoost[])[] = [];
  const done = collect({
    wallet,
    source: 'main',
    store,
    boosts: keyedBoosts(store),
    signal: end.signal,
    now: time.now,
    schedule: time.schedule,
    onBoosts: (boosts) => batches.push(boosts),
    onState: (state) => states.push(state),
  });
  const numbers = () =>
    batches.map((batch) => batch.map(({ paymentHash }) => Number.parseInt(paymentHash, 16)));
  const stop = (): Promise<void> => {
    end.abort();
    return done;
  };
  return { wallet, store, time, states, batches, numbers, done, stop };
}

describe('collecting what a wallet receives', () => {
  test('stores what was missed in one transaction, then what comes, and goes on after it', async () => {
    const first = begin();
    first.wallet.add(paymentWith(1), paymentWith(2), paymentWith(3));
    await until(() => first.batches.length === 1);
    first.wallet.add(paymentWith(4));
    await until(() => first.batches.length === 2);
    expect(first.numbers()).toEqual([[1, 2, 3], [4]]);
    await first.stop();
    expect(first.states.map(({ status }) => status)).toEqual(['listening', 'stopped']);
    expect(first.wallet.open).toBe(0);
    first.wallet.add(paymentWith(5));
    const second = begin(first);
    await until(() => second.batches.length === 1);
    expect(second.numbers()).toEqual([[5]]);
    expect(first.wallet.subscriptions).toEqual([undefined, '4']);
    await second.stop();
  });

  test('calls again later and later while the wallet is away, and soon after it was there', async () => {
    const { wallet, time, states, numbers, stop } = begin();
    wallet.add(paymentWith(1));
    wallet.mishaps = ['breaks', 'ends', 'breaks', 'breaks', 'breaks', 'breaks', 'breaks', 'breaks'];
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      await until(() => states.filter(({ status }) => status === 'waiting').length === i + 1);
      const state = states.at(-1);
      if (state?.status !== 'waiting') throw new Error('it does not wait');
      expect(state.code).toBe('wallet_unreachable');
      waits.push(state.retryAtMs - time.now());
      await time.advance(state.retryAtMs - time.now() - 1);
      expect(states.at(-1)).toBe(state);
      await time.advance(1);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    await until(() => numbers().length === 1);
    wallet.mishaps = ['breaks'];
    wallet.add(paymentWith(2));
    await until(() => states.at(-1)?.status === 'waiting');
    expect(time.nextAtMs).toBe(time.now() + 1_000);
    await stop();
    expect(states.at(-1)).toEqual({ status: 'stopped' });
  });

  test('keeps the cursor where it was when a batch cannot be stored, and says so', async () => {
    const store = memoryStore();
    let full = true;
    const failing: ToolkitStore = {
      ...store,
      transaction: (body) =>
        store.transaction((tx) => {
          const result = body(tx);
          if (full) throw new Error('the disk is full');
          return result;
        }),
    };
    const { wallet, time, states, numbers, stop } = begin({ store: failing });
    wallet.add(paymentWith(1), paymentWith(2));
    await until(() => states.at(-1)?.status === 'waiting');
    expect(states.at(-1)).toMatchObject({ message: 'the disk is full' });
    await turn();
    expect([wallet.open, store.list({ prefix: '' })]).toEqual([0, []]);
    full = false;
    await time.advance(1_000);
    await until(() => numbers().length === 1);
    expect([numbers(), wallet.subscriptions]).toEqual([[[1, 2]], [undefined, undefined]]);
    await stop();
  });

  test('says for good that a wallet cannot', async () => {
    const wallet = new ReceivingWallet();
    wallet.receives = 'none';
    await expect(begin({ wallet }).done).rejects.toMatchObject({ code: 'wallet_cannot' });
  });

  test('proves nobody where a signature is for another node', async () => {
    const wallet = new ReceivingWallet();
    wallet.nodeId = `02${'ab'.repeat(32)}`;
    wallet.add(paymentWith(1, { records: [[1_802_725_735n, Uint8Array.of(0, 1, 1)]] }));
    const { batches, stop } = begin({ wallet });
    await until(() => batches.length === 1);
    expect(batches[0]?.[0]).toMatchObject({ sender: {}, problems: ['sender_proof: malformed'] });
    await stop();
  });

  test('stores every payment once, whatever the wallet repeats and wherever this process dies', async () => {
    const mishap = fc.constantFrom<Mishap>('none', 'none', 'none', 'breaks', 'ends', 'repeats', 'waits');
    const fate = fc.constantFrom('ok', 'ok', 'dies before', 'dies after');
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 25 }),
        fc.array(mishap, { maxLength: 40 }),
        fc.array(fate, { maxLength: 12 }),
        fc.integer({ min: 0, max: 25 }),
        async (count, mishaps, fates, late) => {
          const wallet = new ReceivingWallet();
          wallet.mishaps = [...mishaps];
          const payments = Array.from({ length: count }, (_, i) => paymentWith(i + 1));
          wallet.add(...payments.slice(0, late));
          const disk = memoryStore();
          const left = [...fates];
          const told: number[] = [];
          let added = false;
          for (;;) {
            let dead = false;
            const mortal: ToolkitStore = {
              ...disk,
              transaction(body) {
                const fated = left.shift() ?? 'ok';
                dead = fated !== 'ok';
                if (fated === 'dies before') throw new Error('killed');
                const result = disk.transaction(body);
                if (dead) throw new Error('killed');
                return result;
              },
            };
            const life = begin({ wallet, store: mortal });
            while (!dead && life.store.list({ prefix: 'boost/row/' }).length < count) {
              await turn(1);
              await life.time.advance(60_000);
              if (!added) wallet.add(...payments.slice(late));
              added = true;
            }
            await life.stop();
            told.push(...life.numbers().flat());
            if (!dead) break;
          }
          const boosts = keyedBoosts(disk);
          const stored = boosts.arrivals(0).map(({ paymentHash }) => Number.parseInt(paymentHash, 16));
          const all = payments.map((_, i) => i + 1);
          expect([...stored].sort((a, b) => a - b)).toEqual(all);
          expect(boosts.totals({ by: 'kind' }).total.count).toBe(count);
          // Told at most once, and but for what a death came between, once.
          expect(new Set(told).size).toBe(told.length);
          if (!fates.includes('dies after')) expect([...told].sort((a, b) => a - b)).toEqual(all);
          expect(wallet.open).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });
});
