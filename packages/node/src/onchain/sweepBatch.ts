import { bytesToHex } from '@rivulet/core/bytes';
import { type Claim, matureHeight } from '@rivulet/core/monitor';
import { buildHtlcPackage, buildSweep, type Sweep, type SweepInput } from '@rivulet/core/tx';
import {
  affordableFeerate,
  claimFeerate,
  type FeeQuestion,
  isWorth,
  minimumFeeratePerKw,
  nextFeerate,
  replacementFeeSat,
  targetBlocks,
} from './claimFees.js';
import { claimWeight, feeInputWeight, frameWeight, loneWeight } from './smallClaims.js';
import type { SweepPolicy } from './sweepPorts.js';
import type { TrackedClaim } from './trackedSpend.js';

/** Claims that one transaction takes together. They stay together until one of them is spent or fails. */
export interface SweepBatch {
  readonly id: string;
  keys: readonly string[];
  readonly contested: boolean;
  /** The highest that was broadcast for one of them, or 0. */
  feeratePerKw: number;
  /** Where the money, or the change of a package's fee inputs, goes. */
  script?: Uint8Array;
  feeInputs?: readonly SweepInput[];
  /** What was built last; absent when it has to be built anew. */
  sweep?: Sweep;
  /** What the last one that was accepted pays: it waits in mempools, and a replacement pays more. */
  waitingFeeSat?: bigint;
}

/** A mature claim and the channel that it belongs to. */
export interface MatureClaim extends TrackedClaim {
  readonly channelId: Uint8Array;
  readonly deadline: number | undefined;
}

/** What fees follow from at one height of the chain. */
export interface FeeView {
  readonly height: number;
  readonly policy: SweepPolicy;
  /** Satoshis a 1000 weight units, for confirmation within so many blocks. */
  readonly estimate: (targetBlocks: number) => number;
}

/** Far below the 400,000 weight units that nodes relay. */
const maxClaimsPerBatch = 100;
/** What would pay no more than this, ten times the least, is petty. */
const pettyFeeratePerKw = 10 * minimumFeeratePerKw;

function blocksLeft({ deadline }: Pick<MatureClaim, 'deadline'>, height: number): number | undefined {
  return deadline === undefined ? undefined : deadline - height;
}

/** What the chain asks for a claim in the time that it has. */
function estimateFor(
  { contested, left }: { contested: boolean; left: number | undefined },
  { policy, estimate }: FeeView,
): number {
  const { contestedTargetBlocks, uncontestedTargetBlocks } = policy;
  if (!contested) return estimate(uncontestedTargetBlocks);
  // Without a deadline the other side may take it at any time.
  const uncontested = contestedTargetBlocks;
  return estimate(targetBlocks(left, { contested: contestedTargetBlocks, uncontested }));
}

/**
 * Whether an output brings more than it adds to a transaction's fee; one that does not waits for lower fees. What
 * somebody else can take is claimed for what it is worth: nothing is lost by that.
 */
export function isWorthwhile(mature: MatureClaim, view: FeeView): boolean {
  const { claim } = mature;
  const weight = claimWeight(claim);
  if (weight === 0) return true;
  const estimate = estimateFor({ contested: claim.contested, left: blocksLeft(mature, view.height) }, view);
  if (isWorth(claim.valueSat, { weight, feeratePerKw: estimate })) return true;
  if (!claim.contested) return false;
  // One that has waited for long is claimed for whatever it leaves: else its payment would never end.
  const waited = view.height - matureHeight(claim, mature.createdHeight) >= view.policy.patienceBlocks;
  const alone = loneWeight(claim) * (waited ? 1 : 2);
  return isWorth(claim.valueSat, { weight: alone, feeratePerKw: minimumFeeratePerKw });
}

/**
 * Which claims may share a transaction. What nobody else can take goes together, of all channels. What is
 * contested is kept apart by channel and purpose: one output that the peer takes or pins must not hold up
 * others (BOLT 5: Revoked Transaction Close Handling); with its deadline near an output goes alone, and so does
 * one that could not pay its share of what the others pay. Small HTLC transactions share what the wallet pays.
 */
