import { describe, expect, test } from 'vitest';
import type { ChannelReestablish } from '../wire/index.js';
import type { Channel } from './channel.js';
import { completeLocalCommitment } from './commitments.js';
import { resume, step } from './machine.js';
import { Bench, protocolErrorOf, refusalOf, type Seat, sentBy } from './model/bench.test.support.js';
import { preimageOf } from './model/setup.test.support.js';
import type { ChannelMessage, Step } from './step.js';

const sides = ['alice', 'bob'] as const;
type SideName = (typeof sides)[number];
const otherOf = { alice: 'bob', bob: 'alice' } as const;

/** Cuts the connection, and what each side sends once it has the other's channel_reestablish. */
function reconnect(bench: Bench): Record<SideName, string[]> {
  bench.disconnect();
  bench.connect();
  const resent = {} as Record<SideName, string[]>;
  for (const side of sides) {
    const [reestablish] = bench[side].inbox.splice(0, 1);
    resent[side] = sentBy(bench[side].do({ type: 'message', message: reestablish as ChannelMessage }));
  }
  return resent;
}

function commitments(types: readonly string[]): string[] {
  return types.filter((type) => type === 'commitment_signed' || type === 'revoke_and_ack');
}

describe('what is sent again after a reconnection', () => {
  test('nothing, where nothing was lost; channel_ready alone before the first commitment', () => {
    const bench = new Bench();
    expect(reconnect(bench)).toEqual({ alice: ['channel_ready'], bob: ['channel_ready'] });
    bench.alice.add();
    bench.commit();
    expect(reconnect(bench)).toEqual({ alice: [], bob: [] });
  });

  test('an update without signature, and the peer forgets that it had come', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.add();
    bench.deliver('bob', 1);
    expect(bench.bob.channel.nextReceivedId).toBe(1n);
    const resent = reconnect(bench);
    expect(resent.alice).toEqual(['channel_ready', 'update_add_htlc', 'update_add_htlc']);
    bench.commit();
    expect(bench.bob.channel.htlcs.receivedCount).toBe(2);
  });

  test('a lost commitment_signed, with its updates', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.sign();
    bench.deliver('bob', 1);
    expect(reconnect(bench).alice).toEqual(['channel_ready', 'update_add_htlc', 'commitment_signed']);
    bench.commit();
    expect(bench.bob.channel.htlcs.receivedCount).toBe(1);
  });

  test('the same signature again, though an update came since', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.sign();
    const [, first] = bench.bob.inbox;
    bench.alice.add();
    expect(reconnect(bench).alice).toEqual([
      'channel_ready',
      'update_add_htlc',
      'commitment_signed',
      'update_add_htlc',
    ]);
    expect(bench.bob.inbox[2]).toEqual(first);
    bench.commit();
    expect(bench.bob.channel.htlcs.receivedCount).toBe(2);
  });

  test('a lost revoke_and_ack', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.sign();
    bench.deliver('bob');
    expect(reconnect(bench)).toEqual({ alice: [], bob: ['revoke_and_ack'] });
    bench.commit();
    expect(bench.bob.channel.htlcs.receivedCount).toBe(1);
  });

  test('both, the revocation first where it went out first', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.sign();
    bench.bob.add();
    bench.deliver('bob');
    bench.bob.sign();
    expect(reconnect(bench)).toEqual({
      alice: [],
      bob: ['revoke_and_ack', 'update_add_htlc', 'commitment_signed'],
    });
    bench.commit();
    expect([...bench.alice.channel.htlcs]).toHaveLength(2);
  });

  test('both, the signature first where it went out first', () => {
    const bench = new Bench();
    bench.bob.add();
    bench.bob.sign();
    bench.alice.add();
    bench.alice.sign();
    bench.deliver('bob');
    const resent = reconnect(bench);
    expect(resent.bob).toEqual(['update_add_htlc', 'commitment_signed', 'revoke_and_ack']);
    bench.commit();
    expect([...bench.alice.channel.htlcs]).toHaveLength(2);
  });

  test('the removal of an HTLC, and a feerate that is signed', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.add();
    bench.commit();
    bench.bob.settle(0n);
    bench.bob.sign();
    bench.bob.settle(1n, {
      type: 'fail_malformed',
      sha256OfOnion: new Uint8Array(32),
      failureCode: 0xc004,
    });
    bench.alice.do({ type: 'updateFee', feeratePerKw: 2_000 });
    bench.alice.sign();
    expect(reconnect(bench)).toEqual({
      alice: ['update_fee', 'commitment_signed'],
      bob: ['update_fulfill_htlc', 'commitment_signed', 'update_fail_malformed_htlc'],
    });
    bench.commit();
    expect(bench.alice.channel.htlcs.size).toBe(0);
    expect(bench.bob.channel.fee.feeratePerKw).toBe(2_000);
  });

  /**
   * Both sides add, sign, settle and change the feerate at the start; `path` says in which order their
   * messages arrive. Each side signs whenever it may.
   */
  function conversation(path: readonly SideName[]): { bench: Bench; log: Record<SideName, string[]> } {
    const bench = new Bench();
    const log: Record<SideName, string[]> = { alice: [], bob: [] };
    const run = (side: SideName, ...steps: (Step | undefined)[]) => {
      for (const made of steps) if (made !== undefined) log[side].push(...sentBy(made));
    };
    bench.alice.add();
    bench.bob.add();
    bench.commit();
    run('alice', bench.alice.settle(0n), bench.alice.add(), bench.alice.sign(), bench.alice.add());
    run('bob', bench.bob.settle(0n), bench.bob.sign(), bench.bob.add());
    for (const side of path) run(side, bench.deliver(side, 1), bench[side].sign());
    return { bench, log };
  }

  test('every cut of every order in which two sides can hear each other is mended (threat 26)', () => {
    const length = 7;
    let cuts = 0;
    for (let bits = 0; bits < 1 << length; bits++) {
      for (const used of bits === 0 ? [0, 1, 3, 5, length] : [length]) {
        const path = Array.from({ length: used }, (_, i) => sides[(bits >> i) & 1] as SideName);
        const { bench, log } = conversation(path);
        const expected = {} as Record<SideName, string[]>;
        for (const side of sides) {
          const [own, other] = [bench[side].channel, bench[otherOf[side]].channel];
          // What the other lacks, by what it has; in the order in which it was sent last.
          const lost = new Set<string>();
          const signed = own.remoteCommit.number + (own.remoteCommit.awaitingRevocation ? 1n : 0n);
          if (other.localCommit.number < signed) lost.add('commitment_signed');
          if (other.remoteCommit.number < own.localCommit.number) lost.add('revoke_and_ack');
          const sent = commitments(log[side]).reverse();
          expected[side] = [...new Set(sent)].filter((type) => lost.has(type)).reverse();
        }
        const resent = reconnect(bench);
        for (const side of sides) expect(commitments(resent[side]), path.join(' ')).toEqual(expected[side]);
        bench.commit();
        for (const side of sides) {
          expect(bench[side].channel.phase.name).toBe('open');
          const states = [...bench[side].channel.htlcs].map(({ state }) => state);
          expect(states.filter((state) => !state.endsWith('add_ack_revocation'))).toEqual([]);
          expect(states).toHaveLength(3);
        }
        expect(bench.alice.channel.localMsat).toBe(bench.bob.channel.remoteMsat);
        cuts++;
      }
    }
    expect(cuts).toBe(132);
  });
});

