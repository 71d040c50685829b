import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { type Announcer, type Channel, type ChannelEvent, isAnnounced } from '@rivulet/core/channel';
import {
  createNodeAnnouncement,
  type GossipMessage,
  isDisabled,
  isForwardable,
  needsRefresh,
  nextTimestamp,
  type UsableAddress,
} from '@rivulet/core/gossip';
import {
  type ChannelUpdate,
  decodeFeatureBits,
  decodeMessage,
  encodeFeatureBits,
  encodeMessage,
  type FeatureBits,
  featuresFor,
  gossipSignedBytes,
  type NodeAnnouncement,
} from '@rivulet/core/wire';
import { type NodeStorage, StorageError, type StorageTransaction } from '@rivulet/storage';
import { channelLogger, type Logger } from '../logging/logger.js';
import type { Scheduler } from '../peers/index.js';
import type { ChannelPolicies } from './channelPolicies.js';
import { isUsable } from './describe.js';
import { LinkWatch } from './linkWatch.js';
import { isEnding, signUpdate, tells, updateContent, updateNameOf } from './ownUpdate.js';
import { type ChannelKey, channelKey, type Turn, type Turns } from './turns.js';

/** What others see of this node. */
export interface NodeProfile {
  readonly alias: string;
  /** Red, green, blue. */
  readonly rgbColor: Uint8Array;
  readonly addresses: readonly UsableAddress[];
  /** Those of our `init`. */
  readonly features: FeatureBits;
  readonly acceptsKeysend: boolean;
}

export interface AnnouncingOptions {
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly policies: ChannelPolicies;
  readonly scheduler: Scheduler;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  readonly identity: Announcer;
  readonly profile: NodeProfile;
  /** Takes gossip of our own that is stored: the graph is to learn it and peers are to hear it. */
  readonly publish: (message: GossipMessage) => void;
  readonly logger: Logger;
}

const updatePrefix = 'channel-update/';
const nodeKey = 'node-announcement';
/** How often links and ages are looked at. */
const tickMs = 60_000;
/** bLIP 3: the optional bit of keysend, which is told in node_announcement alone. */
const keysendBit = 55;

type Reader = Pick<StorageTransaction, 'getValue'>;

/**
 * Makes the gossip that is about us: a channel_update for each channel, and the node_announcement. What was told
 * last is stored, for the times must rise whatever happens; it is published when that is durable.
 */
export class Announcing {
  readonly #options: AnnouncingOptions;
  readonly #watch: LinkWatch;
  #cancelTick: () => void = () => {};
  #nodeTold = false;
  /** What is to be published at the start: a graph that has not begun to follow the chain may be emptied. */
  #early: GossipMessage[] | undefined = [];
  #lastFault: string | undefined;

  constructor(options: AnnouncingOptions) {
    this.#options = options;
    this.#watch = new LinkWatch(options.scheduler);
  }

