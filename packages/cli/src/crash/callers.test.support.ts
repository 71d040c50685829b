import { ClientError, type Payment } from '@rivulet/sdk';
import { expect } from 'vitest';
import type { DaemonProcess } from './daemonProcess.test.support.js';

/** One payment, and what its caller knows. */
interface Call {
  readonly from: DaemonProcess;
  readonly to: DaemonProcess;
  readonly key: string;
  readonly amountMsat: bigint;
  /** Where the receiver asked for it; otherwise it is a keysend. */
  readonly invoice?: string;
  outcome: Payment | 'failed' | 'unknown' | 'under way';
}

/** Callers of all daemons: each knows of its payment what its daemon told it. */
export class Callers {
  readonly calls: Call[] = [];
  #numbers = 0;
  #settled = 0;
  #waiting: { count: number; resolve: () => void }[] = [];

  start(from: DaemonProcess, to: DaemonProcess): Promise<void> {
    return this.#begin({ from, to, ...this.#next() });
  }

  /** As `start`, by an invoice. */
  async startInvoice(from: DaemonProcess, to: DaemonProcess): Promise<void> {
    const next = this.#next();
    const asked = await to.client.createInvoice({ amountMsat: next.amountMsat }).catch((error: unknown) => {
      if (!(error instanceof ClientError)) throw error;
      // Its daemon was killed: there is no invoice to pay.
      return undefined;
    });
    if (asked !== undefined && from.isRunning)
      await this.#begin({ from, to, invoice: asked.invoice, ...next });
  }

  #next(): { key: string; amountMsat: bigint } {
    const number = this.#numbers++;
    // Each amount once, so that nothing can be mistaken for another; every fifth is dust.
    return { key: `call-${number}`, amountMsat: (number % 5 === 0 ? 100_000n : 2_000_000n) + BigInt(number) };
  }

  #begin(given: Omit<Call, 'outcome'>): Promise<void> {
    const call: Call = { ...given, outcome: 'under way' };
    this.calls.push(call);
    return this.attempt(call);
  }

  /** One caller, who makes the next payment when it has the answer to the one before. */
  async keepPaying(from: DaemonProcess, to: DaemonProcess, pump: { on: boolean }): Promise<void> {
    while (pump.on) await this.start(from, to);
  }

  /** As `keepPaying`, by invoices. */
  async keepPayingInvoices(from: DaemonProcess, to: DaemonProcess, pump: { on: boolean }): Promise<void> {
    while (pump.on) await this.startInvoice(from, to);
  }

  async attempt(call: Call): Promise<void> {
    const { from, to, key, amountMsat, invoice } = call;
    try {
      call.outcome =
        invoice === undefined
          ? await from.client.keysend({ nodeId: to.nodeId, amountMsat, idempotencyKey: key })
          : await from.client.pay({ invoice });
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      const known = error.code !== 'connection_lost' && error.code !== 'daemon_unreachable';
      call.outcome = known ? 'failed' : 'unknown';
    }
    this.#settled++;
    for (const { count, resolve } of this.#waiting) if (this.#settled >= count) resolve();
  }

  /** Resolves when so many more calls than now have an answer. */
  answered(more: number): Promise<void> {
    const count = this.#settled + more;
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }
}

/** Resolves when so many channels can be used, 1 if nothing is said. */
export async function usable(daemon: DaemonProcess, count = 1): Promise<void> {
  await daemon.until(
    `${count} channels are usable`,
    async (client) => (await client.info()).channels.usable === count,
  );
}

export async function nothingPending(daemon: DaemonProcess): Promise<void> {
  await daemon.until('all payments have ended', async () =>
    (await daemon.payments()).every(({ status }) => status !== 'pending'),
  );
}

export function only(payments: readonly Payment[], direction: Payment['direction']): Payment[] {
  return payments.filter((payment) => payment.direction === direction);
}

/** The sender's list against the receiver's: both tell the same story, each payment once. */
export function agree(sent: readonly Payment[], received: readonly Payment[]): void {
  const story = (payment: Payment) => `${payment.paymentHash} ${payment.amountMsat} ${payment.preimage}`;
  const succeeded = sent.filter(({ status }) => status === 'succeeded');
  expect(succeeded.map(story).sort()).toEqual(received.map(story).sort());
  expect(new Set(received.map(({ paymentHash }) => paymentHash)).size).toBe(received.length);
  const keys = sent.flatMap(({ idempotencyKey }) => idempotencyKey ?? []);
  expect(new Set(keys).size).toBe(keys.length);
}

export const sum = (payments: readonly Payment[]) =>
  payments.reduce((total, { amountMsat }) => total + amountMsat, 0n);
