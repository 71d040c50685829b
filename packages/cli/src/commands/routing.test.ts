import { ServiceError } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, hash, nodeId, payment, until } from '../cli.test.support.js';

let world: CliWorld;

beforeEach(() => {
  world = new CliWorld();
});

afterEach(() => world.close());

const idOf = (digits: string) => digits.padEnd(64, '0');
const policy = {
  feeBaseMsat: 1_000,
  feeProportionalMillionths: 100,
  cltvExpiryDelta: 80,
  htlcMinimumMsat: 1n,
  htlcMaximumMsat: 990_000_000n,
};
const channelOf = (digits: string, shortChannelId: string) => ({
  channelId: idOf(digits),
  shortChannelId,
  nodeId,
  state: 'open',
  link: 'online',
  usable: true,
  opener: 'local',
  channelType: 'anchors',
  announced: true,
  capacitySat: 1_000_000n,
  localMsat: 900_000_000n,
  remoteMsat: 100_000_000n,
  spendableMsat: 880_000_000n,
  receivableMsat: 90_000_000n,
  pendingHtlcs: 0,
  feeratePerKw: 253,
  policy,
});
const first = channelOf('1f2e3d4c5b6a', '103x1x0');
const second = channelOf('2f2e3d4c5b6a', '110x1x0');
const channels = async () => ({ channels: [first, second] });

describe('route', () => {
  const lake = `03${'cd'.repeat(32)}`;
  const route = {
    hops: [
      {
        nodeId,
        alias: 'brook\u0007',
        shortChannelId: '103x1x0',
        amountMsat: 1_001_100n,
        feeMsat: 0n,
        delayBlocks: 160,
      },
      { nodeId: lake, shortChannelId: '110x1x0', amountMsat: 1_000_000n, feeMsat: 1_100n, delayBlocks: 80 },
    ],
    amountMsat: 1_000_000n,
    feeMsat: 1_100n,
    delayBlocks: 160,
    probability: 0.934,
  };
  const { hops: _, ...totals } = route;

  test('shows each channel, who takes what, and how long it is locked', async () => {
    await world.serve({ route: async () => ({ routes: [route], ...totals }) });
    const { code, out } = await world.run('route', lake, '1000', '--max-parts', '2');
    expect(code).toBe(0);
    expect(world.calls[0]?.request).toEqual({ nodeId: lake, amountMsat: 1_000_000n, maxParts: 2 });
    expect(out).toBe(
      [
        '1,000 sat: fee 1.1 sat, locked for at most 160 blocks (about 27 hours), likely to arrive: 93 %',
        'FROM                 CHANNEL  TO                       CARRIES      FEE  LOCKED FOR',
        'this node            103x1x0  02ababababab brook\ufffd  1,001.1 sat    0 sat  160 blocks (about 27 hours)',
        '02ababababab brook\ufffd  110x1x0  03cdcdcdcdcd           1,000 sat  1.1 sat  80 blocks (about 13 hours)\n',
      ].join('\n'),
    );
  });

  test('shows parts one by one', async () => {
    await world.serve({ route: async () => ({ routes: [route, route], ...totals }) });
    const { out } = await world.run('route', lake, '2000');
    expect(out).toMatch(/^1,000 sat, in 2 parts: fee/);
    expect(out).toMatch(/\n\npart 2: 1,000 sat, fee 1.1 sat\nFROM/);
  });

  test('ends with 1 where the probe does not arrive', async () => {
    const probe = (reached: boolean, message: string) => async () => ({
      routes: [route],
      ...totals,
      probe: { reached, message },
    });
    await world.serve({ route: probe(false, 'brook has no balance there') });
    const { code, out, err } = await world.run('route', lake, '1000', '--probe');
    expect({ code, err }).toEqual({
      code: 1,
      err: 'error: the probe did not arrive: brook has no balance there\n',
    });
    expect(out).toContain('110x1x0');
    await world.stopServer();
    await world.serve({ route: probe(true, 'ok') });
    expect(await world.run('route', lake, '1000', '--probe')).toMatchObject({ code: 0 });
  });

  test.each([
    ['no_route', 'nothing connects this node', /^error: nothing connects this node\n$/],
    ['fee_limit', 'a route exists that would cost 90 sat', /would cost 90 sat\n.*--max-fee <sats>/],
    ['cltv_limit', 'a route would last 1,400 blocks', /1,400 blocks\n.*--max-delay <blocks>\n$/],
    ['destination_unknown', 'the network has no such node', /rivulet network\n$/],
  ])('says that there is none, or what another limit would bring: %s', async (code, message, says) => {
    await world.serve({ route: () => Promise.reject(new ServiceError(code as never, message)) });
    const answer = await world.run('route', lake, '1000');
    expect({ code: answer.code, out: answer.out }).toEqual({ code: 1, out: '' });
    expect(answer.err).toMatch(says);
  });
});