/** A bench with some history, and a copy of what Alice had in the middle of it. */
function withHistory(): { bench: Bench; old: Channel } {
  const bench = new Bench();
  bench.alice.add();
  bench.commit();
  const old = bench.alice.channel;
  bench.bob.settle(0n);
  bench.commit();
  bench.alice.add();
  bench.commit();
  return { bench, old };
}

function reestablishOf(seat: Seat): ChannelReestablish {
  const { effects } = step(
    step(seat.channel, { type: 'disconnected' }, seat.context).channel,
    { type: 'connected', simpleClose: false },
    seat.context,
  );
  const [effect] = effects;
  if (effect?.type !== 'send' || effect.message.type !== 'channel_reestablish') throw new Error('none sent');
  return effect.message;
}

/** What Alice makes of a channel_reestablish. */
function afterReestablish(seat: Seat, message: ChannelReestablish): Step {
  seat.do({ type: 'disconnected' });
  seat.do({ type: 'connected', simpleClose: false });
  return seat.do({ type: 'message', message });
}

const published = (made: Pick<Step, 'effects'>) => made.effects.filter(({ type }) => type === 'publish');

describe('when we have lost data (threat 26)', () => {
  function lost(): { bench: Bench; made: Step } {
    const { bench, old } = withHistory();
    bench.disconnect();
    bench.alice.channel = old;
    return { bench, made: afterReestablish(bench.alice, reestablishOf(bench.bob)) };
  }

  test('the channel is stale: the peer is asked to close, and nothing is published', () => {
    const { made } = lost();
    expect(made.channel.phase.name).toBe('stale');
    expect(made.channel.dataLost).toBe(true);
    expect(made.store[0]).toEqual({ type: 'putChannel' });
    expect(sentBy(made)).toEqual(['error']);
    expect(published(made)).toEqual([]);
  });

  test('nothing that follows has our commitment published', () => {
    const { bench } = lost();
    const { alice } = bench;
    const { channelId } = alice.channel.params;
    const closed = completeLocalCommitment(bench.bob.channel, bench.bob.signer).tx;
    const steps = [
      () => alice.do({ type: 'forceClose' }),
      () => alice.do({ type: 'message', message: { type: 'error', channelId, data: new Uint8Array(2) } }),
      () => alice.setHeight(900_000),
      () => alice.do({ type: 'disconnected' }),
      () => resume(alice.channel, alice.context),
      () => alice.do({ type: 'connected', simpleClose: false }),
      () => alice.do({ type: 'message', message: reestablishOf(bench.bob) }),
      () => alice.do({ type: 'fundingSpent', by: closed }),
      () => alice.do({ type: 'fundingUnspent' }),
      () => resume(alice.channel, alice.context),
    ];
    expect(steps.flatMap((act) => published(act()))).toEqual([]);
    expect(alice.channel.phase.name).toBe('stale');
    expect(refusalOf(alice.do({ type: 'forceClose' }))).toBe('data_lost');
    expect(refusalOf(alice.add())).toBe('channel_not_open');
  });

  test('the peer closes when it hears of it', () => {
    const { bench } = lost();
    const made = afterReestablish(bench.bob, {
      ...reestablishOf(bench.bob),
      nextCommitmentNumber: 2n,
      nextRevocationNumber: 1n,
      yourLastPerCommitmentSecret: bench.bob.signer.perCommitmentSecret(0n),
    });
    expect(made.channel.phase.name).toBe('failed');
    expect(published(made)).toHaveLength(1);
  });

  test('a peer that proves it and also has us fail the channel at once is not followed', () => {
    const { bench, old } = withHistory();
    bench.disconnect();
    bench.alice.channel = old;
    const made = afterReestablish(bench.alice, { ...reestablishOf(bench.bob), nextCommitmentNumber: 0n });
    expect(made.channel.phase.name).toBe('stale');
    expect(published(made)).toEqual([]);
  });

  test('one commitment behind is enough', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.sign();
    bench.deliver('bob');
    bench.bob.sign();
    const old = bench.alice.channel;
    // Alice revokes her commitment 0, Bob hears it, and Alice forgets.
    bench.deliver('alice');
    bench.deliver('bob');
    bench.disconnect();
    bench.alice.channel = old;
    const made = afterReestablish(bench.alice, reestablishOf(bench.bob));
    expect(made.channel.phase.name).toBe('stale');
    expect(published(made)).toEqual([]);
  });
});

