import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import {
  type Channel,
  type Htlc,
  htlcStateFacts,
  type NewHtlc,
  outgoingLimits,
  type Settlement,
  shortChannelIdOf,
} from '@rivulet/core/channel';
import {
  defaultForwardLimits,
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
import { type ChannelKey, channelKey, type HtlcRef, htlcKey, refOf } from './htlcRef.js';
import type { HtlcOutcome } from './simSender.js';
import { Table } from './table.js';
import type { EndPolicy } from './topology.js';
import type { Turn } from './turn.js';

/** An incoming HTLC whose onion says that it goes on. */
export interface ForwardOrder {
  readonly channel: Channel;
  readonly htlc: Htlc;
  readonly payload: ForwardPayload;
  readonly sharedSecret: Uint8Array;
  readonly nextPacket: Uint8Array;
}

export interface SimForwarderOptions {
  readonly termsOf: (key: ChannelKey) => EndPolicy;
  readonly channelNamed: (shortChannelId: bigint) => ChannelKey | undefined;
  readonly settle: (turn: Turn, ref: HtlcRef, settlement: Settlement) => void;
  /** A forward was refused: why. */
  readonly onRefusal: (cause: string) => void;
}

/** Passes HTLCs on and their settlements back: the driver of core's forwarding over a table. */
export class SimForwarder {
  /** By incoming HTLC. */
  readonly forwards = new Table<PendingForward>();
  readonly #options: SimForwarderOptions;
  #replays = new ReplayGuard();
  readonly #byOutgoing = new Map<string, string>();
  /** By incoming channel. */
  readonly #held = new Map<ChannelKey, { count: number; valueMsat: bigint }>();

  constructor(options: SimForwarderOptions) {
    this.#options = options;
  }

  /** After a restart: what memory held follows from the table. */
  reload(): void {
    this.#replays = new ReplayGuard();
    this.#byOutgoing.clear();
    this.#held.clear();
    for (const [key, forward] of this.forwards.entries()) this.#index(key, forward);
  }

  #index(key: string, forward: PendingForward): void {
    this.#byOutgoing.set(htlcKey(forward.outgoing), key);
    this.#hold(forward, 1);
  }

  #hold({ incoming }: PendingForward, sign: 1 | -1): void {
    const key = channelKey(incoming.channelId);
    const held = this.#held.get(key) ?? { count: 0, valueMsat: 0n };
    held.count += sign;
    held.valueMsat += BigInt(sign) * incoming.amountMsat;
    this.#held.set(key, held);
  }

  hasIncoming(ref: HtlcRef): boolean {
    return this.forwards.has(htlcKey(ref));
  }

  hasOutgoing(ref: HtlcRef): boolean {
    return this.#byOutgoing.has(htlcKey(ref));
  }

  /** Passes an HTLC on, or fails it. @returns what was offered, and where */
  forward(
    turn: Turn,
    order: ForwardOrder,
    /** For hostile nodes: what they offer instead. */
    tamper: (htlc: NewHtlc) => NewHtlc = (htlc) => htlc,
  ): { key: ChannelKey; htlc: NewHtlc } | undefined {
    const { channel, htlc, payload, sharedSecret } = order;
    const ref = refOf(channel, htlc);
    const expiry = payload.outgoingCltvValue;
    if (this.#replays.isReplay({ sharedSecret, htlcKey: htlcKey(ref), expiry })) {
      this.refuse(turn, order, { cause: 'replay', failure: { type: 'temporary_node_failure' } });
      return undefined;
    }
    if (htlc.mustFail !== undefined) {
      this.refuse(turn, order, { cause: htlc.mustFail, failure: { type: 'temporary_node_failure' } });
      return undefined;
    }
    const namedKey = this.#options.channelNamed(payload.shortChannelId);
    const named = namedKey === undefined ? undefined : turn.channel(namedKey);
    const candidates = named === undefined ? [] : candidatesFor(turn, named, order);
    const outgoing = named && this.#view({ named, candidates, order });
    const judgement = judgeForward({
      incoming: htlc,
      payload,
      outgoing,
      blockHeight: turn.blockHeight,
      limits: defaultForwardLimits,
      held: this.#heldOf(turn, channel),
    });
    if (judgement.type === 'refuse') {
      this.refuse(turn, order, judgement);
      return undefined;
    }
    const wanted = tamper({ ...judgement.htlc, paymentHash: htlc.paymentHash, onion: order.nextPacket });
    let cause: string | undefined;
    for (const candidate of candidates) {
      const key = channelKey(candidate.params.channelId);
      const added = turn.add(key, wanted);
      if (added !== undefined && 'htlc' in added) {
        this.#store(turn, order, refOf(candidate, added.htlc), added.htlc);
        return { key, htlc: wanted };
      }
      cause ??= added?.refused.code;
    }
    const failure: FailureMessage =
      outgoing === undefined ? { type: 'unknown_next_peer' } : temporaryChannelFailure(outgoing);
    this.refuse(turn, order, { cause: cause ?? 'channel_unknown', failure });
    return undefined;
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
    const best = candidates[0] ?? named;
    const { disabled, ...policy } = this.#options.termsOf(channelKey(named.params.channelId));
    const limits = outgoingLimits(best);
    return {
      phase: named.phase.name === 'open' ? 'open' : 'closing',
      online: best.link === 'online',
      disabled,
      announced: true,
      namedByAlias: shortChannelIdOf(named) !== order.payload.shortChannelId,
      isIncoming: equalBytes(best.params.channelId, order.channel.params.channelId),
      spendableMsat: limits.spendableMsat,
      minimumMsat: limits.minimumMsat,
      policy,
    };
  }

  #heldOf(turn: Turn, { params }: Channel): { count: number; valueMsat: bigint } {
    const peer = bytesToHex(params.remoteNodeId);
    const sum = { count: 0, valueMsat: 0n };
    for (const [key, { count, valueMsat }] of this.#held) {
      const channel = turn.channel(key);
      if (channel === undefined || bytesToHex(channel.params.remoteNodeId) !== peer) continue;
      sum.count += count;
      sum.valueMsat += valueMsat;
    }
    return sum;
  }

  #store(turn: Turn, { channel, htlc, sharedSecret }: ForwardOrder, outgoing: HtlcRef, offered: Htlc): void {
    const { amountMsat, cltvExpiry } = htlc;
    const forward: PendingForward = {
      incoming: { ...refOf(channel, htlc), amountMsat, cltvExpiry, sharedSecret },
      outgoing: { ...outgoing, amountMsat: offered.amountMsat, cltvExpiry: offered.cltvExpiry },
      receivedAtMs: turn.nowMs,
    };
    const key = htlcKey(forward.incoming);
    this.forwards.set(key, forward);
    this.#index(key, forward);
  }

  /** Fails an HTLC that is not passed on. */
  refuse(
    turn: Turn,
    { channel, htlc, sharedSecret }: ForwardOrder,
    { cause, failure }: { cause: string; failure: FailureMessage },
  ): void {
    this.#options.onRefusal(cause);
    const answer = createAttributedFailure({ sharedSecret, failure, holdTimeMs: 0 });
    this.#options.settle(turn, refOf(channel, htlc), { type: 'fail', ...answer });
  }

  /** What was passed on is over: the incoming HTLC gets the same answer. */
  settled(turn: Turn, ref: HtlcRef, outcome: HtlcOutcome): void {
    const key = this.#byOutgoing.get(htlcKey(ref));
    const forward = key === undefined ? undefined : this.forwards.get(key);
    if (key === undefined || forward === undefined) return;
    const { sharedSecret } = forward.incoming;
    const holdTimeMs = Math.max(0, turn.nowMs - (forward.receivedAtMs ?? turn.nowMs));
    this.#options.settle(turn, forward.incoming, backwards(outcome, { sharedSecret, holdTimeMs }));
    this.forwards.delete(key);
    this.#byOutgoing.delete(htlcKey(ref));
    this.#hold(forward, -1);
  }

  onBlock(turn: Turn): void {
    this.#replays.prune(turn.blockHeight);
    for (const { outgoing } of this.forwards.values()) {
      if (turn.blockHeight >= timeOutOutgoingHeight(outgoing.cltvExpiry)) closeIfWaiting(turn, outgoing);
    }
  }
}

