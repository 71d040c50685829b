import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from './pair.test.support.js';
import { type Place, places, Trio } from './trio.test.support.js';

/** More than the turns that one payment takes at any of the nodes. */
const mostTransactions = 40;
const amountMsat = 2_000_000n;
const feeMsat = 1_200n;
/** Lake takes no less than 1,500 sat. */
const tooLittleMsat = 1_000_000n;
const lake = { policy: { receive: { acceptKeysend: true, minAmountMsat: 1_500_000n } } };

/**
 * Threat 26: at each of its transactions in turn a node dies while a payment passes; once just before it is
 * stored, once when it is stored and nothing of it was let out. The nodes start again from what is stored.
 */
describe.each(places)('threat 26: %s dies at any of its transactions', (dying) => {
  let trio: Trio;
  beforeAll(async () => {
    trio = await Trio.withChannels({ settings: { lake } });
  });
  afterAll(() => trio.stop());

  const how = ['before', 'after'] as const;
  test.each(how)('%s it is stored, and a payment that arrives is made once or not at all', async (when) => {
    await dieEverywhere(trio, { dying, when, refused: false });
  });

  test.each(how)('%s it is stored, and a payment that is refused comes back once', async (when) => {
    await dieEverywhere(trio, { dying, when, refused: true });
  });
});

async function dieEverywhere(
  trio: Trio,
  { dying, when, refused }: { dying: Place; when: 'before' | 'after'; refused: boolean },
): Promise<void> {
  let survived = false;
  let k = 0;
  while (!survived) {
    k++;
    if (k > mostTransactions) throw new Error('the payment takes more transactions than that');
    survived = await dieOnce(trio, { dying, when, refused, k });
  }
  // It did die, at several points.
  expect(k).toBeGreaterThan(2);
}

/** Whether the payment was over before the node came to its transaction. */
async function dieOnce(
  trio: Trio,
  { dying, when, refused, k }: { dying: Place; when: 'before' | 'after'; refused: boolean; k: number },
): Promise<boolean> {
  const before = {
    total: trio.totalMsat,
    forwarded: trio.forwarded,
    spring: trio.balance('spring'),
    brook: trio.balance('brook'),
    lake: trio.balance('lake'),
    received: trio.lake.node.storage.listPayments().payments.length,
  };
  const { store } = trio[dying];
  store.dieAt(k, when);
  const sent = trio.pay('lake', refused ? tooLittleMsat : amountMsat);
  let over = false;
  sent.outcome.then(
    () => {
      over = true;
    },
    () => {
      over = true;
    },
  );
  const isQuiet = () => trio.nodes.every(({ channels }) => channels.every(({ htlcs }) => htlcs.size === 0));
  await until(() => store.dead || (over && isQuiet()), 'the node dies, or the payment is over');
  const survived = !store.dead;
  await trio.restart(dying);
  await trio.heal();
  await trio.settled();

  const { storage } = trio.spring.node;
  await until(() => storage.loadSendings().length === 0, 'the payment is over');
  const payment = storage.getOutgoingPayment(sent.paymentHash);
  const name = `${dying} ${when} ${k}`;
  const paid = payment?.status === 'succeeded';
  if (refused) expect(payment?.status ?? 'failed', name).toBe('failed');
  // It is made, or came back as a node was away, or was never begun.
  expect(['succeeded', 'failed', undefined], name).toContain(payment?.status);
  if (survived) expect(payment?.status, name).toBe(refused ? 'failed' : 'succeeded');
  expect(trio.totalMsat, name).toBe(before.total);
  const gone = (place: Place) => before[place] - trio.balance(place);
  expect([gone('spring'), gone('brook'), gone('lake')], name).toEqual(
    paid ? [amountMsat + feeMsat, -feeMsat, -amountMsat] : [0n, 0n, 0n],
  );
  expect(trio.lake.node.storage.listPayments().payments.length - before.received, name).toBe(paid ? 1 : 0);
  expect(trio.brook.node.storage.loadForwards(), name).toEqual([]);
  expect(trio.brook.node.payments.forwarder.pending, name).toBe(0);
  const after = trio.forwarded;
  expect(after.settledCount - before.forwarded.settledCount, name).toBe(paid ? 1 : 0);
  expect(after.feeMsat - before.forwarded.feeMsat, name).toBe(paid ? feeMsat : 0n);
  if (payment === undefined) expect(after.failedCount, name).toBe(before.forwarded.failedCount);
  for (const node of trio.nodes) {
    expect(node.turns.stopped.size, name).toBe(0);
    expect(
      node.channels.map(({ phase }) => phase.name),
      name,
    ).toEqual(node.channels.map(() => 'open'));
  }
  return survived;
}
