import { describe, expect, test } from 'vitest';
import { secp256k1 } from '../crypto/index.js';
import { shachainIndex } from '../keys/index.js';
import type { CommitmentSigned, RevokeAndAck } from '../wire/index.js';
import type { ProtocolErrorCode } from './channelError.js';
import { buildLocalCommitment, buildRemoteCommitment, completeLocalCommitment } from './commitments.js';
import { Bench, type MessageNamed, protocolErrorOf, sentBy } from './model/bench.test.support.js';
import { preimageOf } from './model/setup.test.support.js';
import type { ChannelMessage, Step } from './step.js';

function take<Type extends ChannelMessage['type']>(inbox: ChannelMessage[], type: Type): MessageNamed<Type> {
  const index = inbox.findIndex((message) => message.type === type);
  const [message] = inbox.splice(index, index < 0 ? 0 : 1);
  if (message === undefined) throw new Error(`there is no ${type}`);
  return message as MessageNamed<Type>;
}

const curveOrder = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/** The other valid S of a signature: the high one, for those that signers make have the low. */
function withHighS(signature: Uint8Array): Uint8Array {
  let s = 0n;
  for (const byte of signature.subarray(32)) s = (s << 8n) | BigInt(byte);
  const high = signature.slice();
  let rest = curveOrder - s;
  for (let i = 63; i >= 32; i--) {
    high[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return high;
}

function expectFailed(made: Step, code: ProtocolErrorCode): void {
  expect(protocolErrorOf(made)?.code).toBe(code);
  expect(made.channel.phase.name).toBe('failed');
}

describe('commitment_signed', () => {
  /** Alice's signatures for two HTLCs of hers, undelivered. */
  function signed(): { bench: Bench; message: CommitmentSigned } {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.add({ amountMsat: 20_000_000n });
    bench.deliver('bob');
    bench.alice.sign();
    return { bench, message: take(bench.bob.inbox, 'commitment_signed') };
  }

  const changes: readonly {
    name: string;
    code: ProtocolErrorCode;
    change: (message: CommitmentSigned) => Partial<CommitmentSigned>;
  }[] = [
    {
      name: 'a signature of something else',
      code: 'signature_invalid',
      change: ({ htlcSignatures }) => ({ signature: htlcSignatures[0] as Uint8Array }),
    },
    {
      name: 'a signature of zeros',
      code: 'signature_invalid',
      change: () => ({ signature: new Uint8Array(64) }),
    },
    {
      name: 'a signature with high S (threat 2)',
      code: 'signature_invalid',
      change: ({ signature }) => ({ signature: withHighS(signature) }),
    },
    {
      name: 'an HTLC signature with high S (threat 2)',
      code: 'signature_invalid',
      change: ({ htlcSignatures: [first, second] }) => ({
        htlcSignatures: [first as Uint8Array, withHighS(second as Uint8Array)],
      }),
    },
    {
      name: 'HTLC signatures in another order',
      code: 'signature_invalid',
      change: ({ htlcSignatures }) => ({ htlcSignatures: [...htlcSignatures].reverse() }),
    },
    {
      name: 'one HTLC signature too few',
      code: 'signature_count',
      change: ({ htlcSignatures }) => ({ htlcSignatures: htlcSignatures.slice(1) }),
    },
    {
      name: 'one HTLC signature too many',
      code: 'signature_count',
      change: ({ htlcSignatures, signature }) => ({ htlcSignatures: [...htlcSignatures, signature] }),
    },
  ];

  test.each(changes)('with $name fails the channel, and the old commitment stands', ({ code, change }) => {
    const { bench, message } = signed();
    const made = bench.bob.probe({ ...message, ...change(message) });
    expectFailed(made, code);
    expect(made.channel.localCommit).toBe(bench.bob.channel.localCommit);
    expect(sentBy(made)).toEqual(['error']);
  });

  test('the same signature with the sign of S turned back is taken', () => {
    const { bench, message } = signed();
    const twice = withHighS(withHighS(message.signature));
    expect(protocolErrorOf(bench.bob.probe({ ...message, signature: twice }))).toBeUndefined();
  });

  test('is answered with a revocation in the step that stores the new commitment and its HTLCs', () => {
    const { bench, message } = signed();
    const made = bench.bob.probe(message);
    expect(made.store.map(({ type }) => type)).toEqual(['putChannel', 'putHtlc', 'putHtlc']);
    expect(sentBy(made)).toEqual(['revoke_and_ack']);
    expect(made.channel.localCommit.number).toBe(1n);
  });

  test('again does not fit the next commitment, whose number and point are others', () => {
    const { bench, message } = signed();
    bench.bob.do({ type: 'message', message });
    expectFailed(bench.bob.probe(message), 'signature_invalid');
  });

  test('is not sent without changes, nor twice before a revocation', () => {
    const bench = new Bench();
    expect(sentBy(bench.alice.sign())).toEqual([]);
    bench.alice.add();
    expect(sentBy(bench.alice.sign())).toEqual(['commitment_signed']);
    bench.alice.add();
    expect(sentBy(bench.alice.sign())).toEqual([]);
    bench.deliverAll();
    expect(sentBy(bench.alice.sign())).toEqual(['commitment_signed']);
  });

  test('leaves a commitment that both see alike, signed by both', () => {
    const bench = new Bench();
    bench.alice.add();
    bench.bob.add({ amountMsat: 300_000n });
    bench.commit();
    for (const [own, other] of [
      [bench.alice, bench.bob],
      [bench.bob, bench.alice],
    ] as const) {
      const { commitment, tx } = completeLocalCommitment(own.channel, own.signer);
      expect(commitment.txid).toEqual(buildRemoteCommitment(other.channel).txid);
      expect(tx.inputs[0]?.witness).toHaveLength(4);
    }
  });
});

describe('revoke_and_ack', () => {
  /** Bob's revocation of his commitment 0, undelivered. */
  function revoked(): { bench: Bench; message: RevokeAndAck } {
    const bench = new Bench();
    bench.alice.add();
    bench.alice.sign();
    bench.deliver('bob');
    return { bench, message: take(bench.alice.inbox, 'revoke_and_ack') };
  }

  test('without a commitment_signed of ours fails the channel', () => {
    const { bench, message } = revoked();
    expectFailed(new Bench().alice.probe(message), 'message_unexpected');
    bench.alice.do({ type: 'message', message });
    expectFailed(bench.alice.probe(message), 'message_unexpected');
  });

  const changes: readonly { name: string; fields: Partial<RevokeAndAck> }[] = [
    { name: 'another secret', fields: { perCommitmentSecret: preimageOf(0) } },
    { name: 'a secret that is no private key', fields: { perCommitmentSecret: new Uint8Array(32) } },
    {
      name: 'a point off the curve',
      fields: { nextPerCommitmentPoint: Uint8Array.of(2, ...new Uint8Array(32).fill(0xff)) },
    },
  ];

  test.each(changes)('with $name fails the channel', ({ fields }) => {
    const { bench, message } = revoked();
    const made = bench.alice.probe({ ...message, ...fields });
    expectFailed(made, 'revocation_invalid');
    expect(made.channel.remoteCommit).toEqual(bench.alice.channel.remoteCommit);
  });

  test('with secrets of no common seed fails the channel', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    // Bob gives points to secrets of his own choice: those fit, and the secrets do not derive from each other.
    const strays = [7, 8, 9].map((number) => preimageOf(number));
    const points = strays.map((secret) => secp256k1.publicKey(secret));
    alice.channel = {
      ...alice.channel,
      remoteCommit: {
        number: 0n,
        awaitingRevocation: true,
        currentPoint: points[0] as Uint8Array,
        nextPoint: points[1] as Uint8Array,
      },
    };
    const revoke = (i: number): ChannelMessage => ({
      type: 'revoke_and_ack',
      channelId: bob.channel.params.channelId,
      perCommitmentSecret: strays[i] as Uint8Array,
      nextPerCommitmentPoint: points[i + 1] ?? (points[0] as Uint8Array),
    });
    alice.do({ type: 'message', message: revoke(0) });
    alice.channel = {
      ...alice.channel,
      remoteCommit: { ...alice.channel.remoteCommit, awaitingRevocation: true },
    };
    expectFailed(alice.probe(revoke(1)), 'revocation_invalid');
  });

  test('gives the secret of the commitment that it revokes, and the point after the next', () => {
    const { bench, message } = revoked();
    const { alice, bob } = bench;
    expect(message.perCommitmentSecret).toEqual(bob.signer.perCommitmentSecret(0n));
    expect(message.nextPerCommitmentPoint).toEqual(bob.signer.perCommitmentPoint(2n));
    alice.do({ type: 'message', message });
    expect(alice.channel.revocations.lookup(shachainIndex(0n))).toEqual(message.perCommitmentSecret);
    expect(alice.channel.remoteCommit).toEqual({
      number: 1n,
      awaitingRevocation: false,
      currentPoint: bob.signer.perCommitmentPoint(1n),
      nextPoint: bob.signer.perCommitmentPoint(2n),
    });
  });
});

describe('two HTLCs of the same hash and amount (threat 16)', () => {
  test('are two outputs, each with its signature, and both sides order them alike', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    alice.add();
    alice.add();
    bob.add();
    bench.commit();
    const own = buildLocalCommitment(bob.channel, {
      signer: bob.signer,
      number: bob.channel.localCommit.number,
    });
    expect(own.htlcOutputs).toHaveLength(3);
    expect(bob.channel.localCommit.htlcSignatures).toHaveLength(3);
    const seen = buildRemoteCommitment(alice.channel).htlcOutputs.map(({ htlc }) => htlc.id);
    expect(own.htlcOutputs.map(({ htlc }) => htlc.id)).toEqual(seen);
  });

  test('are ordered by their expiries where their outputs are the same', () => {
    const bench = new Bench();
    const { alice, bob } = bench;
    const expiries = [800_500, 800_300, 800_400];
    for (const cltvExpiry of expiries) alice.add({ cltvExpiry });
    bench.commit();
    // In Alice's own commitment they are offered ones, whose scripts do not say when they expire.
    const { number } = alice.channel.localCommit;
    const { htlcOutputs, txid } = buildLocalCommitment(alice.channel, { signer: alice.signer, number });
    expect(htlcOutputs.map(({ htlc }) => htlc.cltvExpiry)).toEqual([800_300, 800_400, 800_500]);
    expect(txid).toEqual(buildRemoteCommitment(bob.channel).txid);
    expect(alice.channel.localCommit.htlcSignatures).toHaveLength(3);
  });
});
