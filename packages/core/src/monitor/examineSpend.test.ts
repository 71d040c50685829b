import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { equalBytes } from '../bytes/index.js';
import type { Channel } from '../channel/channel.js';
import { ChannelRefusal } from '../channel/channelError.js';
import { signIfPending } from '../channel/committing.js';
import { sha256 } from '../crypto/index.js';
import { anchorSat, type ChannelType, type Transaction, txid } from '../tx/index.js';
import { deadlineHeight, matureHeight } from './claim.js';
import { examineSpend } from './examineSpend.js';
import { classifySpend } from './fundingSpend.js';
import { preimagesIn } from './revealedPreimages.js';
import { ChannelPair, type Party } from './testing/channelPair.js';

const preimage = (fill: number) => new Uint8Array(32).fill(fill);

function pairOf(channelType: ChannelType): ChannelPair {
  const fund = () => ({ txid: new Uint8Array(32).fill(8), index: 1 });
  return new ChannelPair({ channelType, fundingSat: 1_000_000n, fund });
}

function examine(pair: ChannelPair, of: Party, by: Transaction) {
  return examineSpend({ ...pair[of], by });
}

const parties = ['alice', 'bob'] as const;
const other = { alice: 'bob', bob: 'alice' } as const;
const channelTypes: ChannelType[] = ['static_remotekey', 'anchors'];

type Action =
  | { do: 'offer' | 'settle' | 'fail' | 'deliver' | 'sign'; by: Party; pick: number }
  | { do: 'fee'; feeratePerKw: number };

const actions = fc.array(
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        do: fc.constant('deliver' as const),
        by: fc.constantFrom(...parties),
        pick: fc.nat(),
      }),
    },
    {
      weight: 10,
      arbitrary: fc.record({
        do: fc.constantFrom('offer', 'settle', 'fail', 'sign', 'sign'),
        by: fc.constantFrom(...parties),
        pick: fc.nat(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('fee' as const),
        feeratePerKw: fc.integer({ min: 253, max: 3_000 }),
      }),
    },
  ) as fc.Arbitrary<Action>,
  { minLength: 100, maxLength: 250, size: 'max' },
);

function perform(pair: ChannelPair, action: Action): void {
  try {
    if (action.do === 'fee') {
      pair.changeFee(action.feeratePerKw);
      return;
    }
    const { by, pick } = action;
    if (action.do === 'deliver') {
      for (let i = pick % 6; i >= 0 && pair.deliver(by); i--);
      return;
    }
    if (action.do === 'sign') {
      pair.run(by, signIfPending);
      return;
    }
    if (action.do === 'offer') {
      // Few amounts and preimages, so that outputs are alike; some are trimmed.
      const amountMsat = [200_000n, 3_000_000n, 4_000_000n][pick % 3]!;
      pair.offer(by, { amountMsat, preimage: preimage(1 + (pick % 2)), cltvExpiry: 500 + (pick % 2) });
      return;
    }
    const waiting = [...pair[by].channel.htlcs.direction('received')].filter(
      ({ state, settlement }) => state === 'rcvd_add_ack_revocation' && settlement === undefined,
    );
    const htlc = waiting[pick % Math.max(1, waiting.length)];
    if (htlc === undefined) return;
    const known = [preimage(1), preimage(2)].find((one) => equalBytes(sha256(one), htlc.paymentHash));
    pair.settle(
      by,
      htlc.id,
      action.do === 'settle'
        ? { type: 'fulfill', preimage: known! }
        : { type: 'fail', reason: new Uint8Array(4) },
    );
  } catch (error) {
    if (!(error instanceof ChannelRefusal)) throw error;
  }
}

