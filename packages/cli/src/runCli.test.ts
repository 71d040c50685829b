import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type NodeEvent, ServiceError } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, hash, nodeId, payment, until } from './cli.test.support.js';

let world: CliWorld;

beforeEach(() => {
  world = new CliWorld();
});

afterEach(() => world.close());

const channel = {
  channelId: `1f2e3d4c5b6a${'00'.repeat(26)}`,
  shortChannelId: '103x1x0',
  nodeId,
  state: 'open',
  link: 'online',
  usable: true,
  opener: 'local',
  channelType: 'anchors',
  announced: false,
  capacitySat: 1_000_000n,
  localMsat: 900_000_000n,
  remoteMsat: 100_000_000n,
  spendableMsat: 880_000_000n,
  receivableMsat: 90_000_000n,
  pendingHtlcs: 2,
  feeratePerKw: 253,
};

const info = {
  nodeId,
  alias: 'bob',
  version: '0.1.0',
  crypto: 'native',
  network: 'regtest',
  blockHeight: 101,
  blockHash: hash,
  synced: true,
  listening: [{ host: '::1', port: 9735 }],
  peers: 1,
  channels: { usable: 1, open: 1, pending: 0, closing: 0 },
  keysend: { accept: true, minAmountMsat: 1n },
};

describe('without a daemon', () => {
  test('a command says how to start one', async () => {
    const { code, out, err } = await world.run('info');
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(err).toMatch(/no daemon runs for the data folder .*\nStart it with: rivulet up/);
  });

  test('a file that a killed daemon left behind does not confuse it', async () => {
    await world.serve({});
    const left = readFileSync(join(world.dataDir, 'api.json'));
    await world.stopServer();
    writeFileSync(join(world.dataDir, 'api.json'), left);
    expect(await world.run('balance')).toMatchObject({ code: 3 });
  });

  test('errors are JSON for programs', async () => {
    const { code, err } = await world.run('info', '--json');
    expect(code).toBe(3);
    expect(JSON.parse(err).error).toMatchObject({ code: 'daemon_not_running' });
  });
});

