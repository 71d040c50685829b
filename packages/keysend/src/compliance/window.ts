import type { StoreTransaction } from '../store/toolkitStore.js';

/** A window is counted in so many steps: what is looked at is the window and up to one step more. */
const steps = 24;

export interface WindowSum {
  readonly count: number;
  readonly msat: bigint;
}

/** A step's number, payments in it, their sum. */
type Step = readonly [number, number, string];

/** What was counted in the window that ends at a time. */
export function windowSum(
  tx: StoreTransaction,
  given: { readonly key: string; readonly windowMs: number; readonly atMs: number },
): WindowSum {
  let count = 0;
  let msat = 0n;
  for (const [, stepCount, stepMsat] of current(tx, given)) {
    count += stepCount;
    msat += BigInt(stepMsat);
  }
  return { count, msat };
}

/** Counts one payment. A single small value in the store, whatever the number of payments. */
export function countInWindow(
  tx: StoreTransaction,
  given: {
    readonly key: string;
    readonly windowMs: number;
    readonly atMs: number;
    readonly amountMsat: bigint;
  },
): void {
  const { key, amountMsat } = given;
  const number = stepOf(given);
  const found = current(tx, given);
  const at = found.findIndex(([step]) => step === number);
  const [, count, msat] = found[at] ?? [number, 0, '0'];
  const changed: Step = [number, count + 1, (BigInt(msat) + amountMsat).toString()];
  tx.put(key, JSON.stringify(at < 0 ? [...found, changed] : found.with(at, changed)));
}

/** Takes back what was counted of one payment. */
export function uncountInWindow(
  tx: StoreTransaction,
  given: {
    readonly key: string;
    readonly windowMs: number;
    /** When it was counted. */
    readonly atMs: number;
    readonly amountMsat: bigint;
  },
): void {
  const text = tx.get(given.key);
  if (text === undefined) return;
  const number = stepOf(given);
  const left = (JSON.parse(text) as Step[]).flatMap((each): Step[] => {
    const [step, count, msat] = each;
    if (step !== number) return [each];
    const rest = BigInt(msat) - given.amountMsat;
    return count <= 1 ? [] : [[step, count - 1, (rest > 0n ? rest : 0n).toString()]];
  });
  tx.put(given.key, JSON.stringify(left));
}

function current(
  tx: StoreTransaction,
  given: { readonly key: string; readonly windowMs: number; readonly atMs: number },
): Step[] {
  const text = tx.get(given.key);
  const now = stepOf(given);
  // Also what seems to be later: a clock that was set back must not open a gap.
  return text === undefined ? [] : (JSON.parse(text) as Step[]).filter(([step]) => step >= now - steps);
}

function stepOf({ windowMs, atMs }: { readonly windowMs: number; readonly atMs: number }): number {
  return Math.floor(atMs / Math.max(1, windowMs / steps));
}
