import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { type Channel, type Htlc, isLostToFees, type Settlement } from '@rivulet/core/channel';
import { sha256 } from '@rivulet/core/crypto';
import {
  createAttributedFailure,
  createFulfillAttribution,
  type FailureMessage,
  type FinalPayload,
} from '@rivulet/core/onion';
import {
  type CompleteSet,
  type EndedSet,
  judgeFinal,
  PartSets,
  type ReceivePolicy,
  type SetPart,
  unknownDetails,
} from '@rivulet/core/payment';
import { encodeTlvStream } from '@rivulet/core/wire';
import type { IncomingKeysend, PolicyVerdict } from '@rivulet/keysend/policy';
import type { IncomingPayment, ListedInvoice, NodeStorage } from '@rivulet/storage';
import { channelLogger, type Logger } from '../../logging/logger.js';
import type { CancelTimer, Scheduler } from '../../peers/index.js';
import { channelKey, type Turn, type Turns } from '../turns.js';
import { type HeldKeysend, HeldKeysends } from './heldKeysends.js';
import { type HtlcRef, htlcKey, refOf } from './htlcAdder.js';
import { PaymentError } from './paymentError.js';

export interface ReceiverOptions {
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly policy: ReceivePolicy;
  /** Whether a payment that we send to ourselves has this hash: it is taken whatever the policy says. */
  readonly isOwn: (paymentHash: Uint8Array) => boolean;
  readonly blockHeight: () => number;
  readonly now: () => number;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** A payment that was received; after it is durable. */
  readonly onPayment: (payment: IncomingPayment) => void;
  /** A hold invoice that is paid in full; after that is durable. */
  readonly onHeld: (invoice: ListedInvoice) => void;
  /** Says what becomes of a keysend that is all here; all are taken where it is absent. */
  readonly keysendPolicy?: KeysendPolicyPort | undefined;
  /** A keysend that waits for a decision; after that is durable. */
  readonly onKeysendHeld: (keysend: WaitingKeysend) => void;
}

/** What a node's owner wants of keysends. */
export interface KeysendPolicyPort {
  /** Called inside the turn: has to be quick. */
  judge(keysend: Omit<IncomingKeysend, 'recipient'>): PolicyVerdict;
  /** One waits for a decision; after that is durable. One that is not new waited before a restart already. */
  waiting?(keysend: WaitingKeysend, about: { readonly isNew: boolean }): void;
  /** One that waited was taken, or went back; after that is durable. */
  decided?(keysend: DecidedKeysend): void;
}

/** A keysend that waits no longer. */
export interface DecidedKeysend {
  /** 64 hex digits. */
  readonly paymentHash: string;
  /** 0 where it had gone before it was here again after a restart. */
  readonly amountMsat: bigint;
  /** Why it waited. */
  readonly rule: string;
  readonly accept: boolean;
  /** Whether somebody decided, or its time was over. */
  readonly byOwner: boolean;
}

/** A keysend that waits for a decision. */
export interface WaitingKeysend extends HeldKeysend {
  readonly paymentHash: Uint8Array;
  readonly amountMsat: bigint;
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
  readonly channelId: Uint8Array;
}

/** An HTLC of which we are the final node. */
export interface FinalHtlc {
  readonly channel: Channel;
  readonly htlc: Htlc;
  readonly payload: FinalPayload;
  readonly sharedSecret: Uint8Array;
}

/** A timer of more than 24 days would run at once; what is not due yet is waited for again. */
const longestTimerMs = 86_400_000;
const unclaimedPrefix = 'unclaimed-htlc/';

