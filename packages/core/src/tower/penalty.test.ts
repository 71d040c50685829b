import { describe, expect, test } from 'vitest';
import { bytesToHex } from '../bytes/index.js';
import type { Channel } from '../channel/channel.js';
import { sha256 } from '../crypto/index.js';
import { shachainIndex } from '../keys/index.js';
import { ChannelPair } from '../monitor/testing/index.js';
import { type ChannelType, encodeTransaction, feeForWeightSat, p2wpkhScript, txid } from '../tx/index.js';
import { bumpOutput, maxPunishedHtlcs, penaltiesOf } from './penalty.js';
import { decodeRevokedState, encodeRevokedState, revokedCommitment, revokedStateOf } from './revokedState.js';

const channelTypes: ChannelType[] = ['static_remotekey', 'anchors'];
const script = p2wpkhScript(new Uint8Array(33).fill(2));

function makePair(channelType: ChannelType): ChannelPair {
  return new ChannelPair({
    channelType,
    fundingSat: 10_000_000n,
    fund: () => ({ txid: new Uint8Array(32).fill(5), index: 0 }),
  });
}

interface Revoked {
  /** Alice's channel as it was before Bob's revoke_and_ack. */
  readonly before: Channel;
  readonly after: Channel;
  readonly number: bigint;
}

/** Watches what Alice hears, and of each commitment of Bob what he could have published. */
class Witness {
  readonly revoked: Revoked[] = [];
  readonly txids = new Map<bigint, string>();
  readonly pair: ChannelPair;

  constructor(pair: ChannelPair) {
    this.pair = pair;
    this.#note();
    const deliver = pair.deliver.bind(pair);
    pair.deliver = (from) => {
      const revokes = pair[from].outbox[0]?.type === 'revoke_and_ack' && from === 'bob';
      const before = pair.alice.channel;
      const delivered = deliver(from);
      if (revokes)
        this.revoked.push({ before, after: pair.alice.channel, number: before.remoteCommit.number });
      this.#note();
      return delivered;
    };
  }

  #note(): void {
    const { channel } = this.pair.bob;
    this.txids.set(channel.localCommit.number, bytesToHex(txid(this.pair.commitmentOf('bob'))));
  }
}

function rebuild({ before, after, number }: Revoked) {
  const perCommitmentSecret = after.revocations.lookup(shachainIndex(number))!;
  const state = decodeRevokedState(encodeRevokedState(revokedStateOf(before)));
  return { state, commitmentNumber: number, perCommitmentSecret };
}

function penalties(pair: ChannelPair, revoked: Revoked, feeratePerKw = 2_000) {
  const { params } = pair.alice.channel;
  return penaltiesOf({ params, signer: pair.alice.signer, script, feeratePerKw, ...rebuild(revoked) });
}

const preimage = (value: number) => sha256(Uint8Array.of(value));

/** A numbered list of everything that two sides can do, in an order that a seed decides. */
function play(pair: ChannelPair, seed: number): void {
  let random = seed;
  const next = (below: number) => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return (random >>> 8) % below;
  };
  const open: { by: 'alice' | 'bob'; id: bigint; value: number }[] = [];
  for (let turn = 0; turn < 40; turn++) {
    const from = next(2) === 0 ? 'alice' : 'bob';
    switch (next(5)) {
      case 0:
      case 1: {
        const amountMsat = BigInt(next(3) === 0 ? 1_000 + next(200_000) : 5_000_000 + next(50_000_000));
        const id = pair.offer(from, { amountMsat, preimage: preimage(turn), cltvExpiry: 500 + next(100) });
        open.push({ by: from === 'alice' ? 'bob' : 'alice', id, value: turn });
        break;
      }
      case 2: {
        const settled = open.shift();
        if (settled === undefined) break;
        pair.commit();
        const { by, id, value } = settled;
        if (next(2) === 0) pair.settle(by, id, { type: 'fulfill', preimage: preimage(value) });
        else pair.settle(by, id, { type: 'fail', reason: new Uint8Array(5) });
        break;
      }
      case 3:
        pair.changeFee(800 + next(400));
        break;
      default:
        pair.commit();
    }
  }
  pair.commit();
}

