import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PaymentOutcome } from '@rivulet/keysend';
import { expect, test } from 'vitest';
import type { WalletCall } from './ledgerChild.js';

/** The compiled child, also when this runs from the sources: `npm run build` makes it. */
const childPath = fileURLToPath(new URL('./ledgerChild.js', import.meta.url)).replace(
  /([\\/])src([\\/]keysend[\\/]ledgerChild\.js)$/,
  '$1dist$2',
);

interface Done {
  readonly done: true;
  readonly succeeded: number;
}

/** Over the lives of the processes that ask it, it knows what was paid, and how often. */
class ParentWallet {
  readonly paid = new Map<string, number>();
  readonly #underWay = new Map<string, Promise<PaymentOutcome>>();
  readonly #repeats: 'preimage' | 'lookup';
  requests = 0;

  constructor(repeats: 'preimage' | 'lookup') {
    this.#repeats = repeats;
  }

  keysend({ key }: WalletCall): Promise<PaymentOutcome> {
    const request = this.requests++;
    const earlier = this.#underWay.get(key);
    if (earlier !== undefined && this.#repeats === 'preimage') return earlier;
    const paying = (async (): Promise<PaymentOutcome> => {
      // Some take longer than others.
      for (let i = 0; i < (request * 7) % 50; i++) await new Promise((resolve) => setImmediate(resolve));
      this.paid.set(key, (this.paid.get(key) ?? 0) + 1);
      return { status: 'succeeded', feeMsat: 1n };
    })();
    this.#underWay.set(key, paying);
    return paying;
  }

  lookup({ key }: WalletCall): PaymentOutcome | undefined {
    if (this.paid.has(key)) return { status: 'succeeded', feeMsat: 1n };
    return this.#underWay.has(key) ? { status: 'pending', message: 'under way' } : undefined;
  }
}

/** Runs a process until it is done, or until the wallet has had so many requests in all: then it is killed. */
async function run(
  wallet: ParentWallet,
  given: { path: string; repeats: string; count: number; killAt: number },
): Promise<Done | undefined> {
  const { path, repeats, count, killAt } = given;
  const child = fork(childPath, [path, repeats, String(count)], { serialization: 'advanced', execArgv: [] });
  let done: Done | undefined;
  child.on('message', async (message: WalletCall | Done) => {
    if ('done' in message) {
      done = message;
      return;
    }
    const outcome = message.method === 'lookup' ? wallet.lookup(message) : wallet.keysend(message);
    if (wallet.requests >= killAt) child.kill('SIGKILL');
    const answer = { id: message.id, outcome: await outcome };
    // The one who asked may be dead.
    if (child.connected) child.send(answer, () => {});
  });
  await new Promise((resolve) => child.once('close', resolve));
  return done;
}

test.each(['preimage', 'lookup'] as const)(
  'processes that are killed again and again pay each payment once: %s',
  async (repeats) => {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-kill-'));
    const path = join(folder, 'toolkit.sqlite');
    const wallet = new ParentWallet(repeats);
    const count = 300;
    try {
      for (const killAt of [1, 40, 90, 91, 160, 230]) {
        expect(await run(wallet, { path, repeats, count, killAt })).toBeUndefined();
      }
      const last = await run(wallet, { path, repeats, count, killAt: Number.POSITIVE_INFINITY });
      expect(last).toMatchObject({ succeeded: count });
      expect(wallet.paid.size).toBe(count);
      expect([...wallet.paid.values()].every((times) => times === 1)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
