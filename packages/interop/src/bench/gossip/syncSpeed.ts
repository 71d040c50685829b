import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRegtest } from '@rivulet/chain';
import { RivuletProcess } from '../rivuletProcess.js';
import { writeGossipFile } from './gossipFile.js';
import type { NetworkMessages } from './networkMessages.js';

/** How a node without a network learned all of one peer's. */
export interface SyncSpeed {
  /** From the connection until every signature is checked. */
  readonly elapsedMs: number;
  readonly channels: number;
  /** With the terms of both directions. */
  readonly channelsWithTerms: number;
  readonly nodes: number;
  /** How long the peer took to load the same network from its disk at its start, with all else a start does. */
  readonly serverStartMs: number;
  readonly cpuMs: { readonly server: number; readonly learner: number };
  readonly rssBytes: { readonly server: number; readonly learner: number };
  readonly storedBytes: number;
}

/** Minutes: ten times what the slowest crypto takes for the whole network. */
const patienceMs = 1_800_000;

/**
 * Two processes over loopback TCP: one has the network on disk, the other nothing. Channels are not looked up on
 * chain, which has none of them; the chain is only as high as their ids say.
 */
export async function measureSync(
  network: NetworkMessages,
  { blocks, profileDir }: { blocks: number; profileDir?: string | undefined },
): Promise<SyncSpeed> {
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-'));
  const regtest = await startRegtest();
  const bitcoind = { url: regtest.rpcUrl, user: regtest.rpcUser, password: regtest.rpcPassword };
  const nodes: RivuletProcess[] = [];
  const gossipPath = (dataDir: string) => join(dataDir, 'gossip.db');
  const start = async (name: string, fill: number, dataDir: string): Promise<RivuletProcess> => {
    const gossip = { path: gossipPath(dataDir), checkFunding: false };
    const seed = new Uint8Array(64).fill(fill);
    const profile = profileDir === undefined ? undefined : join(profileDir, name);
    const node = await RivuletProcess.start({ seed, dataDir, bitcoind, gossip }, profile);
    nodes.push(node);
    return node;
  };
  try {
    regtest.chain.mine({ blocks });
    const dataDirs = { server: join(folder, 'server'), learner: join(folder, 'learner') };
    mkdirSync(dataDirs.server);
    writeGossipFile(gossipPath(dataDirs.server), network, regtest.chain.tip);
    const startBegin = performance.now();
    const server = await start('server', 1, dataDirs.server);
    const serverStartMs = performance.now() - startBegin;
    const learner = await start('learner', 2, dataDirs.learner);
    const before = [await server.call('usage'), await learner.call('usage')] as const;
    const begin = performance.now();
    await learner.call('connect', server.started);
    const isDone = async (): Promise<boolean> => {
      const { synced, pendingVerification, channels, announcedNodes } = await learner.call('gossipStatus');
      const isComplete = channels >= network.channels.length && announcedNodes >= network.nodes.length;
      return synced && pendingVerification === 0 && isComplete;
    };
    while (!(await isDone())) {
      if (performance.now() - begin > patienceMs) {
        const status = JSON.stringify(await learner.call('gossipStatus'));
        throw new RangeError(`the network was not learned within half an hour: ${status}`);
      }
      await sleep(20);
    }
    const elapsedMs = performance.now() - begin;
    const after = [await server.call('usage'), await learner.call('usage')] as const;
    const { knownChannels } = await learner.call('status');
    const { channels, nodes: known } = await learner.call('gossipStatus');
    for (const node of nodes) await node.stop();
    return {
      elapsedMs,
      channels,
      channelsWithTerms: knownChannels,
      nodes: known,
      serverStartMs,
      cpuMs: { server: after[0].cpuMs - before[0].cpuMs, learner: after[1].cpuMs - before[1].cpuMs },
      rssBytes: { server: after[0].rssBytes, learner: after[1].rssBytes },
      storedBytes: statSync(gossipPath(dataDirs.learner)).size,
    };
  } finally {
    for (const node of nodes) await node.stop();
    await regtest.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
