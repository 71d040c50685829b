import { join } from 'node:path';
import { hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256 } from '@rivulet/core/crypto';
import {
  type DiskReserve,
  type FileStorage,
  freeBytes,
  openDiskReserve,
  openGossipStore,
  type StorageError,
} from '@rivulet/storage';
import { NodeBackups, restoredBirthHeight } from './backup/index.js';
import type { ChainSource } from './chainSource.js';
import type { Config } from './config/index.js';
import { type Admission, type NodePart, RivuletNode, toNodeAddresses } from './driver/index.js';
import { DiskGuard, type HealthSources, InvariantChecker } from './health/index.js';
import type { KeysendDesk } from './keysends/index.js';
import type { Logger } from './logging/index.js';
import { nodePolicyOf } from './nodePolicyOf.js';
import { systemScheduler } from './peers/index.js';
import { TowerClient } from './tower/index.js';
import { deriveNodeSecrets, restoreFromScan, scanBackend } from './wallet/index.js';

const gossipFileName = 'gossip.sqlite';
const reserveFileName = 'disk-reserve';
const megabyte = 1_000_000;
/** How often the copy of the database is looked at, when nothing is written that would show its state. */
const copyIntervalMs = 10_000;

/** A node with all that a daemon puts beside its channels. */
export interface DaemonNode {
  readonly node: RivuletNode;
  readonly towers: TowerClient;
  readonly health: HealthSources;
}

export interface DaemonNodeOptions {
  readonly config: Config;
  readonly seed: Uint8Array;
  /** The words were there before: their coins may be in old blocks. */
  readonly restored: boolean;
  readonly storage: FileStorage;
  readonly reserve: DiskReserve;
  readonly source: ChainSource;
  readonly desk: KeysendDesk;
  readonly logger: Logger;
  /** Ends a start that is under way. */
  readonly signal?: AbortSignal;
  /** The database can take no more in this run: the daemon has to end. */
  readonly onStorageLost: (error: StorageError) => void;
}

/** The room that is put aside for the worst day; where the disk is full already, that is the room to start with. */
export function takeDiskReserve({ dataDir, disk, network }: Config): DiskReserve {
  // A regtest chain has no worst day, and there may be many nodes on one machine.
  const megabytes = disk.reserveMb ?? (network === 'regtest' ? 4 : 64);
  const reserve = openDiskReserve({ path: join(dataDir, reserveFileName), bytes: megabytes * megabyte });
  if ((freeBytes(dataDir) ?? Number.POSITIVE_INFINITY) < megabyte) reserve.release();
  return reserve;
}

