import { bytesToHex } from '@rivulet/core/bytes';
import { memoryStore, type ToolkitStore } from '@rivulet/keysend';
import { AuditLog } from '@rivulet/keysend/compliance';
import { beforeEach, describe, expect, test } from 'vitest';
import type { WaitingKeysend } from '../driver/index.js';
import { silentLogger } from '../logging/index.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { KeysendPolicy } from './keysendPolicy.js';
import { keysendPolicyService } from './policyService.js';

const startMs = 1_800_000_000_000;
let scheduler: ManualScheduler;
let store: ToolkitStore;

beforeEach(() => {
  scheduler = new ManualScheduler();
  store = memoryStore();
});

function openPolicy(recipient = () => `02${'11'.repeat(32)}`): KeysendPolicy {
  const now = () => startMs + scheduler.now();
  const policy = new KeysendPolicy({ recipient, scheduler, now, logger: silentLogger });
  policy.open({ store, audit: new AuditLog({ store }) });
  return policy;
}

let made = 0;

function keysend(fields: { amountMsat?: bigint; channelId?: string } = {}) {
  made++;
  return {
    paymentHash: made.toString(16).padStart(64, '0'),
    amountMsat: 10_000n,
    records: new Map<bigint, Uint8Array>(),
    channelId: 'cc'.repeat(32),
    nowMs: startMs + scheduler.now(),
    ...fields,
  };
}

const waitingOf = (payment: ReturnType<typeof keysend>, untilMs: number): WaitingKeysend => ({
  paymentHash: Uint8Array.from(Buffer.from(payment.paymentHash, 'hex')),
  channelId: Uint8Array.from(Buffer.from(payment.channelId, 'hex')),
  amountMsat: payment.amountMsat,
  customRecords: payment.records,
  rule: 'hold_amount',
  heldAtMs: payment.nowMs,
  untilMs,
});

const holding = { version: 1, hold: { seconds: 3_600, aboveMsat: '5000', maximum: 2 } };

describe('settings', () => {
  test('hold from the next payment on, and after a restart', () => {
    const policy = openPolicy();
    expect(policy.judge(keysend())).toEqual({ action: 'accept' });
    policy.set({ version: 1, minimumMsat: '20000' });
    expect(policy.judge(keysend())).toEqual({ action: 'refuse', rule: 'minimum' });
    policy.close();
    const next = openPolicy();
    expect(next.settings).toEqual({ version: 1, minimumMsat: '20000' });
    expect(next.judge(keysend())).toEqual({ action: 'refuse', rule: 'minimum' });
  });

  test('that are wrong change nothing', () => {
    const policy = openPolicy();
    policy.set({ version: 1, minimumMsat: '20000' });
    expect(() => policy.set({ version: 1, minimum: 5 })).toThrow(/not valid/);
    expect(policy.settings).toEqual({ version: 1, minimumMsat: '20000' });
  });

  test('that cannot be stored change nothing', async () => {
    const policy = openPolicy();
    policy.open({
      store: {
        ...store,
        transaction: () => {
          throw new Error('no room on the disk');
        },
      },
      audit: new AuditLog({ store }),
    });
    const { setKeysendPolicy } = keysendPolicyService(policy);
    await expect(setKeysendPolicy({ policy: { version: 1, minimumMsat: '20000' } })).rejects.toThrow(
      /no room/,
    );
    expect(policy.judge(keysend())).toEqual({ action: 'accept' });
    policy.detach();
    await expect(setKeysendPolicy({ policy: { version: 1 } })).rejects.toMatchObject({
      code: 'not_supported',
    });
  });

  test('leave used up what was used up, and counted what was counted', () => {
    const policy = openPolicy();
    const channelRate = { payments: 2, perSeconds: 60 };
    policy.set({ version: 1, channelRate });
    for (let i = 0; i < 3; i++) policy.judge(keysend());
    policy.set({ version: 1, channelRate, minimumMsat: '1' });
    expect(policy.judge(keysend())).toEqual({ action: 'refuse', rule: 'channel_rate' });
    expect(policy.statistics).toMatchObject({ accepted: 2, refused: 2, refusedBy: { channel_rate: 2 } });
    policy.close();
    // After a restart too; statistics are of this run.
    const next = openPolicy();
    expect(next.judge(keysend())).toEqual({ action: 'refuse', rule: 'channel_rate' });
    expect(next.statistics).toMatchObject({ accepted: 0, refused: 1 });
  });
});

