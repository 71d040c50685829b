import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseTriggerSecret, verifyDelivery } from '../../automation/delivery.js';
import { memoryStore } from '../../store/memoryStore.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';
import type { BoostStore } from '../boostStore.js';
import { boostOf } from '../boosts.test.support.js';
import { keyedBoosts } from '../keyedBoosts.js';
import { ManualTime, until } from '../manualTime.test.support.js';
import { fetchPoster, type WebhookPoster } from './webhookPoster.js';
import { WebhookServer } from './webhookServer.test.support.js';
import { verifyWebhook } from './webhookSignature.js';
import { WebhookStore } from './webhookStore.js';
import { WebhookWorker } from './webhookWorker.js';

const dayMs = 86_400_000;
let drawn = 0;
const randomBytes = (count: number) => new Uint8Array(count).fill(++drawn);

interface World {
  readonly store: ToolkitStore;
  readonly boosts: BoostStore;
  readonly webhooks: WebhookStore;
  readonly time: ManualTime;
  readonly worker: WebhookWorker;
  readonly warnings: string[];
}

function makeWorld(given: { store?: ToolkitStore; poster?: WebhookPoster; time?: ManualTime } = {}): World {
  const { store = memoryStore(), poster = fetchPoster(), time = new ManualTime() } = given;
  const boosts = keyedBoosts(store);
  const webhooks = new WebhookStore({ store, boosts });
  const warnings: string[] = [];
  const worker = new WebhookWorker({
    webhooks,
    boosts,
    poster,
    now: time.now,
    schedule: time.schedule,
    random: () => 0,
    logger: { info() {}, warn: (_, message) => warnings.push(message) },
  });
  return { store, boosts, webhooks, time, worker, warnings };
}

let count = 0;
function receive({ store, boosts, time }: World, ...given: Parameters<typeof boostOf>[1][]): void {
  const added = given.map((one) => boostOf(++count, { receivedAtMs: time.now(), ...one }));
  store.transaction((tx) => boosts.ingest(tx, { source: 'main', boosts: added }));
}