describe('a channel_reestablish that proves nothing fails the channel with what we have', () => {
  const cases: readonly { name: string; fields: (seat: Seat) => Partial<ChannelReestablish> }[] = [
    {
      name: 'a later revocation without its secret',
      fields: () => ({ nextRevocationNumber: 9n, yourLastPerCommitmentSecret: preimageOf(9) }),
    },
    {
      name: 'a later revocation with an old secret',
      fields: ({ signer }) => ({
        nextRevocationNumber: 9n,
        yourLastPerCommitmentSecret: signer.perCommitmentSecret(0n),
      }),
    },
    {
      // 2^48 commitments later the secrets would be the same again.
      name: 'a number beyond 48 bits with an old secret (threat 26)',
      fields: ({ signer }) => ({
        nextRevocationNumber: (1n << 48n) + 1n,
        yourLastPerCommitmentSecret: signer.perCommitmentSecret(0n),
      }),
    },
    {
      name: 'the highest number',
      fields: () => ({
        nextRevocationNumber: (1n << 64n) - 1n,
        yourLastPerCommitmentSecret: preimageOf(9),
      }),
    },
    { name: 'a wrong secret', fields: () => ({ yourLastPerCommitmentSecret: preimageOf(9) }) },
    { name: 'next_commitment_number zero (threat 26)', fields: () => ({ nextCommitmentNumber: 0n }) },
    { name: 'a commitment that we have not signed', fields: () => ({ nextCommitmentNumber: 9n }) },
    { name: 'a commitment that was revoked', fields: () => ({ nextCommitmentNumber: 1n }) },
    {
      name: 'a peer that has lost data',
      fields: ({ signer }) => ({
        nextRevocationNumber: 1n,
        yourLastPerCommitmentSecret: signer.perCommitmentSecret(0n),
      }),
    },
    {
      name: 'a peer that remembers nothing',
      fields: () => ({
        nextCommitmentNumber: 1n,
        nextRevocationNumber: 0n,
        yourLastPerCommitmentSecret: new Uint8Array(32),
      }),
    },
  ];

  test.each(cases)('$name', ({ fields }) => {
    const { bench } = withHistory();
    const { alice, bob } = bench;
    expect(alice.channel.localCommit.number).toBeGreaterThan(2n);
    const made = afterReestablish(alice, { ...reestablishOf(bob), ...fields(alice) });
    expect(['reestablish_invalid', 'remote_data_lost']).toContain(protocolErrorOf(made)?.code);
    expect(made.channel.phase.name).toBe('failed');
    expect(made.channel.dataLost).toBe(false);
    expect(published(made)).toHaveLength(1);
    expect(sentBy(made)).toEqual(['error']);
  });
});

