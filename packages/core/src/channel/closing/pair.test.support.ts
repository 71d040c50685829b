import { sha256 } from '../../crypto/index.js';
import type { ChannelSigner } from '../../keys/index.js';
import { encodeTransaction, type Transaction } from '../../tx/index.js';
import { decodeMessage, encodeMessage } from '../../wire/index.js';
import type { Channel } from '../channel.js';
import type { Settlement } from '../htlc.js';
import { resume, step } from '../machine.js';
import {
  accepterAnnouncer,
  accepterSigner,
  type OpeningOptions,
  openChannels,
  openerAnnouncer,
  openerSigner,
  p2wpkhOf,
} from '../opening/opening.test.support.js';
import type { Announcer, ChannelEvent, ChannelMessage, Command, Effect, StepContext } from '../step.js';

export type SideName = 'opener' | 'accepter';
const otherOf = { opener: 'accepter', accepter: 'opener' } as const;

export const preimage = new Uint8Array(32).fill(0x55);
export const scripts = { opener: p2wpkhOf(0xaa), accepter: p2wpkhOf(0xbb) } as const;
export const fundingHeight = 800_000;

/** One of the two nodes. */
export class Side {
  channel: Channel;
  context: StepContext;
  readonly sent: ChannelMessage[] = [];
  readonly published: Transaction[] = [];
  readonly events: ChannelEvent[] = [];
  readonly reports: string[] = [];
  disconnects = 0;
  /** The channel as the last step that wrote it left it. */
  stored: Channel;

  constructor(
    channel: Channel,
    {
      signer,
      closingScript,
      announcer,
    }: { signer: ChannelSigner; closingScript: Uint8Array; announcer: Announcer },
  ) {
    this.channel = channel;
    this.stored = channel;
    this.context = {
      blockHeight: fundingHeight,
      signer,
      closingScript,
      announcer,
      policy: {
        maxDustExposureMsat: 50_000_000n,
        minFeeratePerKw: 253,
        maxFeeratePerKw: 50_000,
        closingFeeratePerKw: 1_000,
      },
    };
  }

  command(command: Command): ChannelMessage[] {
    const { channel, store, events, effects } = step(this.channel, command, this.context);
    this.channel = channel;
    if (store.some(({ type }) => type === 'putChannel')) this.stored = channel;
    this.events.push(...events);
    return this.#release(effects);
  }

  restart(): void {
    const { channel, events, effects } = resume(this.stored, this.context);
    this.channel = channel;
    this.events.push(...events);
    this.#release(effects);
  }

  setClosingFeerate(closingFeeratePerKw: number): void {
    this.context = { ...this.context, policy: { ...this.context.policy, closingFeeratePerKw } };
  }

  #release(effects: readonly Effect[]): ChannelMessage[] {
    const messages: ChannelMessage[] = [];
    for (const effect of effects) {
      if (effect.type === 'send') messages.push(effect.message);
      else if (effect.type === 'publish') this.published.push(effect.tx);
      else if (effect.type === 'disconnect') this.disconnects++;
      else this.reports.push(effect.error.message);
    }
    this.sent.push(...messages);
    return messages;
  }

  /** The messages of a type that it sent, oldest first. */
  sentOf<T extends ChannelMessage['type']>(type: T): Extract<ChannelMessage, { type: T }>[] {
    return this.sent.filter((message) => message.type === type) as Extract<ChannelMessage, { type: T }>[];
  }

  get closingHex(): string[] {
    return this.channel.closingTransactions.map((tx) => hexOf(tx)).sort();
  }
}

function hexOf(tx: Transaction): string {
  return Array.from(encodeTransaction(tx), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Changes, or with `undefined` loses, a message on its way. */
type Tamper = (message: ChannelMessage, from: SideName) => ChannelMessage | undefined;

/** Two nodes with one channel and a wire between them; each turn ends with `sign`, as the driver's does. */
export class Pair {
  readonly opener: Side;
  readonly accepter: Side;
  tamper: Tamper = (message) => message;
  readonly #queue: { to: SideName; message: ChannelMessage }[] = [];

  constructor(options: OpeningOptions = {}) {
    const { opener, accepter } = openChannels(options);
    this.opener = new Side(opener, {
      signer: openerSigner,
      closingScript: scripts.opener,
      announcer: openerAnnouncer,
    });
    this.accepter = new Side(accepter, {
      signer: accepterSigner,
      closingScript: scripts.accepter,
      announcer: accepterAnnouncer,
    });
  }

  /** A pair whose channel is open. */
  static open(options: OpeningOptions & { readonly simpleClose?: boolean } = {}): Pair {
    const pair = new Pair(options);
    pair.confirm();
    if (options.simpleClose !== undefined) pair.reconnect({ simpleClose: options.simpleClose });
    return pair;
  }

  confirm(): void {
    for (const side of ['opener', 'accepter'] as const) {
      this.do(side, { type: 'fundingConfirmed', height: fundingHeight, index: 2 });
      this[side].context = { ...this[side].context, blockHeight: fundingHeight + 2 };
      this.do(side, { type: 'block' });
    }
    this.flush();
  }

  /** One command of a side; its messages wait until they are flushed. */
  do(side: SideName, command: Command): void {
    for (const turn of [command, { type: 'sign' } as const]) {
      for (const message of this[side].command(turn)) {
        const bytes = encodeMessage(message);
        this.#queue.push({ to: otherOf[side], message: decodeMessage(bytes) as ChannelMessage });
      }
    }
  }

  /** Delivers until nothing is on its way. */
  flush(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const message = this.tamper(next.message, otherOf[next.to]);
      if (message !== undefined) this.do(next.to, { type: 'message', message });
    }
  }

  disconnect(): void {
    this.#queue.length = 0;
    for (const side of ['opener', 'accepter'] as const) this[side].command({ type: 'disconnected' });
  }

  reconnect({ simpleClose, anySegwit = true }: { simpleClose: boolean; anySegwit?: boolean }): void {
    this.disconnect();
    for (const side of ['opener', 'accepter'] as const)
      this.do(side, { type: 'connected', simpleClose, anySegwit });
    this.flush();
  }

  close(side: SideName): void {
    this.do(side, { type: 'close', script: scripts[side] });
    this.flush();
  }

  /** Offers an HTLC and delivers everything. */
  pay(from: SideName, amountMsat: bigint): void {
    const htlc = {
      amountMsat,
      paymentHash: sha256(preimage),
      cltvExpiry: fundingHeight + 100,
      onion: new Uint8Array(1366),
    };
    this.do(from, { type: 'addHtlc', requestId: 'a', htlc });
    this.flush();
  }

  settle(receiver: SideName, settlement: Settlement = { type: 'fulfill', preimage }): void {
    for (const { id } of [...this[receiver].channel.htlcs.direction('received')]) {
      this.do(receiver, { type: 'settleHtlc', id, settlement });
    }
    this.flush();
  }
}
