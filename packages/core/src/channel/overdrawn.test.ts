import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../crypto/index.js';
import type { ChannelSigner } from '../keys/index.js';
import type { ChannelType } from '../tx/index.js';
import type { Channel } from './channel.js';
import { buildLocalCommitment } from './commitments.js';
import { Bench, protocolErrorOf } from './model/bench.test.support.js';
import { onionOf, ordinarySetup, preimageOf, startHeight } from './model/setup.test.support.js';

const channelTypes: ChannelType[] = ['static_remotekey', 'anchors'];

/** BOLT 3, Fee Calculation: what a commitment with so many HTLC outputs has to pay. */
function feeSat(channelType: ChannelType, { htlcs, feeratePerKw }: { htlcs: number; feeratePerKw: number }) {
  const weight = (channelType === 'anchors' ? 1124 : 724) + 172 * htlcs;
  return BigInt(Math.floor((weight * feeratePerKw) / 1000));
}

/** What the outputs of our commitment say, which is all that counts on chain. */
function onChain(channel: Channel, signer: ChannelSigner) {
  const { params, localCommit } = channel;
  const { tx, outputs } = buildLocalCommitment(channel, { signer, number: localCommit.number });
  const paidSat = tx.outputs.reduce((left, { valueSat }) => left - valueSat, params.fundingSat);
  const of = (kind: string) => outputs.filter((one) => one.kind === kind);
  return {
    htlcs: of('htlc').length,
    anchors: of('local_anchor').length + of('remote_anchor').length,
    toLocalSat: of('to_local')[0]?.valueSat ?? 0n,
    toRemoteSat: of('to_remote')[0]?.valueSat ?? 0n,
    feeSat: paidSat,
  };
}

describe.each(channelTypes)('threat 18: an opener at its reserve (%s)', (commitment) => {
  const reserveSat = ordinarySetup.bob.channelReserveSat;
  const fundingSat = 1_000_000n;
  const anchorsSat = commitment === 'anchors' ? 660n : 0n;

  /** Alice has so much above her reserve and asks Bob to take an HTLC: his channel then, where he does. */
  function offered(
    aboveSat: bigint,
    { amountMsat, feeratePerKw }: { amountMsat: bigint; feeratePerKw: number },
  ) {
    const pushMsat = (fundingSat - reserveSat - aboveSat) * 1000n - amountMsat;
    const { bob } = new Bench({ commitment, fundingSat, pushMsat, feeratePerKw });
    const made = bob.probe({
      type: 'update_add_htlc',
      channelId: bob.channel.params.channelId,
      id: 0n,
      amountMsat,
      paymentHash: sha256(preimageOf(0)),
      cltvExpiry: startHeight + 400,
      onionRoutingPacket: onionOf(0),
    });
    return { made, bob };
  }

  /** Bob's dust limit is 354 sat; without anchors an output also has to pay for the transaction that claims it. */
  const thresholdMsat = (feeratePerKw: number) =>
    (354n + (commitment === 'anchors' ? 0n : BigInt(Math.floor((703 * feeratePerKw) / 1000)))) * 1000n;
  const nearDust = [-1n, 0n, 999n, 100_000n, 250_000n];

  test.each([253, 1_000, 5_000])(
    'cannot have us take near-dust that it does not pay for (feerate %i)',
    (feeratePerKw) => {
      for (const offset of nearDust) {
        const amountMsat = thresholdMsat(feeratePerKw) + offset;
        let refused = -1n;
        let taken = 100_000n;
        while (taken - refused > 1n) {
          const middle = (taken + refused) / 2n;
          const { made } = offered(middle, { amountMsat, feeratePerKw });
          if (protocolErrorOf(made) === undefined) taken = middle;
          else refused = middle;
        }
        // The least that Bob takes it with is what it costs in his commitment, to the satoshi.
        const { made, bob } = offered(taken, { amountMsat, feeratePerKw });
        const [htlc] = made.channel.htlcs.direction('received');
        const committed = {
          ...made.channel,
          htlcs: made.channel.htlcs.with({ ...htlc!, state: 'rcvd_add_ack_revocation' as const }),
        };
        const built = onChain(committed, bob.signer);
        const name = `${amountMsat} msat`;
        expect(built.htlcs, name).toBe(offset < 0n ? 0 : 1);
        expect(built.toRemoteSat, name).toBe(reserveSat);
        const wantedSat = feeSat(commitment, { htlcs: built.htlcs, feeratePerKw });
        const trimmedSat = built.htlcs === 0 ? amountMsat / 1000n : 0n;
        expect(built.feeSat, name).toBeGreaterThanOrEqual(wantedSat + trimmedSat);
        expect(taken, name).toBe(wantedSat + anchorsSat);
      }
    },
  );
});

describe.each(channelTypes)(
  'threat 18: a peer that asks us, the opener, for no reserve at all (%s)',
  (commitment) => {
    type Move =
      | { readonly type: 'offer'; readonly share: number }
      | { readonly type: 'forwarded'; readonly amountSat: number }
      | { readonly type: 'feerate'; readonly feeratePerKw: number };
    const move: fc.Arbitrary<Move> = fc.oneof(
      fc.record({ type: fc.constant('offer' as const), share: fc.double({ min: 0.5, max: 1, noNaN: true }) }),
      fc.record({ type: fc.constant('forwarded' as const), amountSat: fc.integer({ min: 300, max: 3_000 }) }),
      fc.record({
        type: fc.constant('feerate' as const),
        feeratePerKw: fc.integer({ min: 253, max: 20_000 }),
      }),
    );

    test('cannot have us overdraw by HTLCs and a rising feerate: every commitment pays its fee', () => {
      const property = fc.property(fc.array(move, { minLength: 2, maxLength: 10 }), (moves) => {
        const bench = new Bench({
          commitment,
          fundingSat: 100_000n,
          pushMsat: 60_000_000n,
          bob: { ...ordinarySetup.bob, channelReserveSat: 0n },
        });
        const { alice, bob } = bench;
        for (const one of moves) {
          if (one.type === 'feerate') alice.do({ type: 'updateFee', feeratePerKw: one.feeratePerKw });
          if (one.type === 'forwarded') bob.add({ amountMsat: BigInt(one.amountSat) * 1000n });
          if (one.type === 'offer') {
            const left = alice.channel.localMsat - alice.channel.offeredMsat;
            const amountMsat = (left * BigInt(Math.floor(one.share * 1_000))) / 1_000n;
            if (amountMsat > 0n) alice.add({ amountMsat });
          }
          bench.commit();
          for (const { channel, signer } of [alice, bob]) {
            expect(channel.phase.name).toBe('open');
            const built = onChain(channel, signer);
            const { feeratePerKw } = channel.fee;
            expect(built.feeSat).toBeGreaterThanOrEqual(
              feeSat(commitment, { htlcs: built.htlcs, feeratePerKw }),
            );
            if (commitment === 'anchors' && built.htlcs > 0) expect(built.anchors).toBe(2);
          }
        }
      });
      fc.assert(property, { numRuns: 40, seed: 18 });
    });
  },
);