describe('what is stored and cannot be read', () => {
  test.each(['{', '{"version":2}', '{"version":1,"hold":5}'])(
    'settings %j: nothing is taken until others are set',
    async (text) => {
      store.transaction((tx) => tx.put('receive-policy', text));
      const policy = openPolicy();
      expect(policy.judge(keysend())).toEqual({ action: 'refuse', rule: 'policy_unreadable' });
      const service = keysendPolicyService(policy);
      await expect(service.keysendPolicy({})).rejects.toMatchObject({ code: 'not_supported' });
      const { statistics } = await service.setKeysendPolicy({ policy: { version: 1 } });
      expect(statistics).toMatchObject({ refused: 1, refusedBy: { policy_unreadable: 1 } });
      expect(policy.judge(keysend())).toEqual({ action: 'accept' });
    },
  );

  test('state: it begins without', () => {
    openPolicy().set({ version: 1, minimumMsat: '20000' });
    store.transaction((tx) => tx.put('receive-policy-state', '{"version":1,"channels":5}'));
    expect(openPolicy().judge(keysend())).toEqual({ action: 'refuse', rule: 'minimum' });
  });

  test('a file that is not there yet: nothing is taken until it is', () => {
    openPolicy().set({ version: 1, minimumMsat: '20000' });
    const options = { recipient: () => '', scheduler, now: () => startMs, logger: silentLogger };
    const policy = new KeysendPolicy(options);
    expect(policy.judge(keysend())).toEqual({ action: 'refuse', rule: 'policy_unreadable' });
    policy.open({ store, audit: new AuditLog({ store }) });
    expect(policy.settings).toEqual({ version: 1, minimumMsat: '20000' });
    // One that is gone in between changes nothing any more.
    policy.detach();
    expect(policy.judge(keysend({ amountMsat: 20_000n }))).toEqual({ action: 'accept' });
  });
});

test('judging does not throw, whatever goes wrong', () => {
  const policy = openPolicy(() => {
    throw new Error('no node');
  });
  expect(policy.judge(keysend())).toEqual({ action: 'refuse', rule: 'policy_failed' });
  scheduler.advance(60_000);
  const [entry] = [...new AuditLog({ store }).records()];
  expect(entry?.data).toMatchObject({ rule: 'policy_failed', count: 1 });
});

describe('keysends that are held', () => {
  test('give their place free when they are decided, or go back', () => {
    const policy = openPolicy();
    policy.set(holding);
    const [first, second] = [keysend(), keysend()];
    for (const one of [first, second]) expect(policy.judge(one).action).toBe('hold');
    expect(policy.judge(keysend())).toEqual({ action: 'refuse', rule: 'hold_full' });
    const over = { paymentHash: first.paymentHash, amountMsat: 10_000n, rule: 'hold_amount', accept: false };
    policy.decided({ ...over, byOwner: false });
    expect(policy.judge(keysend()).action).toBe('hold');
    scheduler.advance(60_000);
    const logged = [...new AuditLog({ store }).records()].map(({ data }) => data.rule);
    expect(logged).toContain('hold_expired');
  });

  test('before a restart hold their places after it, also when the process was killed', () => {
    const policy = openPolicy();
    policy.set(holding);
    const [first, second] = [keysend(), keysend()];
    for (const one of [first, second]) expect(policy.judge(one).action).toBe('hold');
    // Killed: nothing of what it remembered is stored. The node tells of those that are still there.
    const next = openPolicy();
    const untilMs = startMs + 3_600_000;
    for (const one of [first, second]) next.waiting(waitingOf(one, untilMs), { isNew: false });
    expect(next.judge(keysend())).toEqual({ action: 'refuse', rule: 'hold_full' });
    next.decided({
      paymentHash: bytesToHex(waitingOf(second, untilMs).paymentHash),
      amountMsat: 10_000n,
      rule: 'hold_amount',
      accept: true,
      byOwner: true,
    });
    expect(next.judge(keysend()).action).toBe('hold');
    expect(next.statistics).toMatchObject({ held: 1, refused: 1 });
    scheduler.advance(0);
    const types = [...new AuditLog({ store }).records()].map(({ type }) => type);
    expect(types).toEqual(['rule_changed', 'payment_released']);
  });
});
