import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex } from '@rivulet/core/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeLightningd, hashOf, htlcAcceptedOf } from './lightningd.test.support.js';

const preimageOf = (seed: number): Uint8Array => new Uint8Array(32).fill(seed);
const boost: ReadonlyMap<bigint, Uint8Array> = new Map([
  [65_536n, new Uint8Array()],
  [7_629_169n, new TextEncoder().encode('{"action":"boost"}')],
  [133_773_310n, Uint8Array.of(1, 2, 3)],
  [0xffff_ffff_ffff_ffffn, Uint8Array.of(9)],
]);
const shownBoost = [...boost].map(([type, value]) => ({ type: String(type), value: bytesToHex(value) }));

describe('the plugin for Core Lightning, over pipes as lightningd has them', () => {
  let lightningd: FakeLightningd;

  beforeEach(async () => {
    lightningd = await FakeLightningd.start();
  });
  afterEach(() => lightningd.close());

  const file = (): string => join(lightningd.folder, 'rivulet-keysends.log');
  const arrive = (seed: number, amountMsat = 21_000, records = boost) =>
    lightningd.call('htlc_accepted', htlcAcceptedOf({ preimage: preimageOf(seed), amountMsat, records }));

  test('asks to see HTLCs before the plugin that takes records out of them', async () => {
    const { manifest, init } = await lightningd.startPlugin();
    expect(manifest).toMatchObject({
      hooks: [{ name: 'htlc_accepted', before: ['keysend'] }],
      subscriptions: ['invoice_payment', 'shutdown'],
      nonnumericids: true,
    });
    expect(init).toEqual({});
    await expect(lightningd.call('unknown', {})).rejects.toThrow(/no such method/);
  });

  test('keeps every record, and tells of a keysend once it is paid', async () => {
    await lightningd.startPlugin();
    expect(await arrive(1)).toEqual({ result: 'continue' });
    expect(await lightningd.keysends()).toMatchObject({ last: 0, keysends: [] });
    // lightningd may credit another amount than the HTLC's: its own word counts.
    lightningd.invoicePaid(preimageOf(1), 21_001);
    const { keysends, last } = await lightningd.keysends();
    expect(last).toBe(1);
    expect(keysends).toEqual([
      {
        index: 1,
        payment_hash: hashOf(preimageOf(1)),
        amount_msat: 21_001,
        received_at_ms: expect.any(Number),
        records: shownBoost,
      },
    ]);
  });

  test('tells nothing of a keysend that was never paid, nor of payments that are none', async () => {
    await lightningd.startPlugin();
    await arrive(1);
    const other = htlcAcceptedOf({ preimage: preimageOf(2), amountMsat: 5, records: boost });
    const strange: unknown[] = [
      { ...other, forward_to: 'ab'.repeat(32) },
      { ...other, htlc: { ...(other.htlc as object), payment_hash: hashOf(preimageOf(3)) } },
      { ...other, onion: { payload: 'fdff' } },
      { ...other, onion: { payload: '05ff00000000' } },
      { ...other, onion: { payload: '' } },
      {},
      [],
      null,
    ];
    for (const params of strange)
      expect(await lightningd.call('htlc_accepted', params)).toEqual({ result: 'continue' });
    for (const seed of [2, 3, 4]) lightningd.invoicePaid(preimageOf(seed), 1_000);
    expect(await lightningd.keysends()).toMatchObject({ last: 0, keysends: [] });
  });

  test('counts a keysend once, however often it is shown and paid', async () => {
    await lightningd.startPlugin();
    for (let time = 0; time < 3; time++) {
      expect(await arrive(1)).toEqual({ result: 'continue' });
      lightningd.invoicePaid(preimageOf(1), 21_000);
    }
    expect((await lightningd.keysends()).keysends).toHaveLength(1);
  });

  test('has every record on the disk before it answers: kill -9 loses none', async () => {
    await lightningd.startPlugin();
    for (let seed = 1; seed <= 5; seed++) {
      expect(await arrive(seed)).toEqual({ result: 'continue' });
      // Killed between the answer and the news that it was paid.
      await lightningd.kill();
      lightningd.invoices.set(hashOf(preimageOf(seed)), {
        status: 'paid',
        amount_received_msat: 21_000 + seed,
        paid_at: 1_780_000_000 + seed,
      });
      const asked = lightningd.rpcAsked();
      await lightningd.startPlugin();
      await asked;
      const { keysends } = await lightningd.keysends({ after: seed - 1, wait: 10 });
      expect(keysends).toMatchObject([
        { index: seed, amount_msat: 21_000 + seed, received_at_ms: (1_780_000_000 + seed) * 1000 },
      ]);
    }
    expect((await lightningd.keysends()).keysends.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5]);
    expect((await lightningd.keysends([2, 2])).keysends.map(({ index }) => index)).toEqual([3, 4]);
  });

  test('forgets what expired unpaid, and keeps what may still be paid', async () => {
    await lightningd.startPlugin();
    for (const seed of [1, 2, 3]) await arrive(seed);
    await lightningd.kill();
    lightningd.invoices.set(hashOf(preimageOf(1)), { status: 'expired' });
    lightningd.invoices.set(hashOf(preimageOf(2)), { status: 'unpaid' });
    await lightningd.startPlugin();
    // Asked one after the other: the third was asked for when the first two are decided.
    for (let asked = 0; asked < 3; asked++) await lightningd.rpcAsked();
    await lightningd.keysends();
    for (const seed of [1, 2, 3]) lightningd.invoicePaid(preimageOf(seed), 1_000);
    const hashes = (await lightningd.keysends()).keysends.map(({ payment_hash }) => payment_hash);
    expect(hashes).toEqual([hashOf(preimageOf(2)), hashOf(preimageOf(3))]);
  });

  test('finds its place again after a crash in the middle of a line, at every byte', async () => {
    await lightningd.startPlugin();
    await arrive(1);
    lightningd.invoicePaid(preimageOf(1), 21_000);
    const whole = (await lightningd.keysends()).log;
    await arrive(2);
    await lightningd.kill();
    const bytes = readFileSync(file());
    const start = bytes.lastIndexOf(10, bytes.length - 2) + 1;
    for (const cut of [start, start + 1, start + 9, bytes.length - 2, bytes.length - 1]) {
      writeFileSync(file(), bytes);
      truncateSync(file(), cut);
      await lightningd.startPlugin();
      expect(await arrive(3)).toEqual({ result: 'continue' });
      lightningd.invoicePaid(preimageOf(3), 5_000);
      const { log, keysends } = await lightningd.keysends();
      expect(log).toBe(whole);
      expect(keysends.map(({ payment_hash }) => payment_hash)).toEqual([
        hashOf(preimageOf(1)),
        hashOf(preimageOf(3)),
      ]);
      await lightningd.kill();
    }
  });

  test('leaves a damaged line out, says so, and keeps the others', async () => {
    await lightningd.startPlugin();
    for (const seed of [1, 2, 3]) {
      await arrive(seed);
      lightningd.invoicePaid(preimageOf(seed), 21_000);
    }
    await lightningd.keysends();
    await lightningd.kill();
    const text = readFileSync(file(), 'utf8');
    writeFileSync(file(), text.replace('"is":"settled","index":2', '"is":"settled","index":7'));
    appendFileSync(file(), 'rubbish\n');
    await lightningd.startPlugin();
    expect((await lightningd.keysends()).keysends.map(({ index }) => index)).toEqual([1, 3]);
    expect(lightningd.logs).toMatchObject([{ level: 'unusual', message: expect.stringMatching(/2 lines/) }]);
  });

  test('does not touch a file of something else', async () => {
    writeFileSync(join(lightningd.folder, 'other.txt'), 'my notes\n');
    const { init } = await lightningd.startPlugin({ 'rivulet-keysend-file': 'other.txt' });
    expect(init).toMatchObject({ disable: expect.stringMatching(/no list of keysends/) });
    expect(readFileSync(join(lightningd.folder, 'other.txt'), 'utf8')).toBe('my notes\n');
    // What cannot be kept is not taken.
    expect(await arrive(1)).toEqual({ result: 'fail', failure_message: '2002' });
  });

  test('fails what the operator does not want, as BOLT 4 says it, and keeps nothing of it', async () => {
    await lightningd.startPlugin({ 'rivulet-keysend-minimum': 10_000 });
    expect(await arrive(1, 9_999)).toEqual({
      result: 'fail',
      failure_message: `400f${(9_999).toString(16).padStart(16, '0')}${(500_000).toString(16).padStart(8, '0')}`,
    });
    expect(await arrive(2, 10_000)).toEqual({ result: 'continue' });
    await lightningd.kill();
    expect(readFileSync(file(), 'utf8')).not.toContain(hashOf(preimageOf(1)));
    await lightningd.startPlugin({ 'rivulet-keysend-refuse': true });
    expect(await arrive(3, 1_000_000)).toMatchObject({ result: 'fail' });
    await lightningd.kill();
    expect((await lightningd.startPlugin({ 'rivulet-keysend-minimum': -1 })).init).toMatchObject({
      disable: expect.stringMatching(/minimum/),
    });
  });

  test('answers whoever waits as soon as one is paid', async () => {
    await lightningd.startPlugin();
    const waiting = lightningd.keysends({ after: 0, wait: 60 });
    await arrive(1);
    lightningd.invoicePaid(preimageOf(1), 21_000);
    expect(await waiting).toMatchObject({ last: 1, keysends: [{ index: 1 }] });
    // Whoever is ahead, because the file is another one, does not wait in vain.
    expect(await lightningd.keysends({ after: 9, wait: 60 })).toMatchObject({ last: 1, keysends: [] });
    await expect(lightningd.keysends({ after: 'x' })).rejects.toThrow(/whole numbers/);
    await expect(lightningd.keysends({ wait: 61 })).rejects.toThrow(/whole numbers/);
  });

  test('ends when lightningd says so', async () => {
    await lightningd.startPlugin();
    lightningd.notify('shutdown', {});
    await lightningd.ended;
  });
});
