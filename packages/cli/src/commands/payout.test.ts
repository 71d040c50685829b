import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliWorld, info, nodeId, payment } from '../cli.test.support.js';

let world: CliWorld;
/** What the daemon was asked to pay, and refuses to. */
let paid: { amountMsat: bigint; preimage: string; maxFeeMsat?: bigint }[];
let refuses: bigint | undefined;

beforeEach(async () => {
  paid = [];
  refuses = undefined;
  world = await new CliWorld().serve({
    info: async () => info,
    channels: async () => ({ channels: [] }),
    keysend: async (request: { amountMsat: bigint; preimage: string; maxFeeMsat?: bigint }) => {
      const paymentHash = bytesToHex(sha256(hexToBytes(request.preimage)));
      const { amountMsat } = request;
      if (amountMsat === refuses) {
        const failure = { code: 'incorrect_or_unknown_payment_details', message: 'refused' };
        const { preimage: _, ...rest } = payment;
        return { ...rest, status: 'failed', paymentHash, amountMsat, failure };
      }
      paid.push(request);
      return { ...payment, paymentHash, amountMsat, preimage: request.preimage, feeMsat: 1n };
    },
  });
});
afterEach(() => world.close());

const path = (name: string): string => join(world.dataDir, name);

function file(name: string, ...lines: readonly string[]): string {
  writeFileSync(path(name), ['key,recipient,amount', ...lines, ''].join('\n'));
  return path(name);
}

const line = (key: string, sats: string): string => `${key},${nodeId},${sats}`;

