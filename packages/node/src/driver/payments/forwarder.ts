import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import {
  type Channel,
  type ChannelRefusal,
  type Htlc,
  htlcStateFacts,
  isKnownAs,
  type Settlement,
  shortChannelIdOf,
  spendableNowMsat,
  surelySpendableMsat,
} from '@rivulet/core/channel';
import {
  decodePendingForward,
  encodePendingForward,
  type ForwardingPolicy,
  type ForwardLimits,
  judgeForward,
  type OutgoingChannel,
  type PendingForward,
  ReplayGuard,
  temporaryChannelFailure,
  timeOutOutgoingHeight,
} from '@rivulet/core/forwarding';
import {
  createAttributedFailure,
  type FailureMessage,
  type ForwardPayload,
  failureFromMalformed,
  wrapAttributedFailure,
  wrapFulfillAttribution,
} from '@rivulet/core/onion';
import type { NodeStorage } from '@rivulet/storage';
import { channelLogger, type Logger } from '../../logging/logger.js';
import { isUsable } from '../describe.js';
import { type ChannelKey, channelKey, type Turn } from '../turns.js';
import { type HtlcAdder, type HtlcRef, htlcKey, refOf } from './htlcAdder.js';
import type { HtlcOutcome } from './sender.js';

/** What a channel asks of what is sent through it. */
export interface ForwardTerms {
  readonly policy: ForwardingPolicy;
  readonly previousPolicy?: ForwardingPolicy | undefined;
  readonly disabled: boolean;
}

export interface ForwarderOptions {
  readonly storage: NodeStorage;
  readonly adder: HtlcAdder;
  readonly enabled: boolean;
  readonly limits: ForwardLimits;
  readonly termsOf: (channel: Channel) => ForwardTerms;
  readonly blockHeight: () => number;
  readonly now: () => number;
  readonly logger: Logger;
}

/** An incoming HTLC whose onion says that it goes on. */
export interface ForwardOrder {
  readonly channel: Channel;
  readonly htlc: Htlc;
  readonly payload: ForwardPayload;
  readonly sharedSecret: Uint8Array;
  readonly nextPacket: Uint8Array;
}

interface Held {
  readonly count: number;
  readonly valueMsat: bigint;
}

const nothingHeld: Held = { count: 0, valueMsat: 0n };
const hourMs = 3_600_000;

