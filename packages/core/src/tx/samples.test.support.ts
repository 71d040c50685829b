import fc from 'fast-check';
import { sha256 } from '../crypto/index.js';
import { deriveChannelSecrets, deriveCommitmentKeys, InMemoryChannelSigner } from '../keys/index.js';
import { buildCommitment, type CommitmentParams, type HtlcOutputSpec } from './commitmentTx.js';

/** Two peers with fixed keys. In the samples `holder` holds the commitment. */
export const holder = new InMemoryChannelSigner(
  deriveChannelSecrets(new Uint8Array(32).fill(1), new Uint8Array(32).fill(1)),
);
export const counterparty = new InMemoryChannelSigner(
  deriveChannelSecrets(new Uint8Array(32).fill(2), new Uint8Array(32).fill(1)),
);

export const sampleKeys = deriveCommitmentKeys({
  perCommitmentPoint: holder.perCommitmentPoint(7n),
  holder: holder.basepoints,
  counterparty: counterparty.basepoints,
});

export const samplePreimage = new Uint8Array(32).fill(5);

export function sampleHtlc(overrides: Partial<HtlcOutputSpec> = {}): HtlcOutputSpec {
  return {
    direction: 'offered',
    id: 0n,
    amountMsat: 50_000_000n,
    paymentHash: sha256(samplePreimage),
    cltvExpiry: 800_000,
    ...overrides,
  };
}

export function sampleParams(overrides: Partial<CommitmentParams> = {}): CommitmentParams {
  return {
    channelType: 'anchors',
    fundingOutpoint: { txid: new Uint8Array(32).fill(3), index: 1 },
    fundingSat: 1_000_000n,
    obscuredCommitmentFactor: 0x123456789abcn,
    commitmentNumber: 7n,
    toLocalMsat: 600_000_000n,
    toRemoteMsat: 300_000_000n,
    htlcs: [sampleHtlc(), sampleHtlc({ direction: 'received', cltvExpiry: 800_010 })],
    feeratePerKw: 1_000,
    dustLimitSat: 354n,
    toSelfDelay: 144,
    holderIsOpener: true,
    keys: sampleKeys,
    ...overrides,
  };
}

export function sampleCommitment(overrides: Partial<CommitmentParams> = {}) {
  return buildCommitment(sampleParams(overrides));
}

const arbitraryHtlc: fc.Arbitrary<HtlcOutputSpec> = fc.record({
  direction: fc.constantFrom('offered', 'received'),
  id: fc.bigInt(0n, 3n),
  amountMsat: fc.oneof(fc.bigInt(1n, 3_000_000n), fc.constantFrom(1_000_000n, 1_000_999n)),
  // Few hashes and expiries, so that outputs tie.
  paymentHash: fc.constantFrom(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)),
  cltvExpiry: fc.constantFrom(500, 501, 800_000),
});

/** Commitments of both types whose balances and HTLCs add up to the channel's capacity. */
export const arbitraryParams: fc.Arbitrary<CommitmentParams> = fc
  .record({
    channelType: fc.constantFrom<'static_remotekey' | 'anchors'>('static_remotekey', 'anchors'),
    toLocalMsat: fc.bigInt(0n, 10_000_000n),
    toRemoteMsat: fc.bigInt(0n, 10_000_000n),
    htlcs: fc.array(arbitraryHtlc, { maxLength: 8 }),
    feeratePerKw: fc.integer({ min: 0, max: 5_000 }),
    dustLimitSat: fc.bigInt(354n, 1_500n),
    holderIsOpener: fc.boolean(),
    commitmentNumber: fc.bigInt(0n, (1n << 48n) - 1n),
  })
  .map((fields) => {
    const inHtlcs = fields.htlcs.reduce((sum, htlc) => sum + htlc.amountMsat, 0n);
    // A channel's capacity is in whole satoshi; what is missing to one is the holder's.
    const missing = (1000n - ((fields.toLocalMsat + fields.toRemoteMsat + inHtlcs) % 1000n)) % 1000n;
    // The channel refuses states in which the opener cannot pay the anchors: they cannot be built.
    const anchorsMsat = fields.channelType === 'anchors' ? 660_000n : 0n;
    const toLocalMsat = fields.toLocalMsat + missing + (fields.holderIsOpener ? anchorsMsat : 0n);
    const toRemoteMsat = fields.toRemoteMsat + (fields.holderIsOpener ? 0n : anchorsMsat);
    const fundingSat = (toLocalMsat + toRemoteMsat + inHtlcs) / 1000n;
    return sampleParams({ ...fields, toLocalMsat, toRemoteMsat, fundingSat });
  });
