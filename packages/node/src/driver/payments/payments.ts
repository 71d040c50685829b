import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import type { Channel, ChannelEvent, Htlc } from '@rivulet/core/channel';
import { hmacSha256 } from '@rivulet/core/crypto';
import type { ForwardLimits } from '@rivulet/core/forwarding';
import type { RouteRequest, RouteResult } from '@rivulet/core/graph';
import type { Invoice } from '@rivulet/core/invoice';
import type { ClaimedHtlc } from '@rivulet/core/monitor';
import { createAttributedFailure, type FailureMessage } from '@rivulet/core/onion';
import { type ReceivePolicy, readIncoming, type SlowHop } from '@rivulet/core/payment';
import { signMessage } from '@rivulet/core/tower';
import type { IncomingPayment, ListedInvoice, NodeStorage, OutgoingPayment } from '@rivulet/storage';
import { channelLogger, type Logger } from '../../logging/logger.js';
import type { Scheduler } from '../../peers/index.js';
import type { RemotePolicies } from '../remotePolicies.js';
import { type ChannelKey, channelKey, type Turn, type Turns } from '../turns.js';
import { FirstHops } from './firstHops.js';
import { Forwarder, type ForwardTerms } from './forwarder.js';
import { HtlcAdder, type HtlcRef, refOf } from './htlcAdder.js';
import { Invoices } from './invoices.js';
import { Outgoing, type SendDefaults } from './outgoing.js';
import { type KeysendPolicyPort, Receiver, type WaitingKeysend } from './receiver.js';
import { type HtlcOutcome, type ObserveLiquidity, Sender } from './sender.js';

export interface PaymentsOptions {
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly nodeId: Uint8Array;
  readonly nodePrivateKey: Uint8Array;
  /** Onion session keys derive from it, so that a restart can read failures. */
  readonly sessionSecret: Uint8Array;
  readonly currency: Invoice['currency'];
  readonly policy: ReceivePolicy;
  readonly sendDefaults: SendDefaults;
  readonly forwarding: { readonly enabled: boolean; readonly limits: ForwardLimits };
  readonly termsOf: (channel: Channel) => ForwardTerms;
  readonly remotePolicies: RemotePolicies;
  readonly findRoutes: (request: RouteRequest) => RouteResult;
  readonly observe: ObserveLiquidity;
  readonly onSlowHop: (slow: SlowHop) => void;
  readonly needsUnknown: (nodeId: Uint8Array) => boolean;
  /** Whether new HTLCs may begin; those under way go on either way. */
  readonly isAccepting: () => boolean;
  readonly blockHeight: () => number;
  readonly now: () => number;
  readonly scheduler: Scheduler;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly logger: Logger;
  /** A payment that became final; after it is durable. */
  readonly onPayment: (payment: OutgoingPayment | IncomingPayment) => void;
  readonly onHeld: (invoice: ListedInvoice) => void;
  readonly keysendPolicy?: KeysendPolicyPort | undefined;
  readonly onKeysendHeld: (keysend: WaitingKeysend) => void;
}

/** All HTLCs of the node: what is sent, received and passed on. Brings each event to whom it concerns. */
export class Payments {
  readonly outgoing: Outgoing;
  readonly invoices: Invoices;
  readonly receiver: Receiver;
  readonly forwarder: Forwarder;
  readonly sender: Sender;
  readonly #options: PaymentsOptions;
  readonly #adder = new HtlcAdder();
  /** HTLCs that are told after a restart were taken before. */
  #resumed = false;

  constructor(options: PaymentsOptions) {
    this.#options = options;
    const { turns, storage, blockHeight, now, randomBytes, logger, scheduler, currency } = options;
    this.sender = new Sender({
      storage,
      adder: this.#adder,
      firstHops: new FirstHops(),
      source: options.nodeId,
      findRoutes: options.findRoutes,
      observe: options.observe,
      onSlowHop: options.onSlowHop,
      sessionKeyOf: (attempt) => sessionKey(options.sessionSecret, attempt),
      random: () => new DataView(randomBytes(4).buffer).getUint32(0) / 2 ** 32,
      blockHeight,
      now,
      onChange: (turn, change) => this.outgoing.onChange(turn, change),
    });
    this.outgoing = new Outgoing({
      turns,
      storage,
      sender: this.sender,
      nodeId: options.nodeId,
      needsUnknown: options.needsUnknown,
      isAccepting: options.isAccepting,
      currency,
      defaults: options.sendDefaults,
      now,
      randomBytes,
      onPayment: options.onPayment,
    });
    const { nodePrivateKey, remotePolicies } = options;
    this.invoices = new Invoices({ turns, remotePolicies, nodePrivateKey, currency, now, randomBytes });
    this.receiver = new Receiver({
      turns,
      storage,
      policy: options.policy,
      isOwn: (paymentHash) => this.#isToOurselves(paymentHash),
      blockHeight,
      now,
      scheduler,
      logger,
      onPayment: options.onPayment,
      onHeld: options.onHeld,
      keysendPolicy: options.keysendPolicy,
      onKeysendHeld: options.onKeysendHeld,
    });
    this.forwarder = new Forwarder({
      storage,
      adder: this.#adder,
      ...options.forwarding,
      termsOf: options.termsOf,
      blockHeight,
      now,
      logger,
    });
  }

  #isToOurselves(paymentHash: Uint8Array): boolean {
    const request = this.sender.get(paymentHash)?.sending.request;
    return request !== undefined && bytesToHex(request.destination) === bytesToHex(this.#options.nodeId);
  }

