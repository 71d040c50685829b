import { describe, expect, test } from 'vitest';
import { secp256k1 } from '../crypto/index.js';
import { commitmentSighash } from '../tx/index.js';
import { printableData } from '../wire/index.js';
import { completeLocalCommitment } from './commitments.js';
import { resume } from './machine.js';
import { Bench, protocolErrorOf, refusalOf, type Seat, sentBy } from './model/bench.test.support.js';
import { preimageOf, startHeight } from './model/setup.test.support.js';
import type { Step } from './step.js';

const expiry = startHeight + 400;
const fulfill = { type: 'fulfill', preimage: preimageOf(0) } as const;

const published = (made: Pick<Step, 'effects'>) =>
  made.effects.flatMap((effect) => (effect.type === 'publish' ? [effect.tx] : []));

function commandAfterFailure(seat: Seat): Step {
  return seat.do({ type: 'forceClose' });
}

describe('the deadline of an HTLC that we offered', () => {
  function offered(): Bench {
    const bench = new Bench();
    bench.alice.add();
    bench.commit();
    return bench;
  }

  test('is two blocks after its expiry: then the channel goes to the chain', () => {
    const { alice } = offered();
    expect(alice.setHeight(expiry + 2).channel.phase.name).toBe('open');
    const made = alice.setHeight(expiry + 3);
    expect(protocolErrorOf(made)?.code).toBe('htlc_timed_out');
    expect(made.channel.phase.name).toBe('failed');
    expect(published(made)).toHaveLength(1);
  });

  test('counts without a connection too', () => {
    const bench = offered();
    bench.disconnect();
    expect(bench.alice.setHeight(expiry + 3).channel.phase.name).toBe('failed');
  });

  test('counts while the HTLC is in the commitment of the peer alone', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.sign();
    expect(bench.alice.setHeight(expiry + 3).channel.phase.name).toBe('failed');
  });

  test('counts while the old commitment of the peer has it, as long as that is not revoked', () => {
    const bench = offered();
    const { alice, bob } = bench;
    bob.settle(0n, { type: 'fail', reason: new Uint8Array(292) });
    bob.sign();
    bench.deliver('alice');
    alice.sign();
    const [htlc] = alice.channel.htlcs.direction('offered');
    expect(htlc?.state).toBe('sent_remove_ack_commit');
    expect(alice.setHeight(expiry + 2).channel.phase.name).toBe('open');
    expect(protocolErrorOf(alice.setHeight(expiry + 3))?.code).toBe('htlc_timed_out');
  });

  test('is none while no commitment has it, and when it is over', () => {
    const fresh = new Bench();
    fresh.alice.add();
    expect(fresh.alice.setHeight(expiry + 3).channel.phase.name).toBe('open');
    const bench = offered();
    bench.bob.settle(0n);
    bench.commit();
    expect(bench.alice.setHeight(expiry + 3).channel.phase.name).toBe('open');
  });
});

describe('the deadline of an HTLC that we fulfilled', () => {
  function received(): Bench {
    const bench = new Bench();
    bench.alice.add();
    bench.commit();
    return bench;
  }

  test('is 18 blocks before its expiry: there is time to claim it on chain', () => {
    const { bob } = received();
    bob.settle(0n, fulfill);
    expect(bob.setHeight(expiry - 19).channel.phase.name).toBe('open');
    const made = bob.setHeight(expiry - 18);
    expect(protocolErrorOf(made)?.code).toBe('htlc_timed_out');
    // What is published still has the HTLC, and the preimage is stored beside it.
    const { commitment } = completeLocalCommitment(made.channel, bob.signer);
    expect(commitment.htlcOutputs.map(({ htlc }) => htlc.htlc.settlement)).toEqual([fulfill]);
    expect(published(made)[0]?.outputs).toEqual(commitment.tx.outputs);
  });

  test('counts until our own commitment is without it', () => {
    const bench = received();
    bench.bob.settle(0n, fulfill);
    bench.bob.sign();
    bench.deliver('alice');
    bench.deliver('bob');
    expect(bench.bob.setHeight(expiry - 18).channel.phase.name).toBe('failed');
  });

  test('is none for one that we failed, or have not settled', () => {
    const waiting = received();
    expect(waiting.bob.setHeight(expiry + 100).channel.phase.name).toBe('open');
    const failed = received();
    failed.bob.settle(0n, { type: 'fail', reason: new Uint8Array(292) });
    expect(failed.bob.setHeight(expiry + 100).channel.phase.name).toBe('open');
  });
});

