import { randomBytes } from 'node:crypto';
import * as ldk from 'lightningdevkit';
import type { KeyWallet } from './keyWallet.js';
import { createUserConfig } from './ldkConfig.js';
import { LdkError } from './ldkError.js';
import { type LdkGraph, ldkNetwork } from './ldkGraph.js';
import { createPersister } from './ldkPersister.js';
import type { LdkStore } from './ldkStore.js';
import type { LdkNodeOptions, LdkTip } from './ldkTypes.js';
import type { LdkUtxos } from './ldkUtxos.js';
import { createWalletSource } from './ldkWallet.js';

/** The objects of one running LDK node. All are kept: LDK calls into those that JavaScript could collect. */
export interface LdkParts {
  keys: ldk.KeysManager;
  chainMonitor: ldk.ChainMonitor;
  manager: ldk.ChannelManager;
  peerManager: ldk.PeerManager;
  gossip: ldk.P2PGossipSync;
  bumpHandler: ldk.BumpTransactionEventHandler;
  /** The height from which LDK has to be told of blocks. */
  fromHeight: number;
  keepAlive: readonly object[];
}

export interface LdkPartsContext {
  options: LdkNodeOptions;
  store: LdkStore;
  wallet: KeyWallet;
  logger: ldk.Logger;
  routing: LdkGraph;
  /** Checks announcements of channels; without it they are believed. */
  utxos: LdkUtxos | undefined;
  tip: LdkTip;
  feeratePerKw: () => number;
  broadcast: (transactions: readonly Uint8Array[]) => void;
  /** False once the node has been stopped: late callbacks of LDK must not change anything. */
  isActive: () => boolean;
}

type Traits = ReturnType<typeof createTraits>;

function createTraits({
  options,
  store,
  logger,
  routing: { graph, scorer },
  feeratePerKw,
  broadcast,
  isActive,
}: LdkPartsContext) {
  const feeEstimator = ldk.FeeEstimator.new_impl({
    get_est_sat_per_1000_weight(target) {
      // The bounds of what a peer may ask for, so wide that another estimate never closes a channel.
      if (target === ldk.ConfirmationTarget.LDKConfirmationTarget_MaximumFeeEstimate) {
        return Math.max(feeratePerKw(), 25_000);
      }
      const isMinimum =
        target === ldk.ConfirmationTarget.LDKConfirmationTarget_MinAllowedAnchorChannelRemoteFee ||
        target === ldk.ConfirmationTarget.LDKConfirmationTarget_MinAllowedNonAnchorChannelRemoteFee;
      return isMinimum ? 253 : feeratePerKw();
    },
  });
  const broadcaster = ldk.BroadcasterInterface.new_impl({
    broadcast_transactions(transactions) {
      if (isActive()) broadcast(transactions);
    },
  });
  const persister = createPersister(store, isActive);
  const chainMonitor = ldk.ChainMonitor.constructor_new(
    ldk.Option_FilterZ.constructor_none(),
    broadcaster,
    logger,
    feeEstimator,
    persister,
  );
  const now = process.hrtime.bigint();
  const keys = ldk.KeysManager.constructor_new(
    options.seed,
    BigInt(Math.floor(Date.now() / 1000)),
    Number(now % 1_000_000_000n),
  );
  const lockableScore = ldk.MultiThreadedLockableScore.constructor_new(scorer.as_Score());
  const router = ldk.DefaultRouter.constructor_new(
    graph,
    logger,
    keys.as_EntropySource(),
    lockableScore.as_LockableScore(),
    ldk.ProbabilisticScoringFeeParameters.constructor_default(),
  );
  const messageRouter = ldk.DefaultMessageRouter.constructor_new(graph, keys.as_EntropySource());
  return {
    logger,
    feeEstimator,
    broadcaster,
    persister,
    chainMonitor,
    keys,
    graph,
    scorer,
    lockableScore,
    router,
    messageRouter,
    watch: chainMonitor.as_Watch(),
    entropy: keys.as_EntropySource(),
    nodeSigner: keys.as_NodeSigner(),
    signerProvider: keys.as_SignerProvider(),
    config: createUserConfig(options),
  };
}

function createManager(traits: Traits, tip: LdkTip): ldk.ChannelManager {
  const bestBlock = ldk.BestBlock.constructor_new(tip.hash, tip.height);
  return ldk.ChannelManager.constructor_new(
    traits.feeEstimator,
    traits.watch,
    traits.broadcaster,
    traits.router.as_Router(),
    traits.messageRouter.as_MessageRouter(),
    traits.logger,
    traits.entropy,
    traits.nodeSigner,
    traits.signerProvider,
    traits.config,
    ldk.ChainParameters.constructor_new(ldkNetwork, bestBlock),
    Math.floor(Date.now() / 1000),
  );
}

