import { bytesToHex } from '../../bytes/index.js';
import type { LiquidityObservation, RouteHop } from '../../graph/index.js';
import { type FailureMessage, failureFlags } from '../../onion/index.js';
import type { AttemptReading } from './attemptReading.js';
import { readPolicy } from './channelUpdates.js';
import type { EndingCause } from './ending.js';
import { failureRules, type HopRule } from './failureRules.js';
import {
  amountsInFlight,
  policyFeeMsat,
  withChannel,
  withoutChannel,
  withoutNode,
  withRefusal,
  withStrike,
} from './knowledge.js';
import {
  type Attempt,
  attemptsInFlight,
  directedChannel,
  type Knowledge,
  type LearnedPolicy,
  type Sending,
} from './sending.js';

/** What becomes of the payment. */
export type Verdict =
  | { readonly type: 'retry' }
  | { readonly type: 'end'; readonly cause: EndingCause }
  /** The destination of a probe answered. */
  | { readonly type: 'reached' };

export interface Judgement {
  readonly verdict: Verdict;
  readonly knowledge: Knowledge;
  readonly observations: readonly LiquidityObservation[];
}

interface FailedAttempt {
  readonly sending: Sending;
  readonly attempt: Attempt;
}

/** What weighs more than a coincidence. */
const heavyStrike = 2;
const retry: Verdict = { type: 'retry' };

/**
 * What a failed attempt teaches (BOLT 4, receiving failure codes). Every retry is with less than before: a
 * node, a channel or an amount is left out, or new terms are kept to, once a channel.
 * @param sending with the attempt as failed already.
 */
export function judgeFailure(
  sending: Sending,
  { attempt, reading }: { attempt: Attempt; reading: AttemptReading },
): Judgement {
  const given = { sending, attempt };
  switch (reading.type) {
    case 'attributed': {
      const { hopIndex, failure } = reading;
      return hopIndex === attempt.route.hops.length - 1
        ? judgeDestination(given, failure)
        : judgeHop(given, { hopIndex, failure });
    }
    case 'malformed':
      return judgeMalformed(given);
    case 'corrupted':
      return judgeCorrupted(given, reading.afterHop);
    case 'unattributable':
      return judgeUnattributable(given);
    case 'timed_out_on_chain':
      return end(sending.knowledge, { code: 'timed_out_on_chain' });
  }
}

function end(
  knowledge: Knowledge,
  cause: EndingCause,
  observations: readonly LiquidityObservation[] = [],
): Judgement {
  return { verdict: { type: 'end', cause }, knowledge, observations };
}

function refused(
  knowledge: Knowledge,
  sentence: string,
  observations: readonly LiquidityObservation[] = [],
): Judgement {
  return end(knowledge, { code: 'refused_by_destination', sentence }, observations);
}

function hopAt(attempt: Attempt, index: number): RouteHop {
  return attempt.route.hops[index] as RouteHop;
}

function nodeKey(hop: RouteHop): string {
  return bytesToHex(hop.nodeId);
}

function observation(
  { shortChannelId, direction, amountMsat }: RouteHop,
  outcome: LiquidityObservation['outcome'],
): LiquidityObservation {
  return { shortChannelId, direction, amountMsat, outcome };
}

/** The channels until the node that got the HTLC carried it; of our own channel nothing is to be learned. */
function carriedTo({ route }: Attempt, hopIndex: number): LiquidityObservation[] {
  return route.hops.slice(1, hopIndex + 1).map((hop) => observation(hop, 'carried'));
}

function judgeHop(
  { sending, attempt }: FailedAttempt,
  { hopIndex, failure }: { hopIndex: number; failure: FailureMessage | undefined },
): Judgement {
  const { knowledge } = sending;
  const hop = hopAt(attempt, hopIndex);
  const next = hopAt(attempt, hopIndex + 1);
  const observations = carriedTo(attempt, hopIndex);
  const learned = (changed: Knowledge): Judgement => ({ verdict: retry, knowledge: changed, observations });
  if (failure === undefined) return learned(withoutNode(knowledge, nodeKey(hop)));
  const rule = failureRules[failure.type];
  // What others of our HTLCs hold there is for the observer to add: it knows those of all payments.
  if (rule.refused) observations.push(observation(next, 'refused'));
  switch (ruleFromHop(failure)) {
    case 'bogus':
    case 'avoid_node':
      return learned(withoutNode(knowledge, nodeKey(hop)));
    case 'avoid_channel':
      return learned(withoutChannel(knowledge, directedChannel(next)));
    case 'less_through_channel':
      return learned(withRefusal(knowledge, directedChannel(next), takenMsat(sending, next)));
    case 'correct_policy':
      return learned(correctPolicy(knowledge, { hop, next, failure }));
  }
}

