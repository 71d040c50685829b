import { type NodeEvent, ServiceError } from '@rivulet/sdk';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, hash, nodeId, payment, until } from '../cli.test.support.js';

let world: CliWorld;

beforeEach(() => {
  world = new CliWorld();
});

afterEach(() => world.close());

const text = 'lnbcrt25u1pexample';
const invoice = {
  sequence: 3,
  state: 'open',
  paymentHash: hash,
  invoice: text,
  description: 'one coffee \u001b[31m',
  amountMsat: 2_500_000n,
  createdAtMs: Date.UTC(2026, 10, 21, 2, 3, 4),
  expiresAtMs: Date.UTC(2026, 10, 21, 3, 3, 4),
};
const decoded = {
  network: 'regtest',
  nodeId,
  paymentHash: hash,
  amountMsat: 2_500_000n as bigint | undefined,
  description: 'one coffee \u001b[31m',
  createdAtMs: invoice.createdAtMs,
  expiresAtMs: invoice.expiresAtMs,
  expired: true,
  minFinalCltvDelta: 40,
  features: '',
  takesParts: true,
  hints: [
    [
      {
        nodeId,
        shortChannelId: '103x1x0',
        feeBaseMsat: 1_000,
        feeProportionalMillionths: 100,
        cltvExpiryDelta: 80,
      },
    ],
  ],
};

describe('invoice', () => {
  test('stands alone on the first line, to be copied', async () => {
    await world.serve({ createInvoice: async () => invoice });
    const { code, out } = await world.run('invoice', '2,500', 'one coffee', '--expiry', '30m');
    expect(code).toBe(0);
    expect(world.calls[0]?.request).toEqual({
      amountMsat: 2_500_000n,
      description: 'one coffee',
      expirySeconds: 1_800,
    });
    expect(out).toBe(
      `${text}\namount        2,500 sat\npayment hash  ${hash}\nexpires       2026-11-21 03:03:04 UTC\n`,
    );
  });

  test('may leave the amount to the payer, and hold what is paid', async () => {
    await world.serve({ createInvoice: async () => ({ ...invoice, amountMsat: undefined }) });
    const { out } = await world.run('invoice', 'any', '--hold', '--payment-hash', hash.toUpperCase());
    expect(world.calls[0]?.request).toEqual({ expirySeconds: 3_600, hold: true, paymentHash: hash });
    expect(out).toMatch(/\namount +as much as the payer likes\n/);
  });

  test('is listed', async () => {
    const settled = { ...invoice, sequence: 2, state: 'settled', receivedMsat: 2_500_001n };
    await world.serve({ invoices: async () => ({ invoices: [invoice, settled], next: 2 }) });
    const { out } = await world.run('invoices', '--limit', '2');
    expect(out).toMatch(
      /3 {2}2026-11-21 02:03:04 {2}open +2,500 sat +cdcdcdcdcdcd {2}one coffee \ufffd\[31m\n/,
    );
    expect(out).toMatch(/settled +2,500 sat +2,500.001 sat/);
    expect(out).toMatch(/--before 2\n$/);
    expect((await world.run('invoices', '--json')).out).toContain('"amountMsat":"2500000"');
  });

  test('that is held is settled or cancelled by the first digits of its hash', async () => {
    const twin = { ...invoice, paymentHash: `cdcdcdcd${'00'.repeat(28)}` };
    await world.serve({
      invoices: async () => ({ invoices: [invoice, twin] }),
      settleInvoice: async () => ({ ...invoice, state: 'settled', receivedMsat: 2_500_000n }),
      cancelInvoice: async () => ({ ...invoice, state: 'cancelled' }),
    });
    expect((await world.run('settle', 'CDCDCDCDCD', '--preimage', '11'.repeat(32))).out).toBe(
      'invoice cdcdcdcdcdcd is settled: 2,500 sat are ours\n',
    );
    expect((await world.run('cancel', hash)).out).toBe('invoice cdcdcdcdcdcd is cancelled\n');
    expect(world.calls.filter(({ name }) => name !== 'invoices').map(({ request }) => request)).toEqual([
      { paymentHash: hash, preimage: '11'.repeat(32) },
      { paymentHash: hash },
    ]);
    expect(await world.run('settle', 'cdcdcdcd')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/2 invoices start with cdcdcdcd/),
    });
    expect(await world.run('cancel', 'ffffffff')).toMatchObject({ code: 1 });
  });

  test('that is held is told by listen, with what to do', async () => {
    await world.serve({});
    const running = world.start({}, 'listen');
    await until(() => world.listeners.size > 0);
    const event = { type: 'invoice_held', invoice: { ...invoice, state: 'held', receivedMsat: 2_500_000n } };
    for (const listener of world.listeners) listener(event as NodeEvent);
    await until(() => running.printed.out !== '');
    expect(running.printed.out).toBe(
      '= 2,500 sat held (one coffee \ufffd[31m): rivulet settle cdcdcdcdcdcd, or rivulet cancel cdcdcdcdcdcd\n',
    );
    running.interrupt();
    await running.done;
  });

  test('is decoded', async () => {
    await world.serve({ decodeInvoice: async () => decoded });
    const { out } = await world.run('decode', ` lightning:${text.toUpperCase()}`);
    expect(world.calls[0]?.request).toEqual({ invoice: text.toUpperCase() });
    expect(out).toContain(`to            ${nodeId}\n`);
    expect(out).toContain('description   one coffee \ufffd[31m\n');
    expect(out).toMatch(/\nexpired +2026-11-21 03:03:04 UTC \(/);
    expect(out).toContain(`private way   through ${nodeId.slice(0, 12)} (channel 103x1x0)`);
  });

  test('that is none is a mistake on the command line', async () => {
    await world.serve({
      decodeInvoice: async () => {
        throw new ServiceError('invoice_invalid', 'the checksum of this invoice is wrong');
      },
    });
    expect(await world.run('decode', text)).toMatchObject({ code: 2 });
  });
});