/** Reads the monitors and applies to each the updates that were written after it. */
function readMonitors(store: LdkStore, traits: Traits): ldk.ChannelMonitor[] {
  return store.readMonitors().map(({ monitor: bytes, updates }) => {
    const read = ldk.UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelMonitorZ_read(
      bytes,
      traits.entropy,
      traits.signerProvider,
    );
    if (!(read instanceof ldk.Result_C2Tuple_ThirtyTwoBytesChannelMonitorZDecodeErrorZ_OK)) {
      throw new LdkError('ldk_persistence', 'a stored channel monitor does not load');
    }
    const monitor = read.res.get_b();
    for (const updateBytes of updates) {
      const update = ldk.ChannelMonitorUpdate.constructor_read(updateBytes);
      if (!(update instanceof ldk.Result_ChannelMonitorUpdateDecodeErrorZ_OK)) {
        throw new LdkError('ldk_persistence', 'a stored update of a channel monitor does not load');
      }
      if (update.res.get_update_id() <= monitor.get_latest_update_id()) continue;
      monitor.update_monitor(update.res, traits.broadcaster, traits.feeEstimator, traits.logger);
    }
    return monitor;
  });
}

function restoreManager(
  bytes: Uint8Array,
  traits: Traits,
  monitors: ldk.ChannelMonitor[],
): ldk.ChannelManager {
  const read = ldk.UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelManagerZ_read(
    bytes,
    traits.entropy,
    traits.nodeSigner,
    traits.signerProvider,
    traits.feeEstimator,
    traits.watch,
    traits.broadcaster,
    traits.router.as_Router(),
    traits.messageRouter.as_MessageRouter(),
    traits.logger,
    traits.config,
    monitors,
  );
  if (!(read instanceof ldk.Result_C2Tuple_ThirtyTwoBytesChannelManagerZDecodeErrorZ_OK)) {
    throw new LdkError('ldk_persistence', 'the stored channel manager does not load');
  }
  return read.res.get_b();
}

function createPeerManager(traits: Traits, manager: ldk.ChannelManager, utxos: LdkUtxos | undefined) {
  const gossip = ldk.P2PGossipSync.constructor_new(
    traits.graph,
    utxos
      ? ldk.Option_UtxoLookupZ.constructor_some(utxos.asLookup())
      : ldk.Option_UtxoLookupZ.constructor_none(),
    traits.logger,
  );
  const ignoring = ldk.IgnoringMessageHandler.constructor_new();
  const onionMessenger = ldk.OnionMessenger.constructor_new(
    traits.entropy,
    traits.nodeSigner,
    traits.logger,
    manager.as_NodeIdLookUp(),
    traits.messageRouter.as_MessageRouter(),
    manager.as_OffersMessageHandler(),
    ignoring.as_AsyncPaymentsMessageHandler(),
    manager.as_DNSResolverMessageHandler(),
    ignoring.as_CustomOnionMessageHandler(),
  );
  const peerManager = ldk.PeerManager.constructor_new(
    manager.as_ChannelMessageHandler(),
    gossip.as_RoutingMessageHandler(),
    onionMessenger.as_OnionMessageHandler(),
    ignoring.as_CustomMessageHandler(),
    Math.floor(Date.now() / 1000),
    randomBytes(32),
    traits.logger,
    traits.nodeSigner,
  );
  return { peerManager, gossip, keepAlive: [ignoring, onionMessenger] };
}

/** Builds a node in the order that LDK demands, from what is stored or afresh. */
export function createLdkParts(context: LdkPartsContext): LdkParts {
  const { store, wallet, tip, utxos } = context;
  const traits = createTraits(context);
  const stored = store.readManager();
  let manager: ldk.ChannelManager;
  let fromHeight = tip.height;
  if (stored) {
    const monitors = readMonitors(store, traits);
    fromHeight = Math.min(
      ...monitors.map((monitor) => monitor.current_best_block().get_height()),
      fromHeight,
    );
    manager = restoreManager(stored, traits, monitors);
    fromHeight = Math.min(manager.current_best_block().get_height(), fromHeight);
    for (const monitor of monitors) traits.watch.watch_channel(monitor.get_funding_txo().get_a(), monitor);
  } else {
    manager = createManager(traits, tip);
  }
  const coinSelection = ldk.Wallet.constructor_new(createWalletSource(wallet), traits.logger);
  const bumpHandler = ldk.BumpTransactionEventHandler.constructor_new(
    traits.broadcaster,
    coinSelection.as_CoinSelectionSource(),
    traits.signerProvider,
    traits.logger,
  );
  const { peerManager, gossip, keepAlive } = createPeerManager(traits, manager, utxos);
  return {
    keys: traits.keys,
    chainMonitor: traits.chainMonitor,
    manager,
    peerManager,
    gossip,
    bumpHandler,
    fromHeight,
    keepAlive: [traits, coinSelection, ...keepAlive],
  };
}
