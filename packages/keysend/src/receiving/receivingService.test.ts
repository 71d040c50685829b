import { describe, expect, test } from 'vitest';
import { memoryStore } from '../store/memoryStore.js';
import { boostOf, noon, paymentWith } from './boosts.test.support.js';
import { keyedBoosts } from './keyedBoosts.js';
import { ManualTime, until } from './manualTime.test.support.js';
import { ReceivingService } from './receivingService.js';
import { ReceivingWallet } from './receivingWallet.test.support.js';
import type { WebhookRequest } from './webhooks/webhookPoster.js';

const dayMs = 86_400_000;

function begin() {
  const store = memoryStore();
  const boosts = keyedBoosts(store);
  const time = new ManualTime();
  const wallets = [
    { source: 'home', wallet: new ReceivingWallet() },
    { source: 'cloud', wallet: new ReceivingWallet() },
  ] as const;
  const posted: WebhookRequest[] = [];
  const warnings: string[] = [];
  const service = new ReceivingService({
    toolkit: { store, boosts },
    wallets,
    poster: async (request) => {
      posted.push(request);
      return { status: 204 };
    },
    now: time.now,
    schedule: time.schedule,
    random: () => 0,
    logger: { info() {}, warn: (_, message) => warnings.push(message) },
  });
  return { store, boosts, time, wallets, posted, warnings, service };
}

const addHook = ({ service, time }: ReturnType<typeof begin>) =>
  service.webhooks.add(
    { url: 'https://example.com/' },
    { now: time.now, randomBytes: (count) => new Uint8Array(count).fill(1) },
  ).webhook;

describe('a receiving service', () => {
  test('takes several wallets into one store, tells listeners and webhooks, and starts again', async () => {
    const world = begin();
    const { service, wallets, posted, boosts, warnings } = world;
    addHook(world);
    const heard: string[] = [];
    service.start();
    const end = service.subscribeBoosts(({ source, id }) => heard.push(`${source} ${id}`));
    service.subscribeBoosts(() => {
      throw new Error('a page that broke');
    });
    wallets[0].wallet.add(paymentWith(1));
    await until(() => heard.length === 1);
    wallets[1].wallet.add(paymentWith(1));
    await until(() => heard.length === 2 && posted.length === 2);
    expect(heard).toEqual(['home 1', 'cloud 2']);
    expect(warnings).toEqual(['a listener of boosts failed', 'a listener of boosts failed']);
    expect([...service.states().values()].map(({ status }) => status)).toEqual(['listening', 'listening']);
    end();
    await service.stop();
    expect(wallets.map(({ wallet }) => wallet.open)).toEqual([0, 0]);
    wallets[0].wallet.add(paymentWith(2));
    service.start();
    await until(() => posted.length === 3);
    expect([heard.length, boosts.lastId()]).toEqual([2, 3]);
    await service.stop();
  });

  test('tells of what another process has stored', async () => {
    const { service, store, boosts, time } = begin();
    service.start();
    const heard: number[] = [];
    service.subscribeBoosts(({ id }) => heard.push(id));
    store.transaction((tx) => boosts.ingest(tx, { source: 'elsewhere', boosts: [boostOf(1), boostOf(2)] }));
    expect(heard).toEqual([]);
    await time.advance(15_000);
    expect(heard).toEqual([1, 2]);
    await service.stop();
  });

  test('goes on with the others where one wallet cannot', async () => {
    const { service, wallets, boosts } = begin();
    wallets[0].wallet.receives = 'none';
    wallets[1].wallet.add(paymentWith(1));
    service.start();
    await until(() => boosts.lastId() === 1);
    await until(() => service.states().get('home')?.status === 'stopped');
    expect(service.states().get('home')).toMatchObject({ message: expect.stringContaining('home') });
    await service.stop();
  });

  test('forgets what is old, but for what a webhook still waits for', async () => {
    const world = begin();
    const { service, store, boosts, time } = world;
    const add = (n: number) => {
      const old = Array.from({ length: 700 }, (_, i) => boostOf(n + i, { receivedAtMs: noon - 2 * dayMs }));
      store.transaction((tx) => boosts.ingest(tx, { source: 'home', boosts: old }));
    };
    add(0);
    const hook = addHook(world);
    add(1_000);
    const forget = async () => {
      const done = service.forget({ beforeMs: noon - dayMs, keepSums: true });
      await time.advance(1);
      return done;
    };
    expect(await forget()).toBe(700);
    service.webhooks.disable(hook.id, { atMs: noon, reason: 'test' });
    expect(await forget()).toBe(700);
    expect(boosts.list().boosts).toEqual([]);
    expect(boosts.totals({ by: 'day' }).total.count).toBe(1_400);
  });

  test('refuses two wallets of one name', () => {
    const { service: _, ...world } = begin();
    const [one] = world.wallets;
    const options = { toolkit: world, poster: async () => ({ status: 200 }), now: world.time.now };
    expect(
      () => new ReceivingService({ ...options, wallets: [one, one], schedule: world.time.schedule }),
    ).toThrow(/same name/);
  });
});