describe('rivulet payout', () => {
  test('pays a file, says what it did, and pays nothing when it is repeated', async () => {
    const july = file('july.csv', line('a', '1'), line('b', '2.5'), line('a', '1'));
    const { code, out, err } = await world.run('payout', july, '--report', path('report.csv'));
    expect(code).toBe(0);
    expect(err).toContain('payout        july');
    expect(err).toContain('in the file   2 payments, 3.5 sat');
    expect(err).toContain('duplicates    1 line, left out (line 4 says again what line 2 says)');
    expect(out).toBe('2 succeeded\npaid          3.5 sat, fees 0.002 sat\n');
    expect(readFileSync(path('report.csv'), 'utf8').split('\r\n')).toEqual([
      expect.stringMatching(/^key,payout,recipient,/),
      expect.stringMatching(new RegExp(`^a,july,${nodeId},,1,1000,succeeded,1,`)),
      expect.stringMatching(new RegExp(`^b,july,${nodeId},,2.5,2500,succeeded,1,`)),
      '',
    ]);
    const again = await world.run('payout', july, '--name', 'another', '--json');
    expect(JSON.parse(again.out)).toEqual({
      name: 'another',
      payments: 2,
      amountMsat: '3500',
      feesMsat: '2',
      states: { succeeded: { payments: 2, amountMsat: '3500' } },
      duplicates: 1,
    });
    expect(paid).toHaveLength(2);
  });

  test('asks before it pays, and takes no for an answer', async () => {
    const july = file('july.csv', line('a', '1'));
    const questions: string[] = [];
    const answering = (answer: string) => ({
      ask: async (question: string) => {
        questions.push(question);
        return answer;
      },
    });
    const { code, err } = await world.start(answering('n'), 'payout', july).done;
    expect([code, err]).toEqual([1, expect.stringMatching(/nothing was paid/)]);
    expect((await world.run('payout', 'list')).out).toBe('no payouts yet\n');
    expect((await world.start(answering('y'), 'payout', july).done).code).toBe(0);
    expect(questions).toEqual(Array(2).fill('Pay 1 payment, 1 sat in all? [y/N] '));
    expect(paid).toHaveLength(1);
  });

  test('knows the states that there are, and the keys that are in no payout', async () => {
    await world.run('payout', file('july.csv', line('a', '1')));
    expect((await world.run('payout', 'show', 'july', '--state', 'lost')).code).toBe(2);
    const { code, err } = await world.run('payout', 'retry', 'b');
    expect([code, err]).toEqual([1, expect.stringContaining('no payout has the key "b"')]);
  });

  test('shows in a dry run what it would pay', async () => {
    const july = file('july.csv', line('a', '1'), line('b', '2'));
    await world.run('payout', file('june.csv', line('a', '1')));
    const dry = await world.run('payout', july, '--dry-run');
    expect(dry.out).toContain('known keys    1, not paid again (1 succeeded, some in the payout june)');
    expect(dry.out).toContain('to pay        1 payment, 2 sat, and fees');
    expect(dry.out).toContain('wallet        0 sat (too little)');
    const json = JSON.parse((await world.run('payout', july, '--dry-run', '--json')).out);
    expect(json).toMatchObject({ toPay: 1, toPayMsat: '2000', spendableMsat: '0', known: [{ key: 'a' }] });
    const other = file('other.csv', line('a', '9'));
    const conflict = await world.run('payout', other, '--dry-run');
    expect(conflict.code).toBe(1);
    expect(conflict.out).toMatch(/conflict {6}line 2: the key "a" stands for another payment in payout june/);
    expect((await world.run('payout', other)).err).toMatch(/nothing of it is paid/);
    expect(paid).toHaveLength(1);
  });

  test('tells every problem of a file, and pays nothing', async () => {
    const { code, err } = await world.run(
      'payout',
      file('bad.csv', line('a', '1'), line('b', 'x'), 'c,nobody,1'),
    );
    expect(code).not.toBe(0);
    expect(err).toMatch(/2 problems, so nothing of it is paid/);
    expect(err).toMatch(/line 3: amount "x"/);
    expect(err).toMatch(/line 4: recipient "nobody"/);
    expect(paid).toEqual([]);
    expect(await world.run('payout', path('nothing.csv'))).toMatchObject({
      code: 2,
      err: expect.stringMatching(/cannot be read \(ENOENT\)/),
    });
  });

  test('lists, shows and tries again what failed', async () => {
    refuses = 2_000n;
    const july = file('july.csv', line('a', '1'), line('b', '2'));
    const { code, err } = await world.run('payout', july, '--max-fee', '0');
    expect([code, err]).toEqual([1, expect.stringMatching(/1 payment not made/)]);
    expect((await world.run('payout', 'list')).out).toMatch(/july .* 2 {3}3 sat {2}1 succeeded, 1 failed/);
    expect((await world.run('payout', 'show', 'july', '--state', 'failed')).out).toMatch(/^b .*failed/m);
    expect(await world.run('payout', 'resume', 'july')).toMatchObject({ code: 1 });
    refuses = undefined;
    expect((await world.run('payout', 'retry', 'july', '--all')).out).toMatch(/^1 payment planned again/);
    expect(await world.run('payout', 'resume', 'july')).toMatchObject({ code: 0 });
    expect(paid.map(({ maxFeeMsat }) => maxFeeMsat)).toEqual([0n, 0n]);
    const shown = JSON.parse((await world.run('payout', 'show', 'july', '--json')).out);
    expect(shown.payments.map(({ state }: { state: string }) => state)).toEqual(['succeeded', 'succeeded']);
    expect((await world.run('payout', 'show', 'nothing')).err).toMatch(/there is no payout "nothing"/);
  });

  test('waits for somebody who approves, or denies', async () => {
    const july = file('july.csv', line('a', '1'), line('b', '20'), line('c', '30'));
    const { out } = await world.run('payout', july, '--approval-above', '10');
    expect(out).toMatch(/1 succeeded, 2 held|2 held, 1 succeeded/);
    expect((await world.run('payout', 'deny', 'c', '--by', 'ann')).out).toMatch(/1 payment denied/);
    expect((await world.run('payout', 'approve', 'july', '--all', '--by', 'ann')).out).toMatch(
      /1 payment approved/,
    );
    expect(await world.run('payout', 'resume', 'july')).toMatchObject({ code: 0 });
    expect(paid.map(({ amountMsat }) => amountMsat)).toEqual([1_000n, 20_000n]);
    expect((await world.run('payout', 'approve', 'c')).err).toMatch(/is abandoned/);
    expect((await world.run('payout', 'resolve', 'a', '--outcome', 'paid')).err).toMatch(/is succeeded/);
    expect((await world.run('payout', 'resolve', 'a', '--outcome', 'maybe')).code).toBe(2);
  });
});