/** One that is in no commitment is not seen by the channel's own deadlines, and could still get into one. */
function closeIfWaiting(turn: Turn, { channelId, htlcId }: HtlcRef): void {
  const key = channelKey(channelId);
  const channel = turn.channel(key);
  const htlc = channel?.htlcs.get('offered', htlcId);
  if (channel?.phase.name !== 'open' || htlc === undefined) return;
  const { inLocal, inRemote } = htlcStateFacts[htlc.state];
  if (!inLocal && !inRemote) turn.command(key, { type: 'forceClose' });
}

/** BOLT 4, non-strict forwarding: any channel with the same peer, the named one before others. */
function candidatesFor(turn: Turn, named: Channel, { channel, payload }: ForwardOrder): Channel[] {
  const peer = bytesToHex(named.params.remoteNodeId);
  const can = (one: Channel) => {
    const { usable, spendableMsat } = outgoingLimits(one);
    return usable && spendableMsat >= payload.amountToForwardMsat;
  };
  if (can(named)) return [named];
  const others: Channel[] = [];
  for (const other of turn.channels()) {
    if (other === named || equalBytes(other.params.channelId, channel.params.channelId)) continue;
    if (bytesToHex(other.params.remoteNodeId) === peer && can(other)) others.push(other);
  }
  return [...others, named];
}

function backwards(
  outcome: HtlcOutcome,
  { sharedSecret, holdTimeMs }: { sharedSecret: Uint8Array; holdTimeMs: number },
): Settlement {
  switch (outcome.type) {
    case 'fulfilled': {
      const { preimage, attributionData } = outcome;
      const wrapped = wrapFulfillAttribution({ sharedSecret, attributionData, holdTimeMs });
      return { type: 'fulfill', preimage, attributionData: wrapped };
    }
    case 'timed_out_on_chain': {
      const failure: FailureMessage = { type: 'permanent_channel_failure' };
      return { type: 'fail', ...createAttributedFailure({ sharedSecret, failure, holdTimeMs }) };
    }
    case 'failed': {
      const { settlement } = outcome;
      if (settlement.type === 'fulfill') throw new Error('a fulfilled HTLC has no failure');
      if (settlement.type === 'fail') {
        const { reason, attributionData } = settlement;
        return {
          type: 'fail',
          ...wrapAttributedFailure({ sharedSecret, reason, attributionData, holdTimeMs }),
        };
      }
      const failure = failureFromMalformed(settlement.failureCode, settlement.sha256OfOnion);
      return { type: 'fail', ...createAttributedFailure({ sharedSecret, failure, holdTimeMs }) };
    }
  }
}
