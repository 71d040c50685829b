import { join } from 'node:path';
import { budgetState, reserveBudget, settleBudget } from '@rivulet/keysend';
import { AuditLog } from '@rivulet/keysend/compliance';
import { openToolkit } from '@rivulet/keysend/sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CliWorld } from '../cli.test.support.js';

let world: CliWorld;
beforeEach(() => {
  world = new CliWorld();
});
afterEach(() => world.close());

test('a budget is set, spent, changed and removed; each change of it is in the audit log', async () => {
  expect((await world.run('budgets')).out).toContain('no budgets');
  expect((await world.run('budgets', 'set', 'podcasts', '10,000', '--per', 'month')).code).toBe(0);
  const toolkit = openToolkit({ path: join(world.dataDir, 'toolkit.sqlite') });
  const { store } = toolkit;
  const atMs = Date.now();
  store.transaction((tx) =>
    reserveBudget(tx, { id: 'a', names: ['podcasts'], amountMsat: 2_000_000n, atMs }),
  );
  store.transaction((tx) => settleBudget(tx, { id: 'a', costMsat: 1_500_000n }));
  const { out } = await world.run('budgets', 'set', 'podcasts', '5,000', '--per', 'month');
  expect(out).toMatch(/podcasts\s+5,000 sat\s+month\s+1,500 sat\s+0 sat\s+3,500 sat/);
  expect(budgetState(store, { name: 'podcasts', atMs }).remainingMsat).toBe(3_500_000n);
  const { budgets } = JSON.parse((await world.run('budgets', '--json')).out);
  expect(budgets).toEqual([
    {
      name: 'podcasts',
      amountMsat: '5000000',
      period: 'month',
      usedMsat: '1500000',
      reservedMsat: '0',
      remainingMsat: '3500000',
    },
  ]);
  expect((await world.run('budgets', 'remove', 'podcasts')).out).toContain('no budgets');
  const changes = [...new AuditLog({ store }).records()].map(({ type, data }) => [
    type,
    data.before,
    data.after,
  ]);
  expect(changes).toEqual([
    ['limit_changed', 'none', '10000000 msat per month'],
    ['limit_changed', '10000000 msat per month', '5000000 msat per month'],
    ['limit_changed', '5000000 msat per month', 'none'],
  ]);
  toolkit.close();
});

test('what makes no sense changes nothing', async () => {
  expect((await world.run('budgets', 'set', 'x', '1,000', '--per', 'year')).code).toBe(2);
  expect((await world.run('budgets', 'set', 'x', 'much', '--per', 'day')).code).toBe(2);
  expect((await world.run('budgets', 'remove', 'x')).code).toBe(2);
  expect(JSON.parse((await world.run('budgets', '--json')).out)).toEqual({ budgets: [] });
});
