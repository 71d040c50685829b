import type { ChainBackend, ChainBlock } from '@rivulet/chain';
import { openTowerStore, type TowerStore, type TowerTotals } from '@rivulet/storage';
import type { Logger } from '../../logging/index.js';
import { ChainFollower } from '../../onchain/index.js';
import { type Scheduler, systemScheduler } from '../../peers/index.js';
import type { BumpWallet } from './penaltyBumper.js';
import { Responder } from './responder.js';
import { Tower } from './tower.js';
import { startTowerHttp, type TowerHttp, type TowerHttpLimits } from './towerHttp.js';
import { defaultTowerLimits, type TowerLimits } from './towerLimits.js';

export interface TowerServerOptions {
  /** Its file, or a store that is open; it is closed with the tower. */
  readonly store: TowerStore | { readonly path: string };
  /** 32 bytes: loadOrCreateTowerKey. */
  readonly privateKey: Uint8Array;
  /** Not closed with the tower. */
  readonly backend: ChainBackend;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly limits?: Partial<TowerLimits>;
  readonly httpLimits?: Partial<TowerHttpLimits>;
  /** Of the disk that has the tower's file; `undefined` where that cannot be told. */
  readonly freeBytes?: (() => number | undefined) | undefined;
  /** Pays for children of penalties that are not mined, as far as the limits let it. */
  readonly wallet?: BumpWallet | undefined;
  readonly scheduler?: Scheduler;
  readonly logger: Logger;
}

export interface TowerServerStatus extends TowerTotals {
  /** Hex. */
  readonly towerId: string;
  readonly host: string;
  readonly port: number;
  readonly height: number;
  /** Cheats whose penalties are not mined yet. */
  readonly waitingPenalties: number;
}

/** A running watchtower: its file, its view of the chain and its HTTP service. */
export interface TowerServer {
  /** Hex of 33 bytes. */
  readonly towerId: string;
  readonly host: string;
  readonly port: number;
  status(): TowerServerStatus;
  /** Resolves when all blocks that the chain has are handled, and what follows from them is sent. */
  synced(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a watchtower. A new one watches from the chain's tip on, one that ran before from where it had got to;
 * nothing is taken on before it has caught up.
 * @throws TowerError, StorageError
 */
export async function startTowerServer(options: TowerServerOptions): Promise<TowerServer> {
  const { backend, logger } = options;
  const scheduler = options.scheduler ?? systemScheduler;
  const limits = { ...defaultTowerLimits, ...options.limits };
  const store = 'transaction' in options.store ? options.store : openTowerStore(options.store);
  let tower: Tower;
  let responder: Responder;
  let http: TowerHttp | undefined;
  let follower: ChainFollower | undefined;
  try {
    const [tip, ...earlier] = store.loadBlocks();
    const start = tip ?? (await backend.getTip());
    if (tip === undefined) store.transaction((tx) => tx.putBlock(start));
    responder = new Responder({ store, backend, limits, wallet: options.wallet, logger });
    const { privateKey, freeBytes } = options;
    tower = new Tower({ store, responder, privateKey, limits, freeBytes, logger });
    follower = new ChainFollower({
      backend,
      scheduler,
      start,
      recentHashes: earlier.map(({ hash }) => hash).reverse(),
      onBlock: (block) => responder.processBlock(block),
      onUndo: (block) => responder.undoBlock(block),
      onCaughtUp: () => {
        tower.setObstacle(undefined);
        // Not waited for: however slowly it goes, the next block is looked into at once.
        void responder.publish();
      },
      onError: (error, retryInMs) => {
        tower.setObstacle('its chain backend does not answer');
        // At the same tip nobody else tells that it answers again.
        follower?.waitUntilSynced().then(
          () => tower.setObstacle(undefined),
          () => {},
        );
        logger.warn({ err: error, retryInMs }, "the tower's chain backend failed");
      },
    });
    for (const block of await lastBlocks(backend, { height: start.height, count: responder.lateBlocks })) {
      responder.recall(block);
    }
    http = await startTowerHttp({
      tower,
      host: options.host,
      port: options.port,
      scheduler,
      logger,
      ...(options.httpLimits === undefined ? {} : { limits: options.httpLimits }),
    });
  } catch (error) {
    store.close();
    throw error;
  }
  const running = { http, follower };
  follower.start();
  logger.info({ towerId: tower.idHex, port: http.port }, 'the watchtower listens');
  return {
    towerId: tower.idHex,
    host: http.host,
    port: http.port,
    status: () => ({
      towerId: tower.idHex,
      host: running.http.host,
      port: running.http.port,
      height: responder.height,
      waitingPenalties: responder.tracked.filter(({ stored }) => stored.resolvedHeight === undefined).length,
      ...store.totals(),
    }),
    async synced() {
      await running.follower.waitUntilSynced();
      await responder.settled();
    },
    async close() {
      await running.http.close();
      responder.stop();
      await running.follower.stop();
      tower.close();
      store.close();
    },
  };
}

/** The blocks up to a height, as far as the backend has them: a pruned one may not. */
async function lastBlocks(
  backend: ChainBackend,
  { height, count }: { height: number; count: number },
): Promise<ChainBlock[]> {
  const blocks: ChainBlock[] = [];
  for (let at = Math.max(0, height - count + 1); at <= height; at++) {
    const block = await backend.getBlock(at).catch(() => undefined);
    if (block !== undefined) blocks.push(block);
  }
  return blocks;
}
