import type { ChainBlock } from '@rivulet/chain';
import { hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { isStale, type RemoteChannel, wantedFlags } from '@rivulet/core/gossip';
import type { NetworkGraph } from '@rivulet/core/graph';
import { type ChannelUpdate, fromShortChannelId } from '@rivulet/core/wire';
import type { GossipStore } from '@rivulet/storage';
import { type Logger, peerLogger } from '../logging/logger.js';
import type { PeerInfo } from '../peers/peerManager.js';
import type { CancelTimer, Scheduler } from '../peers/scheduler.js';
import { ChainWatch } from './chainWatch.js';
import { FundingChecks } from './fundingChecks.js';
import { GossipIntake } from './gossipIntake.js';
import { defaultGossipLimits, type GossipLimits } from './gossipLimits.js';
import type {
  AnyGossipMessage,
  FindOwnChannel,
  GossipChain,
  GossipPeers,
  NewsMessage,
} from './gossipPorts.js';
import { GossipSender } from './gossipSender.js';
import { type Funding, NetworkView } from './networkView.js';
import { NewsAcceptor } from './newsAcceptor.js';
import { SyncPlanner } from './syncPlanner.js';

export interface GossipServiceOptions {
  /** The genesis hash of our network, internal byte order. */
  readonly chainHash: Uint8Array;
  /** Ours, lower-case hex. */
  readonly nodeId: string;
  /** Empty: `load` fills it. Nobody else changes it. */
  readonly graph: NetworkGraph;
  /** Opened by the caller, who closes it after `stop`. */
  readonly store: GossipStore;
  readonly chain: GossipChain;
  readonly peers: GossipPeers;
  readonly scheduler: Scheduler;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly logger: Logger;
  readonly limits?: Partial<GossipLimits>;
  /** Whether announced outputs are looked up on chain before they are believed. */
  readonly checkFunding?: boolean;
  readonly findOwnChannel: FindOwnChannel;
  /**
   * The peer of a channel of ours has told its terms for it, announced or not; its signature is checked. Never passed
   * on where the channel is not announced.
   */
  readonly onOwnChannelUpdate: (nodeId: string, update: ChannelUpdate) => void;
  /** Runs something in a later turn of the event loop; setImmediate where it is absent. */
  readonly defer?: (run: () => void) => void;
}

export interface GossipStatus {
  readonly channels: number;
  readonly nodes: number;
  /** Whether the network was compared with that of some peer since the start. */
  readonly synced: boolean;
  /** The peer with which it is compared now. */
  readonly syncing: string | undefined;
  /** Messages that were not looked at yet, and announcements that wait for the chain. */
  readonly pendingVerification: number;
  /** Messages that wait for their channel to be announced. */
  readonly premature: number;
  /** Messages for which there was no room. */
  readonly dropped: number;
  /** The block up to which closed channels are known. */
  readonly height: number | undefined;
}

/** Channels that are forgotten in one turn of the event loop: a few milliseconds. */
const PRUNED_PER_TURN = 50;

/**
 * Learns the network from peers, keeps it, and passes it on (BOLT 7). Everything that a peer can make it do is
 * bounded (see GossipLimits), and nothing of it is done in the turn in which a message comes.
 */
export class GossipService {
  readonly #given: GossipServiceOptions;
  readonly #limits: GossipLimits;
  readonly #defer: (run: () => void) => void;
  readonly #view: NetworkView;
  readonly #sender: GossipSender;
  readonly #intake: GossipIntake;
  readonly #checks: FundingChecks;
  readonly #acceptor: NewsAcceptor;
  readonly #planner: SyncPlanner;
  readonly #watch: ChainWatch;
  readonly #connected = new Set<string>();
  readonly #timers = new Map<string, CancelTimer>();
  #storedUntil = 0;
  #stopped = false;

  constructor(options: GossipServiceOptions) {
    this.#given = options;
    const { chainHash, graph, store, chain, peers, scheduler, logger, findOwnChannel, onOwnChannelUpdate } =
      options;
    this.#limits = { ...defaultGossipLimits, ...options.limits };
    const limits = this.#limits;
    this.#defer = options.defer ?? ((run) => void setImmediate(run));
    const defer = this.#defer;
    const ourNodeId = hexToBytes(options.nodeId);
    const nowSeconds = () => this.#nowSeconds();
    const punish = (nodeId: string, why: string) => this.#punish(nodeId, why);
    this.#view = new NetworkView({ graph, store, ourNodeId });
    const view = this.#view;
    this.#sender = new GossipSender({
      chainHash,
      view,
      peers,
      scheduler,
      limits,
      defer,
      isSynced: () => this.#planner.synced,
      logger,
    });
    this.#intake = new GossipIntake({
      scheduler,
      limits,
      defer,
      handle: (peer, message) => {
        let signatures = 0;
        this.#guarded(() => {
          if (message.type === 'reply_channel_range' || message.type === 'reply_short_channel_ids_end') {
            this.#planner.receive(peer, message);
          } else signatures = this.#acceptor.accept(peer, message);
        });
        return signatures;
      },
      isFull: (peer) => this.#checks.isFull(peer),
      isAwaited: (peer) => this.#planner.isAwaiting(peer),
    });
    this.#checks = new FundingChecks({
      chain,
      scheduler,
      limits,
      logger,
      tipVersion: () => this.#watch.version,
      onChecked: (checked) => this.#guarded(() => this.#acceptor.checked(checked)),
      onRoom: () => this.#intake.wake(),
    });
    this.#acceptor = new NewsAcceptor({
      chainHash,
      ourNodeId,
      view,
      scheduler,
      limits,
      nowSeconds,
      checkFunding: options.checkFunding ?? true,
      height: () => this.#watch.tipHeight,
      findOwnChannel,
      onOwnChannelUpdate,
      checkOutput: this.#checks,
      requeue: (peer, message) => this.#intake.push(peer, message),
      relay: this.#sender,
      onUnknownChannel: (peer, shortChannelId) => this.#planner.request(peer, shortChannelId),
      punish,
    });
    this.#planner = new SyncPlanner({
      chainHash,
      peers,
      scheduler,
      limits,
      logger,
      nowSeconds,
      wanted: (channel) => this.#wanted(channel),
      isBehind: (peer) => this.#intake.countOf(peer) > 0 || this.#checks.has(peer),
      punish,
    });
    this.#watch = new ChainWatch({
      chain,
      view,
      scheduler,
      logger,
      blockDelayMs: limits.blockDelayMs,
      onTip: ({ undone }) => {
        if (undone) this.#checks.forgetBlocks();
        this.#acceptor.onTip({ undone });
      },
    });
  }

  /** Fills the graph from the store; once, before anything else. Takes below a second for the largest network. */
  load(): void {
    const now = this.#nowSeconds();
    this.#storedUntil = this.#view.load(now);
    const { channelCount, nodeCount } = this.#given.graph;
    this.#given.logger.info({ channels: channelCount, nodes: nodeCount }, 'the network was loaded');
  }

  /** Begins to follow the chain and to ask peers. @throws ChainError when the chain cannot be asked for its tip. */
  async start(): Promise<void> {
    await this.#watch.start();
    if (this.#stopped) return;
    const { flushIntervalMs, relayIntervalMs, pruneIntervalMs } = this.#limits;
    this.#repeat('flush', { everyMs: flushIntervalMs, run: () => this.#given.store.flush() });
    this.#repeat('relay', { everyMs: relayIntervalMs, run: () => this.#sender.flush() });
    this.#repeat('prune', { everyMs: pruneIntervalMs, run: () => this.#prune() });
    this.#planner.start(this.#storedUntil);
  }

  peerConnected(peer: PeerInfo): void {
    if (this.#stopped) return;
    this.peerDisconnected(peer.nodeId);
    this.#connected.add(peer.nodeId);
    this.#sender.connected(peer.nodeId);
    this.#planner.connected(peer);
  }

  peerDisconnected(nodeId: string): void {
    if (!this.#connected.delete(nodeId)) return;
    this.#intake.drop(nodeId);
    this.#checks.drop(nodeId);
    this.#acceptor.disconnected(nodeId);
    this.#sender.disconnected(nodeId);
    this.#planner.disconnected(nodeId);
  }

  /** The peer has read what waited for it: see `drained` of PeerManager. */
  peerDrained(nodeId: string): void {
    this.#sender.drained(nodeId);
  }

  /** Takes a message of a connected peer. Nothing but queries' answers is due in this turn, and those are small. */
  receive(nodeId: string, message: AnyGossipMessage): void {
    if (this.#stopped || !this.#connected.has(nodeId)) return;
    this.#planner.heard(nodeId);
    switch (message.type) {
      case 'query_channel_range':
      case 'query_short_channel_ids':
      case 'gossip_timestamp_filter': {
        const fault = this.#sender.receive(nodeId, message);
        if (fault?.punish === 'warn_and_close') this.#punish(nodeId, `bad ${message.type}: ${fault.fault}`);
        return;
      }
      case 'reply_channel_range':
      case 'reply_short_channel_ids_end':
        // It waits for its turn: what the peer sent before it is looked at first, and so is never more than asked for.
        if (this.#planner.isAwaiting(nodeId)) this.#intake.push(nodeId, message);
        return;
      case 'channel_announcement':
      case 'channel_update':
      case 'node_announcement':
        this.#intake.push(nodeId, message);
        return;
      default:
        message satisfies never;
    }
  }

  /**
   * Takes over what we signed ourselves, and sends it to all peers at once. Needs no connection.
   * @param funding of our channel, where we know it; otherwise an announcement is looked up on chain first.
   * @returns whether it is signed, about something known (an update needs its announcement, a node a channel) and new.
   */
  publishOwn(message: NewsMessage, funding?: Funding): boolean {
    return !this.#stopped && this.#acceptor.publish(message, funding);
  }

  /** A block that the node has fetched anyway. Need not be called: blocks are followed all the same. */
  onBlock(block: ChainBlock): void {
    if (!this.#stopped) this.#watch.offer(block);
  }

  /** The store has lost what it held: everything is asked for again. */
  storeLost(): void {
    this.#planner.restart();
  }

  /** Resolves when all blocks that the chain has are looked at. */
  waitUntilChainSynced(): Promise<void> {
    return this.#watch.waitUntilSynced();
  }

  status(): GossipStatus {
    const { graph } = this.#given;
    return {
      channels: graph.channelCount,
      nodes: graph.nodeCount,
      synced: this.#planner.synced,
      syncing: this.#planner.syncing,
      pendingVerification: this.#intake.count + this.#checks.size,
      premature: this.#acceptor.waiting.premature,
      dropped: this.#intake.dropped,
      height: this.#watch.height,
    };
  }

  /** What is held for others in memory, for limits to be watched. */
  usage() {
    return {
      queuedBytes: this.#intake.bytes,
      queued: this.#intake.count,
      fundingChecks: this.#checks.size,
      news: this.#sender.newsCount,
      served: this.#sender.served,
      ...this.#acceptor.waiting,
    };
  }

  /** Ends everything and writes what was not written yet. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#timers.values()) cancel();
    this.#planner.stop();
    this.#intake.stop();
    this.#checks.stop();
    this.#sender.stop();
    await this.#watch.stop();
    this.#given.store.flush();
  }

  #nowSeconds(): number {
    return Math.floor(this.#given.now() / 1000);
  }

  #repeat(name: string, task: { everyMs: number; run: () => void }): void {
    const again = () => {
      this.#timers.set(
        name,
        this.#given.scheduler.schedule(task.everyMs, () => {
          task.run();
          again();
        }),
      );
    };
    again();
  }

  #prune(): void {
    const stale = this.#view.staleChannels(this.#nowSeconds());
    if (stale.length === 0) return;
    this.#given.logger.info({ channels: stale.length }, 'channels that fell silent are forgotten');
    const some = () => {
      if (this.#stopped) return;
      for (const shortChannelId of stale.splice(0, PRUNED_PER_TURN)) this.#view.prune(shortChannelId);
      if (stale.length > 0) this.#defer(some);
    };
    some();
  }

  /** Gossip must not end the node: a fault of our own costs the message that it showed with. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#given.logger.error({ err: error }, 'gossip could not be handled');
    }
  }

  /** What to ask a peer about a channel that it has. */
  #wanted(channel: RemoteChannel): number {
    const view = this.#view;
    const { shortChannelId, timestamps } = channel;
    const { blockHeight } = fromShortChannelId(shortChannelId);
    if (blockHeight > (this.#watch.tipHeight ?? 0) || this.#acceptor.isRejected(shortChannelId)) return 0;
    if (view.isGone(shortChannelId) || this.#given.findOwnChannel(shortChannelId) !== undefined) return 0;
    const now = this.#nowSeconds();
    if (view.wasPruned(shortChannelId)) {
      // It comes back when both its ends live, and not for one of them alone.
      if (timestamps === undefined || timestamps.some((timestamp) => isStale(timestamp, now))) return 0;
      view.revive(shortChannelId);
    }
    return wantedFlags(
      channel,
      view.hasChannel(shortChannelId) ? view.summary(shortChannelId) : undefined,
      now,
    );
  }

  /** BOLT 7: invalid signature: SHOULD send a warning and close the connection. */
  #punish(nodeId: string, why: string): void {
    const { peers, logger } = this.#given;
    peerLogger(logger, nodeId).info({}, `disconnecting: ${why}`);
    peers.send(nodeId, [{ type: 'warning', channelId: new Uint8Array(32), data: utf8ToBytes(why) }]);
    this.peerDisconnected(nodeId);
    peers.drop(nodeId, why);
  }
}