describe('before the reestablishment is done', () => {
  test('any other message is answered with a warning, and the channel stays', () => {
    const bench = new Bench();
    bench.bob.add();
    const [add] = bench.alice.inbox.splice(0);
    bench.disconnect();
    bench.connect();
    const made = bench.alice.do({ type: 'message', message: add as ChannelMessage });
    expect(protocolErrorOf(made)).toMatchObject({
      code: 'message_unexpected',
      response: 'warn_and_disconnect',
    });
    expect(sentBy(made)).toEqual(['warning']);
    expect(made.effects.map(({ type }) => type)).toContain('disconnect');
    expect(made.channel.phase.name).toBe('open');
  });

  test('what came over a connection that is given up is ignored, channel_reestablish too', () => {
    const bench = new Bench();
    const { alice } = bench;
    bench.bob.add();
    bench.bob.sign();
    const messages = [...alice.inbox.splice(0), reestablishOf(bench.bob)];
    alice.do({ type: 'disconnected' });
    const before = alice.channel;
    for (const message of messages) {
      const made = alice.do({ type: 'message', message });
      expect([made.channel, made.effects, made.store, made.events]).toEqual([before, [], [], []]);
    }
  });

  test('a second channel_reestablish on a connection fails the channel', () => {
    const { alice, bob } = new Bench();
    expect(protocolErrorOf(alice.probe(reestablishOf(bob)))?.code).toBe('message_unexpected');
  });
});
