import { bytesToHex } from '@rivulet/core/bytes';
import { type Channel, outgoingLimits, type Settlement, shortChannelIdOf } from '@rivulet/core/channel';
import { hmacSha256 } from '@rivulet/core/crypto';
import type { FirstHop } from '@rivulet/core/graph';
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
  sharedSecretsOf,
  slowestHop,
} from '@rivulet/core/payment';
import { type ChannelKey, channelKey, type HtlcRef, htlcKey } from './htlcRef.js';
import type { Random } from './random.js';
import type { Router } from './router.js';
import { Table } from './table.js';
import type { Turn } from './turn.js';

/** What an HTLC that a node offered came to. */
export type HtlcOutcome =
  | { readonly type: 'fulfilled'; readonly preimage: Uint8Array; readonly attributionData?: Uint8Array }
  | { readonly type: 'failed'; readonly settlement: Settlement }
  | { readonly type: 'timed_out_on_chain' };

interface LiveSending {
  readonly sending: Sending;
  /** Of the attempts in flight. */
  readonly htlcs: ReadonlyMap<number, HtlcRef>;
}

export interface SimSenderOptions {
  readonly source: Uint8Array;
  readonly secret: Uint8Array;
  readonly router: Router;
  readonly random: Random;
  /** A payment as it is after a commit. */
  readonly onChange: (sending: Sending) => void;
}

/** An answer that took longer makes the sender ask who held it. */
const slowMs = 5_000;

/** A node's own payments: the driver of the sending machine over a table. */
export class SimSender {
  /** By payment hash. */
  readonly sendings = new Table<LiveSending>();
  readonly #options: SimSenderOptions;
  readonly #byHtlc = new Map<string, { readonly hash: string; readonly attemptId: number }>();
  readonly #inFlight = new InFlight();
  readonly #firstHops = new WeakMap<Channel, FirstHop | 'unusable'>();

  constructor(options: SimSenderOptions) {
    this.#options = options;
  }

  /** After a restart: what memory held follows from the table. */
  reload(): void {
    this.#byHtlc.clear();
    this.#inFlight.clear();
    for (const [hash, { sending, htlcs }] of this.sendings.entries()) {
      for (const [attemptId, ref] of htlcs) {
        this.#byHtlc.set(htlcKey(ref), { hash, attemptId });
        this.#inFlight.add(attemptOf(sending, attemptId).route);
      }
    }
  }

  begin(turn: Turn, request: PaymentRequest): void {
    this.#advance(turn, { sending: beginSending(request, turn.nowMs), htlcs: new Map() });
  }

  settled(turn: Turn, ref: HtlcRef, outcome: HtlcOutcome): void {
    const found = this.#byHtlc.get(htlcKey(ref));
    const live = found === undefined ? undefined : this.sendings.get(found.hash);
    if (found === undefined || live === undefined) return;
    const attempt = attemptOf(live.sending, found.attemptId);
    this.#byHtlc.delete(htlcKey(ref));
    this.#inFlight.remove(attempt.route);
    const htlcs = new Map(live.htlcs);
    htlcs.delete(attempt.id);
    const { nowMs } = turn;
    const { id } = attempt;
    const sharedSecrets = sharedSecretsOf(attempt, this.#sessionKey(live.sending, id));
    if (nowMs - attempt.startedAtMs >= slowMs) this.#tellSlow(turn, { attempt, outcome, sharedSecrets });
    const told =
      outcome.type === 'fulfilled'
        ? attemptFulfilled(live.sending, { id, nowMs, preimage: outcome.preimage })
        : attemptFailed(live.sending, {
            id,
            nowMs,
            sharedSecrets,
            settlement: outcome.type === 'failed' ? outcome.settlement : outcome,
          });
    this.#options.router.observe(told.observations, { inFlightMsat: this.#inFlight.msat, nowMs });
    this.#advance(turn, { sending: told.sending, htlcs });
  }

  #tellSlow(
    turn: Turn,
    {
      attempt,
      outcome,
      sharedSecrets,
    }: { attempt: Attempt; outcome: HtlcOutcome; sharedSecrets: readonly Uint8Array[] },
  ): void {
    const holdTimesMs = holdTimesOf(outcome, sharedSecrets);
    const slow = slowestHop(attempt.route, { holdTimesMs, thresholdMs: slowMs });
    if (slow !== undefined) this.#options.router.avoid(slow, turn.nowMs);
  }