function groupOf(mature: MatureClaim, view: FeeView): string {
  const { claim, channelId, key, deadline } = mature;
  if (claim.how === 'transaction' || claim.how === 'wait') return `single ${key}`;
  const { height, policy } = view;
  const channel = bytesToHex(channelId);
  const feeratePerKw = estimateFor({ contested: claim.contested, left: blocksLeft(mature, height) }, view);
  const isSmallNow =
    claim.contested && !isWorth(claim.valueSat, { weight: 2 * claimWeight(claim), feeratePerKw });
  // Each would need a coin of the wallet, and a peer can have hundreds of them.
  if (isSmallNow && claim.how === 'package')
    return `small package ${channel} ${claim.purpose} ${claim.lockTime}`;
  if (deadline !== undefined && deadline - height < policy.urgentBlocks) return `urgent ${key}`;
  if (!claim.contested) return 'uncontested';
  if (isSmallNow) return `small ${key}`;
  if (claim.how === 'package') return `package ${channel} ${claim.purpose} ${claim.lockTime}`;
  return `contested ${channel} ${claim.purpose}`;
}

export function sumOf(claims: readonly MatureClaim[]): bigint {
  return claims.reduce((sum, { claim }) => sum + claim.valueSat, 0n);
}

/** HTLC transactions that bring so little that only a few of them may have a coin of the wallet's at a time. */
export function isPetty(claims: readonly MatureClaim[]): boolean {
  const [first] = claims;
  if (first?.claim.how !== 'package') return false;
  return !isWorth(sumOf(claims), { weight: loneWeight(first.claim), feeratePerKw: pettyFeeratePerKw });
}

/**
 * Puts claims into groups that go into one transaction each, the most valuable first: those get the wallet's coins.
 * `alone` has the keys of those that must not share.
 */
export function groupClaims(
  claims: readonly MatureClaim[],
  view: FeeView & { readonly alone: ReadonlySet<string> },
): MatureClaim[][] {
  const groups = new Map<string, MatureClaim[]>();
  for (const claim of claims) {
    const name = view.alone.has(claim.key) ? `alone ${claim.key}` : groupOf(claim, view);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [claim]);
    else group.push(claim);
  }
  const parts = [...groups.values()].flatMap((group) => {
    const slices: MatureClaim[][] = [];
    for (let i = 0; i < group.length; i += maxClaimsPerBatch)
      slices.push(group.slice(i, i + maxClaimsPerBatch));
    return slices;
  });
  return parts.sort((a, b) => (sumOf(a) > sumOf(b) ? -1 : sumOf(a) < sumOf(b) ? 1 : 0));
}

/** What is asked about a batch's fee: the nearest of its deadlines, and all that it brings. */
function feeQuestion(batch: SweepBatch, claims: readonly MatureClaim[], view: FeeView): FeeQuestion {
  const deadlines = claims.flatMap((claim) => blocksLeft(claim, view.height) ?? []);
  const left = deadlines.length === 0 ? undefined : Math.min(...deadlines);
  const isPackage = claims.some(({ claim }) => claim.how === 'package');
  const inputs = batch.feeInputs?.reduce((sum, { weight }) => sum + weight, 0) ?? feeInputWeight;
  return {
    estimate: estimateFor({ contested: batch.contested, left }, view),
    blocksLeft: left,
    valueSat: sumOf(claims),
    weight: frameWeight + claims.reduce((sum, { claim }) => sum + claimWeight(claim), isPackage ? inputs : 0),
    floor: 0,
    maxFeeratePerKw: view.policy.maxFeeratePerKw,
  };
}

/**
 * What no later transaction pays less than. What was paid for more than is left, or beside others that are not there
 * any more, counts only as far as it is worth paying for what is left, where nothing waits that it would replace.
 */
function floorOf(batch: SweepBatch, question: FeeQuestion): number {
  const { feeratePerKw, contested, waitingFeeSat } = batch;
  if (waitingFeeSat !== undefined) return feeratePerKw;
  const most = affordableFeerate({ ...question, blocksLeft: 0 });
  if (feeratePerKw <= most) return feeratePerKw;
  return contested ? Math.max(most, minimumFeeratePerKw) : 0;
}

