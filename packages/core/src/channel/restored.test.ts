import { describe, expect, test } from 'vitest';
import { decodeChannel, encodeChannel } from './channelCodec.js';
import { resume } from './machine.js';
import { Bench, type MessageNamed, refusalOf, sentBy } from './model/bench.test.support.js';
import { isRestored, restoredChannel } from './restored.js';
import type { Step } from './step.js';

/** Bob has used the channel with Alice, who has lost all of it but a backup. */
function lostAfter(payments: number): Bench {
  const bench = new Bench();
  for (let i = 0; i < payments; i++) {
    bench.alice.add();
    bench.commit();
    bench.bob.settle(BigInt(i));
    bench.commit();
  }
  bench.disconnect();
  const { params, readiness } = bench.alice.channel;
  bench.alice.channel = restoredChannel({ params, fundingConfirmed: readiness.fundingConfirmed });
  for (const seat of [bench.alice, bench.bob]) seat.clear();
  return bench;
}

function published(made: Pick<Step, 'effects'>): number {
  return made.effects.filter(({ type }) => type === 'publish').length;
}

describe.each([0, 1, 3])('a channel that was restored from a backup after %i payments', (payments) => {
  test('tells the peer the lowest numbers, and the peer closes it with its commitment', () => {
    const bench = lostAfter(payments);
    const { alice, bob } = bench;
    bench.connect();
    const [reestablish] = bob.inbox as MessageNamed<'channel_reestablish'>[];
    expect(reestablish).toMatchObject({
      type: 'channel_reestablish',
      nextCommitmentNumber: 1n,
      nextRevocationNumber: 0n,
      yourLastPerCommitmentSecret: new Uint8Array(32),
      myCurrentPerCommitmentPoint: alice.signer.perCommitmentPoint(0n),
    });
    bench.deliverAll();
    expect(bob.channel.phase.name).toBe('failed');
    expect(published(bob)).toBe(1);
    expect(alice.channel.phase.name).toBe('stale');
    expect(published(alice)).toBe(0);
  });
});

describe('a channel that was restored from a backup', () => {
  test('asks the peer to close at each reconnection', () => {
    const bench = lostAfter(2);
    const { alice, bob } = bench;
    for (let i = 0; i < 2; i++) {
      const beforeBob = bob.channel;
      bench.connect();
      const [theirs] = alice.inbox.splice(0);
      bob.inbox.splice(0);
      expect(theirs?.type).toBe('channel_reestablish');
      const made = alice.do({ type: 'message', message: theirs as MessageNamed<'channel_reestablish'> });
      expect([sentBy(made), made.channel.phase.name]).toEqual([['error'], 'stale']);
      bob.inbox.splice(0);
      bench.disconnect();
      bob.channel = { ...beforeBob, link: 'offline' };
    }
  });

  test('publishes nothing, whatever comes', () => {
    const { alice } = lostAfter(2);
    const { channelId } = alice.channel.params;
    expect(refusalOf(alice.do({ type: 'forceClose' }))).toBe('data_lost');
    alice.do({ type: 'message', message: { type: 'error', channelId, data: new Uint8Array(3) } });
    alice.setHeight(2_000_000);
    alice.do({ type: 'close', script: new Uint8Array(22) });
    alice.do({ type: 'fundingUnconfirmed' });
    alice.do({ type: 'fundingConfirmed', height: 900_000, index: 3 });
    alice.do({ type: 'sign' });
    expect(published(alice)).toBe(0);
    expect(published(resume(alice.channel, alice.context))).toBe(0);
    expect(alice.channel.phase.name).toBe('stale');
  });

  test('is what it was when its close is reorganised away', () => {
    const { alice } = lostAfter(1);
    const by = { version: 2, lockTime: 0, inputs: [], outputs: [] };
    alice.do({ type: 'fundingSpent', by });
    const made = alice.do({ type: 'fundingUnspent' });
    expect([made.channel.phase.name, published(alice), isRestored(made.channel)]).toEqual(['stale', 0, true]);
  });

  test('is stored and read like any other, and known again', () => {
    const { alice, bob } = lostAfter(1);
    const read = decodeChannel(encodeChannel(alice.channel), () => undefined);
    expect(read).toEqual(alice.channel);
    expect([isRestored(read), isRestored(bob.channel)]).toEqual([true, false]);
    expect(isRestored({ ...bob.channel, dataLost: true })).toBe(false);
  });
});
