import { txid, weight } from '@rivulet/core/tx';
import { afterEach, expect, test } from 'vitest';
import { RigWallet } from '../onchain/testing/closeRig.js';
import type { TowerServerOptions } from './server/towerServer.js';
import { TowerWorld } from './towerWorld.test.support.js';

let world: TowerWorld;
afterEach(() => world.stop());

/** Bob has cheated, Alice is away, and the tower has seen it in the last block. */
async function cheated(
  wallet?: (world: TowerWorld) => RigWallet,
  options: Partial<TowerServerOptions> = {},
): Promise<RigWallet | undefined> {
  world = await TowerWorld.start({ towers: [] });
  const made = wallet?.(world);
  if (made !== undefined) world.pair.chain.mine({ blocks: 2, script: made.feeScript });
  world.pair.chain.mine({ blocks: 100 });
  await world.pair.caughtUp();
  await world.startTower({ ...options, ...(made === undefined ? {} : { wallet: made }) });
  await world.addTowers();
  const old = world.bobsChannel;
  await world.pay('bob', 100_000_000n);
  await world.told();
  await world.stopAlice();
  // Since the penalty was signed fees have risen beyond what it pays.
  world.pair.chain.feeratePerKw = 30_000;
  world.pair.chain.broadcast(world.commitmentOf(old));
  await world.mine();
  return made;
}

const pending = () => [...world.pair.chain.mempool.entries()];

test('a penalty that was not mined with the next block gets a child that pays for both', async () => {
  const wallet = (await cheated(({ pair }) => new RigWallet(pair.chain, 7)))!;
  expect(pending()).toHaveLength(1);
  await world.mineEmpty();
  const [penalty, child] = pending().map(({ tx }) => tx);
  expect(child!.inputs[0]!.outpoint).toEqual({ txid: txid(penalty!), index: 1 });
  expect(child!.inputs[0]!.witness).toEqual([]);
  const [parentEntry, childEntry] = pending();
  const feerate =
    (Number(parentEntry!.feeSat + childEntry!.feeSat) * 1000) / (weight(penalty!) + weight(child!));
  expect(feerate).toBeGreaterThanOrEqual(30_000);
  // It rises with every block that did not help.
  await world.mineEmpty();
  expect(pending()).toHaveLength(2);
  expect(pending()[1]!.feeSat).toBeGreaterThan(childEntry!.feeSat);
  await world.mine();
  expect(world.tower.server.status().waitingPenalties).toBe(0);
  expect(wallet.receivedSat).toBeGreaterThan(0n);
});

test('without a wallet, or without money in it, the penalty is sent again and again all the same', async () => {
  const wallet = (await cheated(({ pair }) => new RigWallet(pair.chain, 8)))!;
  wallet.poor = true;
  await world.mineEmpty();
  await world.mineEmpty();
  expect(pending()).toHaveLength(1);
  await world.mine();
  expect(world.tower.server.status().waitingPenalties).toBe(0);
});

test('what children cost in a day is bounded: whoever may register decides what they pay for', async () => {
  const limits = { feeBudgetSat: 1_000n };
  await cheated(({ pair }) => new RigWallet(pair.chain, 7), { limits });
  await world.mineEmpty();
  await world.mineEmpty();
  expect(pending()).toHaveLength(1);
});
