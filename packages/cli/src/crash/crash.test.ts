import type { Payment } from '@rivulet/sdk';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agree, Callers, nothingPending, only, sum, usable } from './callers.test.support.js';
import { CrashWorld } from './crashWorld.test.support.js';
import type { DaemonProcess } from './daemonProcess.test.support.js';

let world: CrashWorld;

beforeEach(async () => {
  world = await CrashWorld.create();
});

afterEach(() => world.close());

const capacitySat = 10_000_000n;
const pushSat = 4_000_000n;

async function openChannel(from: DaemonProcess, to: DaemonProcess): Promise<string> {
  const { channelId } = await from.client.openChannel({
    nodeId: to.nodeId,
    host: '127.0.0.1',
    port: to.port,
    capacitySat,
    pushSat,
  });
  await world.mine(6, [from, to]);
  await Promise.all([usable(from), usable(to)]);
  return channelId;
}

test('payments in flight both ways survive kill after kill, each paid once or not at all (threat 26)', {
  timeout: 180_000,
}, async () => {
  const spring = await world.daemon('spring');
  const lake = await world.daemon('lake');
  await world.fund(spring);
  const channelId = await openChannel(spring, lake);
  const callers = new Callers();

  // Killed after that many answers; alternating.
  const rounds = [3, 40, 1, 70, 0, 25];
  for (const [round, answers] of rounds.entries()) {
    const victim = round % 2 === 0 ? lake : spring;
    const before = callers.calls.length;
    const enough = callers.answered(answers);
    const pump = { on: true };
    const pumps = Array.from({ length: 25 }, () => [
      callers.keepPaying(spring, lake, pump),
      callers.keepPaying(lake, spring, pump),
    ]).flat();
    if (answers > 0) await enough;
    else await victim.until('it takes part', async () => (await victim.payments()).length > before);
    pump.on = false;
    expect(callers.calls.filter(({ outcome }) => outcome === 'under way').length).toBeGreaterThan(40);
    await victim.kill();
    await victim.start();
    // They find each other again by themselves, and every caller that still waits gets its answer.
    await Promise.all([usable(spring), usable(lake), ...pumps]);
    // Those that were cut off ask again with the same key, but for every third.
    const cutOff = callers.calls.slice(before).filter(({ outcome }) => outcome === 'unknown');
    await Promise.all(cutOff.filter((_, i) => i % 3 !== 0).map((call) => callers.attempt(call)));
    await Promise.all([nothingPending(spring), nothingPending(lake)]);
  }

  const [ofSpring, ofLake] = [await spring.payments(), await lake.payments()];
  agree(only(ofSpring, 'outgoing'), only(ofLake, 'incoming'));
  agree(only(ofLake, 'outgoing'), only(ofSpring, 'incoming'));
  for (const { from, to, key, amountMsat, outcome } of callers.calls) {
    const [sender, receiver] = from === spring ? [ofSpring, ofLake] : [ofLake, ofSpring];
    const arrived = only(receiver, 'incoming').filter((payment) => payment.amountMsat === amountMsat);
    const listed = only(sender, 'outgoing').find(({ idempotencyKey }) => idempotencyKey === key);
    const told = `${key} from ${from.name} to ${to.name}, told: ${JSON.stringify(outcome === 'failed' || outcome === 'unknown' ? outcome : 'succeeded')}`;
    if (outcome === 'failed') expect(arrived.length, told).toBe(0);
    else if (outcome === 'unknown') expect(arrived.length, told).toBe(listed?.status === 'succeeded' ? 1 : 0);
    else
      expect({ outcome, arrived: arrived.length }, told).toMatchObject({
        outcome: { status: 'succeeded' },
        arrived: 1,
      });
  }
  const succeeded = callers.calls.filter(({ outcome }) => typeof outcome === 'object');
  expect(succeeded.length).toBeGreaterThan(100);

  const springGave = sum(only(ofLake, 'incoming')) - sum(only(ofSpring, 'incoming'));
  const atSpring = await spring.channel(channelId);
  const atLake = await lake.channel(channelId);
  expect(atSpring).toMatchObject({ pendingHtlcs: 0 });
  expect(atSpring.localMsat).toBe((capacitySat - pushSat) * 1000n - springGave);
  expect(atLake.localMsat).toBe(pushSat * 1000n + springGave);
  expect(atSpring.remoteMsat).toBe(atLake.localMsat);
  expect(atLake.remoteMsat).toBe(atSpring.localMsat);

  // The channel still works, both ways, and a close pays both what they have.
  await callers.start(spring, lake);
  await callers.start(lake, spring);
  expect(callers.calls.slice(-2).map(({ outcome }) => (outcome as Payment).status)).toEqual([
    'succeeded',
    'succeeded',
  ]);
  const before = [await spring.client.balance(), await lake.client.balance()] as const;
  await spring.client.closeChannel({ channelId });
  for (const daemon of [spring, lake]) {
    await daemon.until(
      'the close is agreed',
      async () => (await daemon.channel(channelId)).closingTxidHex !== undefined,
    );
  }
  await world.mineUntil([spring, lake], async () => (await spring.channel(channelId)).state === 'closed');
  const after = [await spring.client.balance(), await lake.client.balance()] as const;
  const lost = before.map(({ onchain, channels }, i) => {
    const had = onchain.confirmedSat + onchain.unconfirmedSat + channels.localMsat / 1000n;
    return had - (after[i]?.onchain.confirmedSat ?? 0n);
  });
  // option_simple_close: there are two closing transactions, and whoever made the one that confirms pays for it.
  expect([...lost].sort()).toEqual([0n, expect.any(BigInt)]);
  expect(lost[0]! + lost[1]!).toBeGreaterThan(100n);
  expect(lost[0]! + lost[1]!).toBeLessThan(2_000n);
  for (const daemon of world.daemons)
    expect(daemon.log()).not.toMatch(/internal fault|"level":"?(50|60|error|fatal)/);
});
