import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel, Settlement } from '@rivulet/core/channel';
import type {
  DirectedChannel,
  FirstHop,
  LiquidityObservation,
  RouteRequest,
  RouteResult,
} from '@rivulet/core/graph';
import {
  type Attempt,
  attemptFailed,
  attemptFulfilled,
  attemptRefused,
  beginSending,
  holdTimesOf,
  InFlight,
  isOver,
  type NewAttempt,
  type PaymentRequest,
  planSending,
  type Sending,
  type SendingPlan,
  type SlowHop,
  sharedSecretsOf,
  slowestHop,
} from '@rivulet/core/payment';
import type { NodeStorage } from '@rivulet/storage';
import { type ChannelKey, channelKey, type Turn } from '../turns.js';
import type { FirstHops, UsableChannels } from './firstHops.js';
import { type HtlcAdder, type HtlcRef, htlcKey } from './htlcAdder.js';
import { decodeSendingRow, encodeSendingRow, type LiveSending } from './sendingRow.js';

/** Learns from an attempt; `inFlightMsat`: what else we hold in channels. */
export type ObserveLiquidity = (
  observations: readonly LiquidityObservation[],
  inFlightMsat: ReadonlyMap<DirectedChannel, bigint>,
) => void;

export interface SenderOptions {
  readonly storage: NodeStorage;
  readonly adder: HtlcAdder;
  readonly firstHops: FirstHops;
  readonly source: Uint8Array;
  readonly findRoutes: (request: RouteRequest) => RouteResult;
  readonly observe: ObserveLiquidity;
  readonly onSlowHop: (slow: SlowHop) => void;
  /** A fresh key for each attempt, the same one for the same attempt after a restart. */
  readonly sessionKeyOf: (attempt: {
    readonly paymentHash: Uint8Array;
    readonly startedAtMs: number;
    readonly id: number;
  }) => Uint8Array;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly blockHeight: () => number;
  readonly now: () => number;
  /** A payment has changed for its owner: ended, or its fee. Called inside the turn. */
  readonly onChange: (turn: Turn, change: { before: Sending | undefined; after: LiveSending }) => void;
}

/** An answer that took longer makes us ask who held it. */
const slowMs = 5_000;

/** What an HTLC of ours came to. */
export type HtlcOutcome =
  | { readonly type: 'fulfilled'; readonly preimage: Uint8Array; readonly attributionData?: Uint8Array }
  | { readonly type: 'failed'; readonly settlement: Settlement }
  | { readonly type: 'timed_out_on_chain' };

/**
 * Sends payments: plans their attempts, adds the HTLCs to channels and tells the payment what became of them.
 * A payment, its attempts and its HTLCs are stored in one transaction, before anything leaves.
 */
export class Sender {
  readonly #options: SenderOptions;
  /** By payment hash in hex: as the running turn has them. */
  #live = new Map<string, LiveSending>();
  #byHtlc = new Map<string, { readonly hash: string; readonly attemptId: number }>();
  readonly #inFlight = new InFlight();

  constructor(options: SenderOptions) {
    this.#options = options;
    this.reload();
  }

  /** Takes what is stored: at the start, and when a turn was rolled back. */
  reload(): void {
    this.#live = new Map();
    this.#byHtlc = new Map();
    this.#inFlight.clear();
    for (const { paymentHash, state } of this.#options.storage.loadSendings()) {
      const hash = bytesToHex(paymentHash);
      const live = decodeSendingRow(state);
      this.#live.set(hash, live);
      for (const [attemptId, ref] of live.htlcs) {
        this.#byHtlc.set(htlcKey(ref), { hash, attemptId });
        this.#inFlight.add(attemptOf(live.sending, attemptId).route);
      }
    }
  }

  get(paymentHash: Uint8Array): LiveSending | undefined {
    return this.#live.get(bytesToHex(paymentHash));
  }

  /** Whether this offered HTLC belongs to a payment of ours. */
  has(ref: HtlcRef): boolean {
    return this.#byHtlc.has(htlcKey(ref));
  }

