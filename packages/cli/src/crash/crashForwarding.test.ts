import { type ChannelInfo, ClientError, type Payment } from '@rivulet/sdk';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agree, Callers, nothingPending, only, usable } from './callers.test.support.js';
import { CrashWorld } from './crashWorld.test.support.js';
import type { DaemonProcess } from './daemonProcess.test.support.js';

let world: CrashWorld;
let spring: DaemonProcess;
let brook: DaemonProcess;
let lake: DaemonProcess;

/** spring - brook - lake: an announced channel between the last two, a private one between the first. */
beforeEach(async () => {
  world = await CrashWorld.create();
  [spring, brook, lake] = [
    await world.daemon('spring'),
    await world.daemon('brook'),
    await world.daemon('lake'),
  ];
  await world.fund(brook);
  await world.fund(spring);
  await open(brook, lake, true);
  await Promise.all([usable(brook), usable(lake)]);
  // spring hears of the channel behind brook when it connects.
  await open(spring, brook, false);
  await allUsable();
  await spring.until('it knows a way to lake', async (client) => {
    const { channels } = await client.network();
    // No event tells of gossip: another block does for one.
    if (channels === 0) world.regtest.chain.mine({ blocks: 1 });
    return channels === 1;
  });
});

afterEach(() => world.close());

const capacitySat = 10_000_000n;
const pushSat = 5_000_000n;

async function open(from: DaemonProcess, to: DaemonProcess, announce: boolean): Promise<void> {
  const address = { nodeId: to.nodeId, host: '127.0.0.1', port: to.port };
  await from.client.openChannel({ ...address, capacitySat, pushSat, announce });
  await world.mine(6, [from, to]);
}

async function connect(from: DaemonProcess, to: DaemonProcess): Promise<void> {
  await from.client
    .connect({ nodeId: to.nodeId, host: '127.0.0.1', port: to.port })
    // The other one was quicker.
    .catch((error: unknown) => expect(error).toBeInstanceOf(ClientError));
}

async function allUsable(): Promise<void> {
  await Promise.all([usable(spring), usable(brook, 2), usable(lake)]);
}

async function allOver(): Promise<void> {
  await Promise.all([nothingPending(spring), nothingPending(lake)]);
  for (const daemon of [spring, brook, lake]) {
    await daemon.until('no HTLC is left', async (client) =>
      (await client.channels()).channels.every(({ pendingHtlcs }) => pendingHtlcs === 0),
    );
  }
}

async function channelsOf(daemon: DaemonProcess): Promise<readonly ChannelInfo[]> {
  return (await daemon.client.channels()).channels;
}

const localMsat = (channels: readonly ChannelInfo[]) =>
  channels.reduce((total, channel) => total + channel.localMsat, 0n);

test('the middle of three nodes is killed again and again with payments in flight both ways: each is paid once or not at all, and it has lost nothing (threat 26)', {
  timeout: 240_000,
}, async () => {
  const callers = new Callers();
  const before = await Promise.all([spring, brook, lake].map(channelsOf));

  // Killed after that many answers.
  const rounds: readonly [answers: number, victims: readonly DaemonProcess[]][] = [
    [10, [brook]],
    [40, [brook]],
    [3, [brook]],
    [25, [brook, lake]],
    [15, [spring, brook]],
  ];
  for (const [answers, victims] of rounds) {
    const first = callers.calls.length;
    const enough = callers.answered(answers);
    const pump = { on: true };
    const pumps = Array.from({ length: 12 }, () => [
      callers.keepPaying(spring, lake, pump),
      callers.keepPayingInvoices(lake, spring, pump),
    ]).flat();
    await enough;
    pump.on = false;
    expect(callers.calls.filter(({ outcome }) => outcome === 'under way').length).toBeGreaterThan(10);
    await Promise.all(victims.map((victim) => victim.kill()));
    await Promise.all(victims.map((victim) => victim.start()));
    // They would find each other by themselves, ever more slowly with each of these short connections.
    await connect(spring, brook);
    await connect(brook, lake);
    await Promise.all([allUsable(), ...pumps]);
    // Those that were cut off ask again, with the same key or the same invoice.
    const cutOff = callers.calls.slice(first).filter(({ outcome }) => outcome === 'unknown');
    await Promise.all(cutOff.map((call) => callers.attempt(call)));
    await allOver();
  }

  const [ofSpring, ofLake] = [await spring.payments(), await lake.payments()];
  agree(only(ofSpring, 'outgoing'), only(ofLake, 'incoming'));
  agree(only(ofLake, 'outgoing'), only(ofSpring, 'incoming'));
  for (const { to, key, amountMsat, outcome } of callers.calls) {
    const received = only(to === lake ? ofLake : ofSpring, 'incoming');
    const arrived = received.filter((payment) => payment.amountMsat === amountMsat).length;
    const told = typeof outcome === 'string' ? outcome : outcome.status;
    expect({ key, told, arrived }).toEqual({
      key,
      told: expect.stringMatching(/^(failed|succeeded)$/),
      arrived: told === 'succeeded' ? 1 : 0,
    });
  }
  const paid = callers.calls.flatMap(({ outcome }) =>
    typeof outcome === 'object' && outcome.status === 'succeeded' ? [outcome] : [],
  );
  expect(paid.length).toBeGreaterThan(60);

  // What the payers paid for it is what brook has counted, and what it has more than before.
  const after = await Promise.all([spring, brook, lake].map(channelsOf));
  const gained = after.map((channels, i) => localMsat(channels) - localMsat(before[i] ?? []));
  const fees = (payments: readonly Payment[]) =>
    payments
      .filter(({ status }) => status === 'succeeded')
      .reduce((total, { feeMsat }) => total + feeMsat, 0n);
  const feesMsat = fees(only(ofSpring, 'outgoing')) + fees(only(ofLake, 'outgoing'));
  const { feeMsat, settled, pending } = await brook.client.forwards();
  expect({ earned: gained[1], counted: feeMsat, settled, pending }).toEqual({
    earned: feesMsat,
    counted: feesMsat,
    settled: paid.length,
    pending: 0,
  });
  expect(gained.reduce((total, oneMsat) => total + oneMsat, 0n)).toBe(0n);
  for (const { localMsat, remoteMsat } of after.flat())
    expect(localMsat + remoteMsat).toBe(capacitySat * 1000n);

  // It still works, both ways.
  await callers.start(spring, lake);
  await callers.startInvoice(lake, spring);
  expect(callers.calls.slice(-2).map(({ outcome }) => (outcome as Payment).status)).toEqual([
    'succeeded',
    'succeeded',
  ]);
  for (const daemon of world.daemons)
    expect(daemon.log()).not.toMatch(/internal fault|"level":"?(50|60|error|fatal)/);
});