  #sessionKey({ request }: Sending, attemptId: number): Uint8Array {
    const salt = new Uint8Array(4);
    new DataView(salt.buffer).setUint32(0, attemptId);
    return hmacSha256(this.#options.secret, request.paymentHash, salt);
  }

  #advance(turn: Turn, live: LiveSending): void {
    let { sending } = live;
    const htlcs = new Map(live.htlcs);
    for (let refused = true; refused && sending.status === 'pending'; ) {
      refused = false;
      const { hops, keys } = this.#usable(turn);
      const planned = planSending(sending, {
        blockHeight: turn.blockHeight,
        nowMs: turn.nowMs,
        source: this.#options.source,
        firstHops: hops,
        inFlightMsat: this.#inFlight.msat,
        findRoutes: (request) => this.#options.router.findRoutes(request),
        sessionKeyOf: (id) => this.#sessionKey(live.sending, id),
        paddingRandom: () => this.#options.random.next(),
      });
      sending = planned.sending;
      for (const attempt of planned.attempts) {
        const added = this.#add(turn, { sending, attempt, key: keys.get(attempt.shortChannelId) });
        sending = added.sending;
        if (added.ref === undefined) refused = true;
        else htlcs.set(attempt.id, added.ref);
      }
    }
    const hash = bytesToHex(sending.request.paymentHash);
    if (isOver(sending)) this.sendings.delete(hash);
    else this.sendings.set(hash, { sending, htlcs });
    turn.onCommit(() => this.#options.onChange(sending));
  }

  #add(
    turn: Turn,
    { sending, attempt, key }: { sending: Sending; attempt: NewAttempt; key: ChannelKey | undefined },
  ): { sending: Sending; ref?: HtlcRef } {
    const { id, htlc } = attempt;
    const outcome = key === undefined ? undefined : turn.add(key, htlc);
    const channel = key === undefined ? undefined : turn.channel(key);
    if (channel === undefined || outcome === undefined || 'refused' in outcome) {
      const none = { code: 'channel_not_open', message: 'there is no such channel' };
      const reason = outcome !== undefined && 'refused' in outcome ? outcome.refused : none;
      return { sending: attemptRefused(sending, { id, reason, nowMs: turn.nowMs }) };
    }
    const ref = { channelId: channel.params.channelId, htlcId: outcome.htlc.id };
    this.#byHtlc.set(htlcKey(ref), { hash: bytesToHex(sending.request.paymentHash), attemptId: id });
    this.#inFlight.add(attemptOf(sending, id).route);
    return { sending, ref };
  }

  #usable(turn: Turn): { hops: FirstHop[]; keys: Map<bigint, ChannelKey> } {
    const hops: FirstHop[] = [];
    const keys = new Map<bigint, ChannelKey>();
    for (const channel of turn.channels()) {
      let hop = this.#firstHops.get(channel);
      if (hop === undefined) {
        hop = firstHopOf(channel);
        this.#firstHops.set(channel, hop);
      }
      if (hop === 'unusable') continue;
      hops.push(hop);
      keys.set(hop.shortChannelId, channelKey(channel.params.channelId));
    }
    return { hops, keys };
  }
}

function firstHopOf(channel: Channel): FirstHop | 'unusable' {
  const shortChannelId = shortChannelIdOf(channel);
  const { usable, spendableMsat, minimumMsat } = outgoingLimits(channel);
  if (!usable || shortChannelId === undefined) return 'unusable';
  return { nodeId: channel.params.remoteNodeId, shortChannelId, spendableMsat, minimumMsat };
}

function attemptOf({ attempts }: Sending, id: number): Attempt {
  const attempt = attempts[id];
  if (attempt === undefined) throw new Error(`a payment has no attempt ${id}`);
  return attempt;
}
