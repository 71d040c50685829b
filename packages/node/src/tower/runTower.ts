import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ChainBackend } from '@rivulet/chain';
import { initCrypto } from '@rivulet/core/crypto';
import { freeBytes } from '@rivulet/storage';
import { openChainSource } from '../chainSource.js';
import type { Config } from '../config/index.js';
import { createLogger, type Logger } from '../logging/index.js';
import type { BumpWallet } from './server/penaltyBumper.js';
import { loadOrCreateTowerKey } from './server/towerKey.js';
import { startTowerServer, type TowerServer } from './server/towerServer.js';

const databaseFileName = 'tower.db';
const logFileName = 'tower.log';

/** What a tower that is up tells who started it. */
export interface TowerReady {
  readonly towerId: string;
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
}

export interface RunningTower {
  readonly ready: TowerReady;
  readonly server: TowerServer;
  stop(): Promise<void>;
}

/**
 * Starts the tower that the settings under `tower` describe, in the data folder: inside a daemon, on its backend
 * and with its wallet, or alone.
 * @throws TowerError, StorageError
 */
export function startConfiguredTower({
  config,
  backend,
  wallet,
  logger,
}: {
  config: Pick<Config, 'dataDir' | 'disk' | 'tower'>;
  backend: ChainBackend;
  wallet?: BumpWallet | undefined;
  logger: Logger;
}): Promise<TowerServer> {
  const { dataDir, disk, tower } = config;
  return startTowerServer({
    store: { path: join(dataDir, databaseFileName) },
    privateKey: loadOrCreateTowerKey(dataDir),
    backend,
    host: tower.host,
    port: tower.port,
    limits: {
      slotsPerRegistration: tower.slots,
      maxFreeSlots: tower.slots * 10,
      subscriptionBlocks: tower.subscriptionBlocks,
      maxSubscriptionBlocks: tower.subscriptionBlocks * 3,
      maxUsers: tower.maxUsers,
      maxBlobBytes: tower.maxStorageMb * 1_000_000,
      minFreeBytes: disk.lowMb * 1_000_000,
      feeBudgetSat: tower.feeBudgetSat,
    },
    freeBytes: () => freeBytes(dataDir),
    // Anybody who can register decides what is paid for: without a budget nothing is.
    wallet: tower.feeBudgetSat === 0n ? undefined : wallet,
    logger,
  });
}

/** Runs a tower alone, without a node: penalties are sent again with every block, but nothing pays for children. */
export async function runTower({
  config,
  onReady,
}: {
  config: Config;
  onReady?: (ready: TowerReady) => void;
}): Promise<RunningTower> {
  const { dataDir } = config;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  await initCrypto();
  const logger = createLogger({ level: config.logLevel, to: { file: join(dataDir, logFileName) } });
  const source = await openChainSource({ config });
  let server: TowerServer;
  try {
    server = await startConfiguredTower({ config, backend: source.backend, logger });
  } catch (error) {
    await source.backend.close();
    await source.stop();
    throw error;
  }
  const { towerId, host, port } = server;
  const ready: TowerReady = { towerId, host, port, dataDir };
  onReady?.(ready);
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await server.close();
    await source.backend.close();
    await source.stop();
  };
  return {
    ready,
    server,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
