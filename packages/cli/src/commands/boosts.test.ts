import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { type ReceivedBoost, readBoost, verifyWebhook } from '@rivulet/keysend/receiving';
import { openToolkit } from '@rivulet/keysend/sqlite';
import { ServiceError } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, info, nodeId, payment, until } from '../cli.test.support.js';

const day = Date.UTC(2026, 10, 21);
const dayMs = 86_400_000;

let world: CliWorld;
beforeEach(() => {
  world = new CliWorld();
});
afterEach(() => world.close());

const toolkit = () => openToolkit({ path: join(world.dataDir, 'toolkit.sqlite') });

function receive(...boostagrams: readonly Record<string, unknown>[]): readonly ReceivedBoost[] {
  const { store, boosts, close } = toolkit();
  const first = boosts.lastId();
  const read = boostagrams.map((boostagram, i) =>
    readBoost(
      {
        paymentHash: (first + i + 1).toString(16).padStart(64, '0'),
        amountMsat: 1_234_567n * BigInt(first + i + 1),
        receivedAtMs: day + (first + i) * dayMs,
        records: new Map([
          [7629169n, utf8ToBytes(JSON.stringify(boostagram))],
          [70001n, Uint8Array.of(7, 8)],
        ]),
      },
      { source: 'home' },
    ),
  );
  const taken = store.transaction((tx) => boosts.ingest(tx, { source: 'home', boosts: read }));
  close();
  return taken;
}

const tide = { action: 'boost', podcast: 'Tide', app_name: 'Castle', sender_name: 'Ann', message: 'ahoy' };
const ebb = { action: 'stream', podcast: 'Ebb', sender_name: '\u001b[31mEve' };

