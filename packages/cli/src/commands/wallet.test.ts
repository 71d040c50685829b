import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, until } from '../cli.test.support.js';

let world: CliWorld;

beforeEach(() => {
  world = new CliWorld();
});

afterEach(() => world.close());

const txidHex = 'ab'.repeat(32);
const coin = `${txidHex}:1`;
const address = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080';
const sent = {
  txidHex,
  feeSat: 1_410n,
  feeratePerKw: 625,
  coins: [coin],
  outputs: [
    { address, valueSat: 50_000n, ours: false },
    { address: 'bcrt1qchange', valueSat: 1_234_567n, ours: true },
  ],
  repeated: false,
  accepted: true,
};
const requests = (name: string) =>
  world.calls.filter((call) => call.name === name).map(({ request }) => request as Record<string, unknown>);

describe('send', () => {
  test('pays, with a key of its own so that nothing is paid twice, and shows what it was', async () => {
    await world.serve({ send: async () => sent });
    const { code, out } = await world.run('send', address, '50,000');
    expect(code).toBe(0);
    expect(requests('send')).toEqual([
      {
        recipients: [{ address, amountSat: 50_000n }],
        idempotencyKey: expect.stringMatching(/^[0-9a-f-]{36}$/),
      },
    ]);
    expect(out).toBe(
      [
        'sent',
        `transaction   ${txidHex}`,
        `pays          50,000 sat to ${address}`,
        'comes back    1,234,567 sat',
        'fee           1,410 sat (2.5 sat/vB, 1 coin)',
        '',
      ].join('\n'),
    );
  });

  test('takes several recipients, all that is left, coins, a feerate and limits', async () => {
    await world.serve({ send: async () => ({ ...sent, keptSat: 10_000n }) });
    const { out } = await world.run(
      ...['send', '--coin', coin, '--coin', coin.toUpperCase(), address, '1_000', address, 'all'],
      ...['--feerate', '2.5', '--max-fee', '2,000', '--label', 'rent', '--idempotency-key', 'k'],
      '--including-reserve',
    );
    expect(requests('send')).toEqual([
      {
        recipients: [{ address, amountSat: 1_000n }],
        allTo: address,
        coins: [coin, coin],
        feeratePerKw: 625,
        maxFeeSat: 2_000n,
        label: 'rent',
        idempotencyKey: 'k',
        includingReserve: true,
      },
    ]);
    expect(out).toContain('kept          10,000 sat, for the fees of open channels');
  });

  test('with --dry-run sends nothing', async () => {
    await world.serve({ send: async () => ({ ...sent, accepted: false }) });
    const { out } = await world.run('send', address, '50000', '--dry-run');
    expect(requests('send')).toEqual([{ recipients: [{ address, amountSat: 50_000n }], dryRun: true }]);
    expect(out).toMatch(/^would send:\n/);
  });

  test.each([
    ['y', 0, 2],
    ['', 1, 1],
  ])('asks at a terminal after a trial; %j ends with %i', async (answer, exitCode, calls) => {
    await world.serve({ send: async () => sent });
    const questions: string[] = [];
    const ask = async (question: string) => {
      questions.push(question);
      return answer;
    };
    const { code, err } = await world.start({ ask }, 'send', address, '50000').done;
    expect(questions).toEqual(['Send 50,000 sat? [y/N] ']);
    expect(err).toContain(`pays          50,000 sat to ${address}`);
    expect({ code, calls: requests('send').length }).toEqual({ code: exitCode, calls });
    expect((await world.start({ ask }, 'send', address, '50000', '--yes').done).code).toBe(0);
    expect(questions.length).toBe(1);
  });

  test('whose answer is lost says how to repeat it without paying twice', async () => {
    await world.serve({ send: () => new Promise(() => {}) });
    const lost = world.start({}, 'send', address, '50000');
    await until(() => requests('send').length === 1);
    await world.stopServer();
    const { code, err } = await lost.done;
    expect(code).toBe(4);
    expect(err).toContain(`--idempotency-key ${requests('send')[0]?.idempotencyKey as string}`);
  });

  test('says what is not accepted yet, and what was paid before', async () => {
    let answer = { ...sent, accepted: false, message: 'min relay fee not met' } as typeof sent;
    await world.serve({ send: async () => answer });
    expect((await world.run('send', address, '50000')).out).toMatch(
      /^stored, and sent again at every block: it is not accepted yet \(min relay fee not met\)\n/,
    );
    answer = { ...sent, repeated: true };
    expect((await world.run('send', address, '50000')).out).toMatch(/^this was sent before: nothing more/);
    const { out } = await world.run('send', address, '50000', '--json');
    expect(JSON.parse(out)).toMatchObject({ feeSat: '1410', repeated: true });
  });

  test.each([
    [['send', address], /an amount for each/],
    [['send', address, 'all', address, 'all'], /one address alone/],
    [['send', address, '1.5'], /whole satoshi/],
    [['send', address, '0'], /zero/],
    [['send', address, '-5'], /negative|unknown option/],
    [['send', address, '5', '--feerate', '0.5'], /sat\/vB/],
    [['send', address, '5', '--feerate', '20000'], /sat\/vB/],
    [['send', address, '5', '--coin', 'x:0'], /no coin/],
    [['bump', 'abc'], /64 hex digits/],
    [['bump', txidHex, '--feerate', 'fast'], /sat\/vB/],
    [['coins', 'lock', txidHex], /no coin/],
    [['transactions', '--limit', '0'], /--limit/],
    [['label', txidHex, 'x'.repeat(256)], /255/],
    [['labels', 'import', '/nowhere/labels'], /cannot be read/],
    [['psbt', 'show', '/nowhere/psbt'], /neither a PSBT/],
    [['psbt', 'create', address], /an amount for each/],
  ])('%j is refused before anything is asked', async (args, says) => {
    await world.serve({});
    const { code, err } = await world.run(...args);
    expect(code).toBe(2);
    expect(err).toMatch(says);
    expect(world.calls).toEqual([]);
  });

  test('that the daemon refuses says what to do', async () => {
    await world.serve({
      send: async () => {
        throw new ServiceError('insufficient_balance', '60,000 sat are needed');
      },
    });
    expect(await world.run('send', address, '50000')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/60,000 sat are needed\n.*rivulet balance/),
    });
  });
});