/** Starts the node that the settings describe. @throws what RivuletNode.start throws; the node is let go then. */
export async function startDaemonNode(options: DaemonNodeOptions): Promise<DaemonNode> {
  const { config, seed, restored, storage, source, logger, reserve } = options;
  const { network, dataDir } = config;
  const guard = new DiskGuard({
    freeBytes: () => freeBytes(dataDir),
    reserve,
    scheduler: systemScheduler,
    logger,
    lowBytes: config.disk.lowMb * megabyte,
    stopBytes: config.disk.stopMb * megabyte,
  });
  let node: RivuletNode | undefined;
  let backups: NodeBackups | undefined;
  let towers: TowerClient | undefined;
  let checker: InvariantChecker | undefined;
  const parts = (made: RivuletNode): NodePart[] => {
    backups = new NodeBackups({
      node: made,
      seed,
      dataDir,
      paths: config.backup.paths,
      peerStorage: config.backup.peerStorage,
      logger,
    });
    towers = towerClientOf(made, { seed, logger });
    checker = new InvariantChecker({
      state: () => made.checkedState,
      scheduler: systemScheduler,
      now: Date.now,
      logger,
    });
    return [...backups.parts, towers, checker, { start: () => guard.start(), stop: () => guard.stop() }];
  };
  node = new RivuletNode({
    network,
    seed,
    storage,
    gossipStore: openGossipStore({
      path: join(dataDir, gossipFileName),
      warn: (message) => logger.warn({}, message),
      // A file whose damage shows while it is opened is lost before there is a node, which then begins with none.
      onLost: () => node?.gossip.storeLost(),
    }),
    profile: {
      alias: config.alias,
      rgbColor: hexToBytes(config.color.replace(/^#/, '').toLowerCase()),
      addresses: toNodeAddresses(config.addresses),
    },
    backend: source.backend,
    policy: nodePolicyOf(config),
    reconnect: config.reconnect,
    parts,
    admission: {
      ...admissionOf({ guard, backups: () => backups, onStorageLost: options.onStorageLost }),
      keysendPolicy: options.desk.policy,
    },
    logger,
  });
  options.desk.attach(node);
  const interrupt = (): void => node?.interrupt();
  try {
    options.signal?.addEventListener('abort', interrupt, { once: true });
    if (options.signal?.aborted === true) interrupt();
    const birthHeight = restored ? await birthHeightOf({ config, node, storage, logger }) : undefined;
    await node.start({
      ...(config.listen.enabled ? { listen: config.listen } : {}),
      ...(birthHeight === undefined ? {} : { birthHeight }),
    });
  } catch (error) {
    // Why it did not start matters more than what then went wrong.
    await node.stop().catch((err) => logger.error({ err }, 'the node could not be let go in order'));
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', interrupt);
  }
  tendCopy(node, storage);
  return {
    node,
    towers: towers as unknown as TowerClient,
    health: {
      disk: () => guard.status,
      backups: () => backups?.files.status() ?? [],
      peerBackups: () => backups?.atPeers?.status() ?? [],
      databaseCopy: () => storage.replicaStatus(),
      towers: () => towers?.list() ?? [],
      checks: () => checker?.report,
    },
  };
}

/** The key by which towers know this node has nothing to do with its others. */
function towerClientOf(
  node: RivuletNode,
  { seed, logger }: { seed: Uint8Array; logger: Logger },
): TowerClient {
  const { turns, storage, signers, wallet, backend, network } = node;
  const { channelSeed } = deriveNodeSecrets(seed, network);
  return new TowerClient({
    turns,
    storage,
    signers,
    secret: hmacSha256(channelSeed, utf8ToBytes('rivulet watchtower users')),
    newScript: (tx) => wallet.newAddress({ tx }).script,
    blockHeight: () => node.blockHeight,
    estimateFeeratePerKw: () => backend.estimateFeeratePerKw(3),
    scheduler: systemScheduler,
    now: Date.now,
    logger,
  });
}

function admissionOf({
  guard,
  backups,
  onStorageLost,
}: {
  guard: DiskGuard;
  backups: () => NodeBackups | undefined;
  onStorageLost: (error: StorageError) => void;
}): Admission {
  return {
    get accepting() {
      return guard.accepting;
    },
    get whyNoChannels() {
      if (!guard.accepting) return 'the disk of this node is (nearly) full: no channels until there is room';
      return backups()?.files.whyNoChannels();
    },
    onStorageFailure: (error) => {
      if (error.code === 'disk_full') guard.onDiskFull();
      // What was committed here and did not get into the copy: only a start can mend that.
      if (error.code === 'copy_lost') onStorageLost(error);
    },
  };
}

/** A copy that is behind is brought up even when nothing is written. */
function tendCopy(node: RivuletNode, storage: FileStorage): void {
  if (storage.replicaStatus() === undefined) return;
  let stopped = false;
  const again = (): void => {
    systemScheduler.schedule(copyIntervalMs, () => {
      if (stopped) return;
      storage.tendReplica();
      again();
    });
  };
  again();
  node.once('stopping', () => {
    stopped = true;
  });
}

/** How far behind the last address that was used a search of the chain looks for coins. */
const lookAhead = 200;

/** From where a wallet that begins with old words looks for its coins; where nobody says, the chain is searched. */
async function birthHeightOf({
  config,
  node,
  storage,
  logger,
}: Pick<DaemonNodeOptions, 'config' | 'storage' | 'logger'> & { node: RivuletNode }): Promise<
  number | undefined
> {
  if (storage.getTip() !== undefined) return undefined;
  const restored = restoredBirthHeight(storage);
  if (config.birthHeight !== undefined) return Math.min(config.birthHeight, restored ?? config.birthHeight);
  if (restored !== undefined) return restored;
  if (config.network === 'regtest') return 0;
  // The search ended, and the start did not.
  if (node.wallet.tip !== undefined) return node.wallet.tip.height;
  logger.info(
    {},
    'the words were made before: the chain is searched for their coins, which may take minutes',
  );
  const { tip, coins, valueSat } = await restoreFromScan(node.wallet.state, {
    scan: scanBackend(node.backend),
    lookAhead,
  });
  logger.info({ coins, valueSat, height: tip.height }, 'the chain was searched for coins of these words');
  return tip.height;
}
