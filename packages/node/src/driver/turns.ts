import { bytesToHex } from '@rivulet/core/bytes';
import {
  type Channel,
  type ChannelEvent,
  type Command,
  type Effect,
  encodeArchivedHtlc,
  encodeChannel,
  encodeHtlc,
  type StepContext,
  type StoreAction,
  step,
} from '@rivulet/core/channel';
import type { NodeStorage, StorageTransaction } from '@rivulet/storage';
import { channelLogger, type Logger } from '../logging/logger.js';

/** Channels by the hex of their id. */
export type ChannelKey = string;

export function channelKey(channelId: Uint8Array): ChannelKey {
  return bytesToHex(channelId);
}

/** What a turn lets out when its transaction has committed. */
export type DeferredEffect = (() => void) | { readonly channel: Channel; readonly effect: Effect };

/** What the node's logic does with an event of a channel, inside the turn's transaction. */
type EventHandler = (turn: Turn, channel: Channel, event: ChannelEvent) => void;

/** Work for one turn. With `channel` a fault in it stops that channel alone. */
export interface TurnWork {
  readonly channel?: ChannelKey;
  run(turn: Turn): void;
  /** The turn was lost: nothing of it is stored, nothing was let out. */
  failed?(error: unknown): void;
}

/** Our own fault in the work of one channel: that channel is stopped, the others go on. */
class ChannelFault extends Error {
  readonly channel: ChannelKey;

  constructor(channel: ChannelKey, cause: unknown) {
    super(`a fault in the work of channel ${channel}`, { cause });
    this.channel = channel;
  }
}

export interface TurnsOptions {
  readonly storage: NodeStorage;
  readonly logger: Logger;
  readonly contextFor: (channel: Channel) => StepContext;
  readonly onEvent: EventHandler;
  /** Runs what others see; called once for each turn, after its commit, in order. */
  readonly release: (effects: readonly DeferredEffect[]) => void;
  /** A turn's transaction was rolled back: what was changed in memory beside the channels is to be undone. */
  readonly onRolledBack: (error: unknown) => void;
  /** The database refused a turn: these channels' peers have to be disconnected, to send again. */
  readonly onLost: (channels: readonly Channel[], error: unknown) => void;
}

/**
 * Runs the steps of all channels in turns: everything that arrived since the last turn is worked off, its
 * changes go into one database transaction, and only when that has committed are messages sent, callers
 * answered and transactions published (durable before visible; group commit).
 */
export class Turns {
  readonly #options: TurnsOptions;
  #channels: ReadonlyMap<ChannelKey, Channel> = new Map();
  readonly #stopped = new Set<ChannelKey>();
  #queue: TurnWork[] = [];
  #scheduled = false;
  #closed = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** The channels as they are stored. */
  get channels(): ReadonlyMap<ChannelKey, Channel> {
    return this.#channels;
  }

  /** Channels that a fault of ours stopped; they want a look and a restart. */
  get stopped(): ReadonlySet<ChannelKey> {
    return this.#stopped;
  }

  /** Puts work into the next turn, which begins when what is being read has been read. */
  enqueue(work: TurnWork): void {
    if (this.#closed) {
      work.failed?.(new Error('the node shuts down'));
      return;
    }
    this.#queue.push(work);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.runNow();
    });
  }

  /** Works off what is queued at once. */
  runNow(): void {
    const works = this.#queue;
    if (works.length === 0) return;
    this.#queue = [];
    this.#run(works);
  }

  /** No more turns: what is queued is worked off, what comes later fails. */
  close(): void {
    this.runNow();
    this.#closed = true;
  }

  #run(works: readonly TurnWork[]): void {
    const live = works.filter(({ channel }) => channel === undefined || !this.#stopped.has(channel));
    const turn = new Turn(this.#options, this.#channels, this.#stopped);
    try {
      this.#options.storage.transaction((tx) => turn.execute(tx, live));
    } catch (error) {
      this.#options.onRolledBack(error);
      if (error instanceof ChannelFault) {
        this.#stop(error);
        this.#run(works);
        return;
      }
      this.#options.logger.error({ err: error }, 'a turn could not be stored; nothing of it was let out');
      this.#options.onLost([...turn.touched], error);
      this.#channels = turn.withTouchedOffline();
      for (const work of live) work.failed?.(error);
      return;
    }
    for (const work of works) {
      if (live.includes(work)) continue;
      work.failed?.(new Error('this channel was stopped by an internal fault; see the log'));
    }
    this.#channels = turn.result;
    this.#options.release(turn.effects);
  }

  #stop(fault: ChannelFault): void {
    this.#stopped.add(fault.channel);
    channelLogger(this.#options.logger, fault.channel).error(
      { err: fault.cause },
      'an internal fault stopped this channel; it is not closed, and nothing of it was lost: report the ' +
        'fault, then restart the node',
    );
  }
}

