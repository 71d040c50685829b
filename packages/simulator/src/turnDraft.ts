import {
  type Channel,
  type ChannelEvent,
  type Command,
  type Effect,
  type NewHtlc,
  type Step,
  type StepContext,
  type StoreAction,
  step,
} from '@rivulet/core/channel';
import type { ChannelKey } from './htlcRef.js';
import type { AddOutcome, Turn } from './turn.js';

interface TurnPorts {
  readonly nowMs: number;
  readonly height: () => number;
  readonly contextOf: (key: ChannelKey) => StepContext;
  readonly onEvent: (turn: Turn, channel: Channel, event: ChannelEvent) => void;
}

/** A turn in the making. */
export class TurnDraft implements Turn {
  readonly after: Map<ChannelKey, Channel>;
  readonly actions = new Map<ChannelKey, StoreAction[]>();
  readonly effects: { readonly key: ChannelKey; readonly effect: Effect }[] = [];
  readonly deferred: (() => void)[] = [];
  readonly notes: (() => void)[] = [];
  readonly #touched = new Set<ChannelKey>();
  readonly #ports: TurnPorts;

  constructor(before: ReadonlyMap<ChannelKey, Channel>, ports: TurnPorts) {
    this.after = new Map(before);
    this.#ports = ports;
  }

  get nowMs(): number {
    return this.#ports.nowMs;
  }

  get blockHeight(): number {
    return this.#ports.height();
  }

  channel(key: ChannelKey): Channel | undefined {
    return this.after.get(key);
  }

  channels(): Iterable<Channel> {
    return this.after.values();
  }

  command(key: ChannelKey, command: Command): void {
    const channel = this.after.get(key);
    if (channel === undefined) return;
    if (command.type === 'disconnected') this.#forgetMessages(key);
    this.apply(key, step(channel, command, this.#ports.contextOf(key)));
  }

  /** What was meant for a connection that is over must not open the next one. */
  #forgetMessages(key: ChannelKey): void {
    const kept = this.effects.filter((one) => one.key !== key || one.effect.type !== 'send');
    this.effects.splice(0, this.effects.length, ...kept);
  }

  add(key: ChannelKey, htlc: NewHtlc): AddOutcome | undefined {
    const channel = this.after.get(key);
    if (channel === undefined) return undefined;
    const made = step(channel, { type: 'addHtlc', requestId: '', htlc }, this.#ports.contextOf(key));
    this.apply(key, made);
    for (const event of made.events) {
      if (event.type === 'htlcAdded') return { htlc: event.htlc };
      if (event.type === 'htlcRefused') return { refused: event.reason };
    }
    return undefined;
  }

  apply(key: ChannelKey, { channel, store, events, effects }: Step): void {
    this.after.set(key, channel);
    this.#touched.add(key);
    if (store.length > 0) {
      const actions = this.actions.get(key);
      if (actions === undefined) this.actions.set(key, [...store]);
      else actions.push(...store);
    }
    for (const effect of effects) this.effects.push({ key, effect });
    for (const event of events) this.#ports.onEvent(this, channel, event);
  }

  /** Signing comes last: one commitment carries all that the turn did. */
  sign(): void {
    for (const key of this.#touched) this.command(key, { type: 'sign' });
  }

  onCommit(note: () => void): void {
    this.notes.push(note);
  }

  afterCommit(effect: () => void): void {
    this.deferred.push(effect);
  }
}
