import { bytesToHex } from '@rivulet/core/bytes';
import {
  type Channel,
  type ChannelEvent,
  type ChannelMessage,
  type Command,
  type Htlc,
  resume,
  type Settlement,
  type StepContext,
} from '@rivulet/core/channel';
import { secp256k1 } from '@rivulet/core/crypto';
import type { ChannelSigner } from '@rivulet/core/keys';
import { createAttributedFailure } from '@rivulet/core/onion';
import { type PaymentRequest, readIncoming, type Sending } from '@rivulet/core/payment';
import { p2wpkhClaim, p2wpkhScript, type Transaction } from '@rivulet/core/tx';
import type { Hands, Hostility } from './hostility.js';
import { type ChannelKey, channelKey, type HtlcRef, htlcKey, refOf } from './htlcRef.js';
import type { Random } from './random.js';
import type { Router } from './router.js';
import type { SimChain } from './simChain.js';
import { SimForwarder } from './simForwarder.js';
import { SimReceiver } from './simReceiver.js';
import { type HtlcOutcome, SimSender } from './simSender.js';
import { SimSweeper } from './simSweeper.js';
import { StoredChannel } from './storedChannel.js';
import { Table, type Undoable } from './table.js';
import type { EndPolicy } from './topology.js';
import type { Turn } from './turn.js';
import { TurnDraft } from './turnDraft.js';

/** What never changes of a channel of a node. */
export interface ChannelFacts {
  readonly key: ChannelKey;
  readonly shortChannelId: bigint;
  /** The number of the node at the other end. */
  readonly peer: number;
  /** This node's terms for what goes out through it. */
  readonly policy: EndPolicy;
  readonly signer: ChannelSigner;
  readonly startMsat: bigint;
}

/** What a turn lets out, once it is durable. */
export interface Outgoing {
  /** Messages by the other node, in order. */
  readonly messages: ReadonlyMap<number, readonly ChannelMessage[]>;
  readonly disconnects: readonly number[];
}

export interface SimNodeOptions {
  readonly number: number;
  readonly privateKey: Uint8Array;
  readonly chain: SimChain;
  readonly router: Router;
  readonly random: Random;
  readonly hostility?: Hostility | undefined;
  /** In which share of cases it is hostile. */
  readonly hostileRate: number;
  readonly nowMs: () => number;
  /** There is work: `runTurn` is to be called. */
  readonly wantsTurn: () => void;
  readonly wakeAt: (atMs: number, run: () => void) => void;
  readonly release: (outgoing: Outgoing) => void;
  readonly onPayment: (sending: Sending) => void;
  readonly onRefusal: (cause: string) => void;
  readonly onPhase: (channel: Channel) => void;
  /** Its memory is lost. */
  readonly onDeath: () => void;
  /** Something that only a fault of ours or of an honest peer explains. */
  readonly onReport: (text: string) => void;
  readonly maxDustExposureMsat: bigint;
}

interface Work {
  readonly run: (turn: Turn) => void;
  /** The turn was lost with all that it did. */
  readonly lost?: (() => void) | undefined;
}

/** When in a turn a node loses its memory. */
export type CrashPoint = 'before_commit' | 'after_commit' | 'idle';

/**
 * A node: real channels, onions, payments and forwards, in turns as the daemon has them, over memory that is
 * durable where the daemon's is.
 */
export class SimNode {
  readonly number: number;
  readonly nodeId: Uint8Array;
  readonly walletScript: Uint8Array;
  readonly hostility: Hostility | undefined;
  readonly facts = new Map<ChannelKey, ChannelFacts>();
  readonly sender: SimSender;
  readonly forwarder: SimForwarder;
  readonly receiver: SimReceiver;
  readonly sweeper: SimSweeper;
  /** What fulfilled HTLCs moved: `in` and `out`, with the HTLC; msat. */
  readonly ledger = new Table<bigint>();
  alive = true;
  /** The block that was handled last. */
  height: number;
  readonly #options: SimNodeOptions;
  readonly #publicKey: Uint8Array;
  #channels = new Map<ChannelKey, Channel>();
  readonly #stored = new Map<ChannelKey, StoredChannel>();
  readonly #names = new Map<bigint, ChannelKey>();
  readonly #directions = new Map<bigint, 0 | 1>();
  readonly #spentAt = new Table<number>();
  /** Settlements that a hostile node holds back. */
  readonly #delayed = new Table<{ ref: HtlcRef; settlement: Settlement; height: number }>();
  /** Channels on which a hostile node reads nothing any more. */
  readonly #deaf = new Set<ChannelKey>();
  readonly #tables: readonly Undoable[];
  #queue: Work[] = [];
  #crash: CrashPoint | undefined;
  #storedHeight: number;
  #published: { tx: Transaction; key: ChannelKey }[] = [];

