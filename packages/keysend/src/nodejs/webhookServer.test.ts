import { utf8ToBytes } from '@rivulet/core/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { signDelivery } from '../automation/delivery.js';
import { RuleRunner } from '../automation/ruleRunner.js';
import { setBudget } from '../ledger/budgets.js';
import { TestTime, TestWallet, testLedger } from '../ledger/ledger.test.support.js';
import { memoryStore } from '../store/memoryStore.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import { startWebhookServer, type WebhookServer } from './webhookServer.js';

const alice = `02${'aa'.repeat(32)}`;
let time: TestTime;
let store: ToolkitStore;
let runner: RuleRunner;
let server: WebhookServer;

beforeEach(async () => {
  time = new TestTime();
  store = memoryStore();
  runner = new RuleRunner({
    store,
    ledger: testLedger({ time, store, wallet: new TestWallet({ time }) }),
    now: time.now,
    schedule: time.schedule,
    secret: new Uint8Array(32).fill(9),
  });
  runner.book.add({
    name: 'bonus',
    kind: 'trigger',
    amount: { path: 'sats', most: 500 },
    to: [{ recipient: alice }],
    budgets: ['fun'],
    maxFee: 0,
  });
  store.transaction((tx) => setBudget(tx, { name: 'fun', amountMsat: 20_000n, period: 'total' }));
  server = await startWebhookServer({ runner, port: 0, maxBodyBytes: 1_000 });
});
afterEach(() => server.close());

async function send(
  document: unknown,
  { rule = 'bonus', id = 'd1', method = 'POST', headers = {} as Record<string, string> } = {},
) {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  const signed = signDelivery({
    secret: runner.triggerSecret('bonus'),
    id,
    timestampSeconds: Math.floor(time.nowMs / 1000),
    body: utf8ToBytes(text),
  });
  const response = await fetch(`${server.url}${rule}`, {
    method,
    headers: { ...signed, ...headers },
    ...(method === 'GET' ? {} : { body: text }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('a server of webhooks', () => {
  test('listens on the loopback interface', () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/hooks\/$/);
  });

  test('plans what a signed webhook says, once', async () => {
    const first = await send({ sats: 5 });
    expect(first).toMatchObject({ status: 200, body: { status: 'planned', amountMsat: '5000' } });
    expect(await send({ sats: 5 })).toMatchObject({
      status: 200,
      body: { ...first.body, status: 'repeated' },
    });
    expect(store.list({ prefix: 'leg/' })).toHaveLength(1);
  });

  test.each([
    [
      'a signature of another secret',
      { headers: { 'webhook-signature': 'v1,AAAA' } },
      401,
      'signature_invalid',
    ],
    ['a rule that does not exist', { rule: 'other' }, 401, 'signature_invalid'],
    ['another method', { method: 'GET' }, 405, 'request_invalid'],
    ['another place', { rule: '../x' }, 404, 'not_found'],
    ['a name that is none', { rule: 'A B' }, 404, 'not_found'],
  ])('refuses %s', async (_, how, status, code) => {
    expect(await send({ sats: 5 }, how)).toMatchObject({ status, body: { error: { code } } });
    expect(store.list({ prefix: 'leg/' })).toEqual([]);
  });

  test('refuses a document that does not fit, one that is too large, and one beyond the budget', async () => {
    expect(await send({ sats: 501 })).toMatchObject({
      status: 400,
      body: { error: { code: 'request_invalid' } },
    });
    expect(await send('[')).toMatchObject({ status: 400 });
    expect(await send({ sats: 5, note: 'x'.repeat(2_000) })).toMatchObject({ status: 413 });
    expect(await send({ sats: 21 })).toMatchObject({
      status: 503,
      body: { error: { code: 'budget_exceeded' } },
    });
    runner.book.setEnabled('bonus', false);
    expect(await send({ sats: 5 })).toMatchObject({
      status: 409,
      body: { error: { code: 'state_conflict' } },
    });
    expect(store.list({ prefix: 'leg/' })).toEqual([]);
  });
});
