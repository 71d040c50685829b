import * as z from '../../schema/index.js';
import { pause, type Schedule } from '../../timing/schedule.js';
import type { ReceivedPayment } from '../wallet.js';

const pollMs = 5_000;
const pageSize = 100;
/** Eclair lists by when the first part came; the last one may come so much later. */
const partsMs = 120_000;
/** A payment is stored so much later than the time that it says, at most. */
const storingMs = 10_000;

const received = z.array(
  z.object({
    paymentType: z.string(),
    invoice: z.object({ paymentHash: z.string() }),
    createdAt: z.object({ iso: z.string() }),
    status: z.discriminatedUnion('type', [
      z.object({ type: z.literal('received'), amount: z.int(), receivedAt: z.object({ iso: z.string() }) }),
      z.object({ type: z.enum(['pending', 'expired']) }),
    ]),
  }),
);

/**
 * Keysends that Eclair has received, by asking again and again: its WebSocket wants a password in a header, which
 * browsers cannot send, and does not tell what came while nobody listened. The list has no order of arrival, so each
 * look goes back a little; what was told in this run is not told again.
 */
export async function* receivedKeysends(given: {
  readonly list: (form: Record<string, string>) => Promise<unknown>;
  /** What is thrown for a list in which something else is. */
  readonly notUnderstood: () => Error;
  readonly schedule: Schedule;
  readonly afterMs: number;
  readonly signal: AbortSignal;
}): AsyncGenerator<ReceivedPayment, undefined> {
  const { list, schedule, signal } = given;
  let latestMs = given.afterMs;
  const from = () => Math.max(0, Math.floor((latestMs - partsMs) / 1000) - 1);
  const fromTheFirst = Math.max(0, given.afterMs - storingMs);
  const told = new Map<string, number>();
  while (!signal.aborted) {
    const since = from();
    for (let skip = 0; ; skip += pageSize) {
      // Far in the future: Eclair's clock is what counts.
      const form = { from: `${since}`, to: '4102444800', count: `${pageSize}`, skip: `${skip}` };
      const page = received.safeParse(await list(form));
      if (!page.success) throw given.notUnderstood();
      for (const { paymentType, invoice, status } of page.data) {
        if (paymentType !== 'KeySend' || status.type !== 'received' || !('amount' in status)) continue;
        const receivedAtMs = Date.parse(status.receivedAt.iso);
        const { paymentHash } = invoice;
        if (receivedAtMs < fromTheFirst || told.has(paymentHash)) continue;
        told.set(paymentHash, receivedAtMs);
        latestMs = Math.max(latestMs, receivedAtMs);
        const cursor = latestMs.toString();
        const amountMsat = BigInt(status.amount);
        yield { paymentHash, amountMsat, receivedAtMs, records: new Map(), cursor };
      }
      if (page.data.length < pageSize) break;
    }
    // What no later look can find again needs no remembering.
    for (const [hash, atMs] of told) if (atMs < latestMs - 2 * partsMs) told.delete(hash);
    await pause(schedule, pollMs, signal);
  }
  return undefined;
}