/** What a channel did not carry: the HTLC, with the other parts of the payment that are in it. */
function takenMsat(sending: Sending, hop: RouteHop): bigint {
  return hop.amountMsat + (amountsInFlight(sending).get(directedChannel(hop)) ?? 0n);
}

/** BOLT 4: if the NODE bit is set: SHOULD remove all channels connected with the erring node */
function ruleFromHop(failure: FailureMessage): HopRule {
  if (failure.type === 'unknown' && failureFlags(failure).node) return 'avoid_node';
  return failureRules[failure.type].fromHop;
}

/** Takes over new terms that explain the failure; what does not explain it is held against the node. */
function correctPolicy(
  knowledge: Knowledge,
  { hop, next, failure }: { hop: RouteHop; next: RouteHop; failure: FailureMessage },
): Knowledge {
  const channel = directedChannel(next);
  const update = 'channelUpdate' in failure ? failure.channelUpdate : new Uint8Array(0);
  // BOLT 4: nodes are expected to transition away from including the `channel_update`
  if (update.length === 0) return withoutChannel(knowledge, channel);
  const policy = readPolicy(update, next);
  const punished = (): Knowledge => withStrike(withoutChannel(knowledge, channel), nodeKey(hop), heavyStrike);
  if (policy === undefined || !breaks(policy, { hop, next, failure })) return punished();
  const known = knowledge.channels.get(channel)?.policy;
  // New terms once; another part may have been on its way with the old ones. Terms that rise again, as soon
  // as they are kept to, could rise for ever.
  if (known !== undefined) {
    const keptTo = !violates(known, { hop, next });
    return keptTo ? punished() : knowledge;
  }
  return withStrike(withChannel(knowledge, channel, { policy }), nodeKey(hop));
}

/** Whether the HTLC breaks these terms in the point that the failure is about. */
function breaks(
  policy: LearnedPolicy,
  { hop, next, failure }: { hop: RouteHop; next: RouteHop; failure: FailureMessage },
): boolean {
  switch (failure.type) {
    case 'fee_insufficient':
      return hop.amountMsat - next.amountMsat < policyFeeMsat(policy, next.amountMsat);
    case 'incorrect_cltv_expiry':
      return hop.cltvDelta - next.cltvDelta < policy.cltvExpiryDelta;
    case 'amount_below_minimum':
      return next.amountMsat < policy.htlcMinimumMsat;
    default:
      return false;
  }
}

function violates(policy: LearnedPolicy, { hop, next }: { hop: RouteHop; next: RouteHop }): boolean {
  return (
    hop.amountMsat - next.amountMsat < policyFeeMsat(policy, next.amountMsat) ||
    hop.cltvDelta - next.cltvDelta < policy.cltvExpiryDelta ||
    next.amountMsat < policy.htlcMinimumMsat ||
    next.amountMsat > policy.htlcMaximumMsat
  );
}

function judgeDestination(given: FailedAttempt, failure: FailureMessage | undefined): Judgement {
  const { sending, attempt } = given;
  const { knowledge, request } = sending;
  const last = attempt.route.hops.length - 1;
  const observations = carriedTo(attempt, last);
  if (failure === undefined) {
    return refused(knowledge, 'the destination failed the payment and does not say why', observations);
  }
  const rule = failureRules[failure.type];
  if (rule.reached && request.kind.type === 'probe') {
    return { verdict: { type: 'reached' }, knowledge, observations };
  }
  const final = () => refused(knowledge, sentenceOf(given, failure), observations);
  const again = (changed: Knowledge): Judgement => ({ verdict: retry, knowledge: changed, observations });
  switch (rule.fromDestination) {
    case 'refuses':
      return final();
    case 'tampered':
      // Nobody is between us and the destination who could have changed it.
      return last === 0 ? final() : again(withoutChannel(knowledge, directedChannel(hopAt(attempt, last))));
    case 'incomplete': {
      if (attempt.route.amountMsat === request.amountMsat) return final();
      // Fewer parts, once for all parts that were together.
      const isLast = attemptsInFlight(sending).length === 0;
      const partsLimit = isLast ? Math.max(1, Math.floor(knowledge.partsLimit / 2)) : knowledge.partsLimit;
      return again({ ...knowledge, partsLimit });
    }
    case 'too_far': {
      const isPadded = hopAt(attempt, last).cltvDelta > request.finalCltvDelta;
      return isPadded && !knowledge.withoutPadding ? again({ ...knowledge, withoutPadding: true }) : final();
    }
  }
}

