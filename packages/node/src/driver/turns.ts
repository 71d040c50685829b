import { bytesToHex } from '@rivulet/core/bytes';
import {
  type Channel,
  type ChannelEvent,
  type Command,
  type Effect,
  encodeArchivedHtlc,
  encodeChannel,
  encodeHtlc,
  type Step,
  type StepContext,
  type StoreAction,
  step,
} from '@rivulet/core/channel';
import type { Message } from '@rivulet/core/wire';
import { type NodeStorage, StorageError, type StorageTransaction } from '@rivulet/storage';
import { channelLogger, type Logger } from '../logging/logger.js';

/** Channels by the hex of their id. */
export type ChannelKey = string;

export function channelKey(channelId: Uint8Array): ChannelKey {
  return bytesToHex(channelId);
}

/** What a turn lets out when its transaction has committed. `to` is a node id in hex. */
export type DeferredEffect =
  | (() => void)
  | { readonly channel: Channel; readonly effect: Effect }
  | { readonly to: string; readonly message: Message };

/** What the node's logic does with an event of a channel, inside the turn's transaction. */
type EventHandler = (turn: Turn, channel: Channel, event: ChannelEvent) => void;

/**
 * Work for one turn. It may be run again when the turn is rolled back: what it changes outside of the turn
 * has to be undone then (TurnsOptions.onRolledBack). With `channel` a fault in it stops that channel alone.
 */
export interface TurnWork {
  readonly channel?: ChannelKey;
  /** The node, in hex, whose message or connection this is about: it must send again what a lost turn had of it. */
  readonly peer?: string;
  /** Also for a channel that a fault stopped: what protects it on chain. */
  readonly evenIfStopped?: boolean;
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

/** Our own fault in work that belongs to no channel: that work is given up, the rest of the turn goes on. */
class WorkFault extends Error {
  readonly work: TurnWork;

  constructor(work: TurnWork, cause: unknown) {
    super('a fault in the work of a turn', { cause });
    this.work = work;
  }
}

/**
 * What a stopped channel still takes: its money is watched on chain, and its deadlines are kept. Whoever found
 * a way to make us stumble must not have the channel to himself (threats 13, 14).
 */
const chainCommands: ReadonlySet<Command['type']> = new Set<Command['type']>([
  'block',
  'fundingConfirmed',
  'fundingUnconfirmed',
  'fundingSpent',
  'fundingUnspent',
  'resolved',
  'forceClose',
]);

export interface TurnsOptions {
  readonly storage: NodeStorage;
  readonly logger: Logger;
  readonly contextFor: (channel: Channel) => StepContext;
  readonly onEvent: EventHandler;
  /** Called before each turn: from here on, what it changes in memory may have to be undone. */
  readonly onBegin: () => void;
  /** A turn has committed and nothing of it is let out yet: the channels that it changed. Never throws. */
  readonly onCommitted: (changed: ReadonlySet<ChannelKey>) => void;
  /** Runs what others see; called once for each turn, after its commit, in order. */
  readonly release: (effects: readonly DeferredEffect[]) => void;
  /** A turn's transaction was rolled back: what was changed in memory beside the channels is to be undone. */
  readonly onRolledBack: (error: unknown) => void;
  /** A turn with messages or connections of these peers is lost: they have to be disconnected, to send again. */
  readonly onLost: (nodeIds: ReadonlySet<string>) => void;
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
  /** Stopped ones that stumbled over a block or a spend as well: these take nothing any more. */
  readonly #deaf = new Set<ChannelKey>();
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

