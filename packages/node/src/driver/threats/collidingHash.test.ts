import { bytesToHex } from '@rivulet/core/bytes';
import { decodeInvoice } from '@rivulet/core/invoice';
import { encodeTransaction } from '@rivulet/core/tx';
import { afterEach, expect, test } from 'vitest';
import { until } from '../pair.test.support.js';
import { pause, Trio } from '../trio.test.support.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

const amountMsat = 50_000_000n;
const feeMsat = 6_000n;

/** CVE-2020-26896: who probes by a payment through us must not learn the preimage of one that is meant for us. */
test.each(['spring', 'brook'] as const)(
  'threat 3: an HTLC that passes, of the hash and amount of our invoice, gets no preimage (closed by %s)',
  async (by) => {
    trio = await Trio.withChannels();
    const made = trio;
    const { spring, brook, lake, chain } = made;
    const expected = await brook.node.payments.invoices.create({
      amountMsat: amountMsat + feeMsat,
      description: 'brook is to be paid',
    });
    // Lake asks for a payment of the same hash, so that what reaches brook has the same amount as well.
    const { paymentHash } = expected;
    const probe = await lake.node.payments.invoices.create({
      amountMsat,
      description: 'a probe',
      hold: true,
      paymentHash,
    });
    spring.node.payments.outgoing
      .payInvoice({ invoice: decodeInvoice(probe.bolt11) })
      .outcome.catch(() => {});
    await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'lake holds it');
    const [htlc] = made.channel('brook', 'spring').htlcs.direction('received');
    expect(htlc).toMatchObject({ amountMsat: expected.amountMsat!, paymentHash });

    const other = by === 'spring' ? 'brook' : 'spring';
    const closed = made.channel(by, other);
    await made[by].node.closeChannel({ key: made.key(by, other), force: true });
    await until(() => made.isSpent(closed), 'the commitment is published');
    const seen: string[] = [];
    const look = () => {
      const waiting = chain.mempool.entries().map(({ tx }) => tx);
      const mined = chain.blockAt(chain.height)!.transactions.map(({ tx }) => tx);
      for (const tx of [...waiting, ...mined]) seen.push(bytesToHex(encodeTransaction(tx)));
    };
    while (chain.height < htlc!.cltvExpiry + 8) {
      look();
      await made.mine(1);
      await pause();
      if (chain.height === htlc!.cltvExpiry - 20) await made.restart('brook');
    }
    look();
    // What else is in it: the commitment, and what spring takes back.
    expect(seen.some((hex) => hex.includes(bytesToHex(expected.preimage!)))).toBe(false);
    expect(brook.store.memory.getInvoice(paymentHash)).toMatchObject({ state: 'open' });
    expect(brook.store.memory.listPayments().payments).toEqual([]);
  },
);
