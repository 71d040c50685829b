import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import type { PolicyVerdict } from '@rivulet/keysend/policy';
import { afterEach, describe, expect, test } from 'vitest';
import { type Scheduler, systemScheduler } from '../peers/index.js';
import { ManualScheduler } from '../peers/testing/manualScheduler.js';
import { Pair, startNode, type TestSettings, until } from './pair.test.support.js';
import type { KeysendPolicyPort, WaitingKeysend } from './payments/receiver.js';

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.stop();
  pair = undefined;
});

const amountMsat = 2_000_000n;
const records = new Map([[7629169n, utf8ToBytes('{"action":"boost"}')]]);

type Judge = KeysendPolicyPort['judge'];

/** Two nodes with a channel; bob asks `judge`. */
async function judged(judge: Judge, settings: Omit<TestSettings, 'admission'> = {}): Promise<Pair> {
  const made = await Pair.withChannel();
  await restartBob(made, judge, settings);
  return made;
}

async function restartBob(made: Pair, judge: Judge, settings: Omit<TestSettings, 'admission'> = {}) {
  const { node, store } = made.bob;
  await node.stop();
  const admission = { accepting: true, whyNoChannels: undefined, keysendPolicy: { judge } };
  made.bob = await startNode(made.chain, { seed: 2, store, settings: { ...settings, admission } });
  await made.caughtUp();
  await made.connect();
  await made.usable();
}

function keysend(made: Pair, preimage?: Uint8Array, more: { amountMsat?: bigint } = {}) {
  return made.alice.node.payments.outgoing.keysend({
    destination: hexToBytes(made.bob.node.nodeId),
    amountMsat,
    customRecords: records,
    ...(preimage === undefined ? {} : { preimage }),
    ...more,
  });
}

const received = (made: Pair) => made.bob.node.storage.listPayments({ direction: 'incoming' }).payments;