describe('webhooks', () => {
  let server: WebhookServer;
  let world: World;
  beforeEach(async () => {
    server = await WebhookServer.start();
    world = makeWorld();
  });
  afterEach(async () => {
    await world.worker.stop();
    await server.close();
  });
  const add = (given: Partial<Parameters<WebhookStore['add']>[0]> = {}) =>
    world.webhooks.add({ url: server.url, ...given }, { now: world.time.now, randomBytes });
  const statusOf = (id: string) => {
    const status = world.webhooks.status().find((one) => one.id === id);
    if (status === undefined) throw new Error('there is no such webhook');
    return status;
  };

  const untilRetryMs = (id: string) => (statusOf(id).failing?.retryAtMs ?? Number.NaN) - world.time.now();
  /** Lets time pass up to the next attempt, and that attempt fail. */
  const failOnce = async (id: string): Promise<void> => {
    const before = JSON.stringify(world.webhooks.line(id));
    await world.time.advance(untilRetryMs(id));
    await until(() => JSON.stringify(world.webhooks.line(id)) !== before);
  };

  test('are told of what is stored after them and fits, signed in two ways', async () => {
    receive(world, {});
    const { webhook, secret } = add({ filter: { kinds: ['boost'], minMsat: 2_000n } });
    world.worker.start();
    receive(world, {}, { boostagram: { action: 'boost', message: 'Ahöy' }, amountMsat: 2_000n });
    world.worker.notify();
    await until(() => statusOf(webhook.id).delivered === 1);
    expect(server.numbers).toEqual([3]);
    const [{ headers, body, id }] = server.delivered as [(typeof server.delivered)[0]];
    expect(JSON.parse(new TextDecoder().decode(body))).toMatchObject({
      id,
      type: 'boost.received',
      boost: { id: 3, amountMsat: '2000', message: 'Ahöy', records: [{ name: 'boostagram' }] },
    });
    expect(headers['content-type']).toBe('application/json');
    const key = parseTriggerSecret(secret);
    const signature = headers['rivulet-signature'] ?? '';
    const given = { secret: key, signature, body, nowMs: world.time.now() };
    verifyWebhook(given);
    const wrong = [
      { ...given, body: utf8ToBytes('{}') },
      { ...given, secret: new Uint8Array(32) },
      { ...given, nowMs: world.time.now() + 400_000 },
      { ...given, signature: 'v1=00' },
    ];
    for (const one of wrong) {
      expect(() => verifyWebhook(one)).toThrow(expect.objectContaining({ code: 'signature_invalid' }));
    }
    expect(verifyDelivery({ ...given, headers, toleranceMs: 1_000 })).toEqual({ id });
  });

  test('get each delivery again, later and later, with the same id, and the others after it', async () => {
    const { webhook } = add();
    server.answers = [500, 302, 'garbage', 'hang up', 404, { retryAfter: 600 }];
    world.worker.start();
    receive(world, {}, {});
    world.worker.notify();
    const waits: number[] = [];
    for (let attempts = 1; attempts <= 6; attempts++) {
      await until(() => statusOf(webhook.id).failing?.attempts === attempts);
      waits.push(untilRetryMs(webhook.id));
      await world.time.advance(untilRetryMs(webhook.id) - 1);
      expect(server.delivered.length).toBe(attempts);
      await world.time.advance(1);
    }
    expect(waits).toEqual([2_500, 5_000, 10_000, 20_000, 40_000, 600_000]);
    await until(() => statusOf(webhook.id).delivered === 2);
    expect(server.numbers).toEqual([1, 1, 1, 1, 1, 1, 1, 2]);
    expect(new Set(server.delivered.map(({ id }) => id)).size).toBe(2);
    expect(statusOf(webhook.id)).toMatchObject({ waiting: 0, dead: [] });
    expect(statusOf(webhook.id).failing).toBeUndefined();
  });

  test('do not keep others waiting when they hang, and an answer without end is an answer', async () => {
    const slow = await WebhookServer.start();
    slow.answers = ['hang', 'endless'];
    const { webhook: hanging } = world.webhooks.add({ url: slow.url }, { now: world.time.now, randomBytes });
    const { webhook } = add();
    world.worker.start();
    receive(world, {}, {}, {});
    world.worker.notify();
    await until(() => statusOf(webhook.id).delivered === 3);
    await until(() => slow.delivered.length === 1);
    await world.time.advance(14_999);
    expect(statusOf(hanging.id).failing).toBeUndefined();
    await world.time.advance(1);
    await until(() => statusOf(hanging.id).failing !== undefined);
    expect(statusOf(hanging.id).failing).toMatchObject({ problem: 'no answer within 15 s' });
    await world.time.advance(5_000);
    await until(() => statusOf(hanging.id).delivered === 3);
    await slow.close();
  });

  test('that answer 410 get nothing more, until somebody says so', async () => {
    const { webhook } = add();
    server.answers = [410];
    world.worker.start();
    receive(world, {}, {});
    world.worker.notify();
    await until(() => statusOf(webhook.id).disabled !== undefined);
    await world.time.advance(10 * dayMs);
    expect(server.numbers).toEqual([1]);
    world.webhooks.disable(webhook.id, undefined);
    world.worker.notify();
    await until(() => statusOf(webhook.id).delivered === 2);
    expect(server.numbers).toEqual([1, 1, 2]);
  });

  test('give up what failed for three days, and keep it; a later one is tried for its own three days', async () => {
    const { webhook } = add();
    server.answers = Array.from({ length: 500 }, () => 503);
    world.worker.start();
    receive(world, {}, {});
    world.worker.notify();
    await until(() => statusOf(webhook.id).failing !== undefined);
    const beganMs = world.time.now();
    while (world.time.now() < beganMs + 2 * dayMs) await failOnce(webhook.id);
    receive(world, {});
    while (statusOf(webhook.id).dead.length === 0) await failOnce(webhook.id);
    expect(world.time.now() - beganMs).toBeGreaterThanOrEqual(3 * dayMs);
    expect(world.time.now() - beganMs).toBeLessThan(3 * dayMs + 3_600_000);
    await until(() => statusOf(webhook.id).dead.length === 2);
    const [first, second] = statusOf(webhook.id).dead;
    expect(first).toMatchObject({ boostId: 1, problem: 'HTTP 503' });
    expect(first?.attempts).toBeGreaterThan(72);
    expect(second).toMatchObject({ boostId: 2, attempts: 0 });
    expect(world.warnings).toContain('a delivery was given up');
    await until(() => statusOf(webhook.id).failing?.boostId === 3);
    server.answers = [];
    await world.time.advance(untilRetryMs(webhook.id));
    await until(() => statusOf(webhook.id).delivered === 1);
    const again = await world.worker.redeliver(first?.id ?? '');
    expect(again).toEqual({ status: 'delivered', httpStatus: 200 });
    expect(statusOf(webhook.id)).toMatchObject({ delivered: 2, dead: [{ boostId: 2 }] });
    expect(server.numbers.at(-1)).toBe(1);
  });

  test('are tried by hand: a test delivery, and one that does not exist', async () => {
    const { webhook } = add();
    expect(await world.worker.test(webhook.id, randomBytes)).toEqual({
      status: 'delivered',
      httpStatus: 200,
    });
    expect(server.delivered[0]?.id).toMatch(new RegExp(`^${webhook.id}-test-[0-9a-f]{16}$`));
    server.answers = [500];
    expect(await world.worker.test(webhook.id, randomBytes)).toEqual({
      status: 'failed',
      httpStatus: 500,
      problem: 'HTTP 500',
    });
    for (const id of ['x', `${webhook.id}-9`, `${'0'.repeat(16)}-1`]) {
      await expect(world.worker.redeliver(id)).rejects.toMatchObject({ code: 'not_found' });
    }
  });

  test('go on after a restart where they were, and after everything that their filter leaves out', async () => {
    const { webhook } = add({ filter: { show: 'tide' } });
    receive(world, ...Array.from({ length: 1_500 }, () => ({})));
    world.worker.start();
    for (let i = 0; i < 10; i++) await world.time.advance(1);
    expect(statusOf(webhook.id).waiting).toBe(500);
    await world.time.advance(60_000);
    expect(statusOf(webhook.id).waiting).toBe(0);
    await world.worker.stop();
    receive(world, { boostagram: { podcast: 'Tide' } });
    expect(world.webhooks.keepFromId()).toBe(1_501);
    const next = makeWorld(world);
    next.worker.start();
    await until(() => statusOf(webhook.id).delivered === 1);
    expect(server.numbers).toEqual([1_501]);
    await next.worker.stop();
  });

  test('are refused where they make no sense, and removed with all that is theirs', async () => {
    for (const url of ['nonsense', 'ftp://example.com/', 'http://example.com/', 'https://a:b@example.com/']) {
      expect(() => add({ url })).toThrow(expect.objectContaining({ code: 'fetch_refused' }));
    }
    expect(() => add({ secret: 'short' })).toThrow(expect.objectContaining({ code: 'request_invalid' }));
    const { webhook } = add({ secret: bytesToHex(new Uint8Array(16)) });
    expect(JSON.stringify(world.webhooks.status())).not.toContain('0'.repeat(32));
    world.webhooks.remove(webhook.id);
    expect(world.store.list({ prefix: 'webhook/' })).toEqual([]);
    expect(() => world.webhooks.remove(webhook.id)).toThrow(expect.objectContaining({ code: 'not_found' }));
    for (let i = 0; i < 100; i++) add();
    expect(() => add()).toThrow(/remove one/);
  });
});