describe('the command line', () => {
  test('every command has help with examples, and so has each below it', async () => {
    const look = async (path: readonly string[]): Promise<string[]> => {
      const help = await world.run(...path, '--help');
      expect(help.code, path.join(' ')).toBe(0);
      if (path.length > 0) {
        expect(help.out, path.join(' ')).toMatch(/\n(?:Examples|rent\.json):\n {2}\S/);
        expect(help.out, path.join(' ')).toContain('--json');
      }
      const [, commands = ''] = /\nCommands:\n([\s\S]*?)(?:\n\n|$)/.exec(help.out) ?? [];
      const names = [...commands.matchAll(/^ {2}([a-z-]+)(?: |$)/gm)].map(([, name]) => name as string);
      const below: string[] = [];
      for (const name of names) if (name !== 'help') below.push(...(await look([...path, name])));
      return [...names, ...below];
    };
    expect(await look([])).toEqual(
      expect.arrayContaining(['up', 'stop', 'connect', 'open', 'serve-lnd', 'webhooks', 'redeliver']),
    );
  });

  test('says of which command the help is', async () => {
    const { code, err } = await world.run('boosts', 'stats', '--by', 'planet');
    expect(code).toBe(2);
    expect(err).toMatch(/See: rivulet boosts stats --help\n$/);
  });

  test('what a group takes for itself is no option of its commands', async () => {
    expect((await world.run('policy', '--help')).out).toContain('--ppm');
    const { out } = await world.run('policy', 'keysend', 'deny', '--help');
    expect(out).toContain('--data-dir');
    expect(out).not.toContain('--ppm');
  });

  test('what the system refuses is a sentence, without where in the program', async () => {
    const { code, err } = await world.run('backup', join(world.dataDir, 'no', 'folder', 'file'));
    expect(code).toBeGreaterThan(0);
    expect(err).not.toMatch(/\n\s+at /);
  });

  test('a data folder that is not there is said, and not made', async () => {
    const folder = join(world.dataDir, 'mistyped');
    const { code, err } = await world.run('boosts', '--data-dir', folder);
    expect([code, err]).toEqual([3, expect.stringContaining('there is no data folder')]);
    expect(existsSync(folder)).toBe(false);
  });

  test.each([
    [['keysnd'], /unknown command 'keysnd'[\s\S]*keysend/],
    [['keysend'], /missing required argument 'node'/],
    [['keysend', 'abc', '5'], /has 3/],
    [['keysend', nodeId, '0'], /zero/],
    [['keysend', nodeId, '-5'], /negative|-5/],
    [['keysend', nodeId, '1.0005'], /three decimals/],
    [['keysend', nodeId, '99999999999999999'], /more than all bitcoin/],
    [['keysend', nodeId, '5', '--record', '7=00'], /belongs to the protocol/],
    [['keysend', nodeId, '5', '--wait', 'long'], /--wait must be/],
    [['keysend', nodeId, '5', '--record', '70000'], /is no record: give its type and value in hex/],
    [['keysend', nodeId, '5', '--max-fee', 'none'], /--max-fee "none" is no number/],
    [['keysend', nodeId, '5', '--max-delay', '0'], /--max-delay must be a whole number from 1 to 2016/],
    [['keysend', nodeId, '5', '--max-parts', '65'], /--max-parts must be a whole number from 1 to 64/],
    [['invoice', 'some'], /no number of satoshi/],
    [['invoice', '5', 'x'.repeat(640)], /640 bytes: an invoice has room for 639/],
    [['invoice', '5', 'tea', '--expiry', '1y'], /--expiry must be a time of at most a year/],
    [['invoice', '5', 'tea', '--payment-hash', 'ab'], /a payment hash has 64 hex digits/],
    [['settle', 'abc'], /no payment hash/],
    [['cancel', 'lnbc1'], /no payment hash/],
    [['decode', 'bc1qxyz'], /is no invoice/],
    [['pay', 'hello'], /is no invoice/],
    [['route', nodeId], /missing required argument 'sats'/],
    [['route', nodeId, '5', '--probe', '--max-parts', '2'], /--probe tries one way/],
    [['rebalance', '--amount', '5', '--max-fee-ppm', '5'], /--from <channel>.*--to <channel>/],
    [['rebalance', '--from', '1x1x1', '--amount', '5'], /--max-fee-ppm/],
    [['rebalance', '--from', 'some', '--amount', '5', '--max-fee-ppm', '5'], /names no channel/],
    [['policy', '--base', '1000'], /say which channel is meant, or all/],
    [['policy', 'all', '--delay', '0'], /--delay must be/],
    [['forwards', '--hours', '0'], /--hours must be/],
    [['network', 'abc'], /has 3/],
    [['open', nodeId, '20000.5'], /whole satoshi/],
    [['open', nodeId, '20000', '--push', '20000'], /cannot be pushed/],
    [['open', nodeId, '20000', '--type', 'lead'], /anchors, static_remotekey/],
    [['connect', nodeId], /<host>:<port>/],
    [['mine', '0'], /1 to 1000/],
    [['payments', '--limit', '0'], /--limit must be/],
    [['info', '--bogus'], /unknown option/],
    [['regtest', '--rpc-port', '70000'], /--rpc-port/],
    [['up', '--listen-port', 'x'], /listen.port \(--listen-port\): expected a whole number/],
  ])('%j makes no sense, and says why', async (args, says) => {
    const { code, out, err } = await world.run(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(says);
  });
});

describe('questions', () => {
  test('info', async () => {
    await world.serve({ info: async () => info });
    const { code, out } = await world.run('info');
    expect(code).toBe(0);
    expect(out).toContain(`address    ${nodeId}@[::1]:9735\n`);
    expect(out).toContain('keysend    accepted from 0.001 sat');
  });

  test('JSON is that of the contract', async () => {
    await world.serve({ info: async () => info });
    const { out } = await world.run('--json', 'info');
    expect(JSON.parse(out)).toEqual({ ...info, keysend: { accept: true, minAmountMsat: '1' } });
  });

  test('channels', async () => {
    const failed = {
      ...channel,
      state: 'failed',
      note: 'funding spent \u001b[31m',
      shortChannelId: undefined,
    };
    await world.serve({ channels: async () => ({ channels: [channel, failed] }) });
    const { out } = await world.run('channels');
    expect(out).toMatch(/103x1x0 .* open +peer +1,000,000 sat +900,000 sat +100,000 sat +880,000 sat +2\n/);
    expect(out).toContain('1f2e3d4c5b6a: funding spent \ufffd[31m');
  });

  test('empty lists say what to do', async () => {
    await world.serve({
      channels: async () => ({ channels: [] }),
      peers: async () => ({ peers: [] }),
      payments: async () => ({ payments: [] }),
    });
    expect((await world.run('channels')).out).toMatch(/open one with/);
    expect((await world.run('peers')).out).toMatch(/connect to one with/);
    expect((await world.run('payments')).out).toBe('no payments\n');
  });

  test('balance, address and descriptors', async () => {
    await world.serve({
      balance: async () => ({
        onchain: { confirmedSat: 5_000_000_000n, unconfirmedSat: 0n },
        channels: { localMsat: 1_500n, remoteMsat: 0n, pendingMsat: 0n, closingMsat: 0n },
      }),
      newAddress: async () => ({ address: 'bcrt1qexample' }),
      descriptors: async () => ({ descriptors: ['tr(tpub/0/*)#abcdefgh'] }),
    });
    expect((await world.run('balance')).out).toMatch(/^on chain +5,000,000,000 sat\n/);
    expect((await world.run('balance')).out).toMatch(/\nin channels +1.5 sat\n/);
    expect((await world.run('address')).out).toBe('bcrt1qexample\n');
    expect((await world.run('descriptors')).out).toBe('tr(tpub/0/*)#abcdefgh\n');
  });

  test('a long message does not widen the list of payments', async () => {
    const long = { ...payment, message: '👋'.repeat(300) };
    await world.serve({ payments: async () => ({ payments: [long] }) });
    const { out } = await world.run('payments');
    expect(out).toMatch(/ (👋){59}…\n$/u);
  });

  test('payments', async () => {
    const incoming = { ...payment, direction: 'incoming', message: 'hi\u0007' };
    await world.serve({ payments: async () => ({ payments: [payment, incoming], next: 6 }) });
    const { out } = await world.run('payments', '--direction', 'incoming', '--limit', '2');
    expect(world.calls).toEqual([{ name: 'payments', request: { direction: 'incoming', limit: 2 } }]);
    expect(out).toMatch(/7 {2}2026-11-21 02:03:04 {2}incoming +succeeded +1,234.567 sat .*hi\ufffd\n/);
    expect(out).toMatch(/--before 6\n$/);
  });
});

describe('peers and channels', () => {
  test('connect, disconnect', async () => {
    await world.serve({
      connect: async () => ({ nodeId, inbound: false, features: '' }),
      disconnect: async () => ({ disconnected: false }),
    });
    expect((await world.run('connect', `${nodeId}@127.0.0.1:1234`)).out).toBe(`connected to ${nodeId}\n`);
    expect(world.calls[0]?.request).toEqual({ nodeId, host: '127.0.0.1', port: 1234 });
    expect((await world.run('disconnect', nodeId)).out).toBe('it was not connected\n');
  });

  test('open', async () => {
    await world.serve({
      openChannel: async () => ({
        channelId: channel.channelId,
        fundingTxidHex: hash,
        fundingOutputIndex: 1,
        state: 'awaiting_ready',
        minimumDepth: 3,
      }),
    });
    const { out } = await world.run('open', `${nodeId}@h`, '1,000,000', '--push', '5', '--type', 'anchors');
    const announced = await world.run('open', nodeId, '50000', '--announce');
    expect(world.calls[1]?.request).toEqual({ nodeId, capacitySat: 50_000n, announce: true });
    expect(announced.out).toMatch(/usable after 3 confirmations, and announced after 6;/);
    expect(world.calls[0]?.request).toEqual({
      nodeId,
      host: 'h',
      port: 9735,
      capacitySat: 1_000_000n,
      pushSat: 5n,
      channelType: 'anchors',
    });
    expect(out).toMatch(/^channel 1f2e3d4c5b6a of 1,000,000 sat .*:1\nit is usable after 3 confirmations/);
  });

  test('close finds a channel by its first digits or its short id', async () => {
    const twin = { ...channel, channelId: `1f2e3d4c${'33'.repeat(28)}`, shortChannelId: '104x1x0' };
    await world.serve({
      channels: async () => ({ channels: [channel, twin] }),
      closeChannel: async ({ channelId }: { channelId: string }) => ({
        channelId,
        state: channelId === twin.channelId ? 'failed' : 'open',
      }),
    });
    expect((await world.run('close', '1F2E3D4C5B')).out).toBe(
      'channel 1f2e3d4c5b6a is being closed; follow it with: rivulet channels\n',
    );
    expect((await world.run('close', '104x1x0', '--force')).out).toBe(
      'channel 1f2e3d4c3333 is being closed by us alone: our share comes back after the delay; follow it with: rivulet channels\n',
    );
    const closed = world.calls.filter(({ name }) => name === 'closeChannel').map(({ request }) => request);
    expect(closed).toEqual([{ channelId: channel.channelId }, { channelId: twin.channelId, force: true }]);
    expect((await world.run('close', '1f2e3d4c')).err).toMatch(/2 channels start with 1f2e3d4c/);
    expect(await world.run('close', 'ffffffff')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/no channel ffffffff/),
    });
    expect(await world.run('close', 'xyz')).toMatchObject({ code: 2 });
    expect(await world.run('close', '1f2e3d4')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/eight digits/),
    });
    expect(await world.run('close', '104x1x0', '--force', '--address', 'a')).toMatchObject({ code: 2 });
  });

  test('close --abandon takes the coins of a channel back that no block has', async () => {
    await world.serve({
      channels: async () => ({ channels: [channel] }),
      abandonChannel: async ({ channelId }: { channelId: string }) => ({
        channelId,
        txidHex: '11'.repeat(32),
        feeSat: 700n,
        accepted: false,
        message: 'the fee is too low',
      }),
    });
    const { out } = await world.run('close', '1f2e3d4c5b6a', '--abandon', '--feerate', '20');
    expect(out).toMatch(/takes the coins of channel 1f2e3d4c5b6a back, for a fee of 700 sat/);
    expect(out).toMatch(/not accepted yet.*the fee is too low/);
    const [call] = world.calls.filter(({ name }) => name === 'abandonChannel');
    expect(call?.request).toEqual({ channelId: channel.channelId, feeratePerKw: 5_000 });
    expect(await world.run('close', '1f2e3d4c5b6a', '--abandon', '--force')).toMatchObject({ code: 2 });
    expect(await world.run('close', '1f2e3d4c5b6a', '--feerate', '20')).toMatchObject({ code: 2 });
  });

  test('what the node refuses is said in its words, with what to do next', async () => {
    await world.serve({
      openChannel: async () => {
        throw new ServiceError('unknown_peer', 'this node is not connected');
      },
    });
    const { code, err } = await world.run('open', nodeId, '100000');
    expect(code).toBe(1);
    expect(err).toBe(
      'error: this node is not connected\nConnect to it with: rivulet connect <node>@<host>:<port>\n',
    );
  });

  test('an id that no other node can have is a mistake on the command line', async () => {
    await world.serve({
      connect: async () => {
        throw new ServiceError('own_node', 'that is the id of this node itself');
      },
    });
    expect(await world.run('connect', `${nodeId}@h`)).toMatchObject({ code: 2 });
  });

  test('mine', async () => {
    await world.serve({ mine: async () => ({ height: 107, blockHashes: [hash] }) });
    expect((await world.run('mine', '6')).out).toBe('mined 6 blocks; the height is 107\n');
    expect(world.calls[0]?.request).toEqual({ blocks: 6 });
  });
});

