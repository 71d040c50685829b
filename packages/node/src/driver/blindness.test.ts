import { afterEach, expect, test } from 'vitest';
import { Pair, until } from './pair.test.support.js';

let pair: Pair;
afterEach(() => pair.stop());

const hourMs = 3_600_000;

test('a node that has not seen the chain for hours begins no HTLC; a shorter outage stops nothing', async () => {
  let nowMs = 1_700_000_000_000;
  pair = await Pair.start({ settings: { now: () => nowMs } });
  await pair.open();
  await pair.mine(6);
  await pair.usable();
  const { alice, bob } = pair;
  await pair.pay(alice, bob, 50_000_000n).outcome;
  const { backend } = alice.node;
  const before = { ...backend };
  const fails = () => Promise.reject(new Error('no connection'));
  Object.assign(backend, { getTip: fails, getBlock: fails, getBlockHash: fails });
  pair.chain.mine();
  await until(() => !alice.node.synced, 'the outage is noticed');
  nowMs += hourMs;
  await pair.pay(alice, bob).outcome;
  await pair.pay(bob, alice).outcome;
  nowMs += hourMs;
  await expect(pair.pay(alice, bob).outcome).rejects.toMatchObject({ code: 'not_accepting' });
  await expect(pair.pay(bob, alice).outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
  Object.assign(backend, before);
  pair.chain.mine();
  await until(() => alice.node.synced, 'the chain is seen again');
  await pair.pay(alice, bob).outcome;
  await pair.pay(bob, alice).outcome;
});