/**
 * Passes HTLCs on and their settlements back. A forward's row is written in the transaction that offers the
 * outgoing HTLC, and goes in the one that settles the incoming HTLC: after a crash at any point both are known
 * to belong together. What is kept of a forward that is over is its share in the totals of an hour.
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #replays = new ReplayGuard();
  #byIncoming = new Map<string, PendingForward>();
  #byOutgoing = new Map<string, PendingForward>();
  /** By the id of the incoming channel: what its peer has under way through us. */
  #held = new Map<ChannelKey, Held>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.reload();
  }

  /** Takes what is stored: at the start, and when a turn was rolled back. */
  reload(): void {
    this.#byIncoming = new Map();
    this.#byOutgoing = new Map();
    this.#held = new Map();
    for (const { incomingChannelId, incomingHtlcId, data } of this.#options.storage.loadForwards()) {
      const reference = { channelId: incomingChannelId, htlcId: incomingHtlcId };
      this.#remember(decodePendingForward(data, reference));
    }
  }

  /** How many HTLCs are passed on and not over. */
  get pending(): number {
    return this.#byIncoming.size;
  }

  /** Whether this received HTLC was passed on before. */
  hasIncoming(ref: HtlcRef): boolean {
    return this.#byIncoming.has(htlcKey(ref));
  }

  /** Whether this offered HTLC is one that was passed on. */
  hasOutgoing(ref: HtlcRef): boolean {
    return this.#byOutgoing.has(htlcKey(ref));
  }

  /** Passes an HTLC on, or fails it. Not to be called for one that `hasIncoming`. */
  forward(turn: Turn, order: ForwardOrder): void {
    const { channel, htlc, payload, sharedSecret } = order;
    const { blockHeight, limits } = this.#options;
    const ref = refOf(channel, htlc);
    const replay = this.#replays.isReplay({
      sharedSecret,
      htlcKey: htlcKey(ref),
      expiry: payload.outgoingCltvValue,
    });
    if (replay || !this.#options.enabled || htlc.mustFail !== undefined) {
      const cause = replay ? 'replay' : (htlc.mustFail ?? 'forwarding_disabled');
      this.#refuse(turn, order, { cause, failure: { type: 'temporary_node_failure' } });
      return;
    }
    const named = this.#namedChannel(turn, payload.shortChannelId);
    const candidates = named === undefined ? [] : this.#candidates(turn, named, order);
    const outgoing = named && this.#view({ named, candidates, order });
    const judgement = judgeForward({
      incoming: htlc,
      payload,
      outgoing,
      blockHeight: blockHeight(),
      limits,
      held: this.#heldOf(turn, channel),
    });
    if (judgement.type === 'refuse') {
      this.#refuse(turn, order, judgement);
      return;
    }
    const wanted = { ...judgement.htlc, paymentHash: htlc.paymentHash, onion: order.nextPacket };
    let refused: ChannelRefusal | undefined;
    for (const candidate of candidates) {
      const key = channelKey(candidate.params.channelId);
      const added = this.#options.adder.add(turn, { key, htlc: wanted });
      if (added !== undefined && 'htlc' in added) {
        this.#store(turn, order, { channel: candidate, htlc: added.htlc });
        return;
      }
      refused ??= added?.refused;
    }
    const failure: FailureMessage =
      outgoing === undefined ? { type: 'unknown_next_peer' } : temporaryChannelFailure(outgoing);
    this.#refuse(turn, order, { cause: refused?.code ?? 'channel_unknown', failure });
  }

  #namedChannel(turn: Turn, shortChannelId: bigint): Channel | undefined {
    for (const channel of turn.channels.values()) {
      if (channel.phase.name !== 'closed' && isKnownAs(channel, shortChannelId)) return channel;
    }
    return undefined;
  }

  /**
   * BOLT 4, non-strict forwarding: any channel with the same peer will do. The one that was named comes first,
   * then those that can carry it.
   */
  #candidates(turn: Turn, named: Channel, { channel, payload }: ForwardOrder): Channel[] {
    const peer = bytesToHex(named.params.remoteNodeId);
    const others = [...turn.channels.values()].filter(
      (other) =>
        other !== named &&
        !equalBytes(other.params.channelId, channel.params.channelId) &&
        bytesToHex(other.params.remoteNodeId) === peer,
    );
    const can = (one: Channel) =>
      isUsable(one) &&
      (surelySpendableMsat(one) >= payload.amountToForwardMsat ||
        spendableNowMsat(one) >= payload.amountToForwardMsat);
    return can(named) ? [named, ...others.filter(can)] : [...others.filter(can), named];
  }

  #view({
    named,
    candidates,
    order,
  }: {
    named: Channel;
    candidates: readonly Channel[];
    order: ForwardOrder;
  }): OutgoingChannel {
    const { policy, previousPolicy, disabled } = this.#options.termsOf(named);
    // What stands for the named channel: the first of the candidates, for it can carry it if any can.
    const best = candidates[0] ?? named;
    const surelyMsat = surelySpendableMsat(best);
    const enough = surelyMsat >= order.payload.amountToForwardMsat;
    const { name } = named.phase;
    const closing = named.shutdown.localScript !== undefined || named.shutdown.remoteScript !== undefined;
    return {
      phase: name === 'awaiting_ready' ? 'opening' : name === 'open' && !closing ? 'open' : 'closing',
      online: best.link === 'online',
      disabled,
      announced: named.params.announce,
      namedByAlias: shortChannelIdOf(named) !== order.payload.shortChannelId,
      isIncoming: equalBytes(best.params.channelId, order.channel.params.channelId),
      spendableMsat: enough ? surelyMsat : spendableNowMsat(best),
      minimumMsat: best.params.remote.htlcMinimumMsat,
      policy,
      previousPolicy,
    };
  }

  #heldOf(turn: Turn, { params }: Channel): Held {
    const peer = bytesToHex(params.remoteNodeId);
    let { count, valueMsat } = nothingHeld;
    for (const [key, held] of this.#held) {
      const channel = turn.channels.get(key);
      if (channel === undefined || bytesToHex(channel.params.remoteNodeId) !== peer) continue;
      count += held.count;
      valueMsat += held.valueMsat;
    }
    return { count, valueMsat };
  }

  #store(turn: Turn, order: ForwardOrder, out: { channel: Channel; htlc: Htlc }): void {
    const { channel, htlc, sharedSecret } = order;
    const forward: PendingForward = {
      incoming: {
        ...refOf(channel, htlc),
        amountMsat: htlc.amountMsat,
        cltvExpiry: htlc.cltvExpiry,
        sharedSecret,
      },
      outgoing: {
        ...refOf(out.channel, out.htlc),
        amountMsat: out.htlc.amountMsat,
        cltvExpiry: out.htlc.cltvExpiry,
      },
      receivedAtMs: this.#options.now(),
    };
    this.#remember(forward);
    this.#put(turn, forward);
  }

  #put(turn: Turn, forward: PendingForward): void {
    turn.tx.putForward({
      incomingChannelId: forward.incoming.channelId,
      incomingHtlcId: forward.incoming.htlcId,
      data: encodePendingForward(forward),
    });
  }

  #remember(forward: PendingForward): void {
    const { incoming, outgoing } = forward;
    if (!this.#byIncoming.has(htlcKey(incoming))) this.#countHeld(forward, 1);
    this.#byIncoming.set(htlcKey(incoming), forward);
    this.#byOutgoing.set(htlcKey(outgoing), forward);
  }

  #countHeld({ incoming }: PendingForward, sign: 1 | -1): void {
    const key = channelKey(incoming.channelId);
    const { count, valueMsat } = this.#held.get(key) ?? nothingHeld;
    const now = { count: count + sign, valueMsat: valueMsat + BigInt(sign) * incoming.amountMsat };
    if (now.count > 0) this.#held.set(key, now);
    else this.#held.delete(key);
  }

  #refuse(
    turn: Turn,
    { channel, htlc, sharedSecret }: ForwardOrder,
    { cause, failure }: { cause: string; failure: FailureMessage },
  ): void {
    const { channelId } = channel.params;
    // Neither the hash nor where it was going: the log of a forwarder is nobody's trail.
    channelLogger(this.#options.logger, channelId).debug({ cause }, 'a forward was refused');
    const settlement: Settlement = {
      type: 'fail',
      ...createAttributedFailure({ sharedSecret, failure, holdTimeMs: 0 }),
    };
    turn.command(channelKey(channelId), { type: 'settleHtlc', id: htlc.id, settlement });
  }

  /** What was passed on is over, on the channel or on the chain: the incoming HTLC gets the same answer. */
  settled(turn: Turn, { ref, outcome }: { ref: HtlcRef; outcome: HtlcOutcome }): void {
    const forward = this.#byOutgoing.get(htlcKey(ref));
    if (forward === undefined) return;
    const { sharedSecret } = forward.incoming;
    const holdTimeMs = this.#holdTime(forward);
    switch (outcome.type) {
      case 'fulfilled': {
        const { preimage, attributionData } = outcome;
        const known = { ...forward, preimage };
        this.#settle(turn, known, {
          type: 'fulfill',
          preimage,
          attributionData: wrapFulfillAttribution({ sharedSecret, attributionData, holdTimeMs }),
        });
        return;
      }
      case 'failed':
        this.#fail(turn, forward, backwards(outcome.settlement, { sharedSecret, holdTimeMs }));
        return;
      case 'timed_out_on_chain': {
        // BOLT 4: the channel that was to carry it is closed
        const failure: FailureMessage = { type: 'permanent_channel_failure' };
        this.#fail(turn, forward, {
          type: 'fail',
          ...createAttributedFailure({ sharedSecret, failure, holdTimeMs }),
        });
        return;
      }
    }
  }

  #holdTime({ receivedAtMs }: PendingForward): number {
    return receivedAtMs === undefined ? 0 : Math.max(0, this.#options.now() - receivedAtMs);
  }

  /** An HTLC whose preimage is known is never failed back (threats 13 to 15). */
  #fail(turn: Turn, forward: PendingForward, settlement: Settlement): void {
    if (forward.preimage !== undefined) return;
    this.#settle(turn, forward, settlement);
  }

  #settle(turn: Turn, forward: PendingForward, settlement: Settlement): void {
    const { channelId, htlcId } = forward.incoming;
    turn.command(channelKey(channelId), { type: 'settleHtlc', id: htlcId, settlement });
    if (!isSettled(turn, forward)) {
      // Its channel took no command, because a fault stopped it: what is known stays, for the next start.
      this.#remember(forward);
      this.#put(turn, forward);
      const what = settlement.type === 'fulfill' ? 'was paid and cannot be claimed from' : 'failed on';
      channelLogger(this.#options.logger, channelId).error(
        { htlcId },
        `a forwarded payment ${what} this channel now; restart the node`,
      );
      return;
    }
    this.#byIncoming.delete(htlcKey(forward.incoming));
    this.#byOutgoing.delete(htlcKey(forward.outgoing));
    this.#countHeld(forward, -1);
    turn.tx.deleteForward({ incomingChannelId: channelId, incomingHtlcId: htlcId });
    this.#addTotal(turn, forward, settlement.type === 'fulfill');
  }

  #addTotal(turn: Turn, { incoming, outgoing }: PendingForward, paid: boolean): void {
    turn.tx.addForwardTotal({
      hour: Math.floor(this.#options.now() / hourMs),
      incomingChannelId: incoming.channelId,
      outgoingChannelId: outgoing.channelId,
      settledCount: paid ? 1 : 0,
      failedCount: paid ? 0 : 1,
      amountMsat: paid ? outgoing.amountMsat : 0n,
      feeMsat: paid ? incoming.amountMsat - outgoing.amountMsat : 0n,
    });
  }

  /** At the start: those that came to an end and could not be settled then. */
  resume(turn: Turn): void {
    for (const forward of [...this.#byIncoming.values()]) {
      const { preimage } = forward;
      const { sharedSecret } = forward.incoming;
      const holdTimeMs = this.#holdTime(forward);
      if (preimage !== undefined) {
        const attributionData = wrapFulfillAttribution({ sharedSecret, holdTimeMs });
        this.#settle(turn, forward, { type: 'fulfill', preimage, attributionData });
      } else if (isGone(turn, forward)) {
        const failure: FailureMessage = { type: 'temporary_node_failure' };
        const answer = createAttributedFailure({ sharedSecret, failure, holdTimeMs });
        this.#settle(turn, forward, { type: 'fail', ...answer });
      }
    }
  }

  /** A block has come. */
  onBlock(turn: Turn, height: number): void {
    this.#replays.prune(height);
    for (const forward of [...this.#byIncoming.values()]) {
      const { outgoing, preimage } = forward;
      const isLate = height >= timeOutOutgoingHeight(outgoing.cltvExpiry);
      if (preimage === undefined && isLate) this.#endIfWaiting(turn, forward);
    }
  }

  /**
   * An HTLC that is in a commitment past its deadline has its channel closed by the channel itself. So has to be
   * one that still waits for our signature, or whose removal waits for a revocation: the peer could have it
   * committed, or the old commitment confirmed, and take it with the preimage when the incoming one is gone.
   */
  #endIfWaiting(turn: Turn, { outgoing }: PendingForward): void {
    const key = channelKey(outgoing.channelId);
    const channel = turn.channels.get(key);
    const htlc = channel?.htlcs.get('offered', outgoing.htlcId);
    if (channel === undefined || htlc === undefined || isOnChain(channel)) return;
    const { inLocal, inRemote } = htlcStateFacts[htlc.state];
    if (inLocal || inRemote) return;
    channelLogger(this.#options.logger, outgoing.channelId).warn(
      { htlcId: htlc.id, state: htlc.state },
      'the peer keeps a forwarded payment from coming to an end: the channel is closed',
    );
    turn.command(key, { type: 'forceClose' });
  }
}

