import { bytesToHex } from '@rivulet/core/bytes';
import { examineSpend } from '@rivulet/core/monitor';
import { locatorOf } from '@rivulet/core/tower';
import { type Transaction, txid } from '@rivulet/core/tx';
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../driver/pair.test.support.js';
import { signersOf, TowerWorld } from './towerWorld.test.support.js';

let world: TowerWorld;
afterEach(() => world.stop());

/** Alice's money comes back, and Bob gets nothing of what he had in the state that he published. */
function expectPunished(bobHadSat: bigint): void {
  const gained = world.balanceSat(world.penaltyScript);
  expect(gained).toBeGreaterThan((bobHadSat * 9n) / 10n);
  expect(gained).toBeLessThan(bobHadSat);
}

const waiting = () => world.tower.server.status().waitingPenalties;

describe.each([true, false])('a tower, with anchors: %s', (anchors) => {
  test('takes all from a peer that cheats while its user is away', async () => {
    world = await TowerWorld.start({ anchors });
    await world.addTowers();
    await world.pay('bob', 100_000_000n);
    const old = world.bobsChannel;
    await world.pay('bob', 150_000_000n);
    await world.told();
    await world.stopAlice();
    world.pair.chain.broadcast(world.commitmentOf(old));
    await world.mine();
    expect(world.tower.server.status()).toMatchObject({ trackers: 1, waitingPenalties: 1 });
    await world.mine();
    expect(world.tower.server.status()).toMatchObject({ trackers: 1, waitingPenalties: 0 });
    expectPunished(200_000n);
    await world.restartAlice();
    await world.pair.mine(1);
    const { script } = world.pair.alice.node.wallet.newAddress();
    expect(bytesToHex(script)).not.toBe(bytesToHex(world.penaltyScript));
  });

  test('takes every HTLC of the revoked commitment as well', async () => {
    world = await TowerWorld.start({ anchors });
    await world.addTowers();
    const first = await world.hold(60_000_000n);
    const second = await world.hold(70_000_000n);
    const old = world.bobsChannel;
    await first.cancel();
    await second.cancel();
    await world.quiet();
    await world.told();
    await world.stopAlice();
    world.pair.chain.broadcast(world.commitmentOf(old));
    await world.mine(2);
    expect(world.tower.server.status()).toMatchObject({ trackers: 3, waitingPenalties: 0 });
    expectPunished(300_000n);
  });
});

test('what a cheater takes of one HTLC spoils no other penalty, and is taken from him in turn without anchors', async () => {
  world = await TowerWorld.start({ anchors: false });
  await world.addTowers();
  const first = await world.hold(60_000_000n);
  const second = await world.hold(70_000_000n);
  const old = world.bobsChannel;
  await first.cancel();
  await second.cancel();
  await world.quiet();
  await world.told();
  await world.stopAlice();
  const { chain } = world.pair;
  // The tower is away too, until one HTLC has expired and Bob has taken it.
  await world.tower.server.close();
  const commitment = world.commitmentOf(old);
  chain.broadcast(commitment);
  chain.mine();
  const signer = signersOf(2).of(old.params.channelKeyId);
  const { claims } = examineSpend({ channel: old, by: commitment, signer, archived: [] });
  const timeouts = claims.flatMap((claim) => (claim.how === 'transaction' ? [claim.complete()] : []));
  expect(timeouts).toHaveLength(2);
  chain.mine({ blocks: Math.max(...timeouts.map(({ lockTime }) => lockTime)) - chain.height });
  chain.broadcast(timeouts[0] as Transaction);
  chain.mine();
  await world.tower.start();
  await world.mine(1);
  // to_local, the other HTLC, and what Bob's own transaction paid to him.
  await world.mine(1);
  expect(waiting()).toBe(0);
  expectPunished(300_000n);
});

test('several towers watch at once, and one of them is enough', async () => {
  world = await TowerWorld.start({ towers: [{}, {}, {}] });
  await world.addTowers();
  await world.pay('bob', 100_000_000n);
  const old = world.bobsChannel;
  await world.pay('bob', 100_000_000n);
  await world.told();
  await world.stopAlice();
  const [one, two, three] = world.towers;
  // Two of three are away for good.
  await one!.server.close();
  await three!.server.close();
  world.towers.splice(0, 3, two!);
  world.pair.chain.broadcast(world.commitmentOf(old));
  await world.mine(2);
  expectPunished(200_000n);
});