describe('keysend', () => {
  test('sends amount, message and records, and shows the proof', async () => {
    await world.serve({ keysend: async () => payment });
    const args = ['1,234.567', '--message', 'thanks', '--record', '7629169=7b7d', '--idempotency-key', 'k'];
    const { code, out } = await world.run('keysend', nodeId, ...args);
    expect(code).toBe(0);
    expect(world.calls).toEqual([
      {
        name: 'keysend',
        request: {
          nodeId,
          amountMsat: 1_234_567n,
          message: 'thanks',
          records: new Map([[7629169n, Uint8Array.of(0x7b, 0x7d)]]),
          idempotencyKey: 'k',
          waitSeconds: 60,
        },
      },
    ]);
    expect(out).toBe(
      `paid 1,234.567 sat to 02abababab (fee 0 sat)\npayment hash  ${hash}\npreimage      ${payment.preimage}\n`.replace(
        '02abababab',
        nodeId.slice(0, 12),
      ),
    );
  });

  test('has limits', async () => {
    await world.serve({ keysend: async () => payment });
    const limits = ['--max-fee', '0', '--max-delay', '400', '--max-parts', '3'];
    await world.run('keysend', nodeId, '5', ...limits);
    expect(world.calls[0]?.request).toMatchObject({ maxFeeMsat: 0n, maxDelayBlocks: 400, maxParts: 3 });
    await world.run('keysend', nodeId, '5', '--max-fee', '1.5');
    expect(world.calls[1]?.request).toMatchObject({ maxFeeMsat: 1_500n });
  });

  test('that failed ends with 1, one under way with 4', async () => {
    const failure = { code: 'no_route', message: 'the peer refused it' };
    await world.serve({ keysend: async () => ({ ...payment, status: 'failed', failure }) });
    expect(await world.run('keysend', nodeId, '1')).toMatchObject({
      code: 1,
      out: '',
      err: 'error: 1,234.567 sat were not paid: the peer refused it\n',
    });
    await world.stopServer();
    await world.serve({ keysend: async () => ({ ...payment, status: 'pending', preimage: undefined }) });
    const pending = await world.run('keysend', nodeId, '1', '--json');
    expect(pending.code).toBe(4);
    expect(JSON.parse(pending.out)).toMatchObject({ status: 'pending' });
  });

  test('too little balance says where to look', async () => {
    await world.serve({
      keysend: async () => {
        throw new ServiceError('insufficient_balance', 'only 5 sat can be sent');
      },
    });
    const { code, err } = await world.run('keysend', nodeId, '1000');
    expect({ code, err }).toEqual({
      code: 1,
      err: 'error: only 5 sat can be sent\nSee what there is with: rivulet balance, rivulet channels\n',
    });
  });

  test('whose answer is lost or interrupted says how not to pay twice', async () => {
    await world.serve({ keysend: () => new Promise(() => {}) });
    const lost = world.start({}, 'keysend', nodeId, '1', '--idempotency-key', 'order-42');
    await until(() => world.calls.length === 1);
    await world.stopServer();
    expect(await lost.done).toMatchObject({
      code: 4,
      err: expect.stringMatching(/may or may not.*--idempotency-key order-42/),
    });

    await world.serve({ keysend: () => new Promise(() => {}) });
    const interrupted = world.start({}, 'keysend', nodeId, '1');
    await until(() => world.calls.length === 2);
    interrupted.interrupt();
    const key = (world.calls[1]!.request as { idempotencyKey: string }).idempotencyKey;
    expect(await interrupted.done).toMatchObject({
      code: 4,
      err: expect.stringMatching(new RegExp(`interrupted.*${key}`)),
    });
  });
});

