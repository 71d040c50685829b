import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AuditLog, createGuard } from '@rivulet/keysend/compliance';
import { openToolkit } from '@rivulet/keysend/sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld } from '../cli.test.support.js';

let world: CliWorld;
beforeEach(() => {
  world = new CliWorld();
});
afterEach(() => world.close());

const atMs = Date.UTC(2026, 4, 1, 12);

/** Payments as the toolkit of the data folder logs and judges them. */
function pay(count: number, amountMsat = 1_000n): void {
  const toolkit = openToolkit({ path: join(world.dataDir, 'toolkit.sqlite') });
  const { store } = toolkit;
  const log = new AuditLog({ store });
  const guard = createGuard({ audit: log });
  for (let n = 0; n < count; n++) {
    store.transaction((tx) => {
      const counterparty = 'ann@host.example';
      guard.judge(tx, {
        direction: 'outgoing',
        counterparty,
        amountMsat,
        atMs,
        id: `leg-${n}-${amountMsat}`,
      });
      const data = {
        leg: `leg-${n}`,
        counterparty,
        amountMsat: `${amountMsat}`,
        feeMsat: '1',
        purpose: 'boost\u001b[2J',
      };
      log.append(tx, { type: 'payment_succeeded', atMs: atMs + n, actor: 'user', data });
    });
  }
  toolkit.close();
}

const file = (name: string): string => join(world.dataDir, name);