describe('rebalance', () => {
  const args = ['--from', '103x1x0', '--to', '2f2e3d4c', '--amount', '100,000', '--max-fee-ppm', '500'];

  test('moves balance from one channel to another', async () => {
    const moved = { ...payment, amountMsat: 100_000_000n, feeMsat: 11_000n };
    await world.serve({ channels, rebalance: async () => moved });
    expect(await world.run('rebalance', ...args)).toMatchObject({
      code: 0,
      out: 'moved 100,000 sat (fee 11 sat, 110 ppm)\n',
    });
    expect(world.calls.at(-1)?.request).toEqual({
      fromChannelId: first.channelId,
      toChannelId: second.channelId,
      amountMsat: 100_000_000n,
      maxFeePpm: 500,
      waitSeconds: 60,
    });
  });

  test('wants two channels, and says why it failed', async () => {
    const failure = { code: 'fee_limit', message: 'it would cost 60 sat' };
    await world.serve({ channels, rebalance: async () => ({ ...payment, status: 'failed', failure }) });
    const same = ['--from', '103x1x0', '--to', '1f2e3d4c', '--amount', '1', '--max-fee-ppm', '5'];
    expect(await world.run('rebalance', ...same)).toMatchObject({ code: 2 });
    expect(await world.run('rebalance', ...args)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/it would cost 60 sat/),
    });
  });

  test('that was interrupted says that it may have been made', async () => {
    await world.serve({ channels, rebalance: () => new Promise(() => {}) });
    const running = world.start({}, 'rebalance', ...args);
    await until(() => world.calls.some(({ name }) => name === 'rebalance'));
    running.interrupt();
    expect(await running.done).toMatchObject({ code: 4 });
  });
});

describe('policy', () => {
  test('shows the terms of all channels, or of one', async () => {
    await world.serve({ channels });
    const { out } = await world.run('policy');
    expect(out.split('\n')[1]).toBe(
      '103x1x0  02ababababab  1000 msat  100  80 blocks  0.001 sat  990,000 sat',
    );
    expect(out).toContain('110x1x0');
    expect((await world.run('policy', '110x1x0')).out).not.toContain('103x1x0');
    expect(JSON.parse((await world.run('policy', '110x1x0', '--json')).out)).toEqual({
      policies: [
        {
          channelId: second.channelId,
          policy: { ...policy, htlcMinimumMsat: '1', htlcMaximumMsat: '990000000' },
        },
      ],
    });
    expect(world.calls.every(({ name }) => name === 'channels')).toBe(true);
  });

  test('sets what is given, for one channel or for all', async () => {
    const policies = [{ channelId: first.channelId, policy }];
    await world.serve({ channels, setPolicy: async () => ({ policies }) });
    expect((await world.run('policy', '103x1x0', '--base', '0', '--ppm', '250')).out).toContain('1000 msat');
    await world.run('policy', 'all', '--delay', '40', '--min', '1', '--max', '500,000');
    expect(world.calls.filter(({ name }) => name === 'setPolicy').map(({ request }) => request)).toEqual([
      { channelId: first.channelId, feeBaseMsat: 0, feeProportionalMillionths: 250 },
      { cltvExpiryDelta: 40, htlcMinimumMsat: 1_000n, htlcMaximumMsat: 500_000_000n },
    ]);
  });
});