  constructor(options: SimNodeOptions) {
    const { number, privateKey, chain, router, random } = options;
    this.#options = options;
    this.number = number;
    this.nodeId = secp256k1.publicKey(privateKey);
    this.#publicKey = this.nodeId;
    this.walletScript = p2wpkhScript(this.#publicKey);
    this.hostility = options.hostility;
    this.height = chain.height;
    this.#storedHeight = chain.height;
    const settle = (turn: Turn, ref: HtlcRef, settlement: Settlement) => this.#settle(turn, ref, settlement);
    this.sender = new SimSender({
      source: this.nodeId,
      secret: privateKey,
      router,
      random: random.fork('padding'),
      onChange: options.onPayment,
    });
    this.forwarder = new SimForwarder({
      termsOf: (key) => this.#factsOf(key).policy,
      channelNamed: (shortChannelId) => this.#names.get(shortChannelId),
      settle,
      onRefusal: options.onRefusal,
    });
    this.receiver = new SimReceiver({
      settle,
      wakeAt: (atMs, run) => options.wakeAt(atMs, () => this.enqueue({ run })),
    });
    this.sweeper = new SimSweeper(chain, {
      script: this.walletScript,
      inputs: () =>
        chain.unspentOf(this.walletScript).map(({ outpoint, valueSat }) =>
          p2wpkhClaim({
            outpoint,
            valueSat,
            pubkey: this.#publicKey,
            sign: (hash) => secp256k1.sign(hash, privateKey),
          }),
        ),
    });
    this.#tables = [
      this.sender.sendings,
      this.forwarder.forwards,
      this.receiver.invoices,
      this.receiver.received,
      this.ledger,
      this.#spentAt,
      this.#delayed,
    ];
  }

  get honest(): boolean {
    return this.hostility === undefined;
  }

