import type { TowerInfo } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, until } from '../cli.test.support.js';

let world: CliWorld;

beforeEach(() => {
  world = new CliWorld();
});

afterEach(() => world.close());

const towerId = `02${'ab'.repeat(32)}`;
const other = `02${'ac'.repeat(32)}`;
const tower: TowerInfo = {
  towerId,
  url: 'http://tower.example:9814',
  state: 'behind',
  addedAtMs: Date.UTC(2026, 10, 1),
  lastContactMs: Date.UTC(2026, 10, 21, 2, 3, 4),
  subscription: { subscriptions: 2, slotsLeft: 9_000, expiryHeight: 904_320, blocksLeft: 144 },
  channels: [
    {
      channelId: '1f2e3d4c5b6a'.padEnd(64, '0'),
      fromCommitment: 3,
      coveredTo: 10,
      revokedTo: 12,
      queued: 2,
      queuedSinceMs: Date.UTC(2026, 10, 21, 2, 3, 5),
      refused: 1,
      refusal: 'too big\u0007',
      missed: 4,
    },
    { channelId: '2f'.padEnd(64, '0'), fromCommitment: 0, queued: 0, refused: 0, missed: 0 },
  ],
  proofs: [],
};

describe('towers', () => {
  test('add registers with a tower', async () => {
    await world.serve({ addTower: async () => tower });
    const uri = `tower.example:9814/${towerId}`;
    const { code, out } = await world.run('towers', 'add', uri);
    expect(code).toBe(0);
    expect(out).toBe('tower 02ababababab watches from now on, for 144 blocks (about 24 hours)\n');
    expect(world.calls).toEqual([{ name: 'addTower', request: { uri } }]);
  });

  test('list shows in one line each whether they know all', async () => {
    await world.serve({ towers: async () => ({ towers: [tower] }) });
    const { out } = await world.run('towers', 'list');
    const [headings, line] = out.split('\n');
    expect(headings).toMatch(/^TOWER +ADDRESS +STATE +WAITS +SLOTS/);
    expect(line).toMatch(
      /^02ababababab +http:\/\/tower.example:9814 +behind +2 +9000 +144 blocks .* 2026-11-21 02:03:04$/,
    );
  });

  test('status says of each channel what is watched, and what is not', async () => {
    const proofs = [{ what: 'a wrong receipt', messageHex: '', signature: '', atMs: Date.UTC(2026, 10, 20) }];
    const lastError = { message: 'the tower does not answer', atMs: Date.UTC(2026, 10, 21) };
    await world.serve({ towers: async () => ({ towers: [{ ...tower, proofs, lastError }] }) });
    const { out } = await world.run('towers', 'status');
    expect(out).toBe(
      [
        `tower ${towerId}`,
        '  http://tower.example:9814: behind',
        '  2 subscriptions, the last until block 904320 (144 blocks (about 24 hours)), 9000 slots left',
        '  2026-11-21 00:00:00 the tower does not answer',
        '  2026-11-20 00:00:00 broke its word: a wrong receipt',
        '  channel 1f2e3d4c5b6a: watches states 3 to 10 of 12 that are revoked; 2 wait since 2026-11-21 02:03:05; ' +
          '1 refused (too big\ufffd); 4 never told: too many waited',
        '  channel 2f0000000000: watches nothing yet (from state 0 on)\n',
      ].join('\n'),
    );
  });

  test('without any it is said how to get one', async () => {
    await world.serve({ towers: async () => ({ towers: [] }) });
    for (const command of ['list', 'status']) {
      expect((await world.run('towers', command)).out).toContain('rivulet towers add HOST:PORT/ID');
    }
  });

  test('remove takes the first digits of an id, if they are of one tower', async () => {
    await world.serve({
      towers: async () => ({ towers: [tower, { ...tower, towerId: other }] }),
      removeTower: async () => ({ towerId }),
    });
    expect(await world.run('towers', 'remove', '02abab')).toMatchObject({ code: 0 });
    expect(world.calls.at(-1)).toEqual({ name: 'removeTower', request: { towerId } });
    expect((await world.run('towers', 'remove', '02ff')).err).toContain('there is no tower 02ff');
    expect((await world.run('towers', 'remove', '02a')).code).toBe(2);
    expect(await world.run('towers', 'remove', '02aa')).toMatchObject({ code: 1 });
  });
});

describe('tower', () => {
  test('runs a watchtower without a node until it is interrupted', async () => {
    const { printed, done, interrupt } = world.start(
      {},
      ...['tower', '--listen', '127.0.0.1:0', '--chain-rpc-port', '0', '--chain-esplora-port', '0', '--json'],
    );
    await until(() => printed.out !== '' || printed.err !== '');
    const ready = JSON.parse(printed.out) as { towerId: string; port: number };
    expect(ready.towerId).toMatch(/^0[23][0-9a-f]{64}$/);
    const url = `http://127.0.0.1:${ready.port}`;
    expect((await fetch(`${url}/ping`)).status).toBe(200);
    await expect
      .poll(async () => {
        const body = JSON.stringify({ user_id: other.replace(/^02/, '03') });
        return (await fetch(`${url}/register`, { method: 'POST', body })).status;
      })
      .not.toBe(503);
    interrupt();
    expect((await done).code).toBe(0);
    await expect(fetch(`${url}/ping`)).rejects.toThrow();
  });

  test('wants a host and a port to listen on', async () => {
    const { code, err } = await world.run('tower', '--listen', '9814');
    expect(code).toBe(2);
    expect(err).toContain('--listen wants host:port');
  });
});
