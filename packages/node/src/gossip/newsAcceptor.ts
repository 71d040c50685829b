import { bytesToHex, equalBytes, hexToBytes } from '@rivulet/core/bytes';
import {
  checkChannelUpdate,
  checkNodeAnnouncement,
  GossipRateLimit,
  type InvalidVerdict,
  isDisabled,
  isForwardable,
  isNodeForwardable,
  PrematureGossip,
  updateDirection,
  verifyChannelAnnouncement,
  verifyChannelUpdate,
  verifyNodeAnnouncement,
} from '@rivulet/core/gossip';
import {
  type ChannelAnnouncement,
  type ChannelUpdate,
  encodeMessage,
  fromShortChannelId,
  type NodeAnnouncement,
} from '@rivulet/core/wire';
import type { Scheduler } from '../peers/scheduler.js';
import type { FundingVerdict } from './fundingChecks.js';
import type { GossipLimits } from './gossipLimits.js';
import type { FindOwnChannel, NewsMessage } from './gossipPorts.js';
import type { Funding, NetworkView } from './networkView.js';
import { RecentSet } from './recentSet.js';
import type { News } from './relayLog.js';

interface NewsAcceptorOptions {
  readonly chainHash: Uint8Array;
  readonly ourNodeId: Uint8Array;
  readonly view: NetworkView;
  readonly scheduler: Scheduler;
  readonly limits: GossipLimits;
  readonly nowSeconds: () => number;
  readonly checkFunding: boolean;
  /** The height of the chain, where it is known. */
  readonly height: () => number | undefined;
  readonly findOwnChannel: FindOwnChannel;
  readonly onOwnChannelUpdate: (nodeId: string, update: ChannelUpdate) => void;
  /** Asks the chain for an announcement's output; the answer comes to `checked`. */
  readonly checkOutput: {
    submit(peer: string, announcement: ChannelAnnouncement): void;
    pendingFor(shortChannelId: bigint): number;
    has(peer: string): boolean;
    isFull(peer: string): boolean;
    drop(peer: string): void;
  };
  /** Has a message looked at again. */
  readonly requeue: (peer: string, message: NewsMessage) => void;
  readonly relay: {
    stage(news: News): void;
    publish(news: News): void;
    knownBy(news: { key: string; timestamp: number }, peer: string): void;
  };
  /** An update came for a channel that is not known. */
  readonly onUnknownChannel: (peer: string, shortChannelId: bigint) => void;
  readonly punish: (peer: string, why: string) => void;
}

/** BOLT 7: channel_announcement, receiving node: fewer confirmations: SHOULD ignore; we wait for them. */
const MIN_CONFIRMATIONS = 6;
/** Further above the chain that we know nothing is believed to come. */
const MAX_AHEAD = 6;
const MAX_YOUNG = 200;
const MAX_YOUNG_PER_PEER = 20;
/** Different announcements of one channel that may be looked up on chain at once. */
const MAX_RIVALS = 4;
const MAX_OWN_WAITING = 1_000;
const MAX_REJECTED = 100_000;
const MAX_REMEMBERED_PEERS = 10_000;
/** Ids of 2^63 and more are of blocks that no chain has. */
const ID_LIMIT = 1n << 63n;
/** The sender of what we publish ourselves. */
const OURSELVES = '';

/**
 * Judges what is told of the network, and takes over what is true. The order matters: what is known, stale or
 * nobody's business is dropped before anything is computed; then signatures; then the rate, which so only the signer
 * can use up (threat 21); the chain last.
 */
export class NewsAcceptor {
  readonly #given: NewsAcceptorOptions;
  readonly #premature = new PrematureGossip();
  readonly #rate = new GossipRateLimit();
  /** Channels whose outputs are spent or never were, whoever announces them. */
  readonly #rejected = new RecentSet(MAX_REJECTED);
  /** Announcements that need more blocks. */
  #young: { readonly peer: string; readonly announcement: ChannelAnnouncement }[] = [];
  /** How many false announcements came from each peer. */
  readonly #false = new Map<string, number>();
  /** Channels of ours that were announced since the start. */
  readonly #announced = new Set<bigint>();
  /** The latest that the peers of our channels said of them, by update. */
  readonly #ownHeard = new Map<string, number>();
  /** Ours too, until their channel was looked up on chain. */
  #ownWaiting: NewsMessage[] = [];

