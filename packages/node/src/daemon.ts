import { join } from 'node:path';
import { initCrypto } from '@rivulet/core/crypto';
import type { NodeService } from '@rivulet/sdk';
import { type FileStorage, openStorage } from '@rivulet/storage';
import { startApiServer } from './api/index.js';
import { type ChainSource, openChainSource } from './chainSource.js';
import { type Config, redactedConfig } from './config/index.js';
import { type DaemonNode, startDaemonNode, takeDiskReserve } from './daemonNode.js';
import { createService } from './driver/index.js';
import { KeysendDesk, keysendPolicyService } from './keysends/index.js';
import { createLogger, type Logger } from './logging/index.js';
import { claimStorage } from './ownership.js';
import { startConfiguredTower } from './tower/index.js';
import type { TowerServer } from './tower/server/towerServer.js';
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
const logFileName = 'rivulet.log';

/**
 * Runs a node in this process: database, chain, peers and API.
 * @throws a RivuletError that says what to do; whatever was begun is let go.
 */
export async function runDaemon({
  config,
  onReady,
  signal,
}: {
  config: Config;
  onReady?: (ready: DaemonReady) => void;
  /** Ends a start that is under way; the daemon that has started is ended by `stop`. */
  signal?: AbortSignal;
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
    const logger = createLogger({ level: config.logLevel, to: { file: join(dataDir, logFileName) } });
    logger.info({ version, crypto, config: redactedConfig(config) }, 'starting');
    const reserve = takeDiskReserve(config);
    const storage = openDatabase({ config, databasePath, logger });
    closers.push(() => storage.close());
    claimStorage(storage, { seed, network, wordsFile, dataDir });
    const source = await openChainSource({ config });
    closers.push(() => source.stop());
    let requestStop: () => void = () => {};
    const stopRequested = new Promise<void>((resolve) => {
      requestStop = resolve;
    });
    const desk = new KeysendDesk({ config, logger });
    closers.push(() => desk.stop());
    const started = await startDaemonNode({
      config,
      desk,
      seed,
      restored: !created,
      storage,
      reserve,
      source,
      logger,
      ...(signal === undefined ? {} : { signal }),
      onStorageLost: (err) => {
        logger.error({ err }, 'the copy of the database cannot follow: the daemon stops; start it again');
        requestStop();
      },
    });
    const { node } = started;
    closers.push(() => node.stop());
    // While there is a node to ask still.
    closers.push(() => desk.stop());
    const tower = config.tower.enabled
      ? await startConfiguredTower({ config, backend: source.backend, wallet: node.sweepWallet, logger })
      : undefined;
    if (tower !== undefined) closers.push(() => tower.close());
    const service = serviceOf({ config, started, desk, tower, source, onStop: () => requestStop() });
    await desk.start(service);
    const api = await startApiServer({ service, dataDir, ...config.api, logger });
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

function openDatabase({
  config: { databaseCopy },
  databasePath,
  logger,
}: {
  config: Config;
  databasePath: string;
  logger: Logger;
}): FileStorage {
  const { folder, required } = databaseCopy;
  if (folder === undefined) return openStorage({ path: databasePath });
  return openStorage({
    path: databasePath,
    replica: {
      folder,
      required,
      onChange: ({ state, lastError }) =>
        logger[state === 'in_step' ? 'info' : 'error'](
          { folder, state, lastError },
          'the copy of the database',
        ),
    },
  });
}

function serviceOf({
  config,
  started: { node, towers, health },
  desk,
  tower,
  source,
  onStop,
}: {
  config: Config;
  started: DaemonNode;
  desk: KeysendDesk;
  tower: TowerServer | undefined;
  source: ChainSource;
  onStop: () => void;
}): NodeService {
  const { mine } = source;
  return createService({
    node,
    alias: config.alias,
    version,
    health,
    towers: { towers, ...(tower === undefined ? {} : { towerServer: () => tower.status() }) },
    keysendPolicy: keysendPolicyService(desk.policy),
    onStop,
    ...(mine === undefined ? {} : { mine }),
  });
}
