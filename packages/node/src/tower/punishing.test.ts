import { afterEach, describe, expect, test } from 'vitest';
import { TowerWorld } from './towerWorld.test.support.js';

let world: TowerWorld;
afterEach(() => world.stop());

describe.each([true, false])('a tower, with anchors: %s', (anchors) => {
  test('takes all from a peer that cheats while its user is away', async () => {
    world = await TowerWorld.start({ anchors });
    await world.addTowers();
    await world.pay('bob', 100_000_000n);
    const old = world.bobsChannel;
    await world.pay('bob', 150_000_000n);
    await world.told();
    await world.stopAlice();
    const commitment = world.commitmentOf(old);
    world.pair.chain.broadcast(commitment);
    await world.mine();
    expect(world.tower.server.status()).toMatchObject({ trackers: 1, waitingPenalties: 1 });
    await world.mine();
    expect(world.tower.server.status()).toMatchObject({ trackers: 1, waitingPenalties: 0 });
    // Bob had 200,000 sat in that state, of which nothing is left to him.
    const gained = world.balanceSat(world.penaltyScript);
    expect(gained).toBeGreaterThan(190_000n);
    expect(gained).toBeLessThan(200_000n);
    await world.restartAlice();
    await world.pair.mine(1);
    expect(world.pair.alice.node.wallet.balance().confirmedSat).toBeGreaterThan(990_000n);
  });
});
