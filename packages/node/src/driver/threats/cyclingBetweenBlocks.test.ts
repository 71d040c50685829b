import { buildSweep, type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { afterEach, expect, test } from 'vitest';
import { type Scheduler, systemScheduler } from '../../peers/index.js';
import { until } from '../pair.test.support.js';
import { Trio } from '../trio.test.support.js';
import { claimOfLake, commitmentOfLake, heldPayment, mineFor } from './hostileLake.test.support.js';

let trio: Trio | undefined;
afterEach(async () => {
  await trio?.stop();
  trio = undefined;
});

/** A quarter of a minute passes when the test says so; all else goes on by itself. */
class QuarterMinutes implements Scheduler {
  #due = new Set<() => void>();

  now(): number {
    return systemScheduler.now();
  }

  schedule(delayMs: number, run: () => void): () => void {
    if (delayMs !== 15_000) return systemScheduler.schedule(delayMs, run);
    const one = () => run();
    this.#due.add(one);
    return () => this.#due.delete(one);
  }

  pass(): void {
    const due = this.#due;
    this.#due = new Set();
    for (const run of due) run();
  }
}

test('threat 7: a preimage that is in the mempool between two blocks alone is the payer’s', async () => {
  const time = new QuarterMinutes();
  trio = await Trio.withChannels({ settings: { brook: { scheduler: time } } });
  const made = trio;
  const { chain, brook, lake } = made;
  const { paymentHash, preimage } = await heldPayment(made, 50_000_000n);
  const channel = made.channel('lake', 'brook');
  const [htlc] = made.channel('brook', 'lake').htlcs.direction('offered');
  const by = commitmentOfLake(channel);
  const feeInputs = lake.node.wallet.feeInputs().slice(0, 1);
  const script = lake.node.wallet.newAddress().script;
  const away = buildSweep({ inputs: feeInputs, script, feeratePerKw: 600_000 })!.tx;
  const claim = claimOfLake(made, { channel, by, preimage, feeratePerKw: 200_000 });
  await made.stopNode('lake');
  chain.broadcast(by);
  await mineFor(made, ['spring', 'brook'], 1);
  while (chain.height < htlc!.cltvExpiry) {
    chain.mine({ transactions: 'none' });
    await until(() => brook.node.blockHeight === chain.height, 'the block is seen');
  }
  const isThere = (tx: Transaction) => chain.mempool.get(txidToHex(txid(tx))) !== undefined;
  const timeout = () => chain.mempool.entries().find(({ tx }) => tx.lockTime === htlc!.cltvExpiry)?.tx;
  await until(() => timeout() !== undefined, 'brook takes it back');

  // For a moment, while brook does not look, and again.
  const { height } = chain;
  chain.broadcast(claim);
  expect([isThere(claim), timeout()]).toEqual([true, undefined]);
  const isSeen = () => {
    time.pass();
    return brook.node.storage.loadForwards().length === 0;
  };
  await until(isSeen, 'brook has seen the preimage');
  chain.broadcast(away);
  expect([isThere(away), isThere(claim)]).toEqual([true, false]);
  expect(chain.height).toBe(height);
  const paid = () => made.spring.node.storage.getOutgoingPayment(paymentHash)?.status;
  await until(() => paid() === 'succeeded', 'spring has paid');
  expect(made.channel('brook', 'spring').phase.name).toBe('open');
  await made.startAgain('lake');
});