  /** Signs a text by the node's key, as all implementations do (`signmessage`): zbase32. */
  signMessage(message: string): string {
    return signMessage(utf8ToBytes(message), this.#options.nodePrivateKey);
  }

  /** A turn begins. */
  begin(): void {
    this.receiver.begin();
  }

  /** A turn was rolled back: memory follows what is stored. */
  rollBack(): void {
    this.receiver.rollBack();
    this.sender.reload();
    this.forwarder.reload();
  }

  /** In the first turn, after the channels told what is pending. */
  resume(turn: Turn): void {
    this.#resumed = true;
    this.forwarder.resume(turn);
    this.receiver.processBlock(turn, this.#options.blockHeight());
  }

  processBlock(turn: Turn, height: number): void {
    this.receiver.processBlock(turn, height);
    this.forwarder.onBlock(turn, height);
  }

  /** Called for every event of a channel, inside its turn. */
  onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    switch (event.type) {
      case 'htlcAdded':
      case 'htlcRefused':
        this.#adder.onEvent(event);
        return;
      case 'htlcReceived':
        this.#receive(turn, channel, event.htlc);
        return;
      case 'htlcFulfilled': {
        const { htlc, preimage, attributionData } = event;
        const data = attributionData === undefined ? {} : { attributionData };
        const outcome: HtlcOutcome = { type: 'fulfilled', preimage, ...data };
        this.#settled(turn, { ref: refOf(channel, htlc), htlc, outcome });
        return;
      }
      case 'htlcFailed': {
        const { htlc, settlement } = event;
        const outcome: HtlcOutcome = { type: 'failed', settlement };
        this.#settled(turn, { ref: refOf(channel, htlc), htlc, outcome });
        return;
      }
      case 'htlcOver':
        this.receiver.onOver(turn, refOf(channel, event.htlc));
        return;
      case 'announced':
      case 'remoteRevoked':
      case 'phaseChanged':
      case 'online':
      case 'commandRefused':
        return;
      default:
        event satisfies never;
    }
  }

  #receive(turn: Turn, channel: Channel, htlc: Htlc): void {
    const { channelId } = channel.params;
    const key = channelKey(channelId);
    // After a restart: it went on before.
    if (this.forwarder.hasIncoming(refOf(channel, htlc))) return;
    const read = readIncoming({ htlc, nodePrivateKey: this.#options.nodePrivateKey });
    switch (read.type) {
      case 'malformed':
        this.#logRefusal(channelId, { cause: 'onion_malformed', htlcId: htlc.id });
        turn.command(key, { type: 'settleHtlc', id: htlc.id, settlement: read.settlement });
        return;
      case 'invalid': {
        const { sharedSecret, failure } = read;
        this.#logRefusal(channelId, { cause: 'payload_invalid', htlcId: htlc.id });
        this.#fail(turn, { key, id: htlc.id, sharedSecret, failure });
        return;
      }
      case 'forward':
      case 'final':
        if (this.#resumed && !this.#options.isAccepting()) {
          this.#logRefusal(channelId, { cause: 'not_accepting', htlcId: htlc.id });
          const failure = { type: 'temporary_node_failure' } as const;
          this.#fail(turn, { key, id: htlc.id, sharedSecret: read.sharedSecret, failure });
          return;
        }
        if (read.type === 'forward') this.forwarder.forward(turn, { channel, htlc, ...read });
        else this.receiver.receive(turn, { channel, htlc, ...read });
        return;
      default:
        read satisfies never;
    }
  }

  #fail(
    turn: Turn,
    {
      key,
      id,
      sharedSecret,
      failure,
    }: { key: ChannelKey; id: bigint; sharedSecret: Uint8Array; failure: FailureMessage },
  ): void {
    const answer = createAttributedFailure({ sharedSecret, failure, holdTimeMs: 0 });
    turn.command(key, { type: 'settleHtlc', id, settlement: { type: 'fail', ...answer } });
  }

  #logRefusal(channelId: Uint8Array, about: { cause: string; htlcId: bigint }): void {
    channelLogger(this.#options.logger, channelId).info(about, 'an incoming payment was refused');
  }

  #settled(
    turn: Turn,
    { ref, htlc, outcome }: { ref: HtlcRef; htlc: Pick<Htlc, 'paymentHash'>; outcome: HtlcOutcome },
  ): void {
    if (this.forwarder.hasOutgoing(ref)) this.forwarder.settled(turn, { ref, outcome });
    else if (this.sender.has(ref)) this.sender.settled(turn, { ref, outcome });
    else if (this.sender.get(htlc.paymentHash) === undefined) {
      // What the chain says is told again at each start: a payment with other parts under way has heard it.
      this.outgoing.settledBefore(turn, { ref, paymentHash: htlc.paymentHash, outcome });
    }
  }

  /** An HTLC of ours that was resolved on chain: with its preimage, or back to us for good. */
  resolveOnChain(
    turn: Turn,
    {
      channelId,
      htlc,
      preimage,
    }: { channelId: Uint8Array; htlc: ClaimedHtlc; preimage?: Uint8Array | undefined },
  ): void {
    const outcome: HtlcOutcome =
      preimage === undefined ? { type: 'timed_out_on_chain' } : { type: 'fulfilled', preimage };
    this.#settled(turn, { ref: { channelId, htlcId: htlc.id }, htlc, outcome });
  }
}

function sessionKey(
  secret: Uint8Array,
  { paymentHash, startedAtMs, id }: { paymentHash: Uint8Array; startedAtMs: number; id: number },
): Uint8Array {
  const salt = new Uint8Array(12);
  const view = new DataView(salt.buffer);
  view.setBigUint64(0, BigInt(startedAtMs));
  view.setUint32(8, id);
  return hmacSha256(secret, paymentHash, salt);
}