describe('a channel that failed', () => {
  test('publishes the commitment that both signed, says why, and does so once', () => {
    const bench = new Bench();
    const { alice } = bench;
    alice.add();
    bench.commit();
    const made = commandAfterFailure(alice);
    expect(made.store[0]).toEqual({ type: 'putChannel' });
    expect(made.effects.map(({ type }) => type)).toEqual(['report', 'send', 'publish']);
    const [tx] = published(made);
    const { commitment } = completeLocalCommitment(made.channel, alice.signer);
    const { keys } = commitment.params;
    const hash = commitmentSighash(commitment);
    expect(tx?.inputs[0]?.witness).toHaveLength(4);
    const { signature } = made.channel.localCommit;
    expect(secp256k1.verify(signature, hash, keys.remoteFundingPubkey)).toBe(true);
    expect(refusalOf(alice.do({ type: 'forceClose' }))).toBe('channel_closing');
  });

  test('publishes the old commitment where the new one was not valid, after a revocation the new one', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.add();
    alice.sign();
    bench.deliver('bob', 1);
    const [message] = bob.inbox;
    if (message?.type !== 'commitment_signed') throw new Error('no commitment_signed');
    const broken = bob.probe({ ...message, signature: new Uint8Array(64) });
    expect(completeLocalCommitment(broken.channel, bob.signer).commitment.params.commitmentNumber).toBe(0n);
    bench.deliver('bob');
    const failed = bob.do({ type: 'forceClose' });
    const { commitment } = completeLocalCommitment(failed.channel, bob.signer);
    expect(commitment.params.commitmentNumber).toBe(1n);
    expect(commitment.htlcOutputs).toHaveLength(1);
  });

  test('publishes again at a restart, and takes no message any more', () => {
    const bench = new Bench();
    const { alice } = bench;
    bench.bob.add();
    bench.bob.sign();
    const [first] = published(alice.do({ type: 'forceClose' }));
    expect(published(resume(alice.channel, alice.context))).toEqual([first]);
    for (const message of alice.inbox) {
      const made = alice.probe(message);
      expect([made.channel, made.effects]).toEqual([alice.channel, []]);
    }
  });

  test('tells a peer that comes back, and nothing else', () => {
    const { alice } = new Bench();
    alice.do({ type: 'forceClose' });
    const made = alice.do({ type: 'connected', simpleClose: false });
    expect(sentBy(made)).toEqual(['error']);
    expect(made.channel.link).toBe('offline');
  });

  test('by an error of the peer, whose text is kept and harmless', () => {
    const { alice } = new Bench();
    const data = Uint8Array.from([...'no\u001b[2J more'].map((character) => character.charCodeAt(0)));
    const { channelId } = alice.channel.params;
    const made = alice.do({ type: 'message', message: { type: 'error', channelId, data } });
    expect(protocolErrorOf(made)?.code).toBe('peer_error');
    expect(protocolErrorOf(made)?.message).toContain(printableData(data));
    expect(published(made)).toHaveLength(1);
  });

  test('is not what a warning makes of it', () => {
    const { alice } = new Bench();
    const { channelId } = alice.channel.params;
    const made = alice.probe({ type: 'warning', channelId, data: new Uint8Array(1) });
    expect(made.channel).toBe(alice.channel);
  });

  test('competes again when what spent the funding output is reorganised away', () => {
    const { alice, bob } = new Bench();
    const { tx } = completeLocalCommitment(bob.channel, bob.signer);
    alice.do({ type: 'fundingSpent', by: tx });
    expect(alice.channel.phase).toEqual({ name: 'spent', by: tx });
    const made = alice.do({ type: 'fundingUnspent' });
    expect(made.channel.phase.name).toBe('failed');
    expect(published(made)).toHaveLength(1);
  });
});