describe('listen', () => {
  const received: NodeEvent = {
    type: 'payment_received',
    payment: {
      ...payment,
      direction: 'incoming',
      message: 'boost\u001b[2J',
      senderName: 'alice',
      records: new Map([
        [34349334n, new Uint8Array(1)],
        [7629169n, new Uint8Array(2)],
      ]),
    },
  };
  const block: NodeEvent = { type: 'block', height: 5, blockHash: hash };

  async function listen(...args: readonly string[]) {
    await world.serve({});
    const running = world.start({}, 'listen', ...args);
    await until(() => world.listeners.size > 0);
    for (const event of [block, received]) for (const listener of world.listeners) listener(event);
    await until(() => running.printed.out.includes(args.includes('--json') ? 'payment_received' : 'alice'));
    return running;
  }

  test('shows payments as they arrive, until Ctrl-C', async () => {
    const running = await listen();
    running.interrupt();
    const { code, out } = await running.done;
    expect(code).toBe(0);
    expect(out).toBe('+ 2026-11-21 02:03:04  1,234.567 sat from alice: boost\ufffd[2J  [records 7629169]\n');
  });

  test('shows everything with --all, as JSON with --json', async () => {
    const running = await listen('--all', '--json');
    running.interrupt();
    const { out } = await running.done;
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toEqual(block);
    expect(lines[1]).toMatchObject({ type: 'payment_received', payment: { amountMsat: '1234567' } });
  });

  test('ends when the daemon stops', async () => {
    const running = await listen();
    await world.stopServer();
    expect(await running.done).toMatchObject({
      code: 3,
      err: expect.stringMatching(/the daemon has stopped/),
    });
  });
});