  /** Publishes what was told until now, and begins to look after links and ages. */
  start(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const message of early) this.#options.publish(message);
    this.#schedule();
  }

  #schedule(): void {
    this.#cancelTick = this.#options.scheduler.schedule(tickMs, () => {
      this.#schedule();
      this.#tick();
    });
  }

  stop(): void {
    this.#cancelTick();
  }

  #publish(message: GossipMessage): void {
    if (this.#early === undefined) this.#options.publish(message);
    else this.#early.push(message);
  }

  /** What a channel tells of itself, in the turn in which it happens. */
  onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    if (event.type !== 'announced' && event.type !== 'online' && event.type !== 'phaseChanged') return;
    // A channel that opens is told of as `online` as well.
    if (event.type === 'phaseChanged' && !isEnding(channel)) return;
    this.#guarded(() => {
      const key = channelKey(channel.params.channelId);
      if (channel.phase.name === 'closed') {
        turn.tx.deleteValue(updatePrefix + key);
        this.#options.policies.forget(turn, key);
        return;
      }
      if (event.type === 'announced') turn.afterCommit(() => this.#publish(event.announcement));
      const made = this.#refresh(turn, channel);
      if (made || event.type === 'phaseChanged') return;
      const known = this.#read(turn.tx, key);
      if (known === undefined) return;
      // The peer may have lost what it heard of us, and our own graph may not have been stored.
      if (event.type === 'online') turn.send(bytesToHex(channel.params.remoteNodeId), known);
      else if (isForwardable(known)) turn.afterCommit(() => this.#publish(known));
    });
    if (event.type === 'announced') this.#guarded(() => this.#refreshNode(turn));
  }

  /** A channel's policy was changed in this turn: the network hears of it. */
  policyChanged(turn: Turn, key: ChannelKey): void {
    const channel = turn.channels.get(key);
    if (channel !== undefined) this.#refresh(turn, channel);
  }

  /** Gossip must never stop a channel: what is wrong with it is logged, once. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error instanceof StorageError) throw error;
      const text = error instanceof Error ? error.message : String(error);
      if (text === this.#lastFault) return;
      this.#lastFault = text;
      this.#options.logger.error({ err: error }, 'our own gossip could not be made');
    }
  }

  #read(from: Reader, key: ChannelKey): ChannelUpdate | undefined {
    const bytes = from.getValue(updatePrefix + key);
    if (bytes === undefined) return undefined;
    const message = decodeMessage(bytes);
    return message.type === 'channel_update' ? message : undefined;
  }

  /** What is to be told of a channel now; `undefined` where there is nothing new. */
  #next(from: Reader, channel: Channel, disabled: boolean | undefined): ChannelUpdate | undefined {
    const { policies, identity, now } = this.#options;
    const key = channelKey(channel.params.channelId);
    const previous = this.#read(from, key);
    const name = updateNameOf(channel);
    const ending = isEnding(channel);
    if (name === undefined) return undefined;
    // Of a channel that ends only those hear who were told that it is there.
    if (ending && (name.dontForward || previous === undefined || !isForwardable(previous))) return undefined;
    const { policy } = policies.termsOf(channel);
    const told = previous !== undefined && isForwardable(previous) && isDisabled(previous);
    const content = updateContent(channel, {
      identity,
      name,
      policy,
      disabled: ending || (!name.dontForward && (disabled ?? told)),
    });
    const nowMs = now();
    // BOLT 7: channel_update, origin node: should not create redundant ones
    if (previous !== undefined && tells(previous, content)) {
      if (ending || !needsRefresh(previous.timestamp, nowMs / 1000)) return undefined;
    }
    return signUpdate(content, { identity, previous, nowMs });
  }

  /** Stores and tells what is new of a channel; whether there was anything. */
  #refresh(turn: Turn, channel: Channel, disabled?: boolean): boolean {
    const update = this.#next(turn.tx, channel, disabled);
    if (update === undefined) return false;
    const key = channelKey(channel.params.channelId);
    turn.tx.putValue(updatePrefix + key, encodeMessage(update));
    if (channel.link === 'online') turn.send(bytesToHex(channel.params.remoteNodeId), update);
    turn.afterCommit(() => {
      channelLogger(this.#options.logger, key).debug(
        { disabled: isDisabled(update), public: isForwardable(update) },
        'a channel_update was made',
      );
      if (isForwardable(update)) this.#publish(update);
    });
    return true;
  }

  #tick(): void {
    const { turns, storage } = this.#options;
    this.#watch.keepOnly(turns.channels);
    for (const [key, channel] of turns.channels) {
      this.#guarded(() => {
        const disabled = this.#changedLink(key, channel);
        if (disabled === undefined && this.#next(storage, channel, undefined) === undefined) return;
        turns.enqueue({
          run: (turn) => {
            const current = turn.channels.get(key);
            if (current !== undefined) this.#guarded(() => this.#refresh(turn, current, disabled));
          },
        });
      });
    }
    if (this.#nodeIsDue()) {
      turns.enqueue({ run: (turn) => this.#guarded(() => this.#refreshNode(turn)) });
    }
  }

  /** The `disable` bit that an announced channel should have from now on; `undefined` to leave it. */
  #changedLink(key: ChannelKey, channel: Channel): boolean | undefined {
    if (isEnding(channel) || !isAnnounced(channel)) return undefined;
    const known = this.#read(this.#options.storage, key);
    if (known === undefined || !isForwardable(known)) return undefined;
    const usable = isUsable(channel);
    return this.#watch.isDue(key, { usable, toldUsable: !isDisabled(known) }) ? !usable : undefined;
  }

  #nodeIsDue(): boolean {
    const { turns, storage } = this.#options;
    return [...turns.channels.values()].some(isPublic) && this.#nextNode(storage) !== undefined;
  }

  /** BOLT 7: a node without an announced channel is ignored: it says nothing of itself. */
  #refreshNode(turn: Turn): void {
    if (![...turn.channels.values()].some(isPublic)) return;
    const next = this.#nextNode(turn.tx);
    if (next !== undefined) turn.tx.putValue(nodeKey, encodeMessage(next));
    const told = next ?? (this.#nodeTold ? undefined : this.#readNode(turn.tx));
    if (told === undefined) return;
    turn.afterCommit(() => {
      this.#nodeTold = true;
      this.#publish(told);
    });
  }

  #readNode(from: Reader): NodeAnnouncement | undefined {
    const bytes = from.getValue(nodeKey);
    const message = bytes === undefined ? undefined : decodeMessage(bytes);
    return message?.type === 'node_announcement' ? message : undefined;
  }

  #nextNode(from: Reader): NodeAnnouncement | undefined {
    const { identity, profile, now } = this.#options;
    const { alias, rgbColor, addresses } = profile;
    const nowSeconds = now() / 1000;
    const bits = decodeFeatureBits(featuresFor('node', profile.features));
    const fields = {
      nodeId: identity.nodeId,
      features: encodeFeatureBits(profile.acceptsKeysend ? [...bits, keysendBit] : bits),
      alias,
      rgbColor,
      addresses,
    };
    const known = this.#readNode(from);
    if (known !== undefined && !needsRefresh(known.timestamp, nowSeconds)) {
      const same = createNodeAnnouncement(
        { ...fields, timestamp: known.timestamp },
        () => new Uint8Array(64),
      );
      if (equalBytes(signedBytes(same), signedBytes(known))) return undefined;
    }
    const timestamp = nextTimestamp(known?.timestamp, nowSeconds);
    return createNodeAnnouncement({ ...fields, timestamp }, (hash) => identity.signWithNodeKey(hash));
  }
}

function signedBytes(message: NodeAnnouncement): Uint8Array {
  return gossipSignedBytes(encodeMessage(message));
}

/** The network knows it, and it is not over. */
function isPublic(channel: Channel): boolean {
  return isAnnounced(channel) && !isEnding(channel);
}
