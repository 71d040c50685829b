import type { LegPlan } from '../ledger/index.js';
import { type ActiveValue, planAt, planBoundaries, splitAmount, type ValuePlan } from '../value/index.js';
import { legsOfSplit, positionFields, type SplitPaymentOptions, uuidOf } from './splitLegs.js';
import type { StreamState } from './streamState.js';
import { cutAt, lengthMs, type Stretch, takeMs } from './stretches.js';

const msPerMinute = 60_000n;
/** More than all money: everything waits. */
const never = 1n << 70n;

export interface IntervalRequest extends SplitPaymentOptions {
  readonly plan: ValuePlan;
  /** Where who is paid changes, in milliseconds of content. */
  readonly boundariesMs: readonly number[];
  /** Of playback; only said, never paid. */
  readonly speed: number;
  /** Everything is carried, and nothing paid. */
  readonly defer: boolean;
}

/** Every millisecond of content at which who is paid may change. */
export function boundariesMsOf(plan: ValuePlan): number[] {
  // The first whole millisecond that is not before the boundary; a thousandth of one is an error of floating point.
  return planBoundaries(plan).map((seconds) => Math.ceil(Math.round(seconds * 1_000_000) / 1_000));
}

/**
 * Turns the next milliseconds that were listened to into payments: one split for everybody who is paid for them,
 * what each is owed from before included.
 * @param state what was stored; its open part has at least `ms`.
 * @param ms 0 pays what was carried alone.
 */
export function closeInterval(
  state: StreamState,
  ms: number,
  request: IntervalRequest,
): { state: StreamState; legs: LegPlan[] } {
  const { plan, boundariesMs, speed, defer } = request;
  const { terms, interval } = state;
  const { taken, rest } = takeMs(state.open, ms);
  let { carried, remainder, owedMsat } = state;
  const legs: LegPlan[] = [];
  const heard = partsOf(plan, cutAt(taken, boundariesMs));
  const parts =
    ms > 0 ? heard : [{ active: planAt(plan, state.positionMs / 1_000), stretches: [] as Stretch[] }];
  for (const [index, { active, stretches }] of parts.entries()) {
    const units = terms.rateMsatPerMinute * BigInt(lengthMs(stretches)) + remainder;
    const amountMsat = units / msPerMinute;
    remainder = units % msPerMinute;
    owedMsat += amountMsat;
    const split = splitAmount({
      amountMsat,
      block: active.block,
      remote: active.remote,
      remotePercentage: active.remotePercentage,
      feeMode: terms.feeMode,
      extraFees: terms.extraFees,
      minPayableMsat: defer ? never : terms.minPayableMsat,
      carried,
    });
    carried = split.carried;
    const keyPrefix = `${streamGroup(state)}:${interval}:${index}`;
    const planned = legsOfSplit({
      ...request,
      active,
      payments: split.payments,
      boostagram: {
        action: 'stream',
        ...positionFields((stretches.at(-1)?.toMs ?? state.positionMs) / 1_000),
        valueMsatTotal: amountMsat,
        secondsBack: Math.round(lengthMs(stretches) / 1_000),
        ...(speed === 1 ? {} : { speed: String(speed) }),
        boostUuid: uuidOf(keyPrefix),
      },
      group: streamGroup(state),
      keyPrefix,
    });
    legs.push(...planned.map(({ leg }) => leg));
  }
  return {
    state: { ...state, open: rest, interval: interval + 1, carried, remainder, owedMsat },
    legs,
  };
}

/** The ledger's group of a session. */
export function streamGroup({ id }: StreamState): string {
  return `stream:${id}`;
}

/** What was listened to, by who is paid for it. */
function partsOf(
  plan: ValuePlan,
  pieces: readonly Stretch[],
): { active: ActiveValue; stretches: Stretch[] }[] {
  const parts = new Map<number, { active: ActiveValue; stretches: Stretch[] }>();
  for (const piece of pieces) {
    const active = planAt(plan, piece.fromMs / 1_000);
    const which = active.timeSplitIndex ?? -1;
    const part = parts.get(which);
    if (part === undefined) parts.set(which, { active, stretches: [piece] });
    else part.stretches.push(piece);
  }
  return [...parts.values()];
}
