import { randomBytes as systemRandomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type ChainBackend, type ChainHealth, type ChainTip, type Network, networks } from '@rivulet/chain';
import { hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import type { Announcer, Channel, ChannelEvent, ChannelFormat, StepContext } from '@rivulet/core/channel';
import { hmacSha256, secp256k1 } from '@rivulet/core/crypto';
import type { Transaction } from '@rivulet/core/tx';
import { hasFeature } from '@rivulet/core/wire';
import { type GossipStore, type NodeStorage, openMemoryGossipStore, StorageError } from '@rivulet/storage';
import { UnprovenChannels } from '../backup/unproven.js';
import { GossipService } from '../gossip/index.js';
import type { Logger } from '../logging/logger.js';
import { ChainFollower, type SweepWallet } from '../onchain/index.js';
import {
  type PeerAddress,
  type PeerInfo,
  PeerManager,
  type Scheduler,
  systemScheduler,
} from '../peers/index.js';
import { deriveNodeSecrets, openWallet, type Wallet } from '../wallet/index.js';
import { Abandonment } from './abandonment.js';
import { Announcing } from './announcing.js';
import { Broadcaster } from './broadcaster.js';
import { chainNews } from './chainNews.js';
import { ChainSync } from './chainSync.js';
import { ChannelFees } from './channelFees.js';
import { ChannelPolicies, type ChannelPolicySettings } from './channelPolicies.js';
import { ChannelRouter } from './channelRouter.js';
import type { CheckedState } from './checkedState.js';
import { type CloseRequest, CloseRequests } from './closeRequests.js';
import { nodeFeatures } from './features.js';
import type { ReserveStatus } from './feeReserve.js';
import { FundingStore } from './fundingStore.js';
import { KnownNetwork } from './knownNetwork.js';
import { useOpensslCrypto } from './nodeCrypto.js';
import type { NodeEvents, NodeOptions, NodePolicy } from './nodeOptions.js';
import { NodeParts } from './nodeParts.js';
import { Openings } from './openings.js';
import { OwnGossip } from './ownGossip.js';
import { currencyOf } from './payments/currency.js';
import type { SentPayment } from './payments/outgoing.js';
import { Payments } from './payments/payments.js';
import { circleOf, type RebalanceRequest } from './payments/rebalance.js';
import { linkPeers } from './peerLinks.js';
import { changePolicies } from './policyChanges.js';
import { keepPeers, reachPeer } from './reach.js';
import { Rebalancer } from './rebalancer.js';
import { releaseEffects } from './release.js';
import { RemotePolicies } from './remotePolicies.js';
import { resumeAll, unconfirmedFundings } from './resumption.js';
import { Settlement } from './settlement.js';
import { Signers } from './signers.js';
import { channelKey, type Turn, Turns } from './turns.js';

/** BOLT 7: announcement_signatures: not before the funding transaction has six confirmations. */
const announcementDepth = 6;
/** Blocks: the furthest that estimates look ahead, for what the mempool takes at all. */
const slowestTarget = 1_008;
/** HTLCs have deadlines in blocks: without a chain for so long, none is begun. Shorter outages stop nothing. */
const longestBlindMs = 2 * 3_600_000;
const anonymous = { alias: 'rivulet', rgbColor: Uint8Array.of(0x33, 0x99, 0xff), addresses: [] };
/** A Lightning node: peers, channels, payments, wallet and chain, tied together. */
export class RivuletNode extends EventEmitter<NodeEvents> {
  readonly network: Network;
  readonly storage: NodeStorage;
  readonly backend: ChainBackend;
  readonly wallet: Wallet;
  readonly peers: PeerManager;
  readonly payments: Payments;
  readonly policies: ChannelPolicies;
  readonly remotePolicies: RemotePolicies;
  readonly known: KnownNetwork;
  readonly announcing: Announcing;
  readonly gossip: GossipService;
  readonly #gossipStore: GossipStore;
  readonly policy: NodePolicy;
  readonly turns: Turns;
  readonly #identity: Announcer;
  readonly #rebalancer: Rebalancer;
  readonly #reconnect: boolean;
  readonly #logger: Logger;
  readonly signers: Signers;
  readonly #fundings: FundingStore;
  readonly #openings: Openings;
  readonly #router: ChannelRouter;
  readonly #chain: ChainSync;
  readonly #broadcaster: Broadcaster;
  readonly #scheduler: Scheduler;
  readonly #now: () => number;
  /** From `start` on. */
  #follower: ChainFollower | undefined;
  readonly #settlement: Settlement;
  readonly #parts: NodeParts;
  readonly #unproven: UnprovenChannels;
  readonly #fees: ChannelFees;
  readonly abandonment: Abandonment;
  #listening: PeerAddress[] = [];
  #synced = false;
  #interrupted = false;
  readonly #closes: CloseRequests;

  constructor(options: NodeOptions) {
    super();
    useOpensslCrypto();
    const { network, storage, backend, policy, logger, seed } = options;
    const scheduler = options.scheduler ?? systemScheduler;
    const randomBytes = (count: number) => Uint8Array.from((options.randomBytes ?? systemRandomBytes)(count));
    const secrets = deriveNodeSecrets(seed, network);
    this.network = network;
    this.storage = storage;
    this.backend = backend;
    this.#scheduler = scheduler;
    this.policy = policy;
    this.#reconnect = options.reconnect ?? true;
    this.#logger = logger;
    this.wallet = openWallet({ seed, network, storage });
    this.signers = new Signers(secrets.channelSeed);
    this.#fundings = new FundingStore(storage);
    this.#broadcaster = new Broadcaster({ backend, logger });
    this.peers = new PeerManager({
      nodePrivateKey: secrets.nodePrivateKey,
      chainHash: networks[network].chainHash,
      features: nodeFeatures(policy),
      logger,
      scheduler,
      randomBytes,
    });
    this.#parts = new NodeParts(logger);
    this.#unproven = new UnprovenChannels(storage);
    this.#parts.add(this.#unproven);
    this.turns = new Turns({
      storage,
      logger,
      contextFor: (channel) => this.#contextFor(channel),
      onEvent: (turn, channel, event) => this.#onEvent(turn, channel, event),
      onBegin: () => this.payments.begin(),
      onCommitted: (changed) => this.#parts.onCommitted(changed),
      release: (effects) => releaseEffects(effects, { world: this.#world, logger }),
      onRolledBack: (error) => {
        if (error instanceof StorageError) options.admission?.onStorageFailure?.(error);
        this.#rollBack();
      },
      onLost: (nodeIds) => {
        for (const nodeId of nodeIds) this.peers.drop(nodeId, 'this node could not store what was sent');
      },
    });
    this.abandonment = new Abandonment(this, {
      fundings: this.#fundings,
      broadcaster: this.#broadcaster,
      logger,
    });
    this.#parts.add(this.abandonment);
    this.#closes = new CloseRequests({
      turns: this.turns,
      wallet: this.wallet,
      fundings: this.#fundings,
      logger,
    });
    this.#fees = new ChannelFees({
      turns: this.turns,
      estimate: () => backend.estimateFeeratePerKw(6),
      slowEstimate: () => backend.estimateFeeratePerKw(slowestTarget),
      maxFeeratePerKw: policy.accept.maxFeeratePerKw,
      logger,
    });
    const now = options.now ?? Date.now;
    this.#now = now;
    this.#identity = {
      nodeId: hexToBytes(this.peers.nodeId),
      chainHash: networks[network].chainHash,
      minimumDepth: announcementDepth,
      signWithNodeKey: (hash) => secp256k1.sign(hash, secrets.nodePrivateKey),
    };
    this.#gossipStore = options.gossipStore ?? openMemoryGossipStore();
    this.known = new KnownNetwork({
      storage,
      gossipStore: this.#gossipStore,
      turns: this.turns,
      scheduler,
      now,
      logger,
    });
    this.policies = new ChannelPolicies({ storage, defaults: policy.forwarding.policy, now });
    this.remotePolicies = new RemotePolicies(storage);
    this.payments = new Payments({
      turns: this.turns,
      storage,
      nodeId: hexToBytes(this.peers.nodeId),
      nodePrivateKey: secrets.nodePrivateKey,
      sessionSecret: hmacSha256(secrets.channelSeed, utf8ToBytes('rivulet onion session keys')),
      currency: currencyOf(network),
      policy: policy.receive,
      sendDefaults: policy.sending,
      forwarding: policy.forwarding,
      termsOf: (channel) => ({ ...this.policies.termsOf(channel), disabled: false }),
      remotePolicies: this.remotePolicies,
      findRoutes: (request) => this.known.findRoutes(request),
      observe: (observations, inFlightMsat) => this.known.observe(observations, inFlightMsat),
      onSlowHop: (slow) => this.known.avoid(slow),
      isAccepting: () =>
        (options.admission?.accepting ?? true) && (this.#follower?.blindForMs ?? 0) < longestBlindMs,
      needsUnknown: (nodeId) => this.known.graph.requiresUnknown(nodeId),
      blockHeight: () => this.#chain.height,
      now,
      scheduler,
      randomBytes,
      logger,
      onPayment: (payment) => this.emit('payment', payment),
      onHeld: (invoice) => this.emit('invoiceHeld', invoice),
      keysendPolicy: options.admission?.keysendPolicy,
      onKeysendHeld: (keysend) => this.emit('keysendHeld', keysend),
    });
    const ownGossip = new OwnGossip(this.turns, (turn, told) => this.remotePolicies.put(turn, told));
    this.gossip = new GossipService({
      chainHash: networks[network].chainHash,
      nodeId: this.peers.nodeId,
      graph: this.known.graph,
      store: this.#gossipStore,
      chain: backend,
      peers: this.peers,
      scheduler,
      now,
      logger,
      checkFunding: policy.gossip.checkFunding,
      limits: policy.gossip.limits ?? {},
      findOwnChannel: (shortChannelId) => ownGossip.find(shortChannelId),
      onOwnChannelUpdate: (nodeId, update) => ownGossip.takeUpdate(nodeId, update),
    });
    this.announcing = new Announcing({
      turns: this.turns,
      storage,
      policies: this.policies,
      scheduler,
      now,
      identity: this.#identity,
      profile: {
        ...(options.profile ?? anonymous),
        features: nodeFeatures(policy),
        acceptsKeysend: policy.receive.acceptKeysend,
      },
      publish: (message) => void this.gossip.publishOwn(message, ownGossip.fundingOf(message)),
      logger,
    });
    this.#rebalancer = new Rebalancer({
      policy: policy.rebalance,
      turns: this.turns,
      storage,
      rebalance: async (request) => (await this.rebalance(request).outcome).feeMsat,
      scheduler,
      now,
      logger,
    });
    this.#openings = new Openings({
      turns: this.turns,
      wallet: this.wallet,
      signers: this.signers,
      fundings: this.#fundings,
      limits: policy.limits,
      policy: policy.accept,
      scheduler,
      randomBytes,
      logger,
      blockHeight: () => this.#chain.height,
      whyNotAccepting: () => options.admission?.whyNoChannels,
      send: this.#world.send,
      publish: (tx, purpose) => this.#broadcaster.publish(tx, purpose),
    });
    this.#router = new ChannelRouter({
      turns: this.turns,
      openings: this.#openings,
      onOther: (peer, message) => this.#parts.onMessage(peer, message),
      onGossip: (nodeId, message) => {
        if (policy.gossip.enabled) this.gossip.receive(nodeId, message);
        else ownGossip.takeFromPeer(nodeId, { message, nowMs: now() });
      },
    });
    this.#settlement = new Settlement({
      turns: this.turns,
      storage,
      backend,
      wallet: this.wallet,
      signers: this.signers,
      payments: this.payments,
      isWithheld: (channel) => this.#isUnproven(channel) || this.abandonment.isPending(channel),
      sweepPolicy: policy.watchDepth === undefined ? {} : { watchDepth: policy.watchDepth },
      scheduler,
      logger,
    });
    this.#chain = new ChainSync({
      turns: this.turns,
      storage,
      observers: [
        {
          processBlock: (turn, block) => void this.wallet.processBlock(block, turn.tx),
          undoBlock: (turn, block) => this.wallet.undoBlock(block, turn.tx),
        },
        this.#settlement,
        this.#openings,
        {
          processBlock: (turn, block) => this.payments.processBlock(turn, block.height),
          undoBlock: () => {},
        },
        this.#parts,
      ],
      logger,
    });
    linkPeers({
      peers: this.peers,
      router: this.#router,
      gossip: this.gossip,
      gossipEnabled: policy.gossip.enabled,
      parts: this.#parts,
      turns: this.turns,
      now,
      onConnected: (nodeId) => this.emit('peerConnected', nodeId),
      onDisconnected: (peer) => this.emit('peerDisconnected', peer),
    });
    this.#parts.add(...(options.parts?.(this) ?? []));
  }

  readonly #world = {
    send: (nodeId: string, messages: Parameters<PeerManager['send']>[1]) =>
      void this.peers.send(nodeId, messages),
    disconnect: (nodeId: string, reason: string) => void this.peers.drop(nodeId, reason),
    publish: (tx: Transaction, purpose: string) => void this.#broadcaster.publish(tx, purpose),
  };

  get nodeId(): string {
    return this.peers.nodeId;
  }

  get listening(): readonly PeerAddress[] {
    return this.#listening;
  }

  get blockHeight(): number {
    return this.#chain.height;
  }

  /** Whether all blocks of the backend were seen at least once, and it is in touch with the network. */
  get synced(): boolean {
    return this.#synced && (this.#follower?.synced ?? false);
  }

  /** How following the chain is doing. */
  get chainHealth(): ChainHealth {
    return this.#follower?.health ?? this.backend.health();
  }

  /** What should be kept in confirmed coins for fees on chain, and what is. */
  get reserveStatus(): ReserveStatus {
    return this.#settlement.reserveStatus;
  }

  /** For a watchtower beside this node: coins that may pay for its penalties. */
  get sweepWallet(): SweepWallet {
    return this.#settlement.sweepWallet;
  }

  /** Channels whose data may be old, so that nothing of them is published, and that have not been closed. */
  get unprovenChannels(): readonly Channel[] {
    return this.channels.filter(
      (channel) =>
        this.#isUnproven(channel) && channel.phase.name !== 'spent' && channel.phase.name !== 'closed',
    );
  }

  /** In every phase: also one that its peer has closed may be open again after a reorganisation. */
  #isUnproven({ params }: Channel): boolean {
    return this.#unproven.has(params.channelId);
  }

  /** What checks compare; to be used at once, and not inside a turn. */
  get checkedState(): CheckedState {
    return {
      channels: this.channels,
      signerOf: ({ params }) => this.signers.of(params.channelKeyId),
      storage: this.storage,
      height: this.#chain.height,
      walletHeight: this.wallet.tip?.height,
      isSent: (ref) => this.payments.sender.has(ref),
      openClaims: this.#settlement.openClaims,
    };
  }

  get channels(): readonly Channel[] {
    return [...this.turns.channels.values()];
  }

  /**
   * Loads what was stored, catches up with the chain, then lets peers in and dials those with channels.
   * A node without a stored block begins at `birthHeight`, or at the chain's tip where that is absent.
   */
  async start({ listen, birthHeight }: { listen?: PeerAddress; birthHeight?: number } = {}): Promise<void> {
    this.gossip.load();
    resumeAll({
      storage: this.storage,
      turns: this.turns,
      payments: this.payments,
      wallet: this.wallet,
      fundings: this.#fundings,
      contextFor: (channel) => this.#contextFor(channel),
      publish: (tx, purpose) => void this.#broadcaster.publish(tx, purpose),
    });
    if (this.storage.getTip() === undefined) await this.#chain.begin(await this.#firstBlock(birthHeight));
    await this.#settlement.restore((key) => this.#chain.spendHeight(key));
    this.#follower = this.#createFollower();
    if (this.#interrupted) await this.#follower.stop();
    this.#follower.start();
    await this.#follower.waitUntilSynced();
    await this.gossip.start();
    await this.#parts.start();
    if (listen !== undefined) this.#listening = [await this.peers.listen(listen)];
    if (this.#reconnect) keepPeers(this);
    this.announcing.start();
    this.known.start();
    this.#rebalancer.start();
  }

  /** Ends a start that reads the chain, or waits for it: that one rejects then, and the node can be stopped. */
  interrupt(): void {
    this.#interrupted = true;
    void this.#follower?.stop();
    // Whatever else waits for the chain, a search for coins for example.
    void this.backend.close();
  }

  /** Follows the chain from the last block that is stored. */
  #createFollower(): ChainFollower {
    const [tip, ...earlier] = this.storage.loadBlocks();
    return new ChainFollower({
      backend: this.backend,
      scheduler: this.#scheduler,
      now: this.#now,
      ...(tip === undefined ? {} : { start: tip, recentHashes: earlier.map(({ hash }) => hash).reverse() }),
      onBlock: async (block) => {
        await this.#chain.onBlock(block);
        this.#broadcaster.confirmed(block);
        this.gossip.onBlock(block);
        this.emit('block', { height: block.height, hash: block.hash });
      },
      onUndo: async (block) => {
        await this.#chain.onUndo(block);
        this.#broadcaster.undone(block.height);
        for (const tx of unconfirmedFundings(this.channels, this.#fundings)) {
          void this.#broadcaster.publish(tx, 'funding');
        }
      },
      onCaughtUp: () => this.#onCaughtUp(),
      onError: (error, retryInMs) => this.#logger.warn({ err: error, retryInMs }, 'the chain backend failed'),
      onHealth: chainNews(this.#logger),
    });
  }

  async #firstBlock(birthHeight: number | undefined): Promise<ChainTip> {
    const hash = birthHeight === undefined ? undefined : await this.backend.getBlockHash(birthHeight);
    return birthHeight === undefined || hash === undefined
      ? this.backend.getTip()
      : { height: birthHeight, hash };
  }

  /** A turn's transaction was rolled back: memory beside the channels follows what is stored. */
  #rollBack(): void {
    try {
      this.#openings.rollBack();
      this.#chain.rollBack();
      this.#settlement.rollBack(this.#chain.height);
      this.payments.rollBack();
      this.policies.reload();
      this.remotePolicies.reload();
      this.wallet.reload();
      this.#parts.rollBack();
    } catch (error) {
      // The database cannot even be read: no later turn will succeed either, and nothing is let out.
      this.#logger.error({ err: error }, 'the database cannot be read; restart the node when that is mended');
    }
  }

  #contextFor(channel: Channel): StepContext {
    const closingScript = this.#fundings.closingScript(channel.params.channelId);
    return {
      blockHeight: this.#chain.height,
      signer: this.signers.of(channel.params.channelKeyId),
      policy: {
        maxDustExposureMsat: this.policy.maxDustExposureMsat,
        minFeeratePerKw: this.policy.accept.minFeeratePerKw,
        maxFeeratePerKw: this.policy.accept.maxFeeratePerKw,
        closingFeeratePerKw: this.#fees.feeratePerKw,
      },
      ...(closingScript === undefined ? {} : { closingScript }),
      announcer: this.#identity,
      ...(this.#isUnproven(channel) ? { unproven: true } : {}),
      ...(this.#parts.wantsRevocations ? { reportRevocations: true } : {}),
    };
  }

  #onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    this.payments.onEvent(turn, channel, event);
    this.announcing.onEvent(turn, channel, event);
    this.#settlement.onEvent(turn, channel, event);
    this.#parts.onEvent(turn, channel, event);
    if (event.type === 'phaseChanged' || event.type === 'online') {
      const key = channelKey(channel.params.channelId);
      turn.afterCommit(() => this.#announce(key));
    }
    this.#closes.onEvent(turn, event);
  }

  #announce(key: string): void {
    const channel = this.turns.channels.get(key);
    if (channel !== undefined) this.emit('channel', channel);
  }

  async #onCaughtUp(): Promise<void> {
    this.#synced = true;
    // What has a deadline comes first, and waits for no estimate.
    this.#broadcaster.rebroadcast();
    await this.#settlement.publish();
    await this.#parts.onCaughtUp();
    await this.#fees.follow();
  }

  /** Dials a peer of ours that is away, for a payment to it; nothing is dialed where `reconnect` is off. */
  async reach(nodeId: string): Promise<void> {
    if (!this.#reconnect) return;
    await reachPeer(nodeId, { node: this, scheduler: this.#scheduler, logger: this.#logger });
  }

  /** Opens a channel with a connected peer. */
  async openChannel(request: {
    readonly peer: PeerInfo;
    readonly capacitySat: bigint;
    readonly pushMsat: bigint;
    readonly announce?: boolean;
    readonly commitment?: ChannelFormat['commitment'];
    readonly fundingFeeratePerKw?: number;
  }): Promise<Channel> {
    const { peer } = request;
    const preferred = this.policy.defaultCommitment ?? 'anchors';
    const has = hasFeature(peer.features, 'anchors') ? preferred : 'static_remotekey';
    const commitment = request.commitment ?? has;
    const channel = await this.#openings.open({
      fundingFeeratePerKw: this.#fees.feeratePerKw,
      commitmentFeeratePerKw: this.#fees.commitmentFeeratePerKw(commitment),
      ...request,
      commitment,
    });
    if (this.#reconnect) this.peers.keepConnected(peer.nodeId, peer.inbound ? undefined : peer.address);
    return channel;
  }

  /**
   * Begins a close: together with the peer, or by publishing our commitment. Resolves with the channel as
   * it is once the request is stored and sent.
   * @throws ChannelRefusal where the channel cannot be closed so.
   */
  closeChannel(request: CloseRequest): Promise<Channel> {
    return this.#closes.close(request);
  }

  /**
   * Pays ourselves in a circle, to move balance from one channel to another.
   * @throws PaymentError for a circle that cannot be.
   */
  rebalance(request: RebalanceRequest): SentPayment {
    const { channels, remotePolicies } = this;
    const { amountMsat, maxFeeMsat } = request;
    const circle = circleOf(request, { channels, remotePolicies });
    return this.payments.outgoing.payOurselves({ amountMsat, maxFeeMsat, ...circle });
  }

  /**
   * Changes what is asked of forwards on channels, and has the network hear of it.
   * @throws ChannelPolicyError
   */
  setPolicies(keys: readonly string[], change: Partial<ChannelPolicySettings>): Promise<void> {
    return changePolicies(this, { keys, change });
  }

  /** Stops in order: no new work, all that was begun stored and sent, then everything is let go. */
  async stop(): Promise<void> {
    this.emit('stopping');
    this.#rebalancer.stop();
    this.announcing.stop();
    await this.#follower?.stop();
    await this.#parts.stop();
    this.#settlement.stop();
    await this.peers.close();
    this.known.stop();
    await this.gossip.stop();
    this.#gossipStore.close();
    this.turns.close();
    await this.#broadcaster.settled();
    await this.backend.close();
    this.storage.close();
  }
}
