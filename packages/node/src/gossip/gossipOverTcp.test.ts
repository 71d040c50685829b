import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NetworkGraph } from '@rivulet/core/graph';
import { createFeatures } from '@rivulet/core/wire';
import { type GossipStore, openGossipStore } from '@rivulet/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../logging/logger.js';
import { PeerManager } from '../peers/index.js';
import { systemScheduler } from '../peers/scheduler.js';
import {
  chainHash,
  gossipOf,
  type Keys,
  keysOf,
  openChannels,
  startSeconds,
  TestChain,
  updateOf,
} from './gossipNet.test.support.js';
import { isGossip } from './gossipPorts.js';
import { GossipService } from './gossipService.js';

let folder: string;
const opened: { close(): Promise<unknown> }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gossip-tcp-'));
});

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A service behind real connections, with its store on the disk. */
async function start(chain: TestChain, keys: Keys) {
  const peers = new PeerManager({
    nodePrivateKey: keys.nodeKey,
    chainHash,
    features: createFeatures({
      compulsory: ['varOnionOptin', 'staticRemotekey', 'paymentSecret'],
      optional: ['gossipQueries', 'gossipQueriesEx'],
    }),
  });
  const graph = new NetworkGraph();
  const store: GossipStore = openGossipStore({ path: join(folder, `${keys.label}.sqlite`), warn: () => {} });
  const service = new GossipService({
    chainHash,
    nodeId: keys.nodeIdHex,
    graph,
    store,
    chain,
    peers,
    scheduler: systemScheduler,
    now: () => startSeconds * 1000,
    logger: silentLogger,
    findOwnChannel: () => undefined,
    onOwnChannelUpdate: () => {},
    limits: { blockDelayMs: 0, relayIntervalMs: 20 },
  });
  peers.on('connected', (peer) => service.peerConnected(peer));
  peers.on('disconnected', ({ nodeId }) => service.peerDisconnected(nodeId));
  peers.on('drained', ({ nodeId }) => service.peerDrained(nodeId));
  peers.on('messages', ({ nodeId, messages }) => {
    for (const message of messages) if (isGossip(message)) service.receive(nodeId, message);
  });
  service.load();
  await service.start();
  const { port } = await peers.listen({ host: '127.0.0.1', port: 0 });
  const close = async () => {
    await peers.close();
    await service.stop();
    store.close();
  };
  const node = {
    keys,
    peers,
    graph,
    service,
    close,
    target: { nodeId: keys.nodeIdHex, host: '127.0.0.1', port },
  };
  opened.push(node);
  return node;
}

/** Waits for something that the network brings; the test's own limit of time ends a wait in vain. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('the network goes from node to node over TCP, is there after a restart, and news follow', async () => {
  const chain = new TestChain();
  const ring = Array.from({ length: 12 }, (_, i) => keysOf(`ring ${i}`));
  const pairs = Array.from({ length: 240 }, (_, i): [Keys, Keys] => [
    ring[i % 12] as Keys,
    ring[(i + 1 + (i % 5)) % 12] as Keys,
  ]);
  const channels = openChannels(chain, pairs);
  const alice = await start(chain, keysOf('alice'));
  const source = new PeerManager({
    nodePrivateKey: keysOf('source').nodeKey,
    chainHash,
    features: createFeatures({ compulsory: ['varOnionOptin', 'staticRemotekey', 'paymentSecret'] }),
  });
  opened.push(source);
  await source.connect(alice.target);
  for (const channel of channels) source.send(alice.target.nodeId, gossipOf(channel));
  await until(() => alice.service.status().channels === channels.length && alice.graph.nodeCount === 12);

  const bob = await start(chain, keysOf('bob'));
  await bob.peers.connect(alice.target);
  await until(() => bob.service.status().synced && bob.service.status().pendingVerification === 0);
  expect(bob.service.status()).toMatchObject({ channels: channels.length, nodes: 12 });

  const [channel] = channels as [(typeof channels)[0]];
  const news = updateOf(channel, channel.a, { timestamp: startSeconds, feeBaseMsat: 4_321 });
  source.send(alice.target.nodeId, [news]);
  const fees = (graph: NetworkGraph) =>
    graph.getChannel(channel.shortChannelId)?.policies.map((policy) => policy?.feeBaseMsat);
  await until(() => fees(bob.graph)?.includes(4_321) === true);

  await bob.close();
  opened.splice(opened.indexOf(bob), 1);
  const again = await start(chain, keysOf('bob'));
  expect(again.service.status()).toMatchObject({ channels: channels.length, nodes: 12, synced: false });
  expect(fees(again.graph)).toEqual(fees(alice.graph));
});
