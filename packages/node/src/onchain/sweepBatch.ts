import { bytesToHex } from '@rivulet/core/bytes';
import type { Claim } from '@rivulet/core/monitor';
import {
  buildHtlcPackage,
  buildSweep,
  feeForWeightSat,
  type SweepInput,
  type Transaction,
} from '@rivulet/core/tx';
import type { SweepPolicy } from './sweepPorts.js';
import type { TrackedClaim } from './trackedSpend.js';

/** Claims that one transaction takes together. They stay together until one of them is spent or fails. */
export interface SweepBatch {
  readonly id: string;
  keys: readonly string[];
  readonly contested: boolean;
  feeratePerKw: number;
  /** Where the money, or the change of a package's fee inputs, goes. */
  script?: Uint8Array;
  feeInputs?: readonly SweepInput[];
  /** What was built last; absent when it has to be built anew. */
  tx?: Transaction;
  /** The last one was refused for its fee. */
  refusedFee: boolean;
  /** Whether it was ever accepted. */
  accepted: boolean;
}

/** A mature claim and the channel that it belongs to. */
export interface MatureClaim extends TrackedClaim {
  readonly channelId: Uint8Array;
  readonly deadline: number | undefined;
}

/** Far below the 400,000 weight units that nodes relay. */
const maxClaimsPerBatch = 100;
const minimumFeeratePerKw = 253;

/**
 * Which claims may share a transaction. What nobody else can take goes together, of all channels. What is
 * contested is kept apart by channel and purpose: one output that the peer takes or pins must not hold up
 * others (BOLT 5: Revoked Transaction Close Handling); with its deadline near an output goes alone.
 */
function groupOf(mature: MatureClaim, { height, policy }: { height: number; policy: SweepPolicy }): string {
  const { claim, channelId, key, deadline } = mature;
  if (claim.how === 'transaction' || claim.how === 'wait') return `single ${key}`;
  if (deadline !== undefined && deadline - height < policy.urgentBlocks) return `urgent ${key}`;
  const channel = bytesToHex(channelId);
  if (claim.how === 'package') return `package ${channel} ${claim.purpose} ${claim.lockTime}`;
  return claim.contested ? `contested ${channel} ${claim.purpose}` : 'uncontested';
}

/** Whether an output brings more than it adds to a transaction's fee; one that does not waits for lower fees. */
export function isWorthwhile(claim: Claim, feeratePerKw: number): boolean {
  if (claim.how === 'input') return claim.valueSat > feeForWeightSat(claim.input.weight, feeratePerKw);
  if (claim.how === 'package') return claim.valueSat > feeForWeightSat(claim.weight, feeratePerKw);
  return true;
}

/** Puts claims into groups that go into one transaction each. `alone` has the keys of those that must not share. */
export function groupClaims(
  claims: readonly MatureClaim[],
  context: { height: number; policy: SweepPolicy; alone: ReadonlySet<string> },
): MatureClaim[][] {
  const groups = new Map<string, MatureClaim[]>();
  for (const claim of claims) {
    const name = context.alone.has(claim.key) ? `alone ${claim.key}` : groupOf(claim, context);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [claim]);
    else group.push(claim);
  }
  return [...groups.values()].flatMap((group) => {
    const parts: MatureClaim[][] = [];
    for (let i = 0; i < group.length; i += maxClaimsPerBatch)
      parts.push(group.slice(i, i + maxClaimsPerBatch));
    return parts;
  });
}

/** The next feerate of a batch: never lower than before (threat 8), and enough more to replace it (BIP 125). */
export function nextFeerate(
  { feeratePerKw, refusedFee }: Pick<SweepBatch, 'feeratePerKw' | 'refusedFee'>,
  { estimate, policy }: { estimate: number; policy: SweepPolicy },
): number {
  const replacing = Math.ceil(Math.max(feeratePerKw * 1.25, feeratePerKw + minimumFeeratePerKw));
  const wanted = Math.min(estimate, policy.maxFeeratePerKw);
  if (refusedFee)
    return Math.max(feeratePerKw, Math.min(Math.max(wanted, replacing), policy.maxFeeratePerKw));
  return wanted >= replacing ? wanted : feeratePerKw;
}

function claimInputs(claims: readonly Claim[]): SweepInput[] {
  return claims.flatMap((claim) => (claim.how === 'input' ? [claim.input] : []));
}

/** The weight that a package's fee inputs have to pay for, beside their own. */
export function packageWeight(claims: readonly Claim[]): number {
  return claims.reduce((sum, claim) => sum + (claim.how === 'package' ? claim.weight : 0), 0);
}

/**
 * Builds a batch's transaction; `undefined` when it would leave too little. A contested sweep that cannot pay
 * the feerate pays what it can.
 */
export function buildBatch(
  batch: SweepBatch & { script: Uint8Array },
  { claims, height }: { claims: readonly Claim[]; height: number },
): Transaction | undefined {
  const { script, feeratePerKw } = batch;
  const [first] = claims;
  if (first?.how === 'transaction') return first.complete();
  if (first?.how === 'package') {
    const items = claims.flatMap((claim) => (claim.how === 'package' ? [claim.item] : []));
    const feeInputs = batch.feeInputs ?? [];
    return buildHtlcPackage({ items, feeInputs, changeScript: script, feeratePerKw })?.tx;
  }
  const inputs = claimInputs(claims);
  const sweep = buildSweep({ inputs, script, feeratePerKw, lockTime: height });
  if (sweep !== undefined || !batch.contested || batch.accepted) return sweep?.tx;
  const cheapest = buildSweep({ inputs, script, feeratePerKw: minimumFeeratePerKw, lockTime: height });
  if (cheapest === undefined) return undefined;
  // All but a dust limit's worth of what is left at the least fee goes into a higher one.
  const spareSat = Number((cheapest.tx.outputs[0]?.valueSat ?? 0n) - dustReserveSat);
  const affordable = minimumFeeratePerKw + Math.floor((Math.max(0, spareSat) * 1000) / cheapest.weight);
  return buildSweep({ inputs, script, feeratePerKw: affordable, lockTime: height })?.tx;
}

/** At or above the dust limit of every standard script. */
const dustReserveSat = 600n;