function isOnChain({ phase }: Channel): boolean {
  const { name } = phase;
  return name === 'failed' || name === 'stale' || name === 'spent' || name === 'closed';
}

/** Whether the outgoing HTLC is over, and was not paid: of one that was the preimage is stored. */
function isGone(turn: Turn, { outgoing }: PendingForward): boolean {
  const channel = turn.channels.get(channelKey(outgoing.channelId));
  if (channel === undefined || channel.phase.name === 'closed') return true;
  return channel.htlcs.get('offered', outgoing.htlcId) === undefined;
}

/** Whether the incoming HTLC has its answer, or is there no more. */
function isSettled(turn: Turn, { incoming }: PendingForward): boolean {
  const channel = turn.channels.get(channelKey(incoming.channelId));
  const htlc = channel?.htlcs.get('received', incoming.htlcId);
  return htlc === undefined || htlc.settlement !== undefined;
}

/** The failure from downstream, as it goes upstream (BOLT 4: returning errors; BOLT 2: malformed ones). */
function backwards(
  settlement: Settlement,
  { sharedSecret, holdTimeMs }: { sharedSecret: Uint8Array; holdTimeMs: number },
): Settlement {
  switch (settlement.type) {
    case 'fail': {
      const { reason, attributionData } = settlement;
      return {
        type: 'fail',
        ...wrapAttributedFailure({ sharedSecret, reason, attributionData, holdTimeMs }),
      };
    }
    case 'fail_malformed': {
      const failure = failureFromMalformed(settlement.failureCode, settlement.sha256OfOnion);
      return { type: 'fail', ...createAttributedFailure({ sharedSecret, failure, holdTimeMs }) };
    }
    case 'fulfill':
      throw new Error('a fulfilled HTLC has no failure');
  }
}
