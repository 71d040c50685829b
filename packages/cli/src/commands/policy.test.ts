import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPolicySettings } from '@rivulet/keysend/policy';
import { ServiceError } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, info } from '../cli.test.support.js';

let world: CliWorld;
let folder: string;
/** What the daemon has. */
let stored: Record<string, unknown>;
let decided: unknown[];

const statistics = {
  accepted: 3,
  held: 1,
  refused: 40,
  refusedBy: { minimum: 2, message_links: 38 },
  heldBy: {},
};
const channelId = '1f2e3d4c5b6a'.padEnd(64, '0');
const node = `02${'ab'.repeat(32)}`;
const held = ['3f9a0c71', '3f9a0c72', 'aa55'].map((digits, i) => ({
  paymentHash: digits.padEnd(64, '0'),
  amountMsat: 1_500_000n,
  channelId,
  records: new Map<bigint, Uint8Array>(),
  rule: 'hold_amount',
  heldAtMs: Date.UTC(2026, 10, 21, 2, 3, 4),
  untilMs: Date.UTC(2026, 10, 21, 3, 3, 4),
  ...(i === 0 ? { message: 'line\u001b[2J', senderName: 'Mel' } : {}),
}));

beforeEach(async () => {
  world = new CliWorld();
  folder = mkdtempSync(join(tmpdir(), 'rivulet-policy-'));
  stored = { version: 1 };
  decided = [];
  const answer = () => ({ policy: stored, statistics });
  await world.serve({
    keysendPolicy: async () => answer(),
    setKeysendPolicy: async ({ policy }: { policy: Record<string, unknown> }) => {
      stored = readPolicySettings(policy) as Record<string, unknown>;
      return answer();
    },
    info: async () => ({ ...info, keysend: { accept: false, minAmountMsat: 1n } }),
    channels: async () => ({
      channels: [
        {
          channelId,
          shortChannelId: '103x1x0',
          nodeId: node,
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
        },
      ],
    }),
    heldKeysends: async () => ({ keysends: held }),
    decideKeysend: async (request: unknown) => {
      decided.push(request);
      return {};
    },
  });
});

afterEach(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});

const policy = (...args: readonly string[]) => world.run('policy', ...args);

