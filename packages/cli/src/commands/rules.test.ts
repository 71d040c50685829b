import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { signDelivery } from '@rivulet/keysend/automation';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, info, nodeId, payment, until } from '../cli.test.support.js';

let world: CliWorld;
let paid: bigint[];

beforeEach(async () => {
  paid = [];
  world = await new CliWorld().serve({
    info: async () => info,
    keysend: async ({ amountMsat, preimage }: { amountMsat: bigint; preimage: string }) => {
      paid.push(amountMsat);
      return { ...payment, paymentHash: bytesToHex(sha256(hexToBytes(preimage))), amountMsat, preimage };
    },
  });
});
afterEach(() => world.close());

function file(rule: unknown): string {
  const path = join(world.dataDir, 'rule.json');
  writeFileSync(path, typeof rule === 'string' ? rule : JSON.stringify(rule));
  return path;
}

const to = [{ recipient: nodeId }];
const today = new Date().toISOString().slice(0, 10);
const rent = { name: 'rent', kind: 'subscription', every: { months: 1 }, start: today, amount: 100, to };
const traffic = { name: 'traffic', kind: 'meter', unit: 'GB', price: '1/3', payAt: 10, to };

describe('rivulet rules', () => {
  test('adds, lists, shows, changes and removes', async () => {
    expect((await world.run('rules', 'list')).out).toBe('no rules yet\n');
    expect(await world.run('rules', 'add', file(rent))).toMatchObject({ code: 0, out: 'added rent\n' });
    expect((await world.run('rules', 'add', file(rent))).err).toMatch(/there is a rule rent/);
    expect((await world.run('rules', 'list')).out).toMatch(/rent {2}subscription {2}enabled/);
    expect((await world.run('rules', 'disable', 'rent')).out).toBe('rent is disabled\n');
    expect((await world.run('rules', 'show', 'rent')).out).toMatch(/state {9}disabled/);
    await world.run('rules', 'add', file({ ...rent, amount: 200 }), '--replace');
    const shown = JSON.parse((await world.run('rules', 'show', 'rent', '--json')).out);
    expect(shown).toMatchObject({ enabled: false, definition: { amount: 200 }, state: { planned: 0 } });
    expect((await world.run('rules', 'remove', 'rent')).code).toBe(0);
    expect((await world.run('rules', 'show', 'rent')).code).toBe(2);
    expect((await world.run('rules', 'add', file('{'))).err).toMatch(/is no JSON/);
    expect((await world.run('rules', 'add', file({ ...rent, amount: 'x' }))).err).toMatch(
      /amount: "x" is no number/,
    );
  });

  test('says what is due, and pays it once', async () => {
    await world.run('rules', 'add', file(rent));
    expect((await world.run('rules', 'due')).out).toContain(`${today}T00:00:00Z: 100 sat`);
    expect(paid).toEqual([]);
    const first = await world.run('rules', 'run', '--once');
    expect([first.code, first.err]).toEqual([0, '']);
    expect(first.out).toContain('100 sat planned');
    expect(first.out).toContain('100 sat succeeded');
    expect((await world.run('rules', 'run', '--once')).out).toBe('');
    expect(paid).toEqual([100_000n]);
  });

  test('holds what is above the limit until somebody approves it', async () => {
    await world.run('rules', 'add', file({ ...rent, approvalAbove: 50 }));
    expect((await world.run('rules', 'run', '--once')).out).toContain('held until somebody approves it');
    expect((await world.run('rules', 'approve')).out).toMatch(/rent pays 100 sat at once/);
    expect((await world.run('rules', 'approve', 'rent', '--by', 'ann')).out).toBe('1 approved\n');
    expect((await world.run('rules', 'approve')).out).toBe('nothing waits for approval\n');
    await world.run('rules', 'run', '--once');
    expect(paid).toEqual([100_000n]);
  });

  test('fails where something that is due is not paid, for whoever calls it by a timer', async () => {
    await world.run('budgets', 'set', 'small', '5', '--per', 'day');
    await world.run('rules', 'add', file({ ...rent, budgets: ['small'] }));
    const { code, err } = await world.run('rules', 'run', '--once');
    expect(code).toBe(1);
    expect(err).toMatch(/the budget small has 5 sat left.*\n.*not planned: rent/);
    expect(paid).toEqual([]);
  });

  test('counts what is reported to a meter, once', async () => {
    await world.run('rules', 'add', file(traffic));
    const report = (units: string, id: string) =>
      world.run('rules', 'report-units', 'traffic', units, '--id', id);
    expect((await report('29', 'a')).out).toBe('counted 29\n');
    expect((await report('29', 'a')).out).toBe('counted before: nothing changes\n');
    expect((await report('1.5', 'b')).out).toContain('traffic 1: 10.166 sat planned');
    expect((await world.run('rules', 'show', 'traffic')).out).toMatch(/owed {10}2\/3 msat/);
    expect((await world.run('rules', 'pay-owed', 'traffic')).out).toBe('nothing is owed\n');
    await world.run('rules', 'run', '--once');
    expect(paid).toEqual([10_166n]);
  });

  test('takes webhooks while it runs, and pays what they say once', async () => {
    const bonus = { name: 'bonus', kind: 'trigger', amount: { path: 'sats', most: 50 }, to };
    expect((await world.run('rules', 'add', file(bonus))).out).toContain('rivulet rules secret bonus');
    const { secret } = JSON.parse((await world.run('rules', 'secret', 'bonus', '--json')).out);
    expect((await world.run('rules', 'secret', 'other')).code).toBe(2);
    const running = world.start({}, 'rules', 'run', '--webhook-port', '0', '--json');
    await until(() => running.printed.out.includes('listening'));
    const { url } = JSON.parse(running.printed.out.split('\n')[0] ?? '');
    const body = new TextEncoder().encode('{"sats":21}');
    const headers = signDelivery({
      secret: Uint8Array.from(Buffer.from(secret.replace('whsec_', ''), 'base64')),
      id: 'd1',
      timestampSeconds: Math.floor(Date.now() / 1000),
      body,
    });
    const send = () => fetch(`${url}bonus`, { method: 'POST', headers: { ...headers }, body });
    expect(await (await send()).json()).toMatchObject({ status: 'planned' });
    await until(() => running.printed.out.includes('"succeeded"'));
    expect(await (await send()).json()).toMatchObject({ status: 'repeated' });
    running.interrupt();
    await running.done;
    expect(paid).toEqual([21_000n]);
    // A sender may bring a secret of its own.
    const own = join(world.dataDir, 'own');
    writeFileSync(own, `${'ab'.repeat(32)}\n`);
    const flags = ['--webhook-port', '0', '--json', '--secret-file', `bonus=${own}`];
    const second = world.start({}, 'rules', 'run', ...flags);
    await until(() => second.printed.out.includes('listening'));
    const other = JSON.parse(second.printed.out.split('\n')[0] ?? '').url as string;
    expect((await fetch(`${other}bonus`, { method: 'POST', headers: { ...headers }, body })).status).toBe(
      401,
    );
    second.interrupt();
    await second.done;
    expect((await world.run('rules', 'run', '--secret-file', 'bonus')).code).toBe(2);
  });
});