/**
 * Takes what is paid to us, keysends and invoices: collects the parts of a payment and settles all of them in
 * one turn when all are there, or fails them.
 */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #sets = new PartSets();
  readonly #held: HeldKeysends;
  /** Whether any HTLC was ever left unclaimed: it is not looked for with every payment otherwise. */
  #mayBeUnclaimed: boolean;
  /** When each HTLC came, for hold times; what came before a restart is not known. */
  readonly #cameAtMs = new Map<string, number>();
  #timer: { readonly atMs: number; readonly cancel: CancelTimer } | undefined;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#held = new HeldKeysends(options.storage);
    this.#mayBeUnclaimed = options.storage.listValues(unclaimedPrefix).length > 0;
  }

  /** A turn begins: what it changes in memory can be undone. */
  begin(): void {
    this.#sets.snapshot();
  }

  rollBack(): void {
    this.#sets.restore();
    this.#held.reload();
  }

  /** An HTLC to us; told again after a restart. */
  receive(turn: Turn, final: FinalHtlc): void {
    const { channel, htlc, payload, sharedSecret } = final;
    const { blockHeight, now, policy, isOwn } = this.#options;
    const ref = refOf(channel, htlc);
    const unclaimed = this.#mayBeUnclaimed ? turn.tx.getValue(unclaimedPrefix + htlcKey(ref)) : undefined;
    if (unclaimed !== undefined) {
      this.#claim(turn, { ref, sharedSecret }, unclaimed);
      return;
    }
    this.#cameAtMs.set(htlcKey(ref), now());
    const own = isOwn(htlc.paymentHash);
    const invoice = turn.tx.getInvoice(htlc.paymentHash);
    const judgement = judgeFinal({
      htlc,
      payload,
      // The preimage of a hold invoice is not given out before its owner says so.
      invoice: invoice?.hold === true ? { ...invoice, preimage: undefined } : invoice,
      policy: own ? { acceptKeysend: true, acceptKeysendParts: true, minAmountMsat: 1n } : policy,
      blockHeight: blockHeight(),
      nowMs: now(),
      isSeen: (paymentHash) => turn.tx.hasSeenHash(paymentHash),
    });
    if (judgement.type === 'refuse') {
      this.#refuse(turn, final, judgement);
      return;
    }
    const judged = judgement.set.kind === 'keysend' && !own && this.#options.keysendPolicy !== undefined;
    const added = this.#sets.add({
      part: judgement.set,
      keep: judged,
      ref,
      sharedSecret,
      peer: bytesToHex(channel.params.remoteNodeId),
      nowMs: now(),
      blockHeight: blockHeight(),
    });
    for (const ended of added.ended) this.#fail(turn, ended);
    if (added.type === 'refuse') this.#refuse(turn, final, added);
    else if (added.type === 'complete') {
      if (judged) this.#judge(turn, added.set);
      else this.#complete(turn, { set: added.set, own, invoice });
    }
    this.#setTimer(turn);
  }

  /** The owner's policy, before anything is settled. What is refused goes back, and nothing of it is kept. */
  #judge(turn: Turn, set: CompleteSet): void {
    const { now } = this.#options;
    const before = this.#held.get(turn.tx, set.paymentHash);
    const verdict = before === undefined ? this.#verdictOf(set) : { action: 'hold' as const, ...before };
    switch (verdict.action) {
      case 'accept':
        this.#settleKeysend(turn, set, { byOwner: false });
        return;
      case 'refuse':
        this.#options.logger.debug(
          { rule: verdict.rule, amountMsat: set.amountMsat },
          'a keysend was refused',
        );
        this.#returnKeysend(turn, set, { byOwner: false });
        return;
      case 'hold':
        if (verdict.untilMs <= now()) this.#returnKeysend(turn, set, { byOwner: false });
        else this.#hold(turn, { set, before, ...verdict });
    }
  }

  #hold(
    turn: Turn,
    given: { set: CompleteSet; before: HeldKeysend | undefined; rule: string; untilMs: number },
  ): void {
    const { set, before, rule, untilMs } = given;
    const { keysendPolicy, onKeysendHeld, now } = this.#options;
    const held: HeldKeysend = before ?? { rule, heldAtMs: now(), untilMs };
    if (before === undefined) this.#held.put(turn.tx, set.paymentHash, held);
    turn.afterCommit(() => {
      const keysend = waiting(set, held);
      keysendPolicy?.waiting?.(keysend, { isNew: before === undefined });
      if (before === undefined) onKeysendHeld(keysend);
    });
  }

  #verdictOf(set: CompleteSet): PolicyVerdict {
    const [first] = set.parts as [SetPart];
    try {
      const verdict = this.#options.keysendPolicy?.judge({
        paymentHash: bytesToHex(set.paymentHash),
        amountMsat: set.amountMsat,
        records: set.customRecords,
        channelId: bytesToHex(first.ref.channelId),
        nowMs: this.#options.now(),
      });
      return verdict ?? { action: 'accept' };
    } catch (err) {
      // The sender keeps its money: what cannot be judged is not taken, and a later one may be.
      this.#options.logger.error({ err }, 'the policy of keysends failed: the payment was refused');
      return { action: 'refuse', rule: 'policy_failed' };
    }
  }

  #settleKeysend(turn: Turn, set: CompleteSet, { byOwner }: { byOwner: boolean }): void {
    const { preimage, paymentHash, amountMsat } = set;
    if (preimage === undefined) throw new Error('a keysend without its preimage');
    this.#release(turn, paymentHash, { amountMsat, accept: true, byOwner });
    this.#settle(turn, { set, preimage, own: false });
  }

  /** It waits no longer. */
  #release(
    turn: Turn,
    paymentHash: Uint8Array,
    about: Pick<DecidedKeysend, 'amountMsat' | 'accept' | 'byOwner'>,
  ): void {
    this.#sets.takeHeld(paymentHash);
    const held = this.#held.delete(turn.tx, paymentHash);
    if (held === undefined) return;
    const decided = { paymentHash: bytesToHex(paymentHash), rule: held.rule, ...about };
    turn.afterCommit(() => this.#options.keysendPolicy?.decided?.(decided));
  }

  #returnKeysend(turn: Turn, set: CompleteSet, { byOwner }: { byOwner: boolean }): void {
    const { paymentHash, amountMsat } = set;
    this.#release(turn, paymentHash, { amountMsat, accept: false, byOwner });
    const height = this.#options.blockHeight();
    for (const part of set.parts) {
      this.#failPart(turn, { ...part, failure: unknownDetails(part.amountMsat, height) });
    }
  }

  /** The keysends that wait for a decision. */
  waitingKeysends(): WaitingKeysend[] {
    return this.#held.hashes().flatMap((paymentHash) => {
      const held = this.#held.get(this.#options.storage, paymentHash);
      const set = this.#sets.getHeld(paymentHash);
      return held === undefined || set === undefined ? [] : [waiting(set, held)];
    });
  }

  /**
   * Takes a keysend that waits, or sends it back.
   * @throws PaymentError where none waits: it went back, or it was decided.
   */
  decideKeysend(paymentHash: Uint8Array, { accept }: { accept: boolean }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.turns.enqueue({
        run: (turn) => {
          const set = this.#held.get(turn.tx, paymentHash) && this.#sets.getHeld(paymentHash);
          if (set === undefined) {
            const message = 'no keysend with this payment hash waits for a decision';
            turn.afterCommit(() => reject(new PaymentError('request_invalid', message)));
            return;
          }
          if (accept && isLost(turn, set)) {
            turn.afterCommit(() => reject(new PaymentError('request_invalid', lostText)));
            return;
          }
          if (accept) this.#settleKeysend(turn, set, { byOwner: true });
          else this.#returnKeysend(turn, set, { byOwner: true });
          this.#setTimer(turn);
          turn.afterCommit(resolve);
        },
        failed: (cause) =>
          reject(
            new PaymentError('not_stored', 'the decision could not be stored: nothing happened', { cause }),
          ),
      });
    });
  }

  #refuse(
    turn: Turn,
    { channel, htlc, sharedSecret }: FinalHtlc,
    { cause, failure }: { cause: string; failure: FailureMessage },
  ): void {
    const { channelId } = channel.params;
    channelLogger(this.#options.logger, channelId).info(
      { cause, htlcId: htlc.id, amountMsat: htlc.amountMsat },
      'an incoming payment was refused',
    );
    this.#failPart(turn, { ref: refOf(channel, htlc), sharedSecret, failure });
  }

  #complete(
    turn: Turn,
    { set, own, invoice }: { set: CompleteSet; own: boolean; invoice: ListedInvoice | undefined },
  ): void {
    if (set.preimage !== undefined) this.#settle(turn, { set, preimage: set.preimage, own });
    else if (invoice?.state === 'open') {
      turn.tx.updateInvoice(set.paymentHash, { state: 'held', receivedMsat: set.amountMsat });
      const held = { ...invoice, state: 'held' as const, receivedMsat: set.amountMsat };
      turn.afterCommit(() => this.#options.onHeld(held));
    }
  }

  #settle(
    turn: Turn,
    { set, preimage, own }: { set: CompleteSet; preimage: Uint8Array; own: boolean },
  ): void {
    const settledAtMs = this.#options.now();
    const [first] = set.parts as [SetPart];
    if (own) turn.tx.markHashSeen(set.paymentHash);
    else {
      const received: IncomingPayment = {
        direction: 'incoming',
        paymentHash: set.paymentHash,
        preimage,
        amountMsat: set.amountMsat,
        status: 'settled',
        records: encodeTlvStream([...set.customRecords].map(([type, value]) => ({ type, value }))),
        ...first.ref,
        receivedAtMs: settledAtMs,
      };
      turn.tx.putIncomingPayment(received);
      turn.afterCommit(() => this.#options.onPayment(received));
    }
    if (set.kind === 'invoice') {
      turn.tx.updateInvoice(set.paymentHash, {
        state: 'settled',
        preimage,
        receivedMsat: set.amountMsat,
        settledAtMs,
      });
    }
    for (const part of set.parts) this.#claim(turn, part, preimage);
  }

  /** Settles one HTLC. Where a fault has stopped its channel, that is done after the next start. */
  #claim(
    turn: Turn,
    { ref, sharedSecret }: { ref: HtlcRef; sharedSecret: Uint8Array },
    preimage: Uint8Array,
  ): void {
    const attributionData = createFulfillAttribution({ sharedSecret, holdTimeMs: this.#holdTime(ref) });
    const settlement: Settlement = { type: 'fulfill', preimage, attributionData };
    turn.command(channelKey(ref.channelId), { type: 'settleHtlc', id: ref.htlcId, settlement });
    const key = unclaimedPrefix + htlcKey(ref);
    const channel = turn.channels.get(channelKey(ref.channelId));
    const htlc = channel?.htlcs.get('received', ref.htlcId);
    if (htlc !== undefined && htlc.settlement === undefined) {
      this.#mayBeUnclaimed = true;
      turn.tx.putValue(key, preimage);
      channelLogger(this.#options.logger, ref.channelId).error(
        { htlcId: ref.htlcId },
        'a payment was received that cannot be claimed from this channel now; restart the node',
      );
    } else if (this.#mayBeUnclaimed) turn.tx.deleteValue(key);
  }

  #holdTime(ref: HtlcRef): number {
    const key = htlcKey(ref);
    const cameAtMs = this.#cameAtMs.get(key);
    this.#cameAtMs.delete(key);
    return cameAtMs === undefined ? 0 : Math.max(0, this.#options.now() - cameAtMs);
  }

  #fail(turn: Turn, { parts, paymentHash, reason }: EndedSet): void {
    this.#options.logger.info({ reason, parts: parts.length }, 'a payment that was not complete is refused');
    for (const part of parts) this.#failPart(turn, part);
    const amountMsat = parts.reduce((sum, part) => sum + part.amountMsat, 0n);
    this.#release(turn, paymentHash, { amountMsat, accept: false, byOwner: false });
    // After a restart a set may be without a part that went meanwhile, and so was never complete again.
    if (turn.tx.getInvoice(paymentHash)?.state === 'held') {
      turn.tx.updateInvoice(paymentHash, { state: 'cancelled' });
    }
  }

  #failPart(
    turn: Turn,
    { ref, sharedSecret, failure }: { ref: HtlcRef; sharedSecret: Uint8Array; failure: FailureMessage },
  ): void {
    const settlement: Settlement = {
      type: 'fail',
      ...createAttributedFailure({ sharedSecret, failure, holdTimeMs: this.#holdTime(ref) }),
    };
    turn.command(channelKey(ref.channelId), { type: 'settleHtlc', id: ref.htlcId, settlement });
  }

  /** BOLT 4: parts that wait for others are failed after 60 seconds. */
  #setTimer(turn: Turn): void {
    turn.afterCommit(() => {
      const times = [this.#sets.nextExpiryMs(), this.#held.nextMs()].filter((time) => time !== undefined);
      const atMs = times.length === 0 ? undefined : Math.min(...times);
      if (this.#timer?.atMs === atMs) return;
      this.#timer?.cancel();
      this.#timer = undefined;
      if (atMs === undefined) return;
      const delayMs = Math.min(Math.max(0, atMs - this.#options.now()), longestTimerMs);
      const cancel = this.#options.scheduler.schedule(delayMs, () => {
        this.#timer = undefined;
        // Where that cannot be stored the next block brings it again.
        this.#options.turns.enqueue({ run: (later) => this.#expire(later) });
      });
      this.#timer = { atMs, cancel };
    });
  }

  #expire(turn: Turn): void {
    const nowMs = this.#options.now();
    for (const ended of this.#sets.expire(nowMs)) this.#fail(turn, ended);
    for (const paymentHash of this.#held.due(nowMs)) {
      const set = this.#sets.getHeld(paymentHash);
      if (set === undefined) {
        this.#release(turn, paymentHash, { amountMsat: 0n, accept: false, byOwner: false });
      } else this.#returnKeysend(turn, set, { byOwner: false });
    }
    this.#setTimer(turn);
  }

  /** What is held is failed before its time to be claimed is over. */
  processBlock(turn: Turn, height: number): void {
    for (const ended of this.#sets.expireByHeight(height)) this.#fail(turn, ended);
    this.#expire(turn);
  }

  /** A received HTLC is over. */
  onOver(turn: Turn, ref: HtlcRef): void {
    this.#cameAtMs.delete(htlcKey(ref));
    const ended = this.#sets.remove(ref, this.#options.blockHeight());
    if (ended !== undefined) this.#fail(turn, ended);
  }

  /**
   * Settles a held invoice.
   * @throws PaymentError where it is not held, or the preimage is not its own.
   */
  settleHeld(paymentHash: Uint8Array, given: Uint8Array | undefined): Promise<ListedInvoice> {
    return this.#decide(paymentHash, (turn, invoice) => {
      const preimage = given ?? invoice.preimage;
      if (preimage === undefined || !equalBytes(sha256(preimage), paymentHash)) {
        throw new PaymentError(
          'request_invalid',
          preimage === undefined
            ? 'this node does not have the preimage of this invoice: give it'
            : 'this preimage is not that of the invoice: its SHA-256 is not the payment hash',
        );
      }
      const held = invoice.state === 'held' ? this.#sets.getHeld(paymentHash) : undefined;
      if (held !== undefined && isLost(turn, held)) throw new PaymentError('request_invalid', lostText);
      const set = held === undefined ? undefined : this.#sets.takeHeld(paymentHash);
      if (set === undefined) {
        const why =
          invoice.state === 'held'
            ? 'not all of its parts are here again since the start'
            : `it is ${invoice.state}`;
        throw new PaymentError('request_invalid', `this invoice is not held now: ${why}`);
      }
      this.#settle(turn, { set, preimage, own: false });
    });
  }

  /**
   * Cancels an invoice: what is held goes back, and what comes later is refused.
   * @throws PaymentError where it is settled.
   */
  cancel(paymentHash: Uint8Array): Promise<ListedInvoice> {
    return this.#decide(paymentHash, (turn, invoice) => {
      if (invoice.state === 'settled') {
        throw new PaymentError('invoice_state', 'this invoice is paid and settled: it cannot be cancelled');
      }
      const set = this.#sets.takeHeld(paymentHash);
      for (const part of set?.parts ?? []) {
        const height = this.#options.blockHeight();
        this.#failPart(turn, { ...part, failure: unknownDetails(part.amountMsat, height) });
      }
      turn.tx.updateInvoice(paymentHash, { state: 'cancelled' });
    });
  }

  #decide(
    paymentHash: Uint8Array,
    decide: (turn: Turn, invoice: ListedInvoice) => void,
  ): Promise<ListedInvoice> {
    return new Promise((resolve, reject) => {
      this.#options.turns.enqueue({
        run: (turn) => {
          const invoice = turn.tx.getInvoice(paymentHash);
          if (invoice === undefined) {
            turn.afterCommit(() => reject(new PaymentError('request_invalid', 'there is no such invoice')));
            return;
          }
          try {
            decide(turn, invoice);
          } catch (error) {
            if (!(error instanceof PaymentError)) throw error;
            turn.afterCommit(() => reject(error));
            return;
          }
          turn.afterCommit(() => resolve(this.#options.storage.getInvoice(paymentHash) ?? invoice));
        },
        failed: (cause) =>
          reject(
            new PaymentError('not_stored', 'the invoice could not be changed: nothing happened', { cause }),
          ),
      });
    });
  }
}

const lostText =
  'the channel that this payment came by goes to the chain, and the payment is too small for it: taken, nothing of it would arrive';

/** Whether nothing of a payment could be claimed any more. */
function isLost({ channels }: Turn, { parts }: CompleteSet): boolean {
  return parts.every(({ ref }) => {
    const channel = channels.get(channelKey(ref.channelId));
    const htlc = channel?.htlcs.get('received', ref.htlcId);
    return channel === undefined || htlc === undefined || isLostToFees(channel, htlc);
  });
}

function waiting(set: CompleteSet, held: HeldKeysend): WaitingKeysend {
  const [first] = set.parts as [SetPart];
  const { paymentHash, amountMsat, customRecords } = set;
  return { ...held, paymentHash, amountMsat, customRecords, channelId: first.ref.channelId };
}