describe('policy keysend', () => {
  test('shows settings, what became of payments, and that nothing is taken at all', async () => {
    stored = { version: 1, minimumMsat: '10000', channelRate: { payments: 1, perSeconds: 60 } };
    const { code, out } = await policy('keysend');
    expect(code).toBe(0);
    expect(out).toBe(
      [
        'this node takes no keysends at all: keysend.accept is false',
        '',
        'SETTING            VALUE',
        'smallest           10 sat',
        'rate of a channel  1 payment in 60 s',
        '',
        'since the start: 3 taken at once, 1 held, 40 refused',
        '  refused by message_links: 38',
        '  refused by minimum: 2\n',
      ].join('\n'),
    );
    expect(JSON.parse((await policy('keysend', '--json')).out)).toEqual({ policy: stored, statistics });
  });

  test('sets what flags say, and leaves the rest', async () => {
    await policy('keysend', 'set', '--minimum', '10', '--minimum-with-message', '100.5', '--links', 'refuse');
    await policy('keysend', 'set', '--rate', '600/60', '--channel-rate', '1,000/1h', '--max-message', '0');
    const held = ['--hold-above', '1,000,000', '--hold-seconds', '3600', '--require-signature'];
    expect((await policy('keysend', 'set', ...held)).code).toBe(0);
    expect(stored).toEqual({
      version: 1,
      minimumMsat: '10000',
      minimumWithMessageMsat: '100500',
      totalRate: { payments: 600, perSeconds: 60 },
      channelRate: { payments: 1_000, perSeconds: 3_600 },
      message: { maxLength: 0, links: 'refuse' },
      signature: 'required',
      hold: { seconds: 3_600, aboveMsat: '1000000000' },
    });
    const off = ['--minimum', 'none', '--rate', 'none', '--max-message', 'none', '--no-require-signature'];
    await policy('keysend', 'set', ...off, '--links', 'allow', '--hold-above', 'none', '--hold-unknown');
    expect(stored).toEqual({
      version: 1,
      minimumWithMessageMsat: '100500',
      channelRate: { payments: 1_000, perSeconds: 3_600 },
      hold: { seconds: 3_600, unknownSenders: true },
    });
    await policy('keysend', 'set', '--clear', '--minimum', '5');
    expect(stored).toEqual({ version: 1, minimumMsat: '5000' });
  });

  test('sets a file as it is, whatever was there before', async () => {
    const file = join(folder, 'policy.json');
    const wanted = { version: 1, message: { refuseWords: ['casino*'] } };
    writeFileSync(file, JSON.stringify(wanted));
    await world.close();
    world = new CliWorld();
    await world.serve({
      keysendPolicy: () => Promise.reject(new ServiceError('not_supported', 'it cannot be read')),
      setKeysendPolicy: async ({ policy }: { policy: Record<string, unknown> }) => ({ policy, statistics }),
    });
    const { code, out } = await policy('keysend', 'set', file, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out).policy).toEqual(wanted);
    expect(await policy('keysend', 'set', '--minimum', '5')).toMatchObject({ code: 1 });
  });

  test.each([
    [['keysend', 'set'], /say what to set/],
    [['keysend', 'set', 'nowhere.json'], /nowhere.json cannot be read \(ENOENT\)/],
    [['keysend', 'set', 'x.json', '--minimum', '1'], /not both/],
    [['keysend', 'set', '--rate', '5'], /such as 60\/60/],
    [['keysend', 'set', '--links', 'hide'], /allow, hold or refuse/],
    [['keysend', 'set', '--links', 'hold'], /--hold-seconds 3600/],
    [['keysend', 'set', '--hold-above', '5'], /--hold-seconds 3600/],
    [['keysend', 'set', '--hold-above', '5', '--hold-seconds', '99999'], /from 1 to 14400/],
    [['keysend', 'allow', '104x1x0'], /no channel 104x1x0/],
    [['keysend', 'deny', 'somebody', '--remove'], /not in that list/],
    [['accept', 'xyz'], /no payment hash/],
    [['accept', '3f9a'], /2 payments start with 3f9a/],
    [['refuse', 'bbbb'], /no keysend bbbb waits/],
  ])('says what is wrong with %j', async (args, says) => {
    const { code, err } = await policy(...args);
    expect(code).toBeGreaterThan(0);
    expect(err).toMatch(says);
    expect(stored).toEqual({ version: 1 });
    expect(decided).toEqual([]);
  });

  test('has everybody in one list at most', async () => {
    await policy('keysend', 'allow', '103x1x0');
    await policy('keysend', 'allow', node.toUpperCase());
    await policy('keysend', 'deny', 'Mel');
    await policy('keysend', 'deny', 'deadbeef', '--name');
    expect(stored).toEqual({
      version: 1,
      allow: { channels: [channelId], senders: [node] },
      deny: { names: ['Mel', 'deadbeef'] },
    });
    await policy('keysend', 'deny', '1f2e3d4c');
    await policy('keysend', 'deny', 'Mel');
    await policy('keysend', 'allow', node, '--remove');
    expect(stored).toEqual({ version: 1, deny: { names: ['deadbeef', 'Mel'], channels: [channelId] } });
  });
});

describe('keysends that wait', () => {
  test('are listed, with what strangers wrote made harmless', async () => {
    const { out } = await policy('held');
    expect(out.split('\n')[1]).toBe(
      '3f9a0c710000  1,500 sat  hold_amount  2026-11-21 03:03:04  Mel   line\ufffd[2J',
    );
    expect(JSON.parse((await policy('held', '--json')).out).keysends).toHaveLength(3);
  });

  test('are taken or sent back by as many digits as are needed', async () => {
    expect((await policy('accept', '3F9A0C71')).out).toBe('3f9a0c710000: 1,500 sat taken\n');
    expect((await policy('refuse', 'aa55')).out).toBe('aa5500000000: 1,500 sat sent back\n');
    expect(decided).toEqual([
      { paymentHash: held[0]?.paymentHash, accept: true },
      { paymentHash: held[2]?.paymentHash, accept: false },
    ]);
    const { out } = await policy('accept', held[1]?.paymentHash ?? '', '--json');
    expect(JSON.parse(out)).toEqual({ paymentHash: held[1]?.paymentHash, accepted: true });
  });
});

test.each([['policy'], ['policy', 'keysend'], ['policy', 'keysend', 'set'], ['policy', 'accept']])(
  'rivulet %s %s %s --help has examples',
  async (...args) => {
    const { code, out } = await world.run(...args, '--help');
    expect(code).toBe(0);
    expect(out).toMatch(/Examples:\n {2}\$ rivulet policy/);
  },
);
