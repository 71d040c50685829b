import type { DirectedChannel, Route, RouteHop } from '../../graph/index.js';
import { checkRequest, type PaymentRequest, partsAllowed } from './paymentRequest.js';
import type { SendingFailure } from './sendingFailure.js';

/**
 * A payment over the network as a pure, durable machine. Commands take a `Sending` and give another; it is
 * stored in the transaction that also stores what the command's answer asks for (the HTLCs to add), so that
 * a restart at any point finds both or none.
 *
 * The rules that keep money safe:
 *
 * 1. What HTLCs in flight or fulfilled deliver is never more than `amountMsat` in total. An HTLC is in
 *    flight from the moment it was planned until its settlement is irrevocable: an unknown outcome is in flight.
 * 2. The fees of these HTLCs are never above `maxFeeMsat` in total.
 * 3. Nothing is sent after a preimage is there, after a final failure, or after the deadline.
 * 4. A payment ends once: as `succeeded` with the first preimage, as `failed` when no HTLC is in flight that
 *    could still be fulfilled. Neither changes any more; settlements that come again change nothing.
 * 5. A keysend without `paymentSecret` is one HTLC at a time: its receivers settle each HTLC by itself.
 * 6. There are at most `maxAttempts` HTLCs, and each failure takes away a possibility (knowledge.ts).
 */
export interface Sending {
  readonly request: PaymentRequest;
  readonly status: 'pending' | 'succeeded' | 'failed';
  readonly startedAtMs: number;
  /** Their ids are their positions. */
  readonly attempts: readonly Attempt[];
  /** The proof of payment; there when succeeded, except for a probe. */
  readonly preimage?: Uint8Array;
  /** Why nothing is sent any more. While `pending`, HTLCs that are still in flight are waited for. */
  readonly failure?: SendingFailure;
  readonly knowledge: Knowledge;
}

/** One HTLC of ours and the way it took. */
export interface Attempt {
  readonly id: number;
  readonly route: Route;
  /** What the route's CLTV deltas count from. */
  readonly blockHeight: number;
  readonly status: 'in_flight' | 'fulfilled' | 'failed';
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly failure?: AttemptFailure;
}

/** Why an HTLC came back. */
export interface AttemptFailure {
  /**
   * The name of BOLT 4's failure message; `unreadable`, `corrupted`, `unattributable`, `timed_out_on_chain`;
   * for one that our own channel refused, `refused_by_channel`.
   */
  readonly cause: string;
  /** The hop of the route that said so; absent where it is not known. */
  readonly hopIndex?: number;
  /** What our own channel said. */
  readonly text?: string;
}

/** The terms of one direction of a channel, as its owner told them in a failure (BOLT 7: channel_update). */
export interface LearnedPolicy {
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
  readonly cltvExpiryDelta: number;
  readonly htlcMinimumMsat: bigint;
  readonly htlcMaximumMsat: bigint;
}

/** What this payment saw of one direction of a channel. */
export interface ChannelKnowledge {
  /** So much did not pass, other parts that were in the channel included. */
  readonly refusedMsat?: bigint;
  /** How often the channel refused. */
  readonly refusals: number;
  readonly policy?: LearnedPolicy;
}

/**
 * What a payment learned from its failures, for itself alone: it grows by a few entries an attempt, and goes
 * with the payment. What is learned of liquidity also goes out, as observations.
 */
export interface Knowledge {
  /** Node ids in hex. */
  readonly excludedNodes: ReadonlySet<string>;
  readonly excludedChannels: ReadonlySet<DirectedChannel>;
  readonly channels: ReadonlyMap<DirectedChannel, ChannelKnowledge>;
  /** Our own channels that refused: an HTLC must be below so much; 0 for none at all. */
  readonly firstHopBelowMsat: ReadonlyMap<bigint, bigint>;
  /** How often a node was near a failure that should not have been; in hex. */
  readonly strikes: ReadonlyMap<string, number>;
  /** How many HTLCs may be in flight at a time. */
  readonly partsLimit: number;
  /** Expiries are not padded any more: somebody found one too far away. */
  readonly withoutPadding: boolean;
}

/**
 * Begins a payment; nothing is sent before `planSending` says what.
 * @throws SendingError `request_invalid`
 */
export function beginSending(request: PaymentRequest, nowMs: number): Sending {
  checkRequest(request);
  return {
    request,
    status: 'pending',
    startedAtMs: nowMs,
    attempts: [],
    knowledge: {
      excludedNodes: new Set(),
      excludedChannels: new Set(),
      channels: new Map(),
      firstHopBelowMsat: new Map(),
      strikes: new Map(),
      partsLimit: partsAllowed(request),
      withoutPadding: false,
    },
  };
}

/** The HTLCs that may take money still, or have taken it. */
function live(sending: Sending): readonly Attempt[] {
  return sending.attempts.filter(({ status }) => status !== 'failed');
}

export function attemptsInFlight(sending: Sending): readonly Attempt[] {
  return sending.attempts.filter(({ status }) => status === 'in_flight');
}

/** What HTLCs that are in flight or fulfilled deliver. */
export function liveMsat(sending: Sending): bigint {
  return live(sending).reduce((sum, { route }) => sum + route.amountMsat, 0n);
}

/** The fees of the HTLCs that are in flight or fulfilled. */
export function sendingFeeMsat(sending: Sending): bigint {
  return live(sending).reduce((sum, { route }) => sum + route.feeMsat, 0n);
}

/** Whether the payment has ended and none of its HTLCs is in flight: no event of it will come any more. */
export function isOver(sending: Sending): boolean {
  return sending.status !== 'pending' && attemptsInFlight(sending).length === 0;
}

/** The route by which a probe reached its destination; its fee is what the payment would cost. */
export function probedRoute(sending: Sending): Route | undefined {
  const { request, status, attempts } = sending;
  if (request.kind.type !== 'probe' || status !== 'succeeded') return undefined;
  return attempts.at(-1)?.route;
}

/** One direction of a hop's channel, as a key. */
export function directedChannel(hop: Pick<RouteHop, 'shortChannelId' | 'direction'>): DirectedChannel {
  return `${hop.shortChannelId}/${hop.direction}`;
}