describe('bump', () => {
  const bumped = {
    txidHex,
    how: 'replacement' as 'replacement' | 'child',
    feeSat: 2_000n,
    feeratePerKw: 5_000,
    feesUnknown: false,
    outputs: [],
    accepted: true,
  };

  test('raises a fee, and tells how', async () => {
    let answer = bumped;
    await world.serve({ bumpTransaction: async () => answer });
    const { out } = await world.run('bump', txidHex.toUpperCase(), '--feerate', '20', '--max-fee', '3000');
    expect(requests('bumpTransaction')).toEqual([{ txidHex, feeratePerKw: 5_000, maxFeeSat: 3_000n }]);
    expect(out).toBe(
      `${txidHex}: its replacement; who is paid gets the same\nfee           2,000 sat (20 sat/vB)\n`,
    );
    answer = { ...bumped, how: 'child', feesUnknown: true };
    expect((await world.run('bump', txidHex)).out).toMatch(/a child that pays for it\n.*20 sat\/vB for both/);
  });

  test('takes a payment back with --cancel, and says that it is not over before it confirms', async () => {
    await world.serve({ bumpTransaction: async () => bumped });
    const { out } = await world.run('bump', txidHex, '--cancel');
    expect(requests('bumpTransaction')).toEqual([{ txidHex, cancel: true }]);
    expect(out).toContain('the first one may still confirm instead');
  });
});

