import { join } from 'node:path';
import { hexToBytes } from '@rivulet/core/bytes';
import { type AcceptPolicy, defaultAcceptPolicy } from '@rivulet/core/channel';
import { initCrypto } from '@rivulet/core/crypto';
import { defaultForwardLimits } from '@rivulet/core/forwarding';
import { type NodeStorage, openGossipStore, openStorage } from '@rivulet/storage';
import { type ApiServer, startApiServer } from './api/index.js';
import { type ChainSource, openChainSource } from './chainSource.js';
import { type Config, redactedConfig } from './config/index.js';
import {
  createService,
  defaultChannelPolicy,
  type NodePolicy,
  RivuletNode,
  toNodeAddresses,
} from './driver/index.js';
import { createLogger, type Logger } from './logging/index.js';
import { claimStorage } from './ownership.js';
import { version } from './version.js';
import { loadOrCreateSeed, wordsFileName } from './walletWords.js';

/** What a daemon that is up tells who started it. */
export interface DaemonReady {
  readonly nodeId: string;
  readonly apiUrl: string;
  /** Where peers can connect. */
  readonly listening: readonly { readonly host: string; readonly port: number }[];
  readonly dataDir: string;
  /** The file of the wallet's words where this start made them: to be written down. */
  readonly newWordsFile?: string;
}

export interface Daemon {
  readonly ready: DaemonReady;
  /** Resolves when the daemon was asked to stop, over its API. */
  readonly stopRequested: Promise<void>;
  /** Stops in order; a second call waits for the first. */
  stop(): Promise<void>;
}

const databaseFileName = 'rivulet.db';
const gossipFileName = 'gossip.sqlite';
const logFileName = 'rivulet.log';

/**
 * Runs a node in this process: database, chain, peers and API.
 * @throws a RivuletError that says what to do; whatever was begun is let go.
 */
