import type { ChannelType } from '@rivulet/core/tx';

/** One of the two sides of a channel. */
export type Side = 'us' | 'peer';

/** An HTLC as those who made the situation know it. */
export interface HtlcFact {
  readonly from: Side;
  readonly amountMsat: bigint;
  readonly expiry: number;
  /** Whose commitments have it. */
  readonly inCommitmentOf: readonly Side[];
}

/** What a commitment is made from. Balances are those before its HTLCs are taken out. */
export interface CommitmentFacts<H extends HtlcFact> {
  readonly holder: Side;
  readonly opener: Side;
  readonly commitment: ChannelType;
  readonly feeratePerKw: number;
  readonly dustLimitSat: bigint;
  readonly balanceMsat: Readonly<Record<Side, bigint>>;
  readonly htlcs: readonly H[];
}

export interface ExpectedOutputs<H> {
  /** The two balances, where they have an output. */
  readonly mainSat: Readonly<Partial<Record<Side, bigint>>>;
  readonly htlcs: readonly { readonly htlc: H; readonly valueSat: bigint }[];
  /** HTLCs without an output. */
  readonly trimmed: readonly H[];
  readonly anchors: number;
}

export const anchorSat = 330n;
/** BOLT 3, Appendix A. */
const baseWeight = { static_remotekey: 724, anchors: 1124 } as const;
const htlcOutputWeight = 172;
const htlcTimeoutWeight = 663;
const htlcSuccessWeight = 703;

export const otherSide = (side: Side): Side => (side === 'us' ? 'peer' : 'us');

/**
 * The outputs of a commitment by BOLT 3 (Commitment Transaction Construction), computed from amounts alone
 * and by nothing that the node has.
 */
export function expectedOutputs<H extends HtlcFact>(facts: CommitmentFacts<H>): ExpectedOutputs<H> {
  const { holder, opener, commitment, feeratePerKw, dustLimitSat, balanceMsat } = facts;
  const anchors = commitment === 'anchors';
  const present = facts.htlcs.filter(({ inCommitmentOf }) => inCommitmentOf.includes(holder));
  // BOLT 3, Trimmed Outputs: with anchors HTLC transactions pay no fee of their own.
  const feeOf = (weight: number) => (anchors ? 0n : BigInt(Math.floor((feeratePerKw * weight) / 1000)));
  const isTrimmed = ({ from, amountMsat }: H) =>
    amountMsat / 1000n < dustLimitSat + feeOf(from === holder ? htlcTimeoutWeight : htlcSuccessWeight);
  const trimmed = present.filter(isTrimmed);
  const standing = present.filter((htlc) => !isTrimmed(htlc));
  const weight = baseWeight[commitment] + htlcOutputWeight * standing.length;
  const feeSat = BigInt(Math.floor((feeratePerKw * weight) / 1000)) + (anchors ? 2n * anchorSat : 0n);
  const mainSat: Partial<Record<Side, bigint>> = {};
  for (const side of ['us', 'peer'] as const) {
    const offered = present.reduce(
      (sum, { from, amountMsat }) => (from === side ? sum + amountMsat : sum),
      0n,
    );
    const sat = (balanceMsat[side] - offered) / 1000n - (side === opener ? feeSat : 0n);
    if (sat >= dustLimitSat) mainSat[side] = sat;
  }
  const has = (side: Side) => mainSat[side] !== undefined || standing.length > 0;
  return {
    mainSat,
    htlcs: standing.map((htlc) => ({ htlc, valueSat: htlc.amountMsat / 1000n })),
    trimmed,
    anchors: anchors ? [has('us'), has('peer')].filter(Boolean).length : 0,
  };
}