  constructor(options: NewsAcceptorOptions) {
    this.#given = options;
  }

  /** Messages that wait for their channel, and the memory that they take; announcements that need more blocks. */
  get waiting(): { readonly premature: number; readonly prematureBytes: number; readonly young: number } {
    return {
      premature: this.#premature.size,
      prematureBytes: this.#premature.bytes,
      young: this.#young.length,
    };
  }

  /** Whether a channel is known not to exist any more. */
  isRejected(shortChannelId: bigint): boolean {
    return this.#rejected.has(shortChannelId);
  }

  /** Looks at a message of a peer. @returns how many signatures that took. */
  accept(peer: string, message: NewsMessage): number {
    switch (message.type) {
      case 'channel_announcement':
        return this.#acceptChannel(peer, message);
      case 'channel_update':
        return this.#acceptUpdate(peer, message);
      case 'node_announcement':
        return this.#acceptNode(peer, message);
      default:
        return message satisfies never;
    }
  }

  /** The chain has answered. */
  checked({
    peer,
    announcement,
    verdict,
  }: {
    peer: string;
    announcement: ChannelAnnouncement;
    verdict: FundingVerdict;
  }): void {
    const { shortChannelId } = announcement;
    switch (verdict.type) {
      case 'unspent':
        if (!this.#given.view.hasChannel(shortChannelId)) this.#addChannel(announcement, verdict.funding);
        return;
      case 'spent':
        // BOLT 7: channel_announcement, receiving node: the output is spent: MUST ignore
        this.#rejected.add(shortChannelId);
        return;
      case 'missing':
        this.#rejected.add(shortChannelId);
        this.#countFalse(peer);
        return;
      case 'mismatch':
        // Only this announcement is wrong: another one of the same output may be right.
        this.#countFalse(peer);
        return;
      default:
        verdict satisfies never;
    }
  }

  /** A block came, or was undone. */
  onTip({ undone }: { undone: boolean }): void {
    if (undone) this.#rejected.clear();
    const young = this.#young;
    this.#young = [];
    for (const { peer, announcement } of young) this.#check(peer, announcement);
  }

  disconnected(peer: string): void {
    this.#premature.drop(peer);
    this.#young = this.#young.filter((young) => young.peer !== peer);
  }

  /**
   * Takes over and sends what we signed ourselves. An announcement without `funding` is looked up on chain first, and
   * what is about its channel waits for that.
   * @returns whether it is well formed, signed, about something known, and new.
   */
  publish(message: NewsMessage, funding?: Funding): boolean {
    if (message.type !== 'channel_announcement' && this.#given.checkOutput.has(OURSELVES)) {
      if (this.#ownWaiting.length < MAX_OWN_WAITING) this.#ownWaiting.push(message);
      return true;
    }
    switch (message.type) {
      case 'channel_announcement':
        return this.#publishChannel(message, funding);
      case 'channel_update':
        return this.#publishUpdate(message);
      case 'node_announcement':
        return this.#publishNode(message);
      default:
        return message satisfies never;
    }
  }

  #acceptChannel(peer: string, announcement: ChannelAnnouncement): number {
    const { view, limits, chainHash, checkOutput } = this.#given;
    const { shortChannelId } = announcement;
    if (view.hasChannel(shortChannelId) || this.#rejected.has(shortChannelId)) return 0;
    if (view.wasPruned(shortChannelId) || shortChannelId >= ID_LIMIT) return 0;
    // What we did not announce ourselves is not announced.
    if (view.isOurs(announcement)) return 0;
    if ((this.#false.get(peer) ?? 0) >= limits.maxFalseAnnouncements) return 0;
    if (isLong(announcement, limits) || checkOutput.pendingFor(shortChannelId) >= MAX_RIVALS) return 0;
    const { blockHeight } = fromShortChannelId(shortChannelId);
    const height = this.#given.height();
    if (this.#given.checkFunding && height !== undefined && blockHeight > height + MAX_AHEAD) return 0;
    const verdict = verifyChannelAnnouncement(announcement, { chainHash });
    // What we do not know of it forbids to route through it, not to pass it on.
    if (!verdict.valid && verdict.fault !== 'features_unknown') {
      this.#refuse(peer, announcement, verdict);
      return verdict.fault === 'signature' ? 4 : 0;
    }
    this.#check(peer, announcement);
    return 4;
  }

  #check(peer: string, announcement: ChannelAnnouncement): void {
    const { view, limits, checkFunding, checkOutput } = this.#given;
    if (!checkFunding) {
      if (view.store.channelCount < limits.maxUncheckedChannels) this.#addChannel(announcement, undefined);
      return;
    }
    const { blockHeight } = fromShortChannelId(announcement.shortChannelId);
    const confirmations = (this.#given.height() ?? 0) - blockHeight + 1;
    if (confirmations >= MIN_CONFIRMATIONS || peer === OURSELVES) {
      if (!checkOutput.isFull(peer)) checkOutput.submit(peer, announcement);
      return;
    }
    if (this.#young.length >= MAX_YOUNG) return;
    const { shortChannelId, nodeSignature1 } = announcement;
    const isSame = ({ announcement: other }: { announcement: ChannelAnnouncement }) =>
      other.shortChannelId === shortChannelId && equalBytes(other.nodeSignature1, nodeSignature1);
    const count = this.#young.filter((young) => young.peer === peer).length;
    if (count < MAX_YOUNG_PER_PEER && !this.#young.some(isSame)) this.#young.push({ peer, announcement });
  }

  #addChannel(announcement: ChannelAnnouncement, funding: Funding | undefined): void {
    const { view, nowSeconds, requeue } = this.#given;
    view.addChannel(announcement, { funding, nowSeconds: nowSeconds() });
    const waiting = [
      ...this.#premature.take(announcement.shortChannelId),
      ...this.#premature.takeNode(announcement.nodeId1),
      ...this.#premature.takeNode(announcement.nodeId2),
    ];
    for (const { peer, message } of waiting) requeue(peer, message);
    const own = this.#ownWaiting;
    this.#ownWaiting = [];
    for (const message of own) this.publish(message);
  }

  #acceptUpdate(peer: string, update: ChannelUpdate): number {
    const { view, chainHash, nowSeconds, limits } = this.#given;
    const { shortChannelId } = update;
    const check = checkChannelUpdate(update, { chainHash, nowSeconds: nowSeconds() });
    if (!check.valid) {
      this.#refuse(peer, update, check);
      return 0;
    }
    if (isLong(update, limits)) return 0;
    const own = this.#given.findOwnChannel(shortChannelId);
    if (own !== undefined) {
      return own.remoteNodeId === peer ? this.#acceptOwnChannelUpdate(peer, update) : 0;
    }
    // BOLT 7: channel_update, origin node: dont_forward is for its peer alone
    if (!isForwardable(update) || shortChannelId >= ID_LIMIT) return 0;
    if (!view.hasChannel(shortChannelId)) {
      // BOLT 7: channel_update, receiving node: no previous channel_announcement: MUST ignore; it may be on its way
      if (this.#rejected.has(shortChannelId) || view.wasPruned(shortChannelId)) return 0;
      this.#premature.add(peer, update);
      if (this.#given.checkOutput.pendingFor(shortChannelId) === 0) {
        this.#given.onUnknownChannel(peer, shortChannelId);
      }
      return 0;
    }
    if (this.#isKnown(peer, update)) return 0;
    // BOLT 7: channel_update, receiving node: output spent: MUST ignore, unless it disables
    if (view.isGone(shortChannelId) && !isDisabled(update)) return 0;
    const signer = this.#signerOf(update);
    // Echoes of what we said, or did not say.
    if (signer === undefined || equalBytes(signer, this.#given.ourNodeId)) return 0;
    const verdict = verifyChannelUpdate(update, signer);
    if (!verdict.valid) this.#refuse(peer, update, verdict);
    else if (this.#admits(updateKey(update))) this.#applyUpdate(update, { peer, own: false });
    return 1;
  }

  /** What a peer says of a channel with us: its terms for paying through it to us. */
  #acceptOwnChannelUpdate(peer: string, update: ChannelUpdate): number {
    const { view, ourNodeId, onOwnChannelUpdate } = this.#given;
    const remote = hexToBytes(peer);
    const remoteDirection = bytesToHex(ourNodeId) < peer ? 1 : 0;
    if (updateDirection(update) !== remoteDirection) return 0;
    const key = updateKey(update);
    const isNew = update.timestamp > (this.#ownHeard.get(key) ?? 0);
    const isPublic = isForwardable(update);
    const isForGraph = isPublic && view.hasChannel(update.shortChannelId) && !this.#isKnown(peer, update);
    // Peers repeat themselves whenever they connect.
    if (!isNew && !isForGraph) return 0;
    const verdict = verifyChannelUpdate(update, remote);
    if (!verdict.valid) {
      this.#refuse(peer, update, verdict);
      return 1;
    }
    if (!this.#admits(key)) return 1;
    if (isNew) {
      this.#ownHeard.set(key, update.timestamp);
      onOwnChannelUpdate(peer, update);
    }
    if (isForGraph) this.#applyUpdate(update, { peer, own: false });
    // Its peer may be quicker than we are to see that it is announced.
    else if (isPublic && !view.hasChannel(update.shortChannelId)) this.#premature.add(peer, update);
    return 1;
  }

  #acceptNode(peer: string, announcement: NodeAnnouncement): number {
    const { view, nowSeconds, limits, ourNodeId } = this.#given;
    const { nodeId, timestamp } = announcement;
    const check = checkNodeAnnouncement(announcement, { nowSeconds: nowSeconds() });
    if (!check.valid) {
      this.#refuse(peer, announcement, check);
      return 0;
    }
    if (equalBytes(nodeId, ourNodeId) || isLong(announcement, limits)) return 0;
    if (!view.graph.hasNode(nodeId)) {
      // BOLT 7: node_announcement, receiving node: node_id not known from a channel_announcement: SHOULD ignore
      this.#premature.add(peer, announcement);
      return 0;
    }
    const key = bytesToHex(nodeId);
    if ((view.graph.getNode(nodeId)?.timestamp ?? 0) >= timestamp) {
      this.#given.relay.knownBy({ key, timestamp }, peer);
      return 0;
    }
    const verdict = verifyNodeAnnouncement(announcement);
    if (!verdict.valid) this.#refuse(peer, announcement, verdict);
    else if (this.#admits(key)) {
      const message = encodeMessage(announcement);
      const forwardable = isNodeForwardable(announcement);
      view.applyNode(announcement, { message, forwardable });
      const knownBy = new Set([peer]);
      if (forwardable) {
        this.#given.relay.stage({ key, timestamp, messages: [message], own: false, about: key, knownBy });
      }
    }
    return 1;
  }

  /** Whether we have this update or a later one; remembers that the peer needs not be told. */
  #isKnown(peer: string, update: ChannelUpdate): boolean {
    const { shortChannelId, timestamp } = update;
    const known = this.#given.view.store.updateTimestamp(shortChannelId, updateDirection(update));
    if (timestamp > known) return false;
    this.#given.relay.knownBy({ key: updateKey(update), timestamp }, peer);
    return true;
  }

  #signerOf(update: ChannelUpdate): Uint8Array | undefined {
    const channel = this.#given.view.graph.getChannel(update.shortChannelId);
    return updateDirection(update) === 0 ? channel?.nodeId1 : channel?.nodeId2;
  }

  #applyUpdate(update: ChannelUpdate, { peer, own }: { peer: string; own: boolean }): void {
    const { view, relay } = this.#given;
    const { shortChannelId, timestamp } = update;
    const message = encodeMessage(update);
    const first = view.applyUpdate(update, message);
    // BOLT 7: gossip_timestamp_filter, receiver: a channel_announcement goes out with its first channel_update
    const announce = first || (own && !this.#announced.has(shortChannelId));
    if (own) this.#announced.add(shortChannelId);
    const announcement = announce ? view.store.getChannel(shortChannelId)?.announcement : undefined;
    const news: News = {
      key: updateKey(update),
      timestamp,
      messages: announcement === undefined ? [message] : [announcement, message],
      own,
      about: shortChannelId,
      knownBy: new Set(own ? [] : [peer]),
    };
    if (own) relay.publish(news);
    else relay.stage(news);
  }

  #publishChannel(announcement: ChannelAnnouncement, funding: Funding | undefined): boolean {
    const { view, chainHash } = this.#given;
    if (view.hasChannel(announcement.shortChannelId) || announcement.shortChannelId >= ID_LIMIT) return false;
    const verdict = verifyChannelAnnouncement(announcement, { chainHash });
    if (!view.isOurs(announcement) || (!verdict.valid && verdict.fault !== 'features_unknown')) return false;
    if (funding === undefined) this.#check(OURSELVES, announcement);
    else this.#addChannel(announcement, funding);
    return true;
  }

  #publishUpdate(update: ChannelUpdate): boolean {
    const { view, chainHash, nowSeconds, ourNodeId } = this.#given;
    const signer = view.hasChannel(update.shortChannelId) ? this.#signerOf(update) : undefined;
    if (signer === undefined || !equalBytes(signer, ourNodeId) || !isForwardable(update)) return false;
    const known = view.store.updateTimestamp(update.shortChannelId, updateDirection(update));
    const check = checkChannelUpdate(update, { chainHash, nowSeconds: nowSeconds() });
    if (update.timestamp <= known || !check.valid || !verifyChannelUpdate(update, signer).valid) return false;
    this.#applyUpdate(update, { peer: OURSELVES, own: true });
    return true;
  }

  #publishNode(announcement: NodeAnnouncement): boolean {
    const { view, nowSeconds, ourNodeId, relay } = this.#given;
    const { nodeId, timestamp } = announcement;
    if (!equalBytes(nodeId, ourNodeId) || !view.graph.hasNode(nodeId)) return false;
    if ((view.graph.getNode(nodeId)?.timestamp ?? 0) >= timestamp || !isNodeForwardable(announcement))
      return false;
    const check = checkNodeAnnouncement(announcement, { nowSeconds: nowSeconds() });
    if (!check.valid || !verifyNodeAnnouncement(announcement).valid) return false;
    const key = bytesToHex(nodeId);
    const message = encodeMessage(announcement);
    view.applyNode(announcement, { message, forwardable: true });
    relay.publish({ key, timestamp, messages: [message], own: true, about: key, knownBy: new Set() });
    return true;
  }

  /** Threat 21: asked only after a signature was found valid. */
  #admits(key: string): boolean {
    return this.#rate.admit({ verdict: { valid: true }, key, nowMs: this.#given.scheduler.now() });
  }

  #refuse(peer: string, message: NewsMessage, verdict: InvalidVerdict): void {
    if (verdict.punish === 'warn_and_close')
      this.#given.punish(peer, `bad ${message.type}: ${verdict.fault}`);
  }

  #countFalse(peer: string): void {
    const count = (this.#false.get(peer) ?? 0) + 1;
    this.#false.delete(peer);
    this.#false.set(peer, count);
    if (count >= this.#given.limits.maxFalseAnnouncements) this.#given.checkOutput.drop(peer);
    if (this.#false.size <= MAX_REMEMBERED_PEERS) return;
    for (const oldest of this.#false.keys()) {
      this.#false.delete(oldest);
      return;
    }
  }
}

function updateKey(update: ChannelUpdate): string {
  return `${update.shortChannelId}/${updateDirection(update)}`;
}

/** BOLT 7 allows not to pass on what is longer than expected: it is not taken at all. */
function isLong(message: NewsMessage, { maxMessageBytes }: GossipLimits): boolean {
  const extension = message.extension?.length ?? 0;
  return extension > maxMessageBytes || encodeMessage(message).length > maxMessageBytes;
}
