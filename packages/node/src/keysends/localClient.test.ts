import { type ReceivedPayment, rivuletWallet } from '@rivulet/keysend';
import { ClientError, type NodeEvent, type NodeService, type Payment, ServiceError } from '@rivulet/sdk';
import { expect, test } from 'vitest';
import { localClient } from './localClient.js';

const paymentOf = (sequence: number): Payment => ({
  sequence,
  direction: 'incoming',
  status: 'succeeded',
  paymentHash: sequence.toString(16).padStart(64, '0'),
  amountMsat: 1_000n,
  feeMsat: 0n,
  createdAtMs: 1_800_000_000_000,
  records: new Map(),
});

/** A node that has received `count` payments. */
function nodeWith(count: number) {
  const listeners = new Set<(event: NodeEvent) => void>();
  const payments = Array.from({ length: count }, (_, i) => paymentOf(i + 1));
  const service = {
    payments: async ({ after = 0, limit = 100 }: { after?: number; limit?: number }) => {
      const rest = payments.slice(after);
      const next = rest.length > limit ? { next: after + limit } : {};
      return { payments: rest.slice(0, limit), ...next };
    },
    invoices: () => Promise.reject(new ServiceError('unknown_invoice', 'none')),
    subscribe: (listener: (event: NodeEvent) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as NodeService;
  const receive = () => {
    const payment = paymentOf(payments.length + 1);
    payments.push(payment);
    for (const listener of listeners) listener({ type: 'payment_received', payment });
  };
  return { client: localClient(service), listeners, receive };
}

async function take(payments: AsyncIterable<ReceivedPayment>, count: number): Promise<string[]> {
  const cursors: string[] = [];
  for await (const { cursor } of payments) if (cursors.push(cursor) === count) break;
  return cursors;
}

test('a long list lets others have their turn, page by page', async () => {
  const { client, listeners } = nodeWith(2_000);
  let turns = 0;
  let reading = true;
  const count = (): void => {
    turns++;
    if (reading) setImmediate(count);
  };
  setImmediate(count);
  const { signal } = new AbortController();
  const cursors = await take(rivuletWallet(client).subscribe({ signal }), 2_000);
  reading = false;
  expect(cursors).toEqual(Array.from({ length: 2_000 }, (_, i) => String(i + 1)));
  expect(turns).toBeGreaterThanOrEqual(20);
  // Nobody listens any more.
  expect(listeners.size).toBe(0);
});

test('a reader that is slower than events come misses none of the payments', async () => {
  const { client, receive } = nodeWith(1);
  const end = new AbortController();
  const payments = rivuletWallet(client).subscribe({ signal: end.signal })[Symbol.asyncIterator]();
  expect((await payments.next()).value).toMatchObject({ cursor: '1' });
  const second = payments.next();
  for (let i = 0; i < 3_000; i++) receive();
  const cursors = [(await second).value?.cursor];
  while (cursors.length < 3_000) cursors.push((await payments.next()).value?.cursor);
  expect(cursors).toEqual(Array.from({ length: 3_000 }, (_, i) => String(i + 2)));
  end.abort();
  expect(await payments.next()).toMatchObject({ done: true });
});

test('events end with the signal, and what the node refuses is what a client is told', async () => {
  const { client, listeners } = nodeWith(0);
  const end = new AbortController();
  const events = await client.events({ signal: end.signal });
  const next = events.next();
  end.abort();
  expect(await next).toMatchObject({ done: true });
  expect(listeners.size).toBe(0);
  const refused = client.invoices({ paymentHash: 'ab'.repeat(32) });
  await expect(refused).rejects.toBeInstanceOf(ClientError);
  await expect(refused).rejects.toMatchObject({ code: 'unknown_invoice', status: 422 });
});