describe.each(channelTypes)('a revoked commitment (%s)', (channelType) => {
  test('is built again, whatever had happened, from what is stored of it', () => {
    let checked = 0;
    for (let seed = 1; seed <= 6; seed++) {
      const pair = makePair(channelType);
      const witness = new Witness(pair);
      play(pair, seed);
      for (const revoked of witness.revoked) {
        const commitment = revokedCommitment(pair.alice.channel.params, rebuild(revoked));
        expect(bytesToHex(commitment.txid)).toBe(witness.txids.get(revoked.number));
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(60);
  });

  test('is punished by one transaction for each of its outputs, each for its own user', () => {
    const pair = makePair(channelType);
    const witness = new Witness(pair);
    for (const value of [1, 2, 3]) {
      pair.add('alice', {
        amountMsat: BigInt(value) * 40_000_000n,
        preimage: preimage(value),
        cltvExpiry: 500,
      });
    }
    pair.add('bob', { amountMsat: 300_000n, preimage: preimage(9), cltvExpiry: 500 });
    pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    pair.commit();
    const revoked = witness.revoked.findLast(({ before }) => revokedStateOf(before).htlcs.length === 4)!;
    const all = penalties(pair, revoked);
    const disputed = witness.txids.get(revoked.number);
    const ofCommitment = all.filter(({ disputeTxid }) => bytesToHex(disputeTxid) === disputed);
    expect(ofCommitment.map(({ userIndex }) => userIndex)).toEqual([0, 1, 2, 3]);
    expect(new Set(all.map(({ userIndex, locator }) => `${userIndex} ${bytesToHex(locator)}`)).size).toBe(
      all.length,
    );
    // Without anchors the cheater's second-stage transactions are known, and punished as well.
    expect(all.length - ofCommitment.length).toBe(channelType === 'anchors' ? 0 : 3);
    for (const { tx, valueSat, feeSat } of all) {
      expect(tx.inputs).toHaveLength(1);
      expect(tx.outputs[1]).toEqual(bumpOutput);
      expect(tx.outputs[0]).toEqual({ script, valueSat: valueSat - feeSat - 240n });
      const weight = encodeTransaction(tx).length + 3 * encodeTransaction(unsigned(tx)).length;
      expect(feeSat).toBeGreaterThanOrEqual(feeForWeightSat(weight, 2_000));
      expect(feeSat).toBeLessThan(feeForWeightSat(weight + 12, 2_000));
    }
  });

  test('threat 16: of two HTLCs that look the same each has its own penalty', () => {
    const pair = makePair(channelType);
    const witness = new Witness(pair);
    for (const _ of [1, 2]) {
      pair.offer('alice', { amountMsat: 40_000_000n, preimage: preimage(1), cltvExpiry: 500 });
    }
    pair.commit();
    pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    pair.commit();
    const revoked = witness.revoked.findLast(({ before }) => revokedStateOf(before).htlcs.length === 2)!;
    const disputed = witness.txids.get(revoked.number);
    const taken = penalties(pair, revoked)
      .filter(({ disputeTxid, valueSat }) => bytesToHex(disputeTxid) === disputed && valueSat === 40_000n)
      .map(({ tx }) => tx.inputs[0]!.outpoint.index);
    expect(new Set(taken).size).toBe(2);
  });

  test('has penalties for its largest HTLCs alone when there are very many', () => {
    const pair = makePair(channelType);
    const witness = new Witness(pair);
    for (let i = 0; i < 30; i++) {
      pair.offer('alice', {
        amountMsat: 20_000_000n + BigInt(i) * 1_000_000n,
        preimage: preimage(i),
        cltvExpiry: 9,
      });
    }
    pair.commit();
    pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(0) });
    pair.commit();
    const revoked = witness.revoked.findLast(({ before }) => revokedStateOf(before).htlcs.length === 30)!;
    const users = new Set(penalties(pair, revoked).map(({ userIndex }) => userIndex));
    expect(users.size).toBe(1 + maxPunishedHtlcs);
    const values = penalties(pair, revoked).map(({ valueSat }) => Number(valueSat));
    expect(Math.min(...values)).toBeGreaterThan(24_000);
  });

  test('is punished however small its outputs are, as long as half of one pays for a transaction', () => {
    const pair = makePair(channelType);
    const witness = new Witness(pair);
    pair.add('alice', { amountMsat: 3_000_000n, preimage: preimage(1), cltvExpiry: 500 });
    pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    pair.commit();
    const revoked = witness.revoked.findLast(({ before }) => revokedStateOf(before).htlcs.length === 1)!;
    const [toLocal, htlc] = penalties(pair, revoked, 50_000);
    expect(toLocal!.feeSat).toBeGreaterThan(20_000n);
    expect(htlc).toMatchObject({ userIndex: 1, valueSat: 3_000n, feeSat: 1_500n });
    expect(htlc!.tx.outputs).toHaveLength(1);
  });
});

function unsigned(tx: ReturnType<typeof penaltiesOf>[number]['tx']) {
  return { ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness: [] })) };
}