describe.each(channelTypes)('the commitments of a channel (%s)', (channelType) => {
  test('whatever was signed in whatever order: each is recognised, and no output of it is forgotten', () => {
    fc.assert(
      fc.property(actions, (list) => {
        const pair = pairOf(channelType);
        const published: { of: Party; tx: Transaction; number: bigint }[] = [];
        const note = () => {
          for (const of of parties) {
            const { number } = pair[of].channel.localCommit;
            if (published.some((one) => one.of === of && one.number === number)) continue;
            published.push({ of, tx: pair.commitmentOf(of), number });
          }
        };
        note();
        for (const action of list) {
          perform(pair, action);
          note();
        }
        for (const { of, tx, number } of published) {
          const latest = number === pair[of].channel.localCommit.number;
          const owner = examine(pair, of, tx);
          const peer = examine(pair, other[of], tx);
          expect(owner.spend).toEqual({ kind: 'local_commitment', commitmentNumber: number, latest });
          // What its owner has revoked may still be unrevoked for the peer, whom the message has not reached.
          const { remoteCommit } = pair[other[of]].channel;
          const revoked = number < remoteCommit.number;
          expect(peer.spend).toEqual(
            revoked
              ? { kind: 'revoked_commitment', commitmentNumber: number }
              : { kind: 'remote_commitment', commitmentNumber: number, latest: true },
          );
          const claimed = new Set(peer.claims.map(({ outpoint }) => outpoint.index));
          expect(claimed.size).toBe(peer.claims.length);
          if (!revoked && !latest) continue;
          if (!revoked) for (const { outpoint } of owner.claims) claimed.add(outpoint.index);
          const anchors = tx.outputs.filter(({ valueSat }) => valueSat === anchorSat).length;
          expect(claimed.size).toBe(tx.outputs.length - anchors);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('both unrevoked commitments of the peer are recognised with their HTLCs', () => {
    const pair = pairOf(channelType);
    pair.add('alice', { amountMsat: 20_000_000n, preimage: preimage(1), cltvExpiry: 500 });
    const before = pair.commitmentOf('bob');
    pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    pair.offer('alice', { amountMsat: 30_000_000n, preimage: preimage(2), cltvExpiry: 510 });
    while (pair.deliver('alice') || pair.deliver('bob'));
    // Bob's removal waits for a signature of his first.
    pair.run('bob', signIfPending);
    pair.deliver('bob');
    pair.run('alice', signIfPending);
    const { remoteCommit } = pair.alice.channel;
    expect(remoteCommit.awaitingRevocation).toBe(true);
    const older = examine(pair, 'alice', before);
    expect(older.spend).toMatchObject({ kind: 'remote_commitment', latest: true });
    expect(older.claims.filter(({ htlc }) => htlc !== undefined)).toMatchObject([{ htlc: { id: 0n } }]);
    expect(older.withoutOutput.map(({ id }) => id)).toEqual([1n]);
    while (pair.deliver('alice') || pair.deliver('bob'));
    const newer = examine(pair, 'alice', pair.commitmentOf('bob'));
    expect(newer.spend).toMatchObject({ kind: 'remote_commitment', latest: true });
    expect(newer.claims.filter(({ htlc }) => htlc !== undefined)).toMatchObject([{ htlc: { id: 1n } }]);
    expect(newer.withoutOutput).toEqual([]);
  });

  test('of a commitment newer than all we know our balance is claimed, and no payment fails for it', () => {
    const pair = pairOf(channelType);
    pair.add('alice', { amountMsat: 20_000_000n, preimage: preimage(1), cltvExpiry: 500 });
    const old: Channel = pair.alice.channel;
    for (let i = 0; i < 3; i++) {
      pair.add('alice', { amountMsat: 20_000_000n, preimage: preimage(2), cltvExpiry: 500 });
    }
    const { spend, claims, withoutOutput } = examineSpend({
      ...pair.alice,
      channel: old,
      by: pair.commitmentOf('bob'),
    });
    expect(spend).toMatchObject({ kind: 'remote_commitment', latest: false });
    expect(claims.map(({ purpose }) => purpose)).toEqual(['to_remote']);
    expect(withoutOutput).toEqual([]);
  });

  test('of a commitment of ours that was published before we lost data our balance is claimed', () => {
    const pair = pairOf(channelType);
    const old: Channel = pair.alice.channel;
    pair.add('alice', { amountMsat: 20_000_000n, preimage: preimage(1), cltvExpiry: 500 });
    const { spend, claims } = examineSpend({
      ...pair.alice,
      channel: old,
      by: pair.commitmentOf('alice'),
    });
    expect(spend).toMatchObject({ kind: 'local_commitment', latest: false });
    expect(claims.map(({ purpose }) => purpose)).toEqual(['to_local']);
  });

  test('a state that is wrong by a fault of ours does not keep our balance from being claimed', () => {
    const pair = pairOf(channelType);
    const by = pair.commitmentOf('bob');
    const channel: Channel = { ...pair.alice.channel, localMsat: -1n };
    const { spend, claims } = examineSpend({ ...pair.alice, channel, by });
    expect(spend).toEqual({ kind: 'unknown' });
    expect(claims.map(({ purpose }) => purpose)).toEqual(['to_remote']);
  });

  test('claims mature when their locks allow and say when others can take them', () => {
    const pair = pairOf(channelType);
    pair.add('alice', { amountMsat: 20_000_000n, preimage: preimage(1), cltvExpiry: 500 });
    pair.add('bob', { amountMsat: 30_000_000n, preimage: preimage(2), cltvExpiry: 600 });
    pair.settle('alice', 0n, { type: 'fulfill', preimage: preimage(2) });
    const times = (of: Party, by: Transaction) =>
      examine(pair, of, by)
        .claims.map((claim) => [claim.purpose, matureHeight(claim, 450), deadlineHeight(claim, 450)])
        .sort();
    expect(times('alice', pair.commitmentOf('alice'))).toEqual([
      ['htlc_success', 450, 600],
      ['htlc_timeout', 500, undefined],
      ['to_local', 459, undefined],
    ]);
    expect(times('alice', pair.commitmentOf('bob'))).toEqual([
      ['htlc_success', 450, 600],
      ['htlc_timeout', 500, undefined],
      ['to_remote', 450, undefined],
    ]);
    const revoked = pair.commitmentOf('bob');
    pair.commit();
    expect(times('alice', revoked)).toEqual([
      ['revoked_htlc', 450, undefined],
      ['revoked_htlc', 450, 600],
      ['revoked_to_local', 450, 461],
      ['to_remote', 450, undefined],
    ]);
  });
});

describe('transactions that are no commitments', () => {
  const closing = (pair: ChannelPair, script: Uint8Array): Transaction => ({
    version: 2,
    lockTime: 0,
    inputs: [
      {
        outpoint: pair.alice.channel.params.fundingOutpoint,
        scriptSig: new Uint8Array(0),
        sequence: 0xfffffffd,
        witness: [],
      },
    ],
    outputs: [{ valueSat: 990_000n, script }],
  });

  test('a closing transaction is known by its id or by the scripts of shutdown', () => {
    const pair = pairOf('anchors');
    const { channel } = pair.alice;
    const script = new Uint8Array(22).fill(1);
    const by = closing(pair, script);
    const kind = (changed: Partial<Channel>) =>
      classifySpend({ ...pair.alice, channel: { ...channel, ...changed }, by }).kind;
    expect(kind({})).toBe('unknown');
    expect(kind({ closingTransactions: [by] })).toBe('mutual_close');
    expect(kind({ shutdown: { localSent: true, localScript: script } })).toBe('mutual_close');
    expect(kind({ shutdown: { localSent: true, remoteScript: script } })).toBe('mutual_close');
    expect(examineSpend({ ...pair.alice, by }).claims).toEqual([]);
  });
});

describe('preimages on chain', () => {
  test('are found where an output of an HTLC that we offered is spent with one, and nowhere else', () => {
    const pair = pairOf('static_remotekey');
    pair.add('alice', { amountMsat: 20_000_000n, preimage: preimage(1), cltvExpiry: 500 });
    pair.add('bob', { amountMsat: 20_000_000n, preimage: preimage(2), cltvExpiry: 500 });
    pair.settle('bob', 0n, { type: 'fulfill', preimage: preimage(1) });
    pair.settle('alice', 0n, { type: 'fulfill', preimage: preimage(2) });
    const by = pair.commitmentOf('bob');
    const alice = examine(pair, 'alice', by);
    const spends = examine(pair, 'bob', by).claims.flatMap((claim) =>
      claim.how === 'transaction' ? [claim.complete()] : [],
    );
    expect(spends).toHaveLength(2);
    expect(spends.flatMap((tx) => preimagesIn(tx, alice.claims))).toMatchObject([
      { htlc: { id: 0n, direction: 'offered' }, preimage: preimage(1) },
    ]);
    const elsewhere: Transaction = {
      ...spends[0]!,
      inputs: spends[0]!.inputs.map((input) => ({
        ...input,
        outpoint: { ...input.outpoint, txid: txid(spends[0]!) },
      })),
    };
    expect(preimagesIn(elsewhere, alice.claims)).toEqual([]);
  });
});
