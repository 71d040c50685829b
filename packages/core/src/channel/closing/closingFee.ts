import { greater, lesser } from '../amounts.js';
import { ChannelError } from '../channelError.js';
import { closingInvalid } from './closingState.js';

export interface FeeRange {
  readonly minFeeSat: bigint;
  readonly maxFeeSat: bigint;
}

/** All that decides the answer to a closing_signed whose signature is valid. */
export interface FeeQuestion {
  readonly localIsOpener: boolean;
  readonly receivedFeeSat: bigint;
  readonly receivedRange?: FeeRange;
  /** What we would propose, and what we would agree to. */
  readonly idealFeeSat: bigint;
  readonly ownRange: FeeRange;
  /** Of this connection. */
  readonly lastSentFeeSat?: bigint;
  readonly lastSentRange?: FeeRange;
  readonly lastReceivedFeeSat?: bigint;
}

/** `agree`: the received fee is the one; with `reply` the peer has no signature of ours for it yet. */
export type FeeAnswer =
  | { readonly type: 'agree'; readonly reply: boolean }
  | { readonly type: 'propose'; readonly feeSat: bigint; readonly range: FeeRange };

const agreed: FeeAnswer = { type: 'agree', reply: true };

function isWithin(feeSat: bigint, { minFeeSat, maxFeeSat }: FeeRange): boolean {
  return feeSat >= minFeeSat && feeSat <= maxFeeSat;
}

function isStrictlyBetween(feeSat: bigint, a: bigint, b: bigint): boolean {
  return (feeSat > a && feeSat < b) || (feeSat > b && feeSat < a);
}

function clamp(feeSat: bigint, { minFeeSat, maxFeeSat }: FeeRange): bigint {
  return lesser(greater(feeSat, minFeeSat), maxFeeSat);
}

/** What both ranges allow. @throws ChannelError where there is nothing. */
function overlapOf(a: FeeRange, b: FeeRange): FeeRange {
  const minFeeSat = greater(a.minFeeSat, b.minFeeSat);
  const maxFeeSat = lesser(a.maxFeeSat, b.maxFeeSat);
  if (minFeeSat <= maxFeeSat) return { minFeeSat, maxFeeSat };
  // BOLT 2: closing_signed, receiving node: no overlap: should send a warning. A reconnection tries anew.
  throw closingInvalid(
    `the closing fees have no overlap: ours ${a.minFeeSat} to ${a.maxFeeSat} sat, theirs ` +
      `${b.minFeeSat} to ${b.maxFeeSat} sat`,
  );
}

/**
 * The answer to a proposed fee (BOLT 2: closing_signed, receiving node).
 * @throws ChannelError where the peer broke the rules of the negotiation or no fee is left to agree on.
 */
export function answerClosingFee(question: FeeQuestion): FeeAnswer {
  const { localIsOpener, receivedFeeSat, receivedRange, lastSentFeeSat } = question;
  // BOLT 2: closing_signed, receiving node: fee_satoshis is equal to its previously sent fee_satoshis
  if (receivedFeeSat === lastSentFeeSat) return { type: 'agree', reply: false };
  if (receivedRange === undefined) return answerWithoutRange(question);
  return localIsOpener ? answerAsOpener(question, receivedRange) : answerAsAccepter(question, receivedRange);
}

function answerAsOpener(
  { receivedFeeSat, lastSentRange, ownRange }: FeeQuestion,
  theirs: FeeRange,
): FeeAnswer {
  const overlap = overlapOf(lastSentRange ?? ownRange, theirs);
  // BOLT 2: closing_signed, funder: not in the overlap: must fail the channel; otherwise the same fee
  if (!isWithin(receivedFeeSat, overlap)) {
    throw new ChannelError(
      'closing_invalid',
      `a closing fee of ${receivedFeeSat} sat is outside of both ranges`,
    );
  }
  return agreed;
}

function answerAsAccepter(question: FeeQuestion, theirs: FeeRange): FeeAnswer {
  const { receivedFeeSat, idealFeeSat, ownRange, lastSentFeeSat } = question;
  const overlap = overlapOf(ownRange, theirs);
  // BOLT 2: closing_signed, not the funder: another fee than the one it sent: must fail the channel
  if (lastSentFeeSat !== undefined) {
    throw new ChannelError(
      'closing_invalid',
      `the opener answered a closing fee of ${lastSentFeeSat} sat with ${receivedFeeSat} sat`,
    );
  }
  // BOLT 2: closing_signed, not the funder: a value in the overlap. The opener pays: more is welcome.
  if (isWithin(receivedFeeSat, overlap) && receivedFeeSat >= idealFeeSat) return agreed;
  const feeSat = clamp(idealFeeSat, overlap);
  if (feeSat === receivedFeeSat) return agreed;
  return { type: 'propose', feeSat, range: ownRange };
}

function answerWithoutRange(question: FeeQuestion): FeeAnswer {
  const { receivedFeeSat, idealFeeSat, ownRange, lastSentFeeSat, lastSentRange, lastReceivedFeeSat } =
    question;
  // BOLT 2: closing_signed, receiving node: fee_satoshis matches its previously sent fee_range
  if (lastSentRange !== undefined && isWithin(receivedFeeSat, lastSentRange)) return agreed;
  // BOLT 2: closing_signed, receiving node: strictly between the last sent and the previously received one
  if (
    lastSentFeeSat !== undefined &&
    lastReceivedFeeSat !== undefined &&
    !isStrictlyBetween(receivedFeeSat, lastSentFeeSat, lastReceivedFeeSat)
  ) {
    throw closingInvalid(
      `a closing fee of ${receivedFeeSat} sat is not between ${lastSentFeeSat} and ${lastReceivedFeeSat} sat`,
    );
  }
  if (isWithin(receivedFeeSat, ownRange)) return agreed;
  if (lastSentFeeSat === undefined) return { type: 'propose', feeSat: idealFeeSat, range: ownRange };
  // BOLT 2: closing_signed, receiving node: must propose a value strictly between the two
  const feeSat = clamp((lastSentFeeSat + receivedFeeSat) / 2n, ownRange);
  if (!isStrictlyBetween(feeSat, lastSentFeeSat, receivedFeeSat)) {
    throw closingInvalid(`no closing fee between ${lastSentFeeSat} and ${receivedFeeSat} sat is acceptable`);
  }
  return { type: 'propose', feeSat, range: ownRange };
}