/** One turn in the making: the channels as they will be, what is to be stored and what is to be let out. */
export class Turn {
  readonly effects: DeferredEffect[] = [];
  readonly #options: TurnsOptions;
  readonly #before: ReadonlyMap<ChannelKey, Channel>;
  readonly #after: Map<ChannelKey, Channel>;
  readonly #stopped: ReadonlySet<ChannelKey>;
  readonly #unsaved = new Set<ChannelKey>();
  readonly #touched = new Set<ChannelKey>();
  #tx: StorageTransaction | undefined;

  constructor(
    options: TurnsOptions,
    channels: ReadonlyMap<ChannelKey, Channel>,
    stopped: ReadonlySet<ChannelKey>,
  ) {
    this.#options = options;
    this.#before = channels;
    this.#after = new Map(channels);
    this.#stopped = stopped;
  }

  /** The open transaction: what is written here is durable before any effect. */
  get tx(): StorageTransaction {
    if (this.#tx === undefined) throw new Error('a turn is used outside of its transaction');
    return this.#tx;
  }

  get result(): ReadonlyMap<ChannelKey, Channel> {
    return this.#after;
  }

  get channels(): ReadonlyMap<ChannelKey, Channel> {
    return this.#after;
  }

  /** The channels that this turn worked on, as they were before it. */
  get touched(): Channel[] {
    return [...this.#touched].flatMap((key) => this.#before.get(key) ?? []);
  }

  /** After a turn that was not stored: as before, and cut off, for the peer believes that we received it. */
  withTouchedOffline(): ReadonlyMap<ChannelKey, Channel> {
    const channels = new Map(this.#before);
    for (const channel of this.touched) {
      const context = this.#options.contextFor(channel);
      const offline = step(channel, { type: 'disconnected' }, context).channel;
      channels.set(channelKey(channel.params.channelId), offline);
    }
    return channels;
  }

  /** Called by Turns alone. */
  execute(tx: StorageTransaction, works: readonly TurnWork[]): void {
    this.#tx = tx;
    for (const work of works) {
      this.#guarded(work.channel, () => work.run(this));
    }
    // Signing comes last, so that one commitment carries all that the turn added and settled.
    for (const key of this.#touched) this.command(key, { type: 'sign' });
    for (const key of this.#unsaved) this.#guarded(key, () => this.#write(key));
    this.#tx = undefined;
  }

  #guarded(key: ChannelKey | undefined, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (key === undefined || error instanceof ChannelFault || isStorageFailure(error)) throw error;
      throw new ChannelFault(key, error);
    }
  }

  #write(key: ChannelKey): void {
    const channel = this.#after.get(key);
    if (channel === undefined) return;
    const { channelId, remoteNodeId } = channel.params;
    this.tx.putChannel({ channelId, remoteNodeId, state: encodeChannel(channel) });
  }

  /** Adds a channel that was just opened, and has it stored. */
  addChannel(channel: Channel): void {
    const key = channelKey(channel.params.channelId);
    const { channelId, remoteNodeId } = channel.params;
    // Its rows refer to it, so it is there first.
    this.tx.putChannel({ channelId, remoteNodeId, state: encodeChannel(channel) });
    this.#after.set(key, channel);
    this.#touched.add(key);
  }

  /** Runs when the transaction has committed. */
  afterCommit(effect: () => void): void {
    this.effects.push(effect);
  }

  /** Has a channel take one step. Unknown and stopped channels ignore it. */
  command(key: ChannelKey, command: Command): void {
    const channel = this.#after.get(key);
    if (channel === undefined || this.#stopped.has(key)) return;
    this.#guarded(key, () => {
      const made = step(channel, command, this.#options.contextFor(channel));
      this.apply(key, made);
    });
  }

  /** Takes over the outcome of a step that was made outside: at a restart. */
  apply(
    key: ChannelKey,
    made: {
      readonly channel: Channel;
      readonly store: readonly StoreAction[];
      readonly events: readonly ChannelEvent[];
      readonly effects: readonly Effect[];
    },
  ): void {
    this.#after.set(key, made.channel);
    this.#touched.add(key);
    for (const action of made.store) this.#store(key, { channel: made.channel, action });
    for (const effect of made.effects) this.effects.push({ channel: made.channel, effect });
    for (const event of made.events) this.#options.onEvent(this, made.channel, event);
  }

  #store(key: ChannelKey, { channel, action }: { channel: Channel; action: StoreAction }): void {
    const { channelId } = channel.params;
    switch (action.type) {
      case 'putChannel':
        this.#unsaved.add(key);
        return;
      case 'putHtlc': {
        const { direction, id } = action.htlc;
        this.tx.putHtlc({ channelId, direction, id, data: encodeHtlc(action.htlc) });
        return;
      }
      case 'archiveHtlc': {
        const { direction, id } = action.htlc;
        this.tx.archiveHtlc({ channelId, direction, id, data: encodeArchivedHtlc(action.htlc) });
      }
    }
  }
}

function isStorageFailure(error: unknown): boolean {
  return error instanceof Error && error.name === 'StorageError';
}