describe('a keysend whose receiver has a policy', () => {
  test('is judged once, by what it is, and settled when that is good', async () => {
    const seen: unknown[] = [];
    pair = await judged((payment) => {
      seen.push(payment);
      return { action: 'accept' };
    });
    const { outcome, paymentHash } = keysend(pair);
    expect((await outcome).status).toBe('succeeded');
    const [channel] = pair.bob.node.channels;
    expect(seen).toEqual([
      {
        paymentHash: bytesToHex(paymentHash),
        amountMsat,
        records,
        channelId: bytesToHex(channel!.params.channelId),
        nowMs: expect.any(Number),
      },
    ]);
    expect(received(pair)).toMatchObject([{ amountMsat }]);
  });

  test('goes back when it is refused, nothing of it is kept, and it may come again', async () => {
    let verdict: PolicyVerdict = { action: 'refuse', rule: 'minimum' };
    pair = await judged(() => verdict);
    const preimage = new Uint8Array(32).fill(0x31);
    await expect(keysend(pair, preimage).outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
    expect(received(pair)).toEqual([]);
    expect(pair.bob.node.storage.hasSeenHash(sha256(preimage))).toBe(false);
    expect(pair.bob.node.storage.listValues('held-keysend/')).toEqual([]);
    verdict = { action: 'accept' };
    expect((await keysend(pair, preimage).outcome).status).toBe('succeeded');
    expect(received(pair)).toHaveLength(1);
  });

  test('is refused without a question where no keysends are taken', async () => {
    let asked = 0;
    const judge: Judge = () => {
      asked++;
      return { action: 'accept' };
    };
    pair = await judged(judge, { policy: { receive: { acceptKeysend: false, minAmountMsat: 1n } } });
    await expect(keysend(pair).outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
    expect(asked).toBe(0);
    expect(received(pair)).toEqual([]);
  });

  test('is refused by a policy that throws, and the next one is judged again', async () => {
    let fails = true;
    pair = await judged(() => {
      if (fails) throw new Error('a fault');
      return { action: 'accept' };
    });
    await expect(keysend(pair).outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
    fails = false;
    expect((await keysend(pair).outcome).status).toBe('succeeded');
  });
});

describe('a keysend that is held', () => {
  const hold =
    (untilMs = 9_000_000_000_000): Judge =>
    () => ({ action: 'hold', rule: 'large', untilMs });

  async function held(made: Pair) {
    const told: WaitingKeysend[] = [];
    made.bob.node.on('keysendHeld', (keysend) => told.push(keysend));
    const sent = keysend(made);
    sent.outcome.catch(() => {});
    await until(() => told.length > 0, 'it is held');
    expect(told).toMatchObject([{ paymentHash: sent.paymentHash, amountMsat, rule: 'large' }]);
    expect(told[0]?.customRecords).toEqual(records);
    return sent;
  }

  test('waits for its receiver, who takes it', async () => {
    pair = await judged(hold());
    const { outcome, paymentHash } = await held(pair);
    expect(received(pair)).toEqual([]);
    const { receiver } = pair.bob.node.payments;
    expect(receiver.waitingKeysends()).toMatchObject([{ paymentHash, amountMsat, rule: 'large' }]);
    await receiver.decideKeysend(paymentHash, { accept: true });
    expect((await outcome).status).toBe('succeeded');
    expect(received(pair)).toMatchObject([{ paymentHash, amountMsat }]);
    expect(receiver.waitingKeysends()).toEqual([]);
    await expect(receiver.decideKeysend(paymentHash, { accept: false })).rejects.toThrow(/no keysend/);
  });

  test('goes back when its receiver does not want it', async () => {
    pair = await judged(hold());
    const { outcome, paymentHash } = await held(pair);
    await pair.bob.node.payments.receiver.decideKeysend(paymentHash, { accept: false });
    await expect(outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
    expect(received(pair)).toEqual([]);
    expect(pair.bob.node.storage.listValues('held-keysend/')).toEqual([]);
  });

  test('goes back at its deadline', async () => {
    const manual = new ManualScheduler();
    // What the connection needs comes by itself; the deadline is waited for by hand.
    const scheduler: Scheduler = {
      now: () => systemScheduler.now(),
      schedule: (delayMs, run) =>
        delayMs === 60_000 ? manual.schedule(delayMs, run) : systemScheduler.schedule(delayMs, run),
    };
    const startMs = 1_800_000_000_000;
    pair = await judged(() => ({ action: 'hold', rule: 'large', untilMs: startMs + 60_000 }), {
      scheduler,
      now: () => startMs + manual.now(),
    });
    const { outcome, paymentHash } = await held(pair);
    manual.advance(59_000);
    expect(pair.bob.node.payments.receiver.waitingKeysends()).toHaveLength(1);
    manual.advance(2_000);
    await expect(outcome).rejects.toMatchObject({ code: 'refused_by_destination' });
    expect(received(pair)).toEqual([]);
    await expect(
      pair.bob.node.payments.receiver.decideKeysend(paymentHash, { accept: true }),
    ).rejects.toThrow(/no keysend/);
  });

  test('is held as before after a restart, whatever the policy says then, and can be taken', async () => {
    pair = await judged(hold());
    const { outcome, paymentHash } = await held(pair);
    await restartBob(pair, () => ({ action: 'refuse', rule: 'minimum' }));
    const { receiver } = pair.bob.node.payments;
    await until(() => receiver.waitingKeysends().length === 1, 'it is here again');
    expect(receiver.waitingKeysends()).toMatchObject([
      { paymentHash, rule: 'large', untilMs: 9_000_000_000_000 },
    ]);
    await receiver.decideKeysend(paymentHash, { accept: true });
    expect((await outcome).status).toBe('succeeded');
  });

  test('whose decision cannot be stored waits on', async () => {
    pair = await judged(hold());
    const { outcome, paymentHash } = await held(pair);
    const { store, node } = pair.bob;
    store.full = 'after';
    await expect(node.payments.receiver.decideKeysend(paymentHash, { accept: true })).rejects.toMatchObject({
      code: 'not_stored',
    });
    store.full = 'no';
    expect(received(pair)).toEqual([]);
    await until(() => node.payments.receiver.waitingKeysends().length === 1, 'it is held still');
    await pair.connect();
    await pair.usable();
    await node.payments.receiver.decideKeysend(paymentHash, { accept: true });
    expect((await outcome).status).toBe('succeeded');
    expect(received(pair)).toHaveLength(1);
  });
});