describe('pay', () => {
  const serve = (change: Partial<typeof decoded> = {}, paid: unknown = payment) =>
    world.serve({ decodeInvoice: async () => ({ ...decoded, ...change }), pay: async () => paid });
  const called = () => world.calls.filter(({ name }) => name === 'pay').map(({ request }) => request);

  test('shows what it is about to pay, and pays, where nobody can be asked', async () => {
    await serve({}, { ...payment, feeMsat: 1_100n, parts: 2 });
    const { code, out, err } = await world.run('pay', text, '--max-fee', '10');
    expect(code).toBe(0);
    expect(called()).toEqual([{ invoice: text, waitSeconds: 60, maxFeeMsat: 10_000n }]);
    expect(err).toContain('amount        2,500 sat\ndescription   one coffee \ufffd[31m\n');
    expect(err).toContain(`to            ${nodeId}\n`);
    expect(err).toContain('fee           at most 10 sat\n');
    expect(out).toMatch(/^paid 1,234.567 sat to 02abababab.. \(fee 1.1 sat, in 2 parts\)\npayment hash/);
  });

  test.each([
    ['y', 0],
    [' YES ', 0],
    ['', 1],
    ['n', 1],
    ['yesterday', 1],
  ])('asks at a terminal; %j ends with %i', async (answer, exitCode) => {
    await serve();
    const questions: string[] = [];
    const ask = async (question: string) => {
      questions.push(question);
      return answer;
    };
    const { code } = await world.start({ ask }, 'pay', text).done;
    expect(questions).toEqual(['Pay 2,500 sat? [y/N] ']);
    expect({ code, paid: called().length }).toEqual({ code: exitCode, paid: exitCode === 0 ? 1 : 0 });
  });

  test('does not ask with --yes or --json', async () => {
    await serve();
    const ask = () => Promise.reject(new Error('asked'));
    expect((await world.start({ ask }, 'pay', text, '--yes').done).code).toBe(0);
    const { code, out, err } = await world.start({ ask }, 'pay', text, '--json').done;
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({ status: 'succeeded', amountMsat: '1234567' });
  });

  test('wants an amount where the invoice has none, and none that is too small', async () => {
    await serve({ amountMsat: undefined });
    expect(await world.run('pay', text)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/--amount <sats>/),
    });
    const { err } = await world.run('pay', text, '--amount', '7');
    expect(err).toContain('to pay        7 sat\n');
    expect(called()).toEqual([{ invoice: text, waitSeconds: 60, amountMsat: 7_000n }]);
    await world.stopServer();
    await serve();
    expect(await world.run('pay', text, '--amount', '7')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/asks for 2,500 sat/),
    });
    expect(called().length).toBe(1);
  });

  test('says what would be enough where the limit is too low', async () => {
    await world.serve({
      decodeInvoice: async () => decoded,
      pay: async () => {
        throw new ServiceError('fee_limit', 'a route exists that would cost 12 sat', { feeMsat: '12000' });
      },
    });
    expect(await world.run('pay', text, '--max-fee', '1')).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /error: a route exists that would cost 12 sat\nIf that is worth it, raise the limit: --max-fee <sats>/,
      ),
    });
  });

  test('whose answer is lost may be repeated', async () => {
    await world.serve({ decodeInvoice: async () => decoded, pay: () => new Promise(() => {}) });
    const lost = world.start({}, 'pay', text);
    await until(() => called().length === 1);
    await world.stopServer();
    expect(await lost.done).toMatchObject({
      code: 4,
      err: expect.stringMatching(/may or may not.*repeat the command: an invoice is never paid twice/),
    });
  });
});