describe('a peer that gives a preimage and fails the HTLC after a reconnection (threat 13)', () => {
  test('is paid nothing, and the preimage was told first', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.add();
    bench.commit();
    const forgetful = bob.channel;
    bob.settle(0n);
    bench.deliver('alice');
    bench.disconnect();
    bob.channel = forgetful;
    bob.do({ type: 'disconnected' });
    bench.connect();
    bench.deliverAll();
    bob.settle(0n, { type: 'fail', reason: new Uint8Array(292) });
    bench.commit();
    const told = alice.events.map(({ type }) => type).filter((type) => type.startsWith('htlcF'));
    expect(told).toEqual(['htlcFulfilled', 'htlcFailed']);
    expect(alice.channel.localMsat).toBe(600_000_000n);
  });
});

describe('a channel whose data was restored from a copy of unknown age', () => {
  function restored(): Bench {
    const bench = new Bench();
    bench.alice.add();
    bench.commit();
    bench.disconnect();
    bench.alice.context = { ...bench.alice.context, unproven: true };
    return bench;
  }

  test('refuses to be closed by our commitment, and says why', () => {
    const { alice } = restored();
    const before = alice.channel;
    const made = alice.do({ type: 'forceClose' });
    expect(refusalOf(made)).toBe('data_unproven');
    expect([made.channel, made.effects]).toEqual([before, []]);
  });

  test('waits at a deadline, and keeps it as soon as the peer has proven that it is the latest', () => {
    const bench = restored();
    const { alice } = bench;
    const made = alice.setHeight(expiry + 3);
    expect([made.channel.phase.name, published(made)]).toEqual(['open', []]);
    bench.connect();
    bench.deliverAll();
    expect(alice.events.map(({ type }) => type)).toContain('online');
    alice.context = { ...alice.context, unproven: false };
    const proven = alice.setHeight(expiry + 4);
    expect(proven.channel.phase.name).toBe('failed');
    expect(published(proven)).toHaveLength(1);
  });

  test('publishes nothing for an error of the peer either, not at the next start, not when it is proven', () => {
    const { alice } = restored();
    const { channelId } = alice.channel.params;
    const made = alice.do({
      type: 'message',
      message: { type: 'error', channelId, data: new Uint8Array(1) },
    });
    expect(made.channel.phase.name).toBe('stale');
    expect(made.store[0]).toEqual({ type: 'putChannel' });
    expect(published(made)).toEqual([]);
    expect(sentBy(made)).toEqual(['error']);
    for (const unproven of [true, false]) {
      alice.context = { ...alice.context, unproven };
      expect(published(resume(alice.channel, alice.context))).toEqual([]);
      expect(refusalOf(alice.do({ type: 'forceClose' }))).toBe('data_lost');
      expect(published(alice.setHeight(expiry + 100))).toEqual([]);
    }
    const { tx } = completeLocalCommitment(alice.channel, alice.signer);
    alice.do({ type: 'fundingSpent', by: tx });
    expect(published(alice.do({ type: 'fundingUnspent' }))).toEqual([]);
  });

  test('publishes nothing for a message against the protocol, and asks the peer to close at each reconnection', () => {
    const bench = restored();
    const { alice } = bench;
    bench.connect();
    bench.deliver('bob');
    const [reestablish] = alice.inbox;
    if (reestablish?.type !== 'channel_reestablish') throw new Error('no channel_reestablish');
    const made = alice.do({ type: 'message', message: { ...reestablish, nextCommitmentNumber: 0n } });
    expect([made.channel.phase.name, published(made), sentBy(made)]).toEqual(['stale', [], ['error']]);
    bench.disconnect();
    expect(sentBy(alice.do({ type: 'connected', simpleClose: false }))).toEqual(['channel_reestablish']);
    expect(sentBy(alice.do({ type: 'message', message: reestablish }))).toEqual(['error']);
  });

  test('that had failed before is not published at a start', () => {
    const { alice } = new Bench();
    alice.do({ type: 'forceClose' });
    expect(published(resume(alice.channel, { ...alice.context, unproven: true }))).toEqual([]);
  });
});