describe('coins, transactions and labels', () => {
  const listed = {
    coin,
    valueSat: 1_234_567n,
    address,
    path: "m/86'/1'/0'/0/0",
    state: 'confirmed',
    confirmations: 3,
  };

  test('coins are listed with what they are for, and locked', async () => {
    const locked = { ...listed, valueSat: 5n, state: 'locked', reason: 'PSBT \u001b[31m', label: 'gift' };
    await world.serve({
      coins: async () => ({ coins: [listed, locked] }),
      lockCoins: async () => ({ changed: 1 }),
    });
    const { out } = await world.run('coins');
    expect(out).toContain(`${coin}  1,234,567 sat  confirmed`);
    expect(out).toMatch(/5 sat {2}locked: PSBT \ufffd\[31m .* gift\n/);
    expect(out).toContain('1,234,567 sat in 1 of 2 coins can be spent now\n');
    expect((await world.run('coins', 'lock', coin)).out).toBe('1 coin is locked\n');
    expect((await world.run('coins', 'unlock', coin)).out).toBe('1 coin is free again\n');
    expect(requests('lockCoins')).toEqual([
      { coins: [coin], locked: true },
      { coins: [coin], locked: false },
    ]);
    expect(JSON.parse((await world.run('coins', '--json')).out)).toMatchObject({
      coins: [{ valueSat: '1234567' }, {}],
    });
  });

  test('transactions are listed, with what became of each', async () => {
    const one = {
      txidHex,
      state: 'confirmed',
      kind: 'send',
      confirmations: 7,
      netSat: -50_141n,
      feeSat: 141n,
      outputs: [],
    };
    const other = 'cd'.repeat(32);
    await world.serve({
      transactions: async () => ({
        transactions: [
          { ...one, txidHex: other, state: 'unconfirmed', confirmations: 0, note: 'min fee not met' },
          { ...one, state: 'replaced', confirmations: 0, replacedByTxidHex: other },
          { ...one, label: 'rent' },
        ],
      }),
    });
    const { out } = await world.run('transactions');
    expect(out).toMatch(/send +7 confirmations +-50,141 sat +141 sat +rent\n/);
    expect(out).toContain(`${txidHex} was replaced by ${other}\n`);
    expect(out).toContain(`${other} is not accepted yet: min fee not met\n`);
    expect((await world.run('transactions', '--limit', '1', '--json')).out).not.toContain('rent');
  });

  test('labels are set, removed, written to a new file and read from one', async () => {
    const lines = '{"type":"tx"}\n';
    await world.serve({
      setLabel: async () => ({ type: 'tx', ref: txidHex }),
      exportLabels: async () => ({ lines }),
      importLabels: async () => ({ labels: 2, coins: 1, cut: 0, ignored: 1 }),
    });
    expect((await world.run('label', txidHex, 'rent', 'of', 'May')).out).toBe('the label is set\n');
    expect((await world.run('label', txidHex)).out).toBe('the label is removed\n');
    expect(requests('setLabel')).toEqual([
      { of: txidHex, label: 'rent of May' },
      { of: txidHex, label: '' },
    ]);
    expect((await world.run('labels', 'export')).out).toBe(lines);
    const file = join(world.dataDir, 'labels.jsonl');
    await world.run('labels', 'export', file);
    expect(readFileSync(file, 'utf8')).toBe(lines);
    expect(await world.run('labels', 'export', file)).toMatchObject({ code: 2 });
    // More than one request can carry.
    writeFileSync(file, `${'x'.repeat(15_000)}\n`.repeat(3));
    expect((await world.run('labels', 'import', file)).out).toBe(
      '6 labels, 3 coins locked or unlocked, 3 lines that BIP 329 does not have passed over\n',
    );
    expect(requests('importLabels').map(({ lines: part }) => (part as string).trim().length)).toEqual([
      15_000, 15_000, 15_000,
    ]);
  });
});

describe('psbt', () => {
  const psbt = 'cHNidP8BAA==';
  const view = {
    txidHex,
    inputs: [
      { coin, valueSat: 60_000n, ours: true, signed: false },
      { coin, valueSat: 7n, ours: false, signed: true },
    ],
    outputs: sent.outputs,
    netSat: -50_141n,
    feeSat: 141n,
    complete: false,
  };

  test('is made, shown, signed, finished and sent', async () => {
    await world.serve({
      createPsbt: async () => ({ psbt, ...view }),
      showPsbt: async () => view,
      signPsbt: async () => ({ psbt, ...view, complete: true }),
      broadcastPsbt: async () => ({ ...view, complete: true, rawTx: '0200', accepted: true }),
    });
    const made = await world.run('psbt', 'create', address, '50000', '--psbt-version', '2', '--unlocked');
    expect(made.out).toMatch(/^cHNidP8BAA==\ntransaction/);
    expect(requests('createPsbt')).toEqual([
      { recipients: [{ address, amountSat: 50_000n }], version: 2, unlocked: true },
    ]);
    const shown = await world.run('psbt', 'show', psbt);
    expect(shown.out).toContain('spends        60,000 sat, ours (');
    expect(shown.out).toContain('spends        7 sat, of others, as it says, signed (');
    expect(shown.out).toContain('changes ours  by -50,141 sat\nsignatures are missing\n');
    expect((await world.run('psbt', 'sign', psbt, '--foreign-inputs')).out).toMatch(/^cHNidP8BAA==\n/);
    expect(requests('signPsbt')).toEqual([{ psbt, foreignInputs: true }]);
    expect((await world.run('psbt', 'finalize', psbt)).out).toBe('0200\n');
    expect((await world.run('psbt', 'broadcast', psbt, '--label', 'rent')).out).toMatch(/^sent\n/);
    expect(requests('broadcastPsbt')).toEqual([
      { psbt, dryRun: true },
      { psbt, label: 'rent' },
    ]);
  });

  test('is shown before it is signed at a terminal', async () => {
    await world.serve({ showPsbt: async () => view, signPsbt: async () => ({ psbt, ...view }) });
    const ask = async () => 'n';
    const { code, err } = await world.start({ ask }, 'psbt', 'sign', psbt).done;
    expect(code).toBe(1);
    expect(err).toContain('changes ours  by -50,141 sat');
    expect(requests('signPsbt')).toEqual([]);
  });

  test('is read from a file with text or with bytes, and nothing else', async () => {
    await world.serve({ showPsbt: async () => view });
    const file = join(world.dataDir, 'payment.psbt');
    writeFileSync(file, `${psbt.slice(0, 6)}\n${psbt.slice(6)}\n`);
    expect((await world.run('psbt', 'show', file)).code).toBe(0);
    writeFileSync(file, Buffer.from(psbt, 'base64'));
    expect((await world.run('psbt', 'show', file)).code).toBe(0);
    expect(requests('showPsbt')).toEqual([{ psbt }, { psbt }]);
    writeFileSync(file, 'hello');
    expect((await world.run('psbt', 'show', file)).code).toBe(2);
  });
});

describe('descriptors', () => {
  const words = `${'abandon '.repeat(11)}about`;

  test('with private keys come from the words, without a daemon, and only where somebody agrees', async () => {
    writeFileSync(join(world.dataDir, 'wallet-words'), `${words}\n`);
    expect(await world.run('descriptors', '--private')).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringMatching(/add --yes/),
    });
    const no = await world.start({ ask: async () => '' }, 'descriptors', '--private').done;
    expect(no).toMatchObject({ code: 1, out: '' });
    const { out, code } = await world.run('descriptors', '--private', '--yes');
    expect(code).toBe(0);
    const lines = out.trim().split('\n');
    expect(lines.length).toBe(4);
    expect(lines[0]).toMatch(/^tr\(\[73c5da0a\/86h\/1h\/0h\]tprv\w+\/0\/\*\)#\w{8}$/);
    expect(existsSync(join(world.dataDir, 'rivulet.db'))).toBe(false);
  });

  test('are given as Bitcoin Core takes them', async () => {
    await world.serve({ descriptors: async () => ({ descriptors: ['tr(a/0/*)#x', 'tr(a/1/*)#y'] }) });
    const { out } = await world.run('descriptors', '--core');
    expect(JSON.parse(out)).toEqual([
      { desc: 'tr(a/0/*)#x', active: true, internal: false, range: [0, 999], timestamp: 0 },
      { desc: 'tr(a/1/*)#y', active: true, internal: true, range: [0, 999], timestamp: 0 },
    ]);
  });

  test('need the words', async () => {
    expect(await world.run('descriptors', '--private', '--yes')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/wallet-words/),
    });
  });
});