describe('forwards', () => {
  const hour = Date.UTC(2026, 10, 21, 2);
  const total = {
    fromMs: hour,
    incomingChannelId: first.channelId,
    outgoingChannelId: second.channelId,
    settled: 3,
    failed: 1,
    amountMsat: 3_000_000n,
    feeMsat: 3_300n,
  };

  test('are summed by way and by hour', async () => {
    const back = {
      ...total,
      incomingChannelId: second.channelId,
      outgoingChannelId: idOf('99'),
      fromMs: hour - 3_600_000,
      settled: 1,
      feeMsat: 9_000n,
    };
    const totals = [total, { ...total, fromMs: hour - 3_600_000 }, back];
    const answer = { pending: 2, feeMsat: 15_600n, settled: 7, totals };
    await world.serve({ channels, forwards: async () => answer });
    const { out } = await world.run('forwards', '--hours', '2');
    expect(world.calls[0]?.request).toEqual({ hours: 2 });
    expect(out.split('\n').map((line) => line.replace(/ +/g, ' ').trim())).toEqual([
      '7 forwarded in the last 2 hours, 15.6 sat earned; 2 under way',
      '',
      'FROM TO FORWARDED FAILED AMOUNT EARNED',
      '110x1x0 990000000000 1 1 3,000 sat 9 sat',
      '103x1x0 110x1x0 6 2 6,000 sat 6.6 sat',
      '',
      'HOUR (UTC) FORWARDED FAILED AMOUNT EARNED',
      '2026-11-21 02:00 3 1 3,000 sat 3.3 sat',
      '2026-11-21 01:00 4 2 6,000 sat 12.3 sat',
      '',
    ]);
    expect(JSON.parse((await world.run('forwards', '--json')).out)).toMatchObject({ feeMsat: '15600' });
  });

  test('may be none', async () => {
    await world.serve({
      channels,
      forwards: async () => ({ pending: 0, feeMsat: 0n, settled: 0, totals: [] }),
    });
    expect((await world.run('forwards')).out).toBe(
      '0 forwarded in the last 24 hours, 0 sat earned; 0 under way\n',
    );
  });
});

describe('network', () => {
  test('shows how much is known', async () => {
    await world.serve({ network: async () => ({ nodes: 3, channels: 2, synced: true, pending: 4 }) });
    const { out } = await world.run('network');
    expect(out).toMatch(
      /^nodes +3\nchannels +2\nsynced +a peer has answered .*\nchecking +4 announcements\n$/,
    );
  });

  test('shows a node, as a stranger describes itself', async () => {
    const { htlcMinimumMsat, htlcMaximumMsat, ...terms } = policy;
    const node = {
      nodeId,
      alias: 'brook\u001b[2J',
      addresses: ['127.0.0.1:9735'],
      features: '',
      keysend: false,
      channels: [
        {
          shortChannelId: '103x1x0',
          nodeId: `03${'cd'.repeat(32)}`,
          capacitySat: 1_000_000n,
          policy: { ...terms, htlcMinimumMsat, htlcMaximumMsat, disabled: true },
        },
        { shortChannelId: '104x1x0', nodeId: `03${hash}`, capacitySat: 5n },
      ],
    };
    await world.serve({ networkNode: async () => node });
    const { out } = await world.run('network', nodeId);
    expect(out).toMatch(/^brook\ufffd\[2J\nnode id /);
    expect(out).toMatch(
      /103x1x0 {2}03cdcdcdcdcd {2}1,000,000 sat {2}1000 msat {2}100 {2}80 blocks {2}disabled\n/,
    );
    expect(out).toMatch(/104x1x0 .* 5 sat +no terms known\n$/);
  });

  test('says what to look at where a node is unknown', async () => {
    await world.serve({ networkNode: () => Promise.reject(new ServiceError('unknown_node', 'not known')) });
    expect(await world.run('network', nodeId)).toMatchObject({
      code: 1,
      err: 'error: not known\nSee what is known of the network with: rivulet network\n',
    });
  });
});