  /** @throws SendingError for a request that cannot be. */
  begin(turn: Turn, request: PaymentRequest): Sending {
    const sending = beginSending(request, this.#options.now());
    return this.#advance(turn, { before: undefined, live: { sending, htlcs: new Map() } });
  }

  /** An HTLC of ours is over: the payment ends, or goes on. */
  settled(turn: Turn, { ref, outcome }: { ref: HtlcRef; outcome: HtlcOutcome }): void {
    const found = this.#byHtlc.get(htlcKey(ref));
    const live = found === undefined ? undefined : this.#live.get(found.hash);
    if (found === undefined || live === undefined) return;
    const attempt = attemptOf(live.sending, found.attemptId);
    this.#byHtlc.delete(htlcKey(ref));
    this.#inFlight.remove(attempt.route);
    const htlcs = new Map(live.htlcs);
    htlcs.delete(attempt.id);
    const told = this.#tell(live.sending, { attempt, outcome });
    this.#options.observe(told.observations, this.#inFlight.msat);
    this.#advance(turn, { before: live.sending, live: { sending: told.sending, htlcs } });
  }

  #tell(
    sending: Sending,
    { attempt, outcome }: { attempt: Attempt; outcome: HtlcOutcome },
  ): { sending: Sending; observations: readonly LiquidityObservation[] } {
    const nowMs = this.#options.now();
    const { id } = attempt;
    const isLate = nowMs - attempt.startedAtMs >= slowMs;
    if (outcome.type === 'fulfilled') {
      if (isLate) this.#tellSlow(sending, { attempt, outcome });
      return attemptFulfilled(sending, { id, preimage: outcome.preimage, nowMs });
    }
    if (isLate) this.#tellSlow(sending, { attempt, outcome });
    const sharedSecrets = sharedSecretsOf(attempt, this.#sessionKey(sending, id));
    const settlement = outcome.type === 'failed' ? outcome.settlement : outcome;
    return attemptFailed(sending, { id, settlement, sharedSecrets, nowMs });
  }

  /** BOLT 4: hold times say which hop a late answer waited for. */
  #tellSlow(sending: Sending, { attempt, outcome }: { attempt: Attempt; outcome: HtlcOutcome }): void {
    const sharedSecrets = sharedSecretsOf(attempt, this.#sessionKey(sending, attempt.id));
    const holdTimesMs = holdTimesOf(outcome, sharedSecrets);
    const slow = slowestHop(attempt.route, { holdTimesMs, thresholdMs: slowMs });
    if (slow !== undefined) this.#options.onSlowHop(slow);
  }

  #sessionKey({ request, startedAtMs }: Sending, id: number): Uint8Array {
    // An invoice that is paid anew has the same hash, and not the same time.
    return this.#options.sessionKeyOf({ paymentHash: request.paymentHash, startedAtMs, id });
  }

  /** What would be sent now: the routes, or the failure that the payment would end in. Nothing is sent. */
  preview(channels: ReadonlyMap<ChannelKey, Channel>, request: PaymentRequest): SendingPlan {
    const sending = beginSending(request, this.#options.now());
    return this.#plan(sending, this.#firstHops(channels, request).hops);
  }

  #firstHops(channels: ReadonlyMap<ChannelKey, Channel>, request: PaymentRequest): UsableChannels {
    return this.#options.firstHops.of(channels, request.amountMsat + request.maxFeeMsat);
  }

  #plan(sending: Sending, firstHops: readonly FirstHop[]): SendingPlan {
    return planSending(sending, {
      blockHeight: this.#options.blockHeight(),
      nowMs: this.#options.now(),
      source: this.#options.source,
      firstHops,
      inFlightMsat: this.#inFlight.msat,
      findRoutes: this.#options.findRoutes,
      sessionKeyOf: (id) => this.#sessionKey(sending, id),
      paddingRandom: this.#options.random,
    });
  }

  /** Sends what can be sent now, until nothing more is to be planned; stores the payment as it then is. */
  #advance(turn: Turn, { before, live }: { before: Sending | undefined; live: LiveSending }): Sending {
    let { sending } = live;
    const htlcs = new Map(live.htlcs);
    for (let refused = true; refused && sending.status === 'pending'; ) {
      refused = false;
      const firstHops = this.#firstHops(turn.channels, sending.request);
      const planned = this.#plan(sending, firstHops.hops);
      sending = planned.sending;
      for (const attempt of planned.attempts) {
        const added = this.#add(turn, { sending, attempt, channels: firstHops.channels });
        sending = added.sending;
        if (added.ref === undefined) refused = true;
        else htlcs.set(attempt.id, added.ref);
      }
    }
    this.#store(turn, { before, after: { sending, htlcs } });
    return sending;
  }

  #add(
    turn: Turn,
    {
      sending,
      attempt,
      channels,
    }: { sending: Sending; attempt: NewAttempt; channels: ReadonlyMap<bigint, Channel> },
  ): { sending: Sending; ref?: HtlcRef } {
    const { id, shortChannelId, htlc } = attempt;
    const channel = channels.get(shortChannelId);
    const key = channel === undefined ? undefined : channelKey(channel.params.channelId);
    const outcome = key === undefined ? undefined : this.#options.adder.add(turn, { key, htlc });
    if (channel === undefined || outcome === undefined) {
      const reason = { code: 'channel_not_open', message: 'the channel is not there any more' };
      return { sending: attemptRefused(sending, { id, reason, nowMs: this.#options.now() }) };
    }
    if ('refused' in outcome) {
      return {
        sending: attemptRefused(sending, { id, reason: outcome.refused, nowMs: this.#options.now() }),
      };
    }
    const ref = { channelId: channel.params.channelId, htlcId: outcome.htlc.id };
    this.#byHtlc.set(htlcKey(ref), { hash: bytesToHex(sending.request.paymentHash), attemptId: id });
    this.#inFlight.add(attemptOf(sending, id).route);
    return { sending, ref };
  }

  #store(turn: Turn, { before, after }: { before: Sending | undefined; after: LiveSending }): void {
    const { paymentHash } = after.sending.request;
    const hash = bytesToHex(paymentHash);
    if (isOver(after.sending)) {
      this.#live.delete(hash);
      if (before !== undefined) turn.tx.deleteSending(paymentHash);
    } else {
      this.#live.set(hash, after);
      turn.tx.putSending({ paymentHash, state: encodeSendingRow(after) });
    }
    this.#options.onChange(turn, { before, after });
  }
}

function attemptOf({ attempts }: Sending, id: number): Attempt {
  const attempt = attempts[id];
  if (attempt === undefined) throw new Error(`a payment has no attempt ${id}`);
  return attempt;
}