describe('rivulet audit', () => {
  test('lists entries, and lets nothing in them command the terminal', async () => {
    pay(3);
    const { out, code } = await world.run('audit', 'list', '--limit', '2');
    expect(code).toBe(0);
    expect(out).toContain('counterparty=ann@host.example');
    expect(out).not.toContain('\u001b');
    expect(out.trim().split('\n')).toHaveLength(3);
    const { entries } = JSON.parse((await world.run('audit', 'list', '--json')).out);
    expect(entries.map(({ seq }: { seq: number }) => seq)).toEqual([3, 2, 1]);
    expect((await world.run('audit', 'list', '--type', 'limit_changed')).out).toBe('nothing yet\n');
  });

  test('exports what is verified without data folder and daemon', async () => {
    pay(3);
    const out = file('log.ndjson');
    expect((await world.run('audit', 'export', '--out', out)).code).toBe(0);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(readFileSync(out, 'utf8').split('\n')).toHaveLength(5);
    expect((await world.run('audit', 'export', '--out', out)).err).toMatch(/is there already/);

    const elsewhere = new CliWorld();
    const verified = await elsewhere.run('audit', 'verify', out);
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('intact: 4 entries') });
    writeFileSync(out, readFileSync(out, 'utf8').replace('"1000"', '"9000"'));
    const damaged = await elsewhere.run('audit', 'verify', out);
    expect(damaged).toMatchObject({ code: 1, err: expect.stringContaining('damaged at entry 1') });
    const json = await elsewhere.run('audit', 'verify', out, '--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ status: 'damaged', reason: 'hash_wrong', seq: 1 });
    expect(await elsewhere.run('audit', 'verify', '/nowhere/log')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/cannot be read/),
    });
    writeFileSync(join(elsewhere.dataDir, 'cut-off'), '');
    expect(await elsewhere.run('audit', 'verify', join(elsewhere.dataDir, 'cut-off'))).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no entry in it/),
    });
    await elsewhere.close();
  });

  test('has anchors that show what is cut off', async () => {
    pay(3);
    const [log, anchor] = [file('log.ndjson'), file('anchor.json')];
    expect((await world.run('audit', 'anchor', '--out', anchor)).code).toBe(0);
    await world.run('audit', 'export', '--out', log);
    expect((await world.run('audit', 'verify', log, '--anchor', anchor)).out).toContain('anchor  entry 3');
    expect((await world.run('audit', 'verify', '--anchor', anchor)).out).toContain('intact: 5 entries');
    writeFileSync(log, readFileSync(log, 'utf8').split('\n').slice(0, 2).join('\n'));
    expect((await world.run('audit', 'verify', log)).code).toBe(0);
    const cut = await world.run('audit', 'verify', log, '--anchor', anchor);
    expect(cut).toMatchObject({ code: 1, err: expect.stringContaining('the end is missing') });
    writeFileSync(anchor, '{}');
    expect((await world.run('audit', 'verify', log, '--anchor', anchor)).err).toMatch(/no anchor/);
  });

  test('reports a time as text, CSV and JSON', async () => {
    pay(2);
    const range = ['--from', '2026-05-01', '--to', '2026-05-01'];
    const { out } = await world.run('audit', 'report', ...range);
    expect(out).toContain('sent      2 sat in 2 payments, and 0.002 sat of fees');
    expect(out).not.toContain('\u001b');
    expect((await world.run('audit', 'report', ...range, '--csv')).out).toContain(
      'total,,2,2000,2,0,0,0\r\n',
    );
    expect(JSON.parse((await world.run('audit', 'report', ...range, '--json')).out).totals.sentMsat).toBe(
      '2000',
    );
    expect((await world.run('audit', 'report', '--from', '2026-05-02', '--to', '2026-05-03')).out).toContain(
      'in 0 payments',
    );
    for (const bad of [
      ['--from', 'yesterday'],
      ['--from', '2026-13-01'],
      ['--from', '2026-05-02', '--to', '2026-05-01'],
      [],
    ]) {
      expect((await world.run('audit', 'report', ...bad)).code).toBe(2);
    }
  });

  test('has monitors whose flags somebody acknowledges', async () => {
    const added = await world.run('audit', 'monitor', 'add', 'large', '--kind', 'threshold', '--above', '5');
    expect(added.out).toBe('large: more than 5 sat at once\n');
    pay(1, 6_000n);
    expect((await world.run('audit', 'flags')).out).toContain('large: more than 5 sat');
    expect((await world.run('audit', 'ack', '1', '--note', 'known')).code).toBe(0);
    expect((await world.run('audit', 'flags')).out).toBe('no flags\n');
    expect((await world.run('audit', 'flags', '--all')).out).toContain('known');
    expect((await world.run('audit', 'ack', '7', '--note', 'x')).code).toBe(1);
    const { monitors } = JSON.parse((await world.run('audit', 'monitor', 'list', '--json')).out);
    expect(monitors).toMatchObject([{ name: 'large', aboveMsat: '5000', action: 'flag' }]);
    expect((await world.run('audit', 'monitor', 'list')).out).toContain(
      'threshold'.length > 0 ? 'more than 5 sat' : '',
    );
    expect((await world.run('audit', 'monitor', 'remove', 'large')).code).toBe(0);
    expect((await world.run('audit', 'monitor', 'list')).out).toBe('no monitors yet\n');
  });

  test.each([
    [
      ['fast', '--kind', 'velocity', '--window', '1h', '--max-payments', '100', '--action', 'hold'],
      { windowSeconds: 3_600, maxCount: 100, action: 'hold' },
    ],
    [
      ['much', '--kind', 'velocity', '--window', '1d', '--max-amount', '1,000', '--scope', 'counterparty'],
      { maxMsat: '1000000', scope: 'counterparty' },
    ],
    [
      ['new', '--kind', 'new_counterparty', '--above', '10', '--known-for', '7d'],
      { aboveMsat: '10000', knownSeconds: 604_800 },
    ],
    [
      ['split', '--kind', 'structuring', '--below', '1000', '--window', '7d'],
      { belowMsat: '1000000', percent: 10, count: 3 },
    ],
  ])('takes the monitor %j', async (args, expected) => {
    const { out, code } = await world.run('audit', 'monitor', 'add', ...args, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject(expected);
    expect((await world.run('audit', 'monitor', 'list')).out).toContain(args[0]);
  });

  test.each([
    [['x', '--kind', 'velocity', '--window', '1h'], /--max-payments/],
    [['x', '--kind', 'velocity', '--max-payments', '1'], /--window/],
    [['x', '--kind', 'threshold'], /--above/],
    [['x', '--kind', 'structuring', '--window', '1h'], /--below/],
    [['x', '--kind', 'magic'], /choices/],
    [['x'], /--kind/],
  ])('refuses the monitor %j', async (args, reason) => {
    const { err, code } = await world.run('audit', 'monitor', 'add', ...args);
    expect([code, err]).toEqual([2, expect.stringMatching(reason)]);
  });

  test('keeps a book of counterparties with limits', async () => {
    const set = (...args: string[]) => world.run('audit', 'counterparty', 'set', 'ann@host.example', ...args);
    await set('--name', 'Ann', '--tag', 'podcast', 'friend', '--per-day', '10,000', '--per-payment', '500');
    const { out } = await set('--per-payment', 'none', '--when-over', 'hold', '--note', 'on Mondays');
    expect(out).toContain('ann@host.example (Ann)');
    expect(out).toContain('outgoing  10,000 sat a day; beyond: hold');
    expect(out).toContain('tags      podcast, friend');
    expect((await world.run('audit', 'counterparty', 'list', '--tag', 'friend')).out).toContain('Ann');
    const shown = await world.run('audit', 'counterparty', 'show', 'ann@host.example', '--json');
    expect(JSON.parse(shown.out)).toMatchObject({ outgoing: { perDayMsat: '10000000' }, note: 'on Mondays' });
    expect((await set('--block', 'both')).out).toContain('blocked   both (what comes in is flagged)');
    const incoming = await set('--direction', 'incoming', '--per-day', '5');
    expect(incoming.out).toContain('incoming  5 sat a day; beyond: flag');
    await set('--direction', 'incoming', '--per-day', 'none');
    expect((await set('--block', 'none', '--name', 'none')).out).not.toContain('blocked');
    expect((await set('--block', 'sometimes')).code).toBe(2);
    expect((await world.run('audit', 'counterparty', 'remove', 'ann@host.example')).code).toBe(0);
    expect((await world.run('audit', 'counterparty', 'show', 'ann@host.example')).code).toBe(1);
    expect((await world.run('audit', 'list')).out.match(/counterparty_changed/g)).toHaveLength(7);
  });
});