describe('rivulet boosts', () => {
  test('lists what came, the latest first, in pages and by filters', async () => {
    expect((await world.run('boosts')).out).toBe('no such payments\n');
    receive(tide, ebb, { ...tide, message: 'second' });
    const { code, out } = await world.run('boosts', '--limit', '2');
    expect(code).toBe(0);
    const lines = out.split('\n');
    expect(lines[1]).toMatch(
      /^ +3 {2}2026-11-23 00:00:00 {2}boost +3,703\.701 sat {2}Ann .*Tide +Castle +second$/,
    );
    expect(lines[2]).toContain('2,469.134 sat');
    expect(out).not.toContain('\u001b');
    const cursor = /--cursor (\S+)/.exec(out)?.[1] ?? '';
    expect((await world.run('boosts', 'list', '--limit', '2', '--cursor', cursor)).out).toContain('ahoy');
    const ids = async (...args: string[]) => {
      const answer = await world.run('boosts', ...args, '--json');
      return (JSON.parse(answer.out) as { boosts: { id: number }[] }).boosts.map(({ id }) => id);
    };
    expect(await ids('--kind', 'boosts')).toEqual([3, 1]);
    expect(await ids('--kind', 'stream,auto')).toEqual([2]);
    expect(await ids('--show', 'tide', '--oldest')).toEqual([1, 3]);
    expect(await ids('--since', '2026-11-22', '--until', '2026-11-22')).toEqual([2]);
    expect(await ids('--min', '2,469')).toEqual([3, 2]);
    expect(await ids('--text', 'HOY')).toEqual([1]);
    expect(await ids('--sender', 'ann', '--app', 'castle', '--source', 'home')).toEqual([3, 1]);
  });

  test.each([
    [['--kind', 'gift'], '--kind'],
    [['--since', '2026-02-30'], '--since'],
    [['--until', '7d'], '--until'],
    [['--min', '-1'], '--min'],
    [['--proven-sender', '02ab'], '--proven-sender'],
    [['stats', '--by', 'planet'], '--by'],
    [['show', 'x'], 'the number'],
    [['list', '--cursor', 'x'], 'cursor'],
  ])('refuses %j as a command that makes no sense', async (args, message) => {
    const { code, err, out } = await world.run('boosts', ...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
  });

  test('shows all of one, with every record and the legs of its boost', async () => {
    receive({ ...tide, boost_uuid: 'u1', ts: 3723 }, { ...tide, boost_uuid: 'u1' });
    const { out } = await world.run('boosts', 'show', '1');
    expect(out).toContain('message         ahoy\n');
    expect(out).toContain('at              1:02:03\n');
    expect(out).toMatch(/70001 +unknown +0708/);
    expect(out).toContain('2 legs of this boost arrived');
    const json = JSON.parse((await world.run('boosts', 'show', '2', '--json')).out);
    expect(json).toMatchObject({ id: 2, legs: [1, 2], records: [{ type: '70001', hex: '0708' }, {}] });
    expect((await world.run('boosts', 'show', '9')).code).toBe(1);
  });

  test('adds up by show and the like, streams apart', async () => {
    receive(tide, ebb, tide);
    const { out } = await world.run('boosts', 'stats', '--by', 'show');
    expect(out).toMatch(/\nTide +2 +4,938\.268 sat +0 +0 sat +2 +4,938\.268 sat\n/);
    expect(out).toMatch(/\nEbb +0 +0 sat +1 +2,469\.134 sat/);
    expect(out).toMatch(/\nall +2 .* 3 +7,407\.402 sat\n/);
    const json = JSON.parse((await world.run('boosts', 'stats', '--by', 'day', '--json')).out);
    expect(json.groups.map(({ key }: { key: string }) => key)).toEqual([
      '2026-11-23',
      '2026-11-22',
      '2026-11-21',
    ]);
    const one = await world.run('boosts', 'stats', '--by', 'sender', '--kind', 'stream', '--limit', '1');
    expect(one.out).toContain('\ufffd[31mEve');
  });

  test('writes files of its owner alone, and replaces none', async () => {
    receive(tide, ebb);
    const file = join(world.dataDir, 'out.csv');
    expect((await world.run('boosts', 'export', file)).code).toBe(0);
    expect(readFileSync(file, 'utf8').split('\r\n')).toHaveLength(4);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await world.run('boosts', 'export', file)).err).toContain('there already');
    const { out } = await world.run('boosts', 'export', '--format', 'ndjson', '--show', 'ebb');
    expect(JSON.parse(out)).toMatchObject({ id: 2, show: { name: 'Ebb' } });
  });

  const served = (count: number) =>
    world.serve({
      info: async () => info,
      invoices: async () => {
        throw new ServiceError('unknown_invoice', 'none');
      },
      payments: async ({ after = 0 }: { after?: number }) => ({
        payments: Array.from({ length: count - after }, (_, i) => ({
          ...payment,
          direction: 'incoming' as const,
          sequence: after + i + 1,
          paymentHash: bytesToHex(new Uint8Array(32).fill(after + i + 1)),
          records: new Map([[7629169n, utf8ToBytes(JSON.stringify(tide))]]),
        })),
      }),
    });

  test('takes in what the daemon received, once, and says how much', async () => {
    await served(3);
    const run = async () => {
      const timers: (() => void)[] = [];
      const sync = world.start(
        {
          schedule: (delayMs, end) => {
            if (delayMs === 5_000) timers.push(end);
            return () => {};
          },
        },
        'boosts',
        'sync',
      );
      const { boosts, close } = toolkit();
      await until(() => boosts.lastId() === 3 && timers.length > 0);
      close();
      timers.at(-1)?.();
      return sync.done;
    };
    expect(await run()).toMatchObject({ code: 0, out: '3 new payments, 3,703.701 sat\n' });
    expect(await run()).toMatchObject({ code: 0, out: '0 new payments, 0 sat\n' });
    expect((await world.run('boosts', '--json')).out).toContain(`"source":"rivulet:${nodeId}"`);
  });

  test('follows what comes, until Ctrl-C', async () => {
    await served(2);
    const follow = world.start({}, 'boosts', 'follow');
    await until(() => follow.printed.out.split('\n').length === 3);
    follow.interrupt();
    const { code, out } = await follow.done;
    expect(code).toBe(0);
    expect(out).toContain('boost 1,234.567 sat from Ann for Tide with Castle: ahoy\n');
  });

  test('manages webhooks, and tries them', async () => {
    const got: { headers: Record<string, unknown>; body: Uint8Array }[] = [];
    const server = createServer(async (request, response) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk as Uint8Array);
      got.push({ headers: request.headers, body: Uint8Array.from(Buffer.concat(chunks)) });
      response.writeHead(got.length > 2 ? 500 : 200).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const secretFile = join(world.dataDir, 'secret');
      writeFileSync(secretFile, `${'ab'.repeat(32)}\n`);
      const hooks = (...args: string[]) => world.run('boosts', 'webhooks', ...args);
      const added = await hooks('add', url, '--secret-file', secretFile, '--kind', 'boost', '--json');
      const { id } = JSON.parse(added.out) as { id: string };
      expect(JSON.parse(added.out)).toMatchObject({ url, filter: { kinds: ['boost'] } });
      receive(tide);
      expect((await hooks('list')).out).toContain(
        `webhook ${id}  ${url}\n  0 delivered; 1 payments to look at`,
      );
      expect((await hooks('list', '--json')).out).not.toContain('ab'.repeat(32));
      expect((await hooks('test', id)).out).toBe('delivered (HTTP 200)\n');
      expect((await hooks('redeliver', `${id}-1`)).code).toBe(0);
      const [, second] = got;
      verifyWebhook({
        secret: new Uint8Array(32).fill(0xab),
        signature: String(second?.headers['rivulet-signature']),
        body: second?.body ?? new Uint8Array(),
        nowMs: Date.now(),
      });
      expect(await hooks('test', id)).toMatchObject({ code: 1, out: '' });
      expect((await hooks('disable', id)).out).toContain('disabled');
      expect((await hooks('list')).out).toContain('DISABLED');
      expect((await hooks('enable', id)).out).toContain('enabled');
      expect((await hooks('remove', id)).out).toContain('removed');
      expect((await hooks('list')).out).toContain('no webhooks');
      expect((await hooks('test', id)).code).toBe(1);
      expect((await hooks('add', 'http://example.com/')).code).toBe(1);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