  /** Takes the stored channels, at the start. */
  load(channels: readonly Channel[]): void {
    this.#channels = new Map(channels.map((channel) => [channelKey(channel.params.channelId), channel]));
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
      if (!this.#closed) this.runNow();
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
    // What is let out may ask for more.
    while (this.#queue.length > 0) this.runNow();
    this.#closed = true;
  }

  #run(works: readonly TurnWork[]): void {
    const live: TurnWork[] = [];
    const refused: TurnWork[] = [];
    for (const work of works) (this.#isRefused(work) ? refused : live).push(work);
    const turn = new Turn(this.#options, this.#channels, { stopped: this.#stopped, deaf: this.#deaf });
    this.#options.onBegin();
    try {
      this.#options.storage.transaction((tx) => turn.execute(tx, live));
    } catch (error) {
      this.#options.onRolledBack(error);
      if (error instanceof ChannelFault) {
        this.#stop(error);
        this.#run(works);
      } else if (error instanceof WorkFault) {
        this.#options.logger.error({ err: error.cause }, 'an internal fault; report it');
        this.#lose([error.work], error.cause);
        this.#run(works.filter((work) => work !== error.work));
      } else {
        this.#options.logger.error({ err: error }, 'a turn could not be stored; nothing of it was let out');
        this.#lose(works, error);
      }
      return;
    }
    this.#channels = turn.result;
    this.#options.onCommitted(turn.changed);
    this.#options.release(turn.effects);
    for (const work of refused) {
      work.failed?.(new Error('this channel was stopped by an internal fault; see the log'));
    }
  }

  #isRefused({ channel, evenIfStopped = false }: TurnWork): boolean {
    if (channel === undefined || !this.#stopped.has(channel)) return false;
    return !evenIfStopped || this.#deaf.has(channel);
  }

  /**
   * What peers sent in these works was not received, though they believe so: they are cut off. That is so for
   * works too that the turn did not come to before it failed.
   */
  #lose(works: readonly TurnWork[], error: unknown): void {
    const nodeIds = new Set(works.flatMap(({ peer }) => peer ?? []));
    if (nodeIds.size > 0) {
      const channels = new Map(this.#channels);
      for (const [key, channel] of channels) {
        if (nodeIds.has(bytesToHex(channel.params.remoteNodeId))) channels.set(key, this.#offline(channel));
      }
      this.#channels = channels;
      this.#options.onLost(nodeIds);
    }
    for (const work of works) work.failed?.(error);
  }

  #offline(channel: Channel): Channel {
    return step(channel, { type: 'disconnected' }, this.#options.contextFor(channel)).channel;
  }

  #stop({ channel: key, cause }: ChannelFault): void {
    const again = this.#stopped.has(key);
    (again ? this.#deaf : this.#stopped).add(key);
    const channel = this.#channels.get(key);
    if (!again && channel !== undefined) {
      this.#channels = new Map(this.#channels).set(key, this.#offline(channel));
    }
    channelLogger(this.#options.logger, key).error(
      { err: cause },
      again
        ? 'an internal fault: this channel is not watched on chain any more; restart the node now'
        : 'an internal fault stopped this channel; it is not closed, nothing of it was lost, and it is watched ' +
            'on chain: report the fault, then restart the node',
    );
  }
}

/** One turn in the making: the channels as they will be, what is to be stored and what is to be let out. */
export class Turn {
  readonly effects: DeferredEffect[] = [];
  readonly #options: TurnsOptions;
  readonly #after: Map<ChannelKey, Channel>;
  readonly #stopped: ReadonlySet<ChannelKey>;
  readonly #deaf: ReadonlySet<ChannelKey>;
  readonly #unsaved = new Set<ChannelKey>();
  readonly #touched = new Set<ChannelKey>();
  #tx: StorageTransaction | undefined;

  constructor(
    options: TurnsOptions,
    channels: ReadonlyMap<ChannelKey, Channel>,
    { stopped, deaf }: { stopped: ReadonlySet<ChannelKey>; deaf: ReadonlySet<ChannelKey> },
  ) {
    this.#options = options;
    this.#after = new Map(channels);
    this.#stopped = stopped;
    this.#deaf = deaf;
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

  /** The channels that took a step, were added or removed. */
  get changed(): ReadonlySet<ChannelKey> {
    return this.#touched;
  }

  /** Called by Turns alone. */
  execute(tx: StorageTransaction, works: readonly TurnWork[]): void {
    this.#tx = tx;
    for (const work of works) {
      try {
        this.#guarded(work.channel, () => work.run(this));
      } catch (error) {
        if (error instanceof ChannelFault || isStorageFailure(error)) throw error;
        throw new WorkFault(work, error);
      }
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

  /** Forgets a channel and all that is stored of it. */
  removeChannel(key: ChannelKey): void {
    const channel = this.#after.get(key);
    if (channel === undefined) return;
    this.#after.delete(key);
    this.#unsaved.delete(key);
    this.#touched.add(key);
    this.tx.deleteChannel(channel.params.channelId);
  }

  /** Sends a message that belongs to no channel yet, in order with those of the channels. */
  send(to: string, message: Message): void {
    this.effects.push({ to, message });
  }

  /** The connection that messages to this node were meant for has ended: they must not open the next one. */
  forgetMessagesTo(nodeId: string): void {
    const kept = this.effects.filter((deferred) => {
      if (typeof deferred === 'function') return true;
      if ('to' in deferred) return deferred.to !== nodeId;
      const { channel, effect } = deferred;
      return effect.type !== 'send' || bytesToHex(channel.params.remoteNodeId) !== nodeId;
    });
    this.effects.splice(0, this.effects.length, ...kept);
  }

  /** Runs when the transaction has committed. */
  afterCommit(effect: () => void): void {
    this.effects.push(effect);
  }

  /** Has a channel take one step. Unknown channels ignore it, stopped ones what is not of the chain. */
  command(key: ChannelKey, command: Command): void {
    const channel = this.#after.get(key);
    if (channel === undefined || this.#deaf.has(key)) return;
    if (this.#stopped.has(key) && !chainCommands.has(command.type)) {
      if (command.type === 'settleHtlc') this.#settleStopped(key, { channel, command });
      return;
    }
    this.#guarded(key, () => {
      const made = step(channel, command, this.#options.contextFor(channel));
      this.apply(key, made);
    });
  }

  /**
   * What becomes of an HTLC of a stopped channel is stored as well: from then on the channel keeps its deadline,
   * and claims it on chain (threats 13, 14). Where that stumbles too, nothing has happened: who asked for it has
   * to look, and to ask again after the next start.
   */
  #settleStopped(key: ChannelKey, { channel, command }: { channel: Channel; command: Command }): void {
    let made: Step;
    try {
      made = step(channel, command, this.#options.contextFor(channel));
      encodeChannel(made.channel);
    } catch (error) {
      channelLogger(this.#options.logger, key).error({ err: error }, 'a stopped channel could not settle');
      return;
    }
    this.apply(key, made);
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

/** The database failed, and would fail any work; what it refused as wrong is a fault of who asked for it. */
function isStorageFailure(error: unknown): boolean {
  if (!(error instanceof StorageError)) return false;
  switch (error.code) {
    case 'duplicate':
    case 'not_found':
    case 'out_of_range':
    case 'wrong_use':
      return false;
    case 'locked':
    case 'newer_version':
    case 'disk_full':
    case 'io':
    case 'corrupt':
    case 'copy_behind':
    case 'copy_lost':
    case 'copy_conflict':
    case 'failed':
      return true;
  }
}