test('every webhook gets every payment, in order, none lost, whatever fails and whenever the worker dies', async () => {
  const answer = fc.constantFrom(
    'ok',
    'ok',
    'ok',
    'fails',
    'heard and lost',
    'dies',
    'dies heard',
    'store fails',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('boost', 'stream'), { minLength: 1, maxLength: 15 }),
      fc.integer({ min: 1, max: 3 }),
      fc.array(answer, { maxLength: 40 }),
      async (actions, hooks, answers) => {
        const disk = memoryStore();
        const time = new ManualTime();
        const heard = new Map<string, number[]>();
        const left = [...answers];
        let alive = 0;
        let broken = false;
        /** A worker and its view of the disk; a dead one can neither write nor be heard. */
        const born = (): World => {
          const mine = ++alive;
          const store: ToolkitStore = {
            ...disk,
            transaction(body) {
              if (mine !== alive || broken) {
                broken = false;
                throw new Error('no more');
              }
              return disk.transaction(body);
            },
          };
          const poster: WebhookPoster = async ({ headers }) => {
            const [hook = '', id] = (headers['Rivulet-Delivery'] ?? '').split('-');
            if (mine !== alive) return new Promise(() => {});
            const fate = left.shift() ?? 'ok';
            if (fate === 'fails') return { status: 500 };
            if (fate === 'dies' || fate === 'dies heard') alive = -1 - mine;
            if (fate === 'dies') return new Promise(() => {});
            heard.set(hook, [...(heard.get(hook) ?? []), Number(id)]);
            if (fate === 'dies heard') return new Promise(() => {});
            if (fate === 'store fails') broken = true;
            if (fate === 'heard and lost') throw new Error('reset');
            return { status: 200 };
          };
          return makeWorld({ store, poster, time });
        };
        let world = born();
        const ids = Array.from({ length: hooks }, (_, i) => {
          const filter = i === 1 ? { kinds: ['boost'] as const } : {};
          return world.webhooks.add({ url: 'https://example.com/', filter }, { now: time.now, randomBytes })
            .webhook.id;
        });
        const wanted = ids.map((_, i) =>
          actions.flatMap((action, n) => (i === 1 && action !== 'boost' ? [] : [n + 1])),
        );
        world.worker.start();
        const started = [world];
        let stored = 0;
        const isDone = () =>
          stored === actions.length &&
          ids.every((id, i) => world.webhooks.line(id).delivered >= (wanted[i]?.length ?? 0));
        while (!isDone()) {
          const next = actions[stored];
          if (next !== undefined && !broken) {
            const boosts = keyedBoosts(disk);
            const one = boostOf(stored, { boostagram: { action: next }, receivedAtMs: time.now() });
            disk.transaction((tx) => boosts.ingest(tx, { source: 'main', boosts: [one] }));
            stored++;
          }
          world.worker.notify();
          await time.advance(5_000);
          if (alive < 0) {
            alive = -alive;
            world = born();
            started.push(world);
            world.worker.start();
          }
        }
        alive = -1;
        for (const [i, id] of ids.entries()) {
          const got = heard.get(id) ?? [];
          expect([...new Set(got)]).toEqual(wanted[i]);
          // Again, perhaps; but never back.
          expect([...got].sort((a, b) => a - b)).toEqual(got);
        }
        for (const one of started) void one.worker.stop();
        await time.advance(60_000);
      },
    ),
    { numRuns: 60 },
  );
});
