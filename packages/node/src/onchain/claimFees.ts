import { feeForWeightSat } from '@rivulet/core/tx';

/** Nodes do not relay below it: 1 sat a virtual byte, in satoshis a 1000 weight units, rounded up. */
export const minimumFeeratePerKw = 253;

/** Inside so many blocks of a deadline the feerate rises by itself, whatever estimates say (BOLT 5: security_delay). */
const pressureBlocks = 18;
/** How much a first attempt may be pushed, however near or past its deadline is. */
const firstPressure = 0.5;
/** How much of the value at stake a fee may be, in 10,000ths: far from the deadline, and at it. */
const farShare = 5_000;
const nearShare = 9_500;

/** What a feerate is decided from. */
export interface FeeQuestion {
  /** Satoshis a 1000 weight units: what the chain asks for in the time that there is (see targetBlocks). */
  readonly estimate: number;
  /** Blocks until somebody else can take what is at stake; absent where nobody ever can. */
  readonly blocksLeft?: number | undefined;
  /** What is lost if the deadline is missed. */
  readonly valueSat: bigint;
  /** The weight that the fee is paid for: a package's is that of all its transactions. */
  readonly weight: number;
  /** What parents pay already. */
  readonly paidSat?: bigint;
  /** The highest feerate that was broadcast: no later one is below it (threat 8). */
  readonly floor: number;
  /** Never more than this, except where the floor is. */
  readonly maxFeeratePerKw: number;
}

/** What a backend says of fees, if it can be reckoned with: positive, finite, and in whole satoshis. */
export function usableEstimate(estimate: number | undefined, fallback: number): number {
  return estimate !== undefined && Number.isFinite(estimate) && estimate > 0 ? Math.ceil(estimate) : fallback;
}

/** How near a deadline is: 0 with time to spare, 1 when it is due, slowly at first and faster then. */
function pressure(blocksLeft: number | undefined): number {
  if (blocksLeft === undefined || blocksLeft >= pressureBlocks) return 0;
  if (blocksLeft <= 1) return 1;
  return ((pressureBlocks - blocksLeft) / (pressureBlocks - 1)) ** 2;
}

/** The highest feerate that is worth paying: half of what is at stake while there is time, nearly all at the end. */
export function affordableFeerate({
  blocksLeft,
  valueSat,
  weight,
  paidSat = 0n,
  maxFeeratePerKw,
}: Omit<FeeQuestion, 'estimate' | 'floor'>): number {
  const share = Math.floor(farShare + (nearShare - farShare) * pressure(blocksLeft));
  const spendableSat = (valueSat * BigInt(share)) / 10_000n + paidSat;
  return Math.min(Number((spendableSat * 1000n) / BigInt(Math.max(weight, 1))), maxFeeratePerKw);
}

/**
 * The feerate to pay now, in satoshis a 1000 weight units: the estimate while there is time, and on from there to
 * all that is worth paying as the deadline comes near, in equal factors rather than in equal steps. It rises with
 * the estimate, with the value and with the nearness of the deadline, and is never below `floor`; without a floor,
 * at the first attempt, it goes half of that way at most.
 */
export function claimFeerate(question: FeeQuestion): number {
  const { estimate, blocksLeft, floor, maxFeeratePerKw } = question;
  const most = Math.max(affordableFeerate(question), minimumFeeratePerKw);
  const base = Math.max(minimumFeeratePerKw, Math.min(estimate, most, maxFeeratePerKw));
  // Nobody may be competing: the first attempt goes half the way, and only what is not mined at once goes all of it.
  const pushed = floor === 0 ? Math.min(pressure(blocksLeft), firstPressure) : pressure(blocksLeft);
  const wanted = base * (most / base) ** pushed;
  return Math.max(floor, Math.min(Math.ceil(wanted), most));
}

/** Within how many blocks a claim is to confirm: half of what is left, for the first attempt may fail. */
export function targetBlocks(
  blocksLeft: number | undefined,
  { contested, uncontested }: { contested: number; uncontested: number },
): number {
  if (blocksLeft === undefined) return uncontested;
  if (blocksLeft >= 12 * contested) return 6 * contested;
  return blocksLeft >= 6 * contested ? 3 * contested : contested;
}

/**
 * The feerate of the next attempt: that of the last one unless enough more is wanted to replace it, so that a
 * transaction that is fine is not sent anew at every block.
 */
export function nextFeerate(lastFeeratePerKw: number, wantedFeeratePerKw: number): number {
  return wantedFeeratePerKw >= raisedFeerate(lastFeeratePerKw) ? wantedFeeratePerKw : lastFeeratePerKw;
}

/** The least feerate of a replacement that is worth sending: nodes take no smaller steps (BIP 125, rule 4). */
export function raisedFeerate(feeratePerKw: number): number {
  return Math.ceil(Math.max(feeratePerKw * 1.25, feeratePerKw + minimumFeeratePerKw));
}

/** The least absolute fee of a replacement: what is replaced paid, and its own relay on top (BIP 125, rules 3, 4). */
export function replacementFeeSat(replacedFeeSat: bigint, weight: number): bigint {
  return replacedFeeSat + BigInt(Math.ceil(weight / 4));
}

/** Whether a fee at this rate leaves something of a value. */
export function isWorth(
  valueSat: bigint,
  { weight, feeratePerKw }: { weight: number; feeratePerKw: number },
): boolean {
  return valueSat > feeForWeightSat(weight, feeratePerKw);
}