describe('what takes long', () => {
  const opening = () => {
    let finish = () => {};
    const done = new Promise<unknown>((resolve) => {
      finish = () => resolve({ height: 1, blockHashes: [] });
    });
    return { done, finish: () => finish() };
  };

  test.each([
    [false, 'mining 1 blocks…\n'],
    [true, '\rmining 1 blocks… 2 s\rmining 1 blocks… 3 s'],
  ])('is named after two seconds (terminal: %s)', async (errIsTty, says) => {
    const { done, finish } = opening();
    await world.serve({ mine: () => done });
    const timers: { delayMs: number; run: () => void }[] = [];
    const schedule = (delayMs: number, run: () => void) => {
      timers.push({ delayMs, run });
      return () => {};
    };
    const running = world.start({ errIsTty, schedule }, 'mine');
    await until(() => world.calls.length === 1);
    expect(running.printed.err).toBe('');
    for (let i = 0; i < timers.length && i < 2; i++) timers[i]?.run();
    expect(timers[0]?.delayMs).toBe(2_000);
    expect(running.printed.err).toBe(says);
    finish();
    expect((await running.done).code).toBe(0);
  });

  test('can be interrupted', async () => {
    await world.serve({ mine: () => new Promise(() => {}) });
    const running = world.start({}, 'mine');
    await until(() => world.calls.length === 1);
    running.interrupt();
    expect(await running.done).toEqual({ code: 130, out: '', err: 'interrupted\n' });
  });
});

