import { equalBytes } from '../../bytes/index.js';
import type { Settlement } from '../../channel/index.js';
import { sha256 } from '../../crypto/index.js';
import type { LiquidityObservation, RouteHop } from '../../graph/index.js';
import { type AttemptReading, readAttempt } from './attemptReading.js';
import { ended, settled } from './ending.js';
import { judgeFailure, type Verdict } from './judgeFailure.js';
import { withFirstHopRefusal } from './knowledge.js';
import { SendingError } from './paymentRequest.js';
import type { Attempt, AttemptFailure, Sending } from './sending.js';

/** What a settlement made of a payment, and what it tells about channels of others. */
export interface AttemptReport {
  readonly sending: Sending;
  readonly observations: readonly LiquidityObservation[];
}

/** Refusals of our own channels that a smaller HTLC may not meet. */
const refusalsForAmount: ReadonlySet<string> = new Set([
  'amount_unaffordable',
  'remote_cannot_afford_fee',
  'in_flight_limit',
]);
/** What is kept of a refusal's text. */
const longestText = 300;

/**
 * Our own channel did not add the HTLC of an attempt: nothing was sent. Plan again.
 * @param reason a ChannelRefusal, or what else was in the way.
 * @throws SendingError `attempt_unknown`
 */
export function attemptRefused(
  sending: Sending,
  {
    id,
    reason,
    nowMs,
  }: {
    id: number;
    reason: { readonly code: string; readonly message: string };
    nowMs?: number;
  },
): Sending {
  const attempt = attemptOf(sending, id);
  if (attempt.status !== 'in_flight') return sending;
  const first = attempt.route.hops[0] as RouteHop;
  const knowledge = withFirstHopRefusal(sending.knowledge, first.shortChannelId, {
    amountMsat: first.amountMsat,
    forAmount: refusalsForAmount.has(reason.code),
  });
  const failure = { cause: 'refused_by_channel', text: reason.message.slice(0, longestText) };
  return settled({ ...withFailed(sending, { attempt, failure, nowMs }), knowledge });
}

/**
 * An attempt's HTLC came back, irrevocably: what it says is learned, for this payment and (by the
 * observations) for all. Plan again.
 * @param sharedSecrets of the attempt, from `sharedSecretsOf`.
 * @throws SendingError `attempt_unknown`
 */
export function attemptFailed(
  sending: Sending,
  {
    id,
    settlement,
    sharedSecrets,
    nowMs,
  }: {
    id: number;
    settlement: Settlement | { readonly type: 'timed_out_on_chain' };
    sharedSecrets: readonly Uint8Array[];
    nowMs: number;
  },
): AttemptReport {
  if (settlement.type === 'fulfill')
    return attemptFulfilled(sending, { id, preimage: settlement.preimage, nowMs });
  const attempt = attemptOf(sending, id);
  if (attempt.status !== 'in_flight') return { sending, observations: [] };
  const reading = readAttempt(settlement, sharedSecrets);
  const failed = withFailed(sending, { attempt, failure: failureOf(reading), nowMs });
  // The judgement is over what is in flight beside this attempt.
  const { verdict, knowledge, observations } = judgeFailure(failed, { attempt, reading });
  return { sending: concluded({ ...failed, knowledge }, verdict), observations };
}

function concluded(sending: Sending, verdict: Verdict): Sending {
  switch (verdict.type) {
    case 'retry':
      return settled(sending);
    case 'end':
      return sending.status === 'pending' ? ended(sending, verdict.cause) : sending;
    case 'reached':
      // Only a probe: it has one HTLC.
      return sending.status === 'pending' && sending.failure === undefined
        ? { ...sending, status: 'succeeded' }
        : settled(sending);
  }
}

/**
 * An attempt's HTLC was paid: with the first one the payment has succeeded. Other parts are expected to be
 * paid as well; whether they are or come back changes nothing any more but the fee.
 * @throws SendingError `attempt_unknown`; `preimage_wrong`, which no channel should let pass.
 */
export function attemptFulfilled(
  sending: Sending,
  {
    id,
    preimage,
    nowMs,
  }: {
    id: number;
    preimage: Uint8Array;
    nowMs: number;
    /** Not used: hold times do not count in the choice of routes. */
    sharedSecrets?: readonly Uint8Array[];
    attributionData?: Uint8Array;
  },
): AttemptReport {
  const attempt = attemptOf(sending, id);
  if (!equalBytes(sha256(preimage), sending.request.paymentHash)) {
    throw new SendingError('preimage_wrong', `the preimage of attempt ${id} is not that of the payment`);
  }
  if (attempt.status !== 'in_flight') return { sending, observations: [] };
  const attempts = replaced(sending.attempts, { ...attempt, status: 'fulfilled', endedAtMs: nowMs });
  const observations = attempt.route.hops.slice(1).map(
    ({ shortChannelId, direction, amountMsat }): LiquidityObservation => ({
      shortChannelId,
      direction,
      amountMsat,
      outcome: 'settled',
    }),
  );
  const { failure: _, ...rest } = sending;
  // A payment that only waited for its last parts to come back has succeeded after all: the proof is there.
  return { sending: { ...rest, attempts, status: 'succeeded', preimage }, observations };
}

function attemptOf({ attempts }: Sending, id: number): Attempt {
  const attempt = attempts[id];
  if (attempt === undefined) throw new SendingError('attempt_unknown', `the payment has no attempt ${id}`);
  return attempt;
}

function withFailed(
  sending: Sending,
  { attempt, failure, nowMs }: { attempt: Attempt; failure: AttemptFailure; nowMs: number | undefined },
): Sending {
  const over: Attempt = { ...attempt, status: 'failed', failure };
  const attempts = replaced(sending.attempts, nowMs === undefined ? over : { ...over, endedAtMs: nowMs });
  return { ...sending, attempts };
}

function replaced(attempts: readonly Attempt[], attempt: Attempt): readonly Attempt[] {
  return attempts.map((other) => (other.id === attempt.id ? attempt : other));
}

function failureOf(reading: AttemptReading): AttemptFailure {
  switch (reading.type) {
    case 'attributed':
      return { cause: reading.failure?.type ?? 'unreadable', hopIndex: reading.hopIndex };
    case 'malformed':
      return { cause: reading.failure.type, hopIndex: 0 };
    case 'corrupted':
      return reading.afterHop < 0
        ? { cause: reading.type }
        : { cause: reading.type, hopIndex: reading.afterHop };
    case 'unattributable':
    case 'timed_out_on_chain':
      return { cause: reading.type };
  }
}
