import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel, Htlc, Settlement } from '@rivulet/core/channel';
import {
  createAttributedFailure,
  createFulfillAttribution,
  type FailureMessage,
  type FinalPayload,
} from '@rivulet/core/onion';
import { type EndedSet, judgeFinal, type KnownInvoice, PartSets } from '@rivulet/core/payment';
import { type HtlcRef, htlcKey, refOf } from './htlcRef.js';
import { Table } from './table.js';
import type { Turn } from './turn.js';

/** An HTLC of which the node is the final one. */
export interface FinalOrder {
  readonly channel: Channel;
  readonly htlc: Htlc;
  readonly payload: FinalPayload;
  readonly sharedSecret: Uint8Array;
}

export interface SimReceiverOptions {
  readonly settle: (turn: Turn, ref: HtlcRef, settlement: Settlement) => void;
  /** Calls back in a turn at a time. */
  readonly wakeAt: (atMs: number, run: (turn: Turn) => void) => void;
}

/** Takes what is paid to a node: the driver of core's receiving over tables. */
export class SimReceiver {
  readonly invoices = new Table<KnownInvoice>();
  /** What was received, by payment hash; msat. */
  readonly received = new Table<bigint>();
  readonly #options: SimReceiverOptions;
  #sets = new PartSets();
  #cameAtMs = new Map<string, number>();
  #wakesAtMs: number | undefined;

  constructor(options: SimReceiverOptions) {
    this.#options = options;
  }

  /** After a restart: the channels tell again of what is pending. */
  reload(): void {
    this.#sets = new PartSets();
    this.#cameAtMs = new Map();
    this.#wakesAtMs = undefined;
  }

  receive(turn: Turn, { channel, htlc, payload, sharedSecret }: FinalOrder): void {
    const ref = refOf(channel, htlc);
    this.#cameAtMs.set(htlcKey(ref), turn.nowMs);
    const hash = bytesToHex(htlc.paymentHash);
    const judgement = judgeFinal({
      htlc,
      payload,
      invoice: this.invoices.get(hash),
      policy: { acceptKeysend: true, acceptKeysendParts: true, minAmountMsat: 1n },
      blockHeight: turn.blockHeight,
      nowMs: turn.nowMs,
      isSeen: (paymentHash) => this.received.has(bytesToHex(paymentHash)),
    });
    if (judgement.type === 'refuse') {
      this.#failPart(turn, { ref, sharedSecret, failure: judgement.failure });
      return;
    }
    const added = this.#sets.add({
      part: judgement.set,
      ref,
      sharedSecret,
      peer: bytesToHex(channel.params.remoteNodeId),
      nowMs: turn.nowMs,
      blockHeight: turn.blockHeight,
    });
    for (const ended of added.ended) this.#fail(turn, ended);
    if (added.type === 'refuse') this.#failPart(turn, { ref, sharedSecret, failure: added.failure });
    if (added.type === 'complete') {
      const { preimage, amountMsat, kind, parts } = added.set;
      if (preimage === undefined) throw new Error('nobody makes hold invoices here');
      this.received.set(hash, amountMsat);
      const invoice = this.invoices.get(hash);
      if (kind === 'invoice' && invoice) this.invoices.set(hash, { ...invoice, state: 'settled' });
      for (const part of parts) this.claim(turn, part, preimage);
    }
    this.#wake(turn);
  }

  /** Settles one HTLC with its preimage. */
  claim(
    turn: Turn,
    { ref, sharedSecret }: { ref: HtlcRef; sharedSecret: Uint8Array },
    preimage: Uint8Array,
  ): void {
    const attributionData = createFulfillAttribution({ sharedSecret, holdTimeMs: this.#holdTime(turn, ref) });
    this.#options.settle(turn, ref, { type: 'fulfill', preimage, attributionData });
  }

  #holdTime(turn: Turn, ref: HtlcRef): number {
    const key = htlcKey(ref);
    const cameAtMs = this.#cameAtMs.get(key) ?? turn.nowMs;
    this.#cameAtMs.delete(key);
    return Math.max(0, turn.nowMs - cameAtMs);
  }

  #fail(turn: Turn, { parts }: EndedSet): void {
    for (const part of parts) this.#failPart(turn, part);
  }

  #failPart(
    turn: Turn,
    { ref, sharedSecret, failure }: { ref: HtlcRef; sharedSecret: Uint8Array; failure: FailureMessage },
  ): void {
    const holdTimeMs = this.#holdTime(turn, ref);
    this.#options.settle(turn, ref, {
      type: 'fail',
      ...createAttributedFailure({ sharedSecret, failure, holdTimeMs }),
    });
  }

  /** BOLT 4: parts that wait for others are failed after 60 seconds. */
  #wake(turn: Turn): void {
    const atMs = this.#sets.nextExpiryMs();
    if (atMs === undefined || atMs === this.#wakesAtMs) return;
    this.#wakesAtMs = atMs;
    turn.afterCommit(() =>
      this.#options.wakeAt(atMs, (later) => {
        this.#wakesAtMs = undefined;
        for (const ended of this.#sets.expire(later.nowMs)) this.#fail(later, ended);
        this.#wake(later);
      }),
    );
  }

  processBlock(turn: Turn, height: number): void {
    for (const ended of this.#sets.expireByHeight(height)) this.#fail(turn, ended);
  }

  /** A received HTLC is over. */
  onOver(turn: Turn, ref: HtlcRef): void {
    this.#cameAtMs.delete(htlcKey(ref));
    const ended = this.#sets.remove(ref, turn.blockHeight);
    if (ended !== undefined) this.#fail(turn, ended);
  }
}