export async function runDaemon({
  config,
  onReady,
}: {
  config: Config;
  onReady?: (ready: DaemonReady) => void;
}): Promise<Daemon> {
  const { dataDir, network } = config;
  // What has to be let go again, last things first.
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    let failure: { readonly error: unknown } | undefined;
    for (const closer of closers.splice(0).reverse()) {
      try {
        await closer();
      } catch (error) {
        // What cannot be let go must not keep the rest: the database above all.
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  };
  try {
    const crypto = await initCrypto();
    const databasePath = join(dataDir, databaseFileName);
    const wordsFile = join(dataDir, wordsFileName);
    const { seed, created } = loadOrCreateSeed({ dataDir, databasePath });
    const storage = openStorage({ path: databasePath });
    closers.push(() => storage.close());
    claimStorage(storage, { seed, network, wordsFile, dataDir });
    const logger = createLogger({ level: config.logLevel, to: { file: join(dataDir, logFileName) } });
    logger.info({ version, crypto, config: redactedConfig(config) }, 'starting');
    const source = await openChainSource({ config });
    closers.push(() => source.stop());
    const node = await startNode({ config, seed, restored: !created, storage, source, logger });
    closers.push(() => node.stop());
    let requestStop: () => void = () => {};
    const stopRequested = new Promise<void>((resolve) => {
      requestStop = resolve;
    });
    const api = await startApi({ config, node, source, logger, onStop: () => requestStop() });
    closers.push(() => api.close());
    const ready: DaemonReady = {
      nodeId: node.nodeId,
      apiUrl: api.url,
      listening: node.listening,
      dataDir,
      ...(created ? { newWordsFile: wordsFile } : {}),
    };
    logger.info({ network, nodeId: node.nodeId, apiUrl: api.url }, 'ready');
    onReady?.(ready);
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => {
      stopping ??= close().then(() => logger.info({}, 'stopped'));
      return stopping;
    };
    return { ready, stopRequested, stop };
  } catch (error) {
    // Why it did not start matters more than what then went wrong.
    await close().catch(() => {});
    throw error;
  }
}

async function startNode(parts: {
  config: Config;
  seed: Uint8Array;
  /** The words were there before: their coins may be in old blocks. */
  restored: boolean;
  storage: NodeStorage;
  source: ChainSource;
  logger: Logger;
}): Promise<RivuletNode> {
  const { config, seed, restored, storage, source, logger } = parts;
  const profile = {
    alias: config.alias,
    rgbColor: hexToBytes(config.color.replace(/^#/, '').toLowerCase()),
    addresses: toNodeAddresses(config.addresses),
  };
  let node: RivuletNode | undefined;
  const gossipStore = openGossipStore({
    path: join(config.dataDir, gossipFileName),
    warn: (message) => logger.warn({}, message),
    // A file whose damage shows while it is opened is lost before there is a node, which then begins with none.
    onLost: () => node?.gossip.storeLost(),
  });
  node = new RivuletNode({
    network: config.network,
    seed,
    storage,
    gossipStore,
    profile,
    backend: source.backend,
    policy: policyOf(config),
    reconnect: config.reconnect,
    logger,
  });
  try {
    const birthHeight = restored ? birthHeightOf({ config, storage, logger }) : undefined;
    await node.start({
      ...(config.listen.enabled ? { listen: config.listen } : {}),
      ...(birthHeight === undefined ? {} : { birthHeight }),
    });
    return node;
  } catch (error) {
    await node.stop();
    throw error;
  }
}

/** From where a wallet that begins with old words looks for its coins. */
function birthHeightOf({
  config,
  storage,
  logger,
}: {
  config: Config;
  storage: NodeStorage;
  logger: Logger;
}): number | undefined {
  if (storage.getTip() !== undefined) return undefined;
  if (config.birthHeight !== undefined) return config.birthHeight;
  if (config.network === 'regtest') return 0;
  logger.warn(
    {},
    'the words were made before, and birthHeight is not set: coins in blocks before now are not found; ' +
      'to find them, start with birthHeight in an empty folder',
  );
  return undefined;
}

function startApi({
  config,
  node,
  source,
  logger,
  onStop,
}: {
  config: Config;
  node: RivuletNode;
  source: ChainSource;
  logger: Logger;
  onStop: () => void;
}): Promise<ApiServer> {
  const { mine } = source;
  const service = createService({
    node,
    alias: config.alias,
    version,
    onStop,
    ...(mine === undefined ? {} : { mine }),
  });
  return startApiServer({ service, dataDir: config.dataDir, ...config.api, logger });
}

function policyOf({ keysend, channels, payments, forwarding, rebalance, gossip }: Config): NodePolicy {
  const { minFundingSat, maxFundingSat, minimumDepth, acceptZeroConf, maxHtlcValueInFlightMsat } = channels;
  const accept: AcceptPolicy = {
    ...defaultAcceptPolicy,
    minFundingSat,
    maxFundingSat,
    minimumDepth,
    trustsZeroConf: acceptZeroConf,
    acceptPublic: channels.acceptAnnounced,
  };
  return {
    receive: {
      acceptKeysend: keysend.accept,
      acceptKeysendParts: keysend.accept,
      minAmountMsat: keysend.minAmountMsat,
    },
    limits: {
      dustLimitSat: channels.dustLimitSat,
      htlcMinimumMsat: channels.htlcMinimumMsat,
      toSelfDelay: channels.toSelfDelay,
      maxAcceptedHtlcs: channels.maxAcceptedHtlcs,
      ...(maxHtlcValueInFlightMsat === undefined ? {} : { maxHtlcValueInFlightMsat }),
    },
    accept,
    maxDustExposureMsat: channels.maxDustExposureMsat,
    anchors: true,
    defaultCommitment: channels.type,
    sending: {
      maxFeePercent: payments.maxFeePercent,
      maxCltvDelta: payments.maxDelayBlocks,
      timeoutMs: payments.timeoutSeconds * 1000,
    },
    gossip,
    rebalance: { ...rebalance, intervalMs: rebalance.intervalMinutes * 60_000 },
    forwarding: {
      enabled: forwarding.enabled,
      limits: {
        ...defaultForwardLimits,
        maxHeldHtlcs: forwarding.maxPendingPerPeer,
        maxHeldMsat: forwarding.maxPendingMsatPerPeer,
      },
      policy: {
        ...defaultChannelPolicy,
        feeBaseMsat: forwarding.feeBaseMsat,
        feeProportionalMillionths: forwarding.feePpm,
        cltvExpiryDelta: forwarding.cltvExpiryDelta,
      },
    },
  };
}