test('several towers that answer the same cheat do not get into one another', async () => {
  world = await TowerWorld.start({ towers: [{}, {}] });
  await world.addTowers();
  const old = world.bobsChannel;
  await world.pay('bob', 100_000_000n);
  await world.told();
  await world.stopAlice();
  world.pair.chain.broadcast(world.commitmentOf(old));
  await world.mine(2);
  for (const { server } of world.towers) {
    expect(server.status()).toMatchObject({ trackers: 1, waitingPenalties: 0 });
  }
  expectPunished(300_000n);
});

test('a tower that was restarted knows what it was told, and finds what happened meanwhile', async () => {
  world = await TowerWorld.start();
  await world.addTowers();
  const old = world.bobsChannel;
  await world.pay('bob', 100_000_000n);
  await world.told();
  await world.stopAlice();
  await world.tower.restart();
  await world.tower.server.close();
  world.pair.chain.broadcast(world.commitmentOf(old));
  world.pair.chain.mine({ blocks: 3 });
  await world.tower.start();
  expect(waiting()).toBe(1);
  await world.tower.restart();
  await world.mine(1);
  expect(waiting()).toBe(0);
  expectPunished(300_000n);
});

test('a penalty that a reorganisation took is sent again, and so is one for a cheat that came back', async () => {
  world = await TowerWorld.start();
  await world.addTowers();
  const old = world.bobsChannel;
  await world.pay('bob', 100_000_000n);
  await world.told();
  await world.stopAlice();
  const { chain } = world.pair;
  const commitment = world.commitmentOf(old);
  chain.broadcast(commitment);
  await world.mine(2);
  expect(waiting()).toBe(0);
  // The penalty alone: its block is replaced by empty ones.
  chain.reorganise({ depth: 1, blocks: 2, transactions: 'none' });
  await world.tower.server.synced();
  expect(waiting()).toBe(1);
  await world.mine(1);
  expect(waiting()).toBe(0);
  // The cheat as well.
  chain.reorganise({ depth: 4, blocks: 5, transactions: 'none' });
  await world.tower.server.synced();
  expect(world.tower.server.status()).toMatchObject({ trackers: 0, appointments: expect.any(Number) });
  // Nodes that saw the block have its transactions in their mempools again.
  await world.mine(2);
  expect(world.tower.server.status().trackers).toBe(1);
  expect(waiting()).toBe(0);
  expectPunished(300_000n);
});

test('what is buried is forgotten, and its slots are free again', async () => {
  world = await TowerWorld.start({ towers: [{ limits: { slotsPerRegistration: 500 } }] });
  await world.addTowers();
  const old = world.bobsChannel;
  await world.pay('bob', 100_000_000n);
  await world.told();
  await world.stopAlice();
  world.pair.chain.broadcast(world.commitmentOf(old));
  await world.mine(2);
  const before = world.tower.server.status();
  const [tracker] = world.tower.store.loadTrackers();
  const user = () => world.tower.store.getUser(tracker!.userId)!.availableSlots;
  const slots = user();
  await world.mine(98);
  expect(world.tower.server.status()).toMatchObject({ trackers: 1, appointments: before.appointments });
  await world.mine(1);
  expect(world.tower.server.status()).toMatchObject({ trackers: 0, appointments: before.appointments - 1 });
  expect(user()).toBe(slots + 1);
});

test('an appointment that comes after what it answers is answered at once', async () => {
  world = await TowerWorld.start();
  await world.addTowers();
  await world.tower.server.close();
  const old = world.bobsChannel;
  await world.pay('bob', 100_000_000n);
  const { chain } = world.pair;
  await world.tower.start(Number(new URL(`http://${world.client.list()[0]!.url.slice(7)}`).port));
  await world.told();
  await world.stopAlice();
  const commitment = world.commitmentOf(old);
  chain.broadcast(commitment);
  const stored = world.tower.store.appointmentsAt(locatorOf(txid(commitment)))[0]!;
  world.tower.store.transaction((tx) => tx.deleteAppointment(stored));
  await world.mine(3);
  expect(waiting()).toBe(0);
  await world.resend(stored);
  await until(() => waiting() === 1, 'the tower knows');
  await world.mine(1);
  expect(waiting()).toBe(0);
  expectPunished(300_000n);
});
