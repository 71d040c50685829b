import { sha256 } from '../../crypto/index.js';
import type { InMemoryChannelSigner } from '../../keys/index.js';
import { decodeMessage, encodeMessage } from '../../wire/index.js';
import type { Channel } from '../channel.js';
import type { ProtocolErrorCode, RefusalCode } from '../channelError.js';
import type { NewHtlc, Settlement } from '../htlc.js';
import { step } from '../machine.js';
import type { ChannelMessage, Command, Step, StepContext } from '../step.js';
import {
  aliceSigner,
  bobSigner,
  type ChannelSetup,
  contextOf,
  createChannels,
  onionOf,
  ordinarySetup,
  preimageOf,
  startHeight,
} from './setup.test.support.js';

export type SideName = 'alice' | 'bob';
const otherOf = { alice: 'bob', bob: 'alice' } as const;

/** A message of a type: for what a test changes before it hands it on. */
export type MessageNamed<Type extends ChannelMessage['type']> = Extract<ChannelMessage, { type: Type }>;

/** One of two machines on the bench, which a test steps by hand. */
export class Seat {
  channel: Channel;
  context: StepContext;
  readonly signer: InMemoryChannelSigner;
  /** What the other side sent and what was not delivered yet. */
  readonly inbox: ChannelMessage[] = [];
  /** What all steps since the last `clear` told. */
  events: Step['events'][number][] = [];
  effects: Step['effects'][number][] = [];
  readonly #send: (message: ChannelMessage) => void;

  constructor(
    channel: Channel,
    {
      signer,
      setup,
      send,
    }: { signer: InMemoryChannelSigner; setup: ChannelSetup; send: (message: ChannelMessage) => void },
  ) {
    this.channel = channel;
    this.signer = signer;
    this.context = contextOf(setup, { signer, blockHeight: startHeight });
    this.#send = send;
  }

  do(command: Command): Step {
    const made = step(this.channel, command, this.context);
    this.channel = made.channel;
    this.events.push(...made.events);
    this.effects.push(...made.effects);
    for (const effect of made.effects) if (effect.type === 'send') this.#send(effect.message);
    return made;
  }

  /** What a message would make of the channel, without making it. */
  probe(message: ChannelMessage): Step {
    return step(this.channel, { type: 'message', message }, this.context);
  }

  add(htlc: Partial<NewHtlc> = {}): Step {
    const whole = {
      amountMsat: 10_000_000n,
      paymentHash: sha256(preimageOf(0)),
      cltvExpiry: startHeight + 400,
      onion: onionOf(0),
      ...htlc,
    };
    return this.do({ type: 'addHtlc', requestId: 'request', htlc: whole });
  }

  settle(id: bigint, settlement: Settlement = { type: 'fulfill', preimage: preimageOf(0) }): Step {
    return this.do({ type: 'settleHtlc', id, settlement });
  }

  sign(): Step {
    return this.do({ type: 'sign' });
  }

  setHeight(blockHeight: number): Step {
    this.context = { ...this.context, blockHeight };
    return this.do({ type: 'block' });
  }

  setPolicy(policy: Partial<StepContext['policy']>): void {
    this.context = { ...this.context, policy: { ...this.context.policy, ...policy } };
  }

  clear(): void {
    this.events = [];
    this.effects = [];
  }
}

/** Two machines with an open channel, online, and a queue in each direction. */
export class Bench {
  readonly alice: Seat;
  readonly bob: Seat;

  constructor(setup: Partial<ChannelSetup> = {}) {
    const whole = { ...ordinarySetup, ...setup };
    const channels = createChannels(whole);
    const seat = (name: SideName, signer: InMemoryChannelSigner): Seat =>
      new Seat(channels[name], {
        signer,
        setup: whole,
        send: (message) => this[otherOf[name]].inbox.push(carried(message)),
      });
    this.alice = seat('alice', aliceSigner);
    this.bob = seat('bob', bobSigner);
    this.connect();
    this.deliverAll();
    for (const side of [this.alice, this.bob]) side.clear();
  }

  connect(): void {
    for (const side of [this.alice, this.bob]) side.do({ type: 'connected', simpleClose: false });
  }

  disconnect(): void {
    for (const side of [this.alice, this.bob]) {
      side.inbox.length = 0;
      side.do({ type: 'disconnected' });
    }
  }

  /** Hands the next messages to a side; the last step. */
  deliver(to: SideName, count = Number.POSITIVE_INFINITY): Step | undefined {
    let made: Step | undefined;
    for (const message of this[to].inbox.splice(0, count)) made = this[to].do({ type: 'message', message });
    return made;
  }

  deliverAll(): void {
    while (this.alice.inbox.length + this.bob.inbox.length > 0) {
      this.deliver('alice');
      this.deliver('bob');
    }
  }

  /** Signs and delivers until nothing is pending. */
  commit(): void {
    for (;;) {
      this.alice.sign();
      this.bob.sign();
      if (this.alice.inbox.length + this.bob.inbox.length === 0) return;
      this.deliver('alice');
      this.deliver('bob');
    }
  }
}

function carried(message: ChannelMessage): ChannelMessage {
  return decodeMessage(encodeMessage(message)) as ChannelMessage;
}

/** How a step answered a protocol error; `undefined` where it found none. */
export function protocolErrorOf(
  made: Step,
): { readonly code: ProtocolErrorCode; readonly message: string; readonly response: string } | undefined {
  for (const effect of made.effects) {
    if (effect.type === 'report') {
      const { code, message, response } = effect.error;
      return { code, message, response };
    }
  }
  return undefined;
}

/** Why a step refused its command; `undefined` where it did not. */
export function refusalOf(made: Step): RefusalCode | undefined {
  for (const event of made.events) {
    if (event.type === 'htlcRefused' || event.type === 'commandRefused') return event.reason.code;
  }
  return undefined;
}

/** The types of the messages that a step sends, in order. */
export function sentBy({ effects }: Pick<Step, 'effects'>): string[] {
  return effects.flatMap((effect) => (effect.type === 'send' ? [effect.message.type] : []));
}