  #factsOf(key: ChannelKey): ChannelFacts {
    const facts = this.facts.get(key);
    if (facts === undefined) throw new Error(`node ${this.number} has no channel ${key}`);
    return facts;
  }

  addChannel(channel: Channel, facts: ChannelFacts & { readonly direction: 0 | 1 }): void {
    this.facts.set(facts.key, facts);
    this.#names.set(facts.shortChannelId, facts.key);
    this.#directions.set(facts.shortChannelId, facts.direction);
    this.#channels.set(facts.key, channel);
    this.#stored.set(facts.key, new StoredChannel(channel));
  }

  channel(key: ChannelKey): Channel | undefined {
    return this.#channels.get(key);
  }

  channels(): Iterable<Channel> {
    return this.#channels.values();
  }

  /** Whether anything of it is unfinished. */
  get busy(): boolean {
    if (!this.alive || this.#queue.length > 0 || this.sweeper.busy) return true;
    if (this.sender.sendings.size + this.forwarder.forwards.size + this.#delayed.size > 0) return true;
    for (const { htlcs, phase } of this.#channels.values()) {
      if (phase.name === 'closed') continue;
      if (phase.name !== 'open' || htlcs.size > 0) return true;
    }
    return false;
  }

  /** What is unfinished, for people. */
  describePending(): string {
    const parts = [
      `${this.sender.sendings.size} payments`,
      `${this.forwarder.forwards.size} forwards`,
      `${this.#delayed.size} settlements held back`,
      this.sweeper.busy ? 'claims on chain' : 'no claims on chain',
    ];
    for (const { htlcs, phase, params, link } of this.#channels.values()) {
      if (phase.name === 'closed' || (phase.name === 'open' && htlcs.size === 0)) continue;
      const states = [...htlcs].map((htlc) => `${htlc.direction} ${htlc.id} ${htlc.state}`);
      parts.push(
        `channel ${channelKey(params.channelId).slice(0, 8)} ${phase.name} ${link}: ${states.join(', ')}`,
      );
    }
    return `node ${this.number}: ${parts.join('; ')}`;
  }

  enqueue(work: Work): void {
    if (!this.alive) {
      work.lost?.();
      return;
    }
    this.#queue.push(work);
    if (this.#queue.length === 1) this.#options.wantsTurn();
  }

  pay(request: PaymentRequest, lost: () => void): void {
    this.enqueue({ run: (turn) => this.sender.begin(turn, request), lost });
  }

  connected(keys: readonly ChannelKey[]): void {
    this.#commandAll(keys, { type: 'connected', simpleClose: true, anySegwit: true });
  }

  disconnected(keys: readonly ChannelKey[]): void {
    this.#commandAll(keys, { type: 'disconnected' });
  }

  #commandAll(keys: readonly ChannelKey[], command: Command): void {
    this.enqueue({
      run: (turn) => {
        for (const key of keys) turn.command(key, command);
      },
    });
  }

  receive(messages: readonly (readonly [ChannelKey, ChannelMessage])[]): void {
    const heard = messages.filter(([key, message]) => !this.#isDeaf(key, message));
    this.enqueue({
      run: (turn) => {
        for (const [key, message] of heard) turn.command(key, { type: 'message', message });
      },
    });
  }

  #isDeaf(key: ChannelKey, message: ChannelMessage): boolean {
    if (this.hostility?.onMessage === undefined) return false;
    const { random, hostileRate: rate } = this.#options;
    if (!this.#deaf.has(key) && this.hostility.onMessage({ random, rate }, message)) this.#deaf.add(key);
    return this.#deaf.has(key);
  }

  /** The chain has grown. */
  onBlock(): void {
    if (!this.alive) return;
    if (this.#queue.length === 0 && this.#isUntouchedBy(this.#options.chain.height)) {
      this.height = this.#options.chain.height;
      this.#storedHeight = this.height;
      return;
    }
    this.enqueue({ run: (turn) => this.#catchUp(turn) });
  }

  /** Whether a block changes nothing for this node: most blocks. */
  #isUntouchedBy(height: number): boolean {
    if (this.height !== height - 1 || this.sweeper.busy || this.#delayed.size > 0) return false;
    for (const { htlcs, phase } of this.#channels.values()) {
      if (phase.name !== 'closed' && (phase.name !== 'open' || htlcs.size > 0)) return false;
    }
    return this.#options.chain.block(height).length === 0;
  }

  #catchUp(turn: Turn): void {
    while (this.height < this.#options.chain.height) {
      this.height++;
      this.#handleBlock(turn);
    }
  }

  #handleBlock(turn: Turn): void {
    const { height } = this;
    if (this.#options.chain.block(height).length > 0) {
      for (const [key, channel] of [...this.#channels]) this.#checkSpent(turn, { key, channel });
    }
    this.forwarder.onBlock(turn);
    this.receiver.processBlock(turn, height);
    for (const [key, delayed] of this.#delayed.entries()) {
      if (delayed.height > height) continue;
      this.#delayed.delete(key);
      this.#settleNow(turn, delayed.ref, delayed.settlement);
    }
    for (const [key, channel] of [...this.#channels]) {
      if (channel.htlcs.size > 0 && channel.phase.name === 'open') turn.command(key, { type: 'block' });
    }
    for (const key of this.#spentAt.entries().map(([key]) => key)) {
      const channel = turn.channel(key);
      if (channel !== undefined) this.sweeper.update(channel);
    }
    for (const event of this.sweeper.eventsAt(height)) {
      if (event.type === 'resolved') {
        this.#spentAt.delete(event.key);
        turn.command(event.key, { type: 'resolved' });
        continue;
      }
      const { channelId } = (turn.channel(event.key) as Channel).params;
      const ref = { channelId, htlcId: event.htlc.id };
      if (event.type === 'preimage') {
        const { preimage, htlc } = event;
        this.ledger.set(`out ${htlcKey(ref)}`, htlc.amountMsat);
        this.#settled(turn, ref, { type: 'fulfilled', preimage });
      } else this.#settled(turn, ref, { type: 'timed_out_on_chain' });
    }
    turn.afterCommit(() => {
      for (const channel of this.#channels.values()) {
        if (channel.phase.name === 'spent') this.sweeper.update(channel);
      }
      this.sweeper.publish(height);
    });
  }

  #checkSpent(turn: Turn, { key, channel }: { key: ChannelKey; channel: Channel }): void {
    const { name } = channel.phase;
    if (name === 'spent' || name === 'closed') return;
    const spend = this.#options.chain.spendOf(channel.params.fundingOutpoint);
    if (spend === undefined || spend.height > this.height) return;
    turn.command(key, { type: 'fundingSpent', by: spend.tx });
    this.#spentAt.set(key, spend.height);
    this.#track(turn.channel(key) as Channel);
  }

  #track(channel: Channel): void {
    if (channel.phase.name !== 'spent') return;
    const key = channelKey(channel.params.channelId);
    const height = this.#spentAt.get(key);
    if (height === undefined) return;
    const archived = this.#stored.get(key)?.archived() ?? [];
    const { signer } = this.#factsOf(key);
    const { by } = channel.phase;
    const { kind, ...rest } = this.sweeper.track({ channel, signer, archived, by, height });
    const isLatest = !('latest' in rest) || rest.latest;
    if (kind === 'unknown' || kind === 'revoked_commitment' || !isLatest) {
      this.#options.onReport(`node ${this.number} sees a ${kind} of channel ${key.slice(0, 8)}`);
    }
  }

  /** Works off what is queued; then all of it is durable, and only then let out. */
  runTurn(): void {
    if (!this.alive || this.#queue.length === 0) return;
    const works = this.#queue;
    this.#queue = [];
    const turn = new TurnDraft(this.#channels, {
      nowMs: this.#options.nowMs(),
      height: () => this.height,
      contextOf: (key) => this.#contextOf(key),
      onEvent: (made, channel, event) => this.#onEvent(made, channel, event),
    });
    for (const work of works) work.run(turn);
    turn.sign();
    if (this.#crash === 'before_commit') {
      for (const work of works) work.lost?.();
      this.#die();
      return;
    }
    this.#commit(turn);
    if (this.#crash !== undefined) {
      this.#die();
      return;
    }
    this.#release(turn);
  }

  #commit(turn: TurnDraft): void {
    this.#channels = turn.after;
    for (const [key, actions] of turn.actions) {
      this.#stored.get(key)?.commit(actions, turn.after.get(key) as Channel);
    }
    for (const table of this.#tables) table.commit();
    for (const note of turn.notes) note();
    for (const key of turn.actions.keys()) this.#checkSum(turn.after.get(key) as Channel);
    this.#storedHeight = this.height;
  }

  #checkSum({ localMsat, remoteMsat, params }: Channel): void {
    if (localMsat + remoteMsat === params.fundingSat * 1000n && localMsat >= 0n && remoteMsat >= 0n) return;
    this.#options.onReport(`node ${this.number}: the balances of a channel are not its capacity`);
  }

  #release(turn: TurnDraft): void {
    const messages = new Map<number, ChannelMessage[]>();
    const disconnects: number[] = [];
    for (const { key, effect } of turn.effects) {
      const { peer } = this.#factsOf(key);
      switch (effect.type) {
        case 'send': {
          const waiting = messages.get(peer);
          if (waiting === undefined) messages.set(peer, [effect.message]);
          else waiting.push(effect.message);
          break;
        }
        case 'disconnect':
          disconnects.push(peer);
          break;
        case 'publish':
          this.#published.push({ tx: effect.tx, key });
          break;
        case 'report':
          if (!expectedErrors.has(effect.error.code)) {
            this.#options.onReport(`node ${this.number}: ${effect.error.code}: ${effect.error.message}`);
          }
          break;
        default:
          effect satisfies never;
      }
    }
    for (const { tx } of this.#published.splice(0)) this.#options.chain.broadcast(tx);
    for (const effect of turn.deferred) effect();
    this.#options.release({ messages, disconnects });
  }

  /** Memory is lost: now, or in the next turn. */
  crash(point: CrashPoint): void {
    if (!this.alive) return;
    if (point === 'idle' || this.#queue.length === 0) this.#die();
    else this.#crash = point;
  }

  #die(): void {
    this.alive = false;
    this.#crash = undefined;
    for (const work of this.#queue.splice(0)) work.lost?.();
    this.#published = [];
    for (const table of this.#tables) table.rollBack();
    this.#channels = new Map();
    this.#options.onDeath();
  }

  /** Comes back with what was durable, all peers away. */
  restart(): void {
    this.alive = true;
    this.height = this.#storedHeight;
    this.sweeper.clear();
    this.sender.reload();
    this.forwarder.reload();
    this.receiver.reload();
    for (const [key, stored] of this.#stored) this.#channels.set(key, stored.load());
    this.enqueue({
      run: (turn) => {
        for (const [key, channel] of [...this.#channels]) {
          (turn as TurnDraft).apply(key, resume(channel, this.#contextOf(key)));
        }
        for (const key of this.#channels.keys()) this.#track(turn.channel(key) as Channel);
        this.#catchUp(turn);
      },
    });
  }

  #contextOf(key: ChannelKey): StepContext {
    return {
      blockHeight: this.height,
      signer: this.#factsOf(key).signer,
      closingScript: this.walletScript,
      policy: {
        maxDustExposureMsat: this.#options.maxDustExposureMsat,
        minFeeratePerKw: 253,
        maxFeeratePerKw: 100_000,
        closingFeeratePerKw: 253,
      },
    };
  }

  #onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    switch (event.type) {
      case 'htlcReceived':
        this.#receive(turn, channel, event.htlc);
        return;
      case 'htlcFulfilled': {
        const { htlc, preimage, attributionData } = event;
        const ref = refOf(channel, htlc);
        this.ledger.set(`out ${htlcKey(ref)}`, htlc.amountMsat);
        const data = attributionData === undefined ? {} : { attributionData };
        this.#settled(turn, ref, { type: 'fulfilled', preimage, ...data });
        return;
      }
      case 'htlcFailed': {
        const { htlc, settlement } = event;
        this.#settled(turn, refOf(channel, htlc), { type: 'failed', settlement });
        return;
      }
      case 'htlcOver':
        this.receiver.onOver(turn, refOf(channel, event.htlc));
        return;
      case 'phaseChanged':
        turn.onCommit(() => this.#options.onPhase(channel));
        return;
      case 'commandRefused':
        // Hostile nodes settle twice.
        if (this.honest && event.command === 'settleHtlc') {
          this.#options.onReport(`node ${this.number}: ${event.command} refused: ${event.reason.message}`);
        }
        return;
      case 'htlcAdded':
      case 'htlcRefused':
      case 'announced':
      case 'remoteRevoked':
      case 'online':
        return;
      default:
        event satisfies never;
    }
  }

  #receive(turn: Turn, channel: Channel, htlc: Htlc): void {
    const ref = refOf(channel, htlc);
    if (this.forwarder.hasIncoming(ref) || this.#delayed.has(htlcKey(ref))) return;
    const read = readIncoming({ htlc, nodePrivateKey: this.#options.privateKey });
    switch (read.type) {
      case 'malformed':
        this.#settle(turn, ref, read.settlement);
        return;
      case 'invalid': {
        const { sharedSecret, failure } = read;
        const answer = createAttributedFailure({ sharedSecret, failure, holdTimeMs: 0 });
        this.#settle(turn, ref, { type: 'fail', ...answer });
        return;
      }
      case 'forward': {
        const order = { channel, htlc, ...read };
        if (this.hostility?.onForward?.(this.#hands(turn), order) !== true)
          this.forwarder.forward(turn, order);
        return;
      }
      case 'final': {
        const order = { channel, htlc, ...read };
        if (this.hostility?.onFinal?.(this.#hands(turn), order) !== true) this.receiver.receive(turn, order);
        return;
      }
      default:
        read satisfies never;
    }
  }

  #settled(turn: Turn, ref: HtlcRef, outcome: HtlcOutcome): void {
    if (this.forwarder.hasOutgoing(ref)) this.forwarder.settled(turn, ref, outcome);
    else this.sender.settled(turn, ref, outcome);
  }

  #settle(turn: Turn, ref: HtlcRef, settlement: Settlement): void {
    const htlc = turn.channel(channelKey(ref.channelId))?.htlcs.get('received', ref.htlcId);
    const given = htlc === undefined ? undefined : { ref, htlc, settlement };
    if (given !== undefined && this.hostility?.onSettle?.(this.#hands(turn), given) === true) return;
    this.#settleNow(turn, ref, settlement);
  }

  #settleNow(turn: Turn, ref: HtlcRef, settlement: Settlement): void {
    const key = channelKey(ref.channelId);
    const htlc = turn.channel(key)?.htlcs.get('received', ref.htlcId);
    turn.command(key, { type: 'settleHtlc', id: ref.htlcId, settlement });
    if (settlement.type === 'fulfill' && htlc !== undefined) {
      this.ledger.set(`in ${htlcKey(ref)}`, htlc.amountMsat);
    }
  }

  #hands(turn: Turn): Hands {
    return {
      random: this.#options.random,
      rate: this.#options.hostileRate,
      turn,
      forward: (order, tamper) => this.forwarder.forward(turn, order, tamper),
      settle: (ref, settlement) => this.#settleNow(turn, ref, settlement),
      settleAt: (height, ref, settlement) => {
        if (height <= this.height) this.#settleNow(turn, ref, settlement);
        else this.#delayed.set(htlcKey(ref), { ref, settlement, height });
      },
      claim: ({ channel, htlc, sharedSecret }, preimage) =>
        this.receiver.claim(turn, { ref: refOf(channel, htlc), sharedSecret }, preimage),
      invoiceOf: (paymentHash) => this.receiver.invoices.get(bytesToHex(paymentHash)),
      directionOf: (shortChannelId) => this.#directions.get(shortChannelId) ?? 0,
    };
  }
}

/** Errors that a channel may end in though everybody keeps to the protocol: deadlines, and their echo. */
const expectedErrors: ReadonlySet<string> = new Set(['htlc_timed_out', 'peer_error', 'closed_by_us']);