/** The feerate of a batch's next transaction, never lower than before (threat 8), and the highest worth paying. */
export function batchFeerate(
  batch: SweepBatch,
  { claims, view }: { claims: readonly MatureClaim[]; view: FeeView },
): { readonly feeratePerKw: number; readonly most: number } {
  const asked = feeQuestion(batch, claims, view);
  const question = { ...asked, floor: floorOf(batch, asked) };
  const { maxFeeratePerKw, floor: last } = question;
  const most = batch.contested ? affordableFeerate(question) : maxFeeratePerKw;
  const wanted = batch.contested ? claimFeerate(question) : Math.min(question.estimate, maxFeeratePerKw);
  return { feeratePerKw: last === 0 ? wanted : nextFeerate(last, wanted), most };
}

function claimInputs(claims: readonly Claim[]): SweepInput[] {
  return claims.flatMap((claim) => (claim.how === 'input' ? [claim.input] : []));
}

/** The weight that a package's fee inputs have to pay for, beside their own; 0 where there are none. */
export function packageWeight(claims: readonly Claim[]): number {
  const weight = claims.reduce((sum, claim) => sum + (claim.how === 'package' ? claim.weight : 0), 0);
  return weight === 0 ? 0 : weight + frameWeight;
}

/** Builds what a batch needs at its feerate; `undefined` when it would leave too little. */
function buildAt(
  { script, feeratePerKw, feeInputs = [], minimumFeeSat }: BuildPlan,
  { claims, height }: { claims: readonly Claim[]; height: number },
): Sweep | undefined {
  const items = claims.flatMap((claim) => (claim.how === 'package' ? [claim.item] : []));
  if (items.length > 0)
    return buildHtlcPackage({ items, feeInputs, changeScript: script, feeratePerKw, minimumFeeSat });
  return buildSweep({ inputs: claimInputs(claims), script, feeratePerKw, lockTime: height, minimumFeeSat });
}

interface BuildPlan {
  readonly script: Uint8Array;
  readonly feeratePerKw: number;
  readonly feeInputs?: readonly SweepInput[] | undefined;
  readonly minimumFeeSat: bigint;
}

/**
 * Builds a batch's transaction; `undefined` when it would leave too little. What replaces one that waits pays
 * enough more for it, and a contested sweep that cannot pay the feerate pays what it can.
 */
export function buildBatch(
  batch: SweepBatch & { readonly script: Uint8Array },
  taken: { readonly claims: readonly Claim[]; readonly height: number },
): Sweep | undefined {
  const [first] = taken.claims;
  // Its fee is what both sides signed.
  if (first?.how === 'transaction') return { tx: first.complete(), feeSat: 0n, weight: 0 };
  const { script, feeratePerKw, feeInputs, waitingFeeSat } = batch;
  const plan: BuildPlan = { script, feeratePerKw, feeInputs, minimumFeeSat: 0n };
  const sweep = buildAt(plan, taken);
  if (sweep !== undefined) {
    const leastSat = waitingFeeSat === undefined ? 0n : replacementFeeSat(waitingFeeSat, sweep.weight);
    return sweep.feeSat >= leastSat ? sweep : buildAt({ ...plan, minimumFeeSat: leastSat }, taken);
  }
  if (!batch.contested || first?.how === 'package') return undefined;
  const cheapest = buildAt({ ...plan, feeratePerKw: minimumFeeratePerKw }, taken);
  if (cheapest === undefined) return undefined;
  // All but a dust limit's worth of what is left at the least fee goes into a higher one.
  const spareSat = Number((cheapest.tx.outputs[0]?.valueSat ?? 0n) - dustReserveSat);
  const affordable = minimumFeeratePerKw + Math.floor((Math.max(0, spareSat) * 1000) / cheapest.weight);
  return buildAt({ ...plan, feeratePerKw: affordable }, taken);
}

/** At or above the dust limit of every standard script. */
const dustReserveSat = 600n;
