import { afterEach, expect, test } from 'vitest';
import { until } from '../driver/pair.test.support.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { TowerWorld } from './towerWorld.test.support.js';

let world: TowerWorld | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

/** What Bob has revoked since the tower was added is told or waits, without any gap. */
function expectNoGap({ client, pair }: TowerWorld): void {
  const { channelId, remoteCommit } = {
    ...pair.alice.node.channels[0]!.params,
    ...pair.alice.node.channels[0]!,
  };
  const { fromCommitment, coveredTo, queued } = client.list()[0]!.channels[0]!;
  const next = coveredTo === undefined ? fromCommitment : coveredTo + 1n;
  const waiting = pair.alice.store.memory.loadTowerStates({ channelId, from: next, limit: 1_000 });
  expect(waiting.map(({ commitmentNumber }) => commitmentNumber)).toEqual(
    Array.from({ length: queued }, (_, i) => next + BigInt(i)),
  );
  expect(next + BigInt(queued)).toBe(remoteCommit.number);
}

test.each([true, false])(
  'threat 26: wherever a node dies, no revoked state is lost to its towers (tower there: %s)',
  async (there) => {
    const scheduler = new ManualScheduler();
    world = await TowerWorld.start({ client: { scheduler, requestTimeoutMs: 1e12 } });
    await world.addTowers();
    const { port } = world.tower.server;
    await world.pay('bob', 20_000_000n);
    await world.told();
    if (!there) await world.tower.server.close();
    for (let transaction = 1; transaction <= 5; transaction++) {
      for (const how of ['before', 'after'] as const) {
        const { store } = world.pair.alice;
        store.dieAt(transaction, how);
        world.pair.pay(world.pair.bob, world.pair.alice, 2_000_000n).outcome.catch(() => {});
        world.pair.pay(world.pair.alice, world.pair.bob, 1_000_000n).outcome.catch(() => {});
        await until(() => store.dead, 'Alice has died');
        await world.pair.alice.node.stop();
        store.revive();
        await world.restartAlice();
        expectNoGap(world);
        await world.pair.connect();
        await world.pair.usable();
        await world.quiet();
        expectNoGap(world);
      }
    }
    if (!there) await world.tower.start(port);
    await until(() => {
      scheduler.advance(600_000);
      return world!.client.list()[0]!.state === 'watching';
    }, 'the tower knows all');
    const { coveredTo, revokedTo, fromCommitment } = world.client.list()[0]!.channels[0]!;
    expect(coveredTo).toBe(revokedTo);
    const [userId] = world.userIds;
    expect(BigInt(world.tower.store.locatorsOf(userId!, 10_000).length)).toBe(
      coveredTo! - fromCommitment + 1n,
    );
  },
  60_000,
);