/** Codes that BOLT 4 once had, and 15 as it was before it had data. */
const formerSentences: ReadonlyMap<number, string> = new Map([
  [0x400f, failureRules.incorrect_or_unknown_payment_details.sentence],
  [0x4010, 'the destination does not take this amount'],
  [17, failureRules.expiry_too_soon.sentence],
]);

/** How far a destination's chain may be ahead of ours before people are told. */
const noticeableBlocks = 3;

function sentenceOf({ sending, attempt }: FailedAttempt, failure: FailureMessage): string {
  const { sentence } = failureRules[failure.type];
  switch (failure.type) {
    case 'incorrect_or_unknown_payment_details': {
      const { type } = sending.request.kind;
      const why =
        type === 'keysend'
          ? 'it may not accept keysend, or not this amount or these records'
          : 'the invoice may be paid, expired or unknown to it, or the amount is wrong';
      const ahead = failure.height - attempt.blockHeight;
      const behind =
        ahead > noticeableBlocks && ahead < 0x8000_0000
          ? `; its chain is at block ${failure.height}, ours was at ${attempt.blockHeight}: our node may be behind`
          : '';
      return `${sentence}: ${why}${behind}`;
    }
    case 'invalid_onion_payload':
      return failure.tlvType === 0n ? sentence : `${sentence} (type ${failure.tlvType})`;
    case 'unknown':
      return `${formerSentences.get(failure.failureCode) ?? sentence} (code ${failure.failureCode})`;
    default:
      return sentence;
  }
}

/** Our peer could not read the onion, or says so: it is where the onion was changed, if it was. */
function judgeMalformed({ sending, attempt }: FailedAttempt): Judgement {
  const { knowledge } = sending;
  if (attempt.route.hops.length === 1) return refused(knowledge, 'the destination could not read the onion');
  return { verdict: retry, knowledge: withoutNode(knowledge, nodeKey(hopAt(attempt, 0))), observations: [] };
}

/** The failure came intact until a hop: it, or the next, is to blame for what cannot be read. */
function judgeCorrupted(given: FailedAttempt, afterHop: number): Judgement {
  const { sending, attempt } = given;
  const last = attempt.route.hops.length - 1;
  if (afterHop < 0) return judgeUnattributable(given);
  const observations = carriedTo(attempt, afterHop);
  if (afterHop >= last) {
    return refused(
      sending.knowledge,
      'the destination failed the payment and its reason cannot be read',
      observations,
    );
  }
  let knowledge = withoutChannel(sending.knowledge, directedChannel(hopAt(attempt, afterHop + 1)));
  for (const index of [afterHop, afterHop + 1]) {
    if (index < last) knowledge = withStrike(knowledge, nodeKey(hopAt(attempt, index)), heavyStrike);
  }
  return { verdict: retry, knowledge, observations };
}

/**
 * Anybody on the way may have altered the failure. Who was there most often is left out, and of several the
 * one that is farthest away: whoever does it again is found within a few attempts, and our own peers, without
 * whom we may not get anywhere, come last.
 */
function judgeUnattributable({ sending, attempt }: FailedAttempt): Judgement {
  const between = attempt.route.hops.slice(0, -1).map(nodeKey);
  if (between.length === 0) {
    return refused(sending.knowledge, 'the destination failed the payment and its reason cannot be read');
  }
  let { knowledge } = sending;
  for (const node of between) knowledge = withStrike(knowledge, node);
  const strikes = (node: string) => knowledge.strikes.get(node) ?? 0;
  const suspect = between.reduce((worst, node) => (strikes(node) >= strikes(worst) ? node : worst));
  return { verdict: retry, knowledge: withoutNode(knowledge, suspect), observations: [] };
}
