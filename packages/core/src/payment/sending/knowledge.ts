import type { DirectedChannel, RouteHop } from '../../graph/index.js';
import {
  type ChannelKnowledge,
  directedChannel,
  type Knowledge,
  type LearnedPolicy,
  type Sending,
} from './sending.js';

/** A channel that did not carry so many times is left alone, even for smaller amounts. */
const mostRefusals = 3;
/** A node that was near so many strange failures is left alone. */
const mostStrikes = 4;
/** What a refusal by our own channel leaves of the amount that it refused: less is tried next. */
const refusedShare = { numerator: 3n, denominator: 4n };

export function withoutNode(knowledge: Knowledge, nodeHex: string): Knowledge {
  return { ...knowledge, excludedNodes: new Set([...knowledge.excludedNodes, nodeHex]) };
}

export function withoutChannel(knowledge: Knowledge, channel: DirectedChannel): Knowledge {
  return { ...knowledge, excludedChannels: new Set([...knowledge.excludedChannels, channel]) };
}

export function withChannel(
  knowledge: Knowledge,
  channel: DirectedChannel,
  change: Partial<ChannelKnowledge>,
): Knowledge {
  const known = knowledge.channels.get(channel) ?? { refusals: 0 };
  return { ...knowledge, channels: new Map([...knowledge.channels, [channel, { ...known, ...change }]]) };
}

/** The channel did not carry so much, all our parts in it together. */
export function withRefusal(knowledge: Knowledge, channel: DirectedChannel, amountMsat: bigint): Knowledge {
  const known = knowledge.channels.get(channel);
  const refusals = (known?.refusals ?? 0) + 1;
  const before = known?.refusedMsat;
  const refusedMsat = before !== undefined && before < amountMsat ? before : amountMsat;
  const learned = withChannel(knowledge, channel, { refusedMsat, refusals });
  return refusals < mostRefusals ? learned : withoutChannel(learned, channel);
}

/** Holds something strange against a node; too much of it, and the payment goes around the node. */
export function withStrike(knowledge: Knowledge, nodeHex: string, weight = 1): Knowledge {
  const strikes = (knowledge.strikes.get(nodeHex) ?? 0) + weight;
  const learned = { ...knowledge, strikes: new Map([...knowledge.strikes, [nodeHex, strikes]]) };
  return strikes < mostStrikes ? learned : withoutNode(learned, nodeHex);
}

/** Our own channel refused an HTLC: it is tried with less, or not at all. */
export function withFirstHopRefusal(
  knowledge: Knowledge,
  shortChannelId: bigint,
  { amountMsat, forAmount }: { amountMsat: bigint; forAmount: boolean },
): Knowledge {
  const below = forAmount ? (amountMsat * refusedShare.numerator) / refusedShare.denominator : 0n;
  return {
    ...knowledge,
    firstHopBelowMsat: new Map([...knowledge.firstHopBelowMsat, [shortChannelId, below]]),
  };
}

/** What a policy asks for to forward an amount (BOLT 7, HTLC fees). */
export function policyFeeMsat(policy: LearnedPolicy, amountMsat: bigint): bigint {
  return BigInt(policy.feeBaseMsat) + (amountMsat * BigInt(policy.feeProportionalMillionths)) / 1_000_000n;
}

/** What this payment's HTLCs in flight hold in each channel of others. */
export function amountsInFlight(sending: Sending): Map<DirectedChannel, bigint> {
  const amounts = new Map<DirectedChannel, bigint>();
  for (const { status, route } of sending.attempts)
    if (status === 'in_flight') addAmounts(amounts, route.hops);
  return amounts;
}

/** Adds what a route's HTLCs take, besides that of our own channel, whose balance we know. */
export function addAmounts(amounts: Map<DirectedChannel, bigint>, hops: readonly RouteHop[]): void {
  for (const hop of hops.slice(1)) {
    const channel = directedChannel(hop);
    amounts.set(channel, (amounts.get(channel) ?? 0n) + hop.amountMsat);
  }
}
