import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CommandWorld, type NodeProcess, spawnScript } from './commandWorld.js';

const example = (path: string): string =>
  fileURLToPath(new URL(`../../../../examples/${path}`, import.meta.url));
let world: CommandWorld;
let app: NodeProcess;
let user: NodeProcess;

beforeAll(async () => {
  world = await CommandWorld.create();
  app = await world.node('app');
  user = await world.node('user');
  await world.openChannel(user, app, 1_000_000n);
  await world.openChannel(app, user, 1_000_000n);
}, 120_000);
afterAll(() => world.close());

/** Runs a script of the examples to its end. */
async function run(path: string, args: Readonly<Record<string, string>>) {
  const { exited, printed } = spawnScript(example(path), flags(args));
  const { code } = await exited;
  return { code, ...printed };
}

function flags(args: Readonly<Record<string, string>>): string[] {
  return Object.entries(args).flatMap(([name, value]) => [`--${name}`, value]);
}

const walletOf = ({ dataDir }: NodeProcess): string => `rivulet:${dataDir}`;

async function received(node: NodeProcess, amountMsat: bigint): Promise<number> {
  const payments = await node.payments();
  return payments.filter(
    (payment) =>
      payment.direction === 'incoming' && payment.status === 'succeeded' && payment.amountMsat === amountMsat,
  ).length;
}

describe('the betting example', () => {
  test('pays each winner once, with the webhook sent three times and the process killed', {
    timeout: 120_000,
  }, async () => {
    const data = join(world.folder, 'betting');
    const start = async () => {
      const server = spawnScript(
        example('betting/server.js'),
        flags({ wallet: walletOf(app), data, port: '0' }),
      );
      const { results } = JSON.parse(await server.line(/^\{"nodeId/)) as { results: string };
      return { server, results };
    };
    const bet = (pick: string, sats: number) =>
      run('betting/placeBet.js', {
        wallet: walletOf(user),
        to: app.nodeId,
        match: 'm1',
        pick,
        sats: String(sats),
      });
    let { server, results } = await start();
    for (const [pick, sats] of [
      ['home', 1_001],
      ['away', 1_002],
      ['home', 1_003],
    ] as const) {
      expect(await bet(pick, sats)).toMatchObject({ code: 0 });
      await server.line(new RegExp(`"amountMsat":"${sats}000"`));
    }
    // A bet that comes while nobody is there is found afterwards.
    server.child.kill('SIGKILL');
    await server.exited;
    expect(await bet('home', 1_004)).toMatchObject({ code: 0 });
    ({ server, results } = await start());
    await server.line(/"amountMsat":"1004000"/);
    const send = (winner = 'home') =>
      run('betting/sendResult.js', { data, url: results, match: 'm1', winner });
    expect(JSON.parse((await send()).out)).toEqual({ status: 'paid', winners: 3 });
    server.child.kill('SIGKILL');
    await server.exited;
    ({ server, results } = await start());
    expect(JSON.parse((await send()).out)).toEqual({ status: 'known', winners: 3 });
    expect(JSON.parse((await send()).out)).toEqual({ status: 'known', winners: 3 });
    expect(await send('away')).toMatchObject({ code: 1, out: '{"status":"other","winners":1}\n' });
    await user.until(async () => {
      const wins = await Promise.all(
        [2_002_000n, 2_006_000n, 2_008_000n].map((msat) => received(user, msat)),
      );
      return wins.every((number) => number > 0);
    });
    // Too late: given back.
    expect(await bet('home', 1_005)).toMatchObject({ code: 0 });
    await user.until(async () => (await received(user, 1_005_000n)) > 0);
    server.child.kill('SIGTERM');
    expect((await server.exited).code).toBe(0);
    const amounts = [2_002_000n, 2_004_000n, 2_006_000n, 2_008_000n, 1_005_000n];
    expect(await Promise.all(amounts.map((msat) => received(user, msat)))).toEqual([1, 0, 1, 1, 1]);
  });
});

describe('the pay-per-use example', () => {
  test('serves what was paid for, also after a restart of the server', { timeout: 120_000 }, async () => {
    const data = join(world.folder, 'pay-per-use');
    const start = async () => {
      const server = spawnScript(
        example('pay-per-use/server.js'),
        flags({ wallet: walletOf(app), data, port: '0' }),
      );
      const { url } = JSON.parse(await server.line(/^\{"nodeId/)) as { url: string };
      return { server, url: `${url}/quote` };
    };
    const first = await start();
    expect((await fetch(first.url)).status).toBe(402);
    const client = (url: string, more = {}) =>
      run('pay-per-use/client.js', { wallet: walletOf(user), url, ...more });
    expect(await client(first.url)).toMatchObject({ code: 0, out: expect.stringMatching(/^\{"quote":"/) });
    expect(await client(first.url, { most: '9' })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/more than --most 9/),
    });
    first.server.child.kill('SIGKILL');
    await first.server.exited;
    const second = await start();
    expect(await client(second.url)).toMatchObject({ code: 0 });
    expect(await received(app, 10_000n)).toBe(2);
    second.server.child.kill('SIGTERM');
    expect((await second.server.exited).code).toBe(0);
  });
});