describe('colours', () => {
  test('appear on a terminal, and not with NO_COLOR', async () => {
    await world.serve({ keysend: async () => payment });
    const paid = (env: Record<string, string>, outIsTty: boolean) =>
      world.start({ outIsTty, env: { RIVULET_DATA_DIR: world.dataDir, ...env } }, 'keysend', nodeId, '1')
        .done;
    expect((await paid({}, true)).out).toContain('\u001b[32mpaid\u001b[0m 1,234.567 sat');
    expect((await paid({ NO_COLOR: '1' }, true)).out).toMatch(/^paid/);
    expect((await paid({}, false)).out).toMatch(/^paid/);
  });
});

describe('up', () => {
  const ready = {
    nodeId,
    apiUrl: 'http://127.0.0.1:9736',
    listening: [{ host: '127.0.0.1', port: 9735 }],
    dataDir: '/tmp',
    newWordsFile: '/tmp/wallet-words',
  };

  function fakeDaemon() {
    const seen = { config: undefined as unknown, stops: 0 };
    let requestStop = () => {};
    const stopRequested = new Promise<void>((resolve) => {
      requestStop = resolve;
    });
    const loadRunDaemon =
      async () => async (given: { config: unknown; onReady?: (told: typeof ready) => void }) => {
        seen.config = given.config;
        given.onReady?.(ready);
        const stop = async () => {
          seen.stops++;
        };
        return { ready, stopRequested, stop };
      };
    return { seen, loadRunDaemon: loadRunDaemon as never, requestStop: () => requestStop() };
  }

  test('takes settings from flags and environment, and stops on Ctrl-C', async () => {
    const { seen, loadRunDaemon } = fakeDaemon();
    const env = { RIVULET_ALIAS: 'from-env', RIVULET_LISTEN_PORT: '1' };
    const flags = [
      '--data-dir',
      world.dataDir,
      '--listen-port',
      '2',
      '--keysend-accept',
      '--reconnect',
      'false',
    ];
    const running = world.start({ env, loadRunDaemon }, 'up', ...flags);
    await until(() => running.printed.out !== '');
    expect(seen.config).toMatchObject({
      dataDir: world.dataDir,
      alias: 'from-env',
      reconnect: false,
      listen: { port: 2 },
      keysend: { accept: true },
    });
    expect(running.printed.out).toContain(`address  ${nodeId}@127.0.0.1:9735\n`);
    expect(running.printed.out).toContain('Write down the words in /tmp/wallet-words');
    running.interrupt();
    expect(await running.done).toMatchObject({ code: 0, err: 'stopped\n' });
    expect(seen.stops).toBe(1);
  });

  test('stops when the daemon was asked to', async () => {
    const { seen, loadRunDaemon, requestStop } = fakeDaemon();
    const running = world.start({ loadRunDaemon }, 'up', '--json');
    await until(() => running.printed.out !== '');
    expect(JSON.parse(running.printed.out)).toEqual(ready);
    requestStop();
    expect((await running.done).code).toBe(0);
    expect(seen.stops).toBe(1);
  });

  test('names a bad setting of the environment', async () => {
    const env = { RIVULET_DATA_DIR: world.dataDir, RIVULET_ALAIS: 'x' };
    const { code, err } = await world.start({ env }, 'up').done;
    expect({ code, err }).toEqual({
      code: 2,
      err: 'error: unknown setting RIVULET_ALAIS (environment): did you mean RIVULET_ALIAS?\n',
    });
  });
});

test('regtest shows how to use the chain, and stops on Ctrl-C', async () => {
  let stopped = false;
  const asked: unknown[] = [];
  const loadStartRegtest = async () => async (options: { dataDir?: string; rpcPort?: number }) => {
    asked.push(options.rpcPort);
    return {
      rpcUrl: 'http://127.0.0.1:18443',
      esploraUrl: 'http://127.0.0.1:3000',
      cookiePath: join(options.dataDir ?? '', '.cookie'),
      stop: async () => {
        stopped = true;
      },
    };
  };
  const running = world.start(
    { loadStartRegtest: loadStartRegtest as never },
    'regtest',
    '--rpc-port',
    '18443',
  );
  await until(() => running.printed.out !== '');
  const cookie = join(world.dataDir, 'regtest', '.cookie');
  expect(running.printed.out).toContain(`--chain-url http://127.0.0.1:18443 --chain-cookie-path ${cookie}`);
  running.interrupt();
  expect((await running.done).code).toBe(0);
  expect({ stopped, asked }).toEqual({ stopped: true, asked: [18443] });
});
