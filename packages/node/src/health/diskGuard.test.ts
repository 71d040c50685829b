import { decodeInvoice } from '@rivulet/core/invoice';
import { describe, expect, test } from 'vitest';
import { Pair } from '../driver/pair.test.support.js';
import { silentLogger } from '../logging/logger.js';
import { DiskGuard } from './diskGuard.js';

/** A disk, its reserve and a clock that a test turns. */
class Bench {
  free: number | undefined = 1_000;
  readonly reserve = {
    held: true,
    release: () => {
      this.reserve.held = false;
      if (this.free !== undefined) this.free += 50;
    },
    restore: () => {
      this.reserve.held = true;
      if (this.free !== undefined) this.free -= 50;
    },
  };
  #run: (() => void) | undefined;
  readonly guard = new DiskGuard({
    freeBytes: () => this.free,
    reserve: this.reserve,
    scheduler: {
      now: () => 0,
      schedule: (_, run) => {
        this.#run = run;
        return () => {
          this.#run = undefined;
        };
      },
    },
    logger: silentLogger,
    lowBytes: 500,
    stopBytes: 100,
  });

  tick(): void {
    this.#run?.();
  }
}

describe('the guard of the disk', () => {
  test('goes on watching a disk that answers with errors now and then', () => {
    const bench = new Bench();
    bench.guard.start();
    bench.free = 3;
    const { restore } = bench.reserve;
    bench.reserve.held = false;
    bench.tick();
    expect(bench.guard.accepting).toBe(false);
    bench.free = 1_000;
    Object.defineProperty(bench.reserve, 'held', {
      configurable: true,
      get: () => {
        throw new Error('EIO');
      },
    });
    expect(() => bench.tick()).not.toThrow();
    Object.defineProperty(bench.reserve, 'held', { value: false, writable: true });
    bench.reserve.restore = restore;
    bench.tick();
    expect(bench.guard.accepting).toBe(true);
  });

  test('warns first, stops what is new before the disk is full, and goes on when there is room', () => {
    const bench = new Bench();
    bench.guard.start();
    const seen = [500, 101, 100, 3, 400, 501].map((free) => {
      bench.free = free;
      bench.tick();
      return [bench.guard.status.state, bench.guard.accepting];
    });
    expect(seen).toEqual([
      ['low', true],
      ['low', true],
      ['stopped', false],
      ['stopped', false],
      ['low', true],
      ['ok', true],
    ]);
    bench.guard.stop();
    bench.free = 0;
    bench.tick();
    expect(bench.guard.status.state).toBe('ok');
  });

  test('gives its reserve free when a write fails, and takes it again only with more than enough room', () => {
    const bench = new Bench();
    bench.guard.start();
    bench.free = 0;
    bench.guard.onDiskFull();
    expect(bench.guard.status).toEqual({ state: 'stopped', freeBytes: 50, reserveHeld: false });
    bench.free = 400;
    bench.tick();
    // It was full a moment ago: some room is not enough.
    expect(bench.guard.status).toMatchObject({ state: 'stopped', reserveHeld: false });
    bench.free = 600;
    bench.tick();
    expect(bench.guard.status).toMatchObject({ state: 'ok', reserveHeld: true });
  });

  test('stops after a failed write, also where the system does not say how much room there is', () => {
    const bench = new Bench();
    bench.free = undefined;
    bench.guard.check();
    expect(bench.guard.accepting).toBe(true);
    bench.guard.onDiskFull();
    expect(bench.guard.accepting).toBe(false);
    bench.guard.start();
    bench.tick();
    expect(bench.guard.status).toEqual({ state: 'ok', freeBytes: undefined, reserveHeld: true });
  });
});

describe('a node whose disk is nearly full', () => {
  test('begins no payment and no channel, fails what comes in, and ends what is under way', async () => {
    const admission = { accepting: true, whyNoChannels: undefined as string | undefined };
    const pair = await Pair.start({ settings: { admission } });
    await pair.open();
    await pair.mine(6);
    await pair.usable();
    const { invoices, receiver } = pair.bob.node.payments;
    const held = await invoices.create({ amountMsat: 5_000_000n, description: '', hold: true });
    const paid = pair.alice.node.payments.outgoing.payInvoice({
      invoice: decodeInvoice(held.bolt11),
    }).outcome;
    await new Promise<void>((resolve) => pair.bob.node.once('invoiceHeld', () => resolve()));

    // Both nodes have the same admission: alice must be able to send for bob to refuse.
    admission.accepting = false;
    await expect(pair.pay(pair.alice, pair.bob).outcome).rejects.toMatchObject({ code: 'not_accepting' });
    admission.whyNoChannels = 'the disk is full';
    const [peer] = pair.alice.node.peers.peers;
    await expect(
      pair.alice.node.openChannel({ peer: peer!, capacitySat: 100_000n, pushMsat: 0n }),
    ).rejects.toMatchObject({ code: 'not_accepting' });

    await receiver.settleHeld(held.paymentHash, undefined);
    expect((await paid).status).toBe('succeeded');
    admission.accepting = true;
    expect((await pair.pay(pair.alice, pair.bob).outcome).status).toBe('succeeded');
    await pair.stop();
  });
});
