import { join } from 'node:path';
import { bitcoindBackend } from '@rivulet/chain';
import { defaultAcceptPolicy, defaultOpeningLimits } from '@rivulet/core/channel';
import { initCrypto } from '@rivulet/core/crypto';
import { createLogger, defaultPaymentPolicy, RivuletNode } from '@rivulet/node';
import { type GossipStore, openGossipStore, openStorage } from '@rivulet/storage';
import { LdkError } from '../ldk/ldkError.js';
import { LdkIpc } from '../ldk/ldkIpc.js';
import { runKeysendLoad } from './keysendLoad.js';
import type { RivuletChildMethods } from './rivuletChildProtocol.js';

/** Ten bitcoin are 100,000 payments of 10,000 sat. */
const maxFundingSat = 100_000_000_000n;

/** Runs a node as the child of a RivuletProcess, with its storage on disk as in production. */
function main(): void {
  let running: RivuletNode | undefined;
  let gossipStore: GossipStore | undefined;
  const current = (): RivuletNode => {
    if (running === undefined) throw new LdkError('ldk_not_running', 'the node has not been started');
    return running;
  };

  const methods: RivuletChildMethods = {
    async start({ seed, dataDir, bitcoind, forwardingFee, gossip: kept }) {
      const { forwarding, gossip } = defaultPaymentPolicy;
      const cryptoBackend = await initCrypto();
      const store = kept && openGossipStore({ path: kept.path, warn: (message) => console.error(message) });
      gossipStore = store;
      const node = new RivuletNode({
        network: 'regtest',
        seed,
        storage: openStorage({ path: join(dataDir, 'rivulet.db') }),
        backend: bitcoindBackend(bitcoind),
        policy: {
          receive: { acceptKeysend: true, minAmountMsat: 1n },
          limits: defaultOpeningLimits,
          accept: { ...defaultAcceptPolicy, maxFundingSat },
          maxDustExposureMsat: 50_000_000n,
          anchors: true,
          ...defaultPaymentPolicy,
          forwarding: { ...forwarding, policy: { ...forwarding.policy, ...forwardingFee } },
          // A minute, in which others collect news, would be lost at the beginning of each measurement.
          gossip: { ...gossip, checkFunding: kept?.checkFunding ?? true, limits: { relayIntervalMs: 100 } },
        },
        ...(store && { gossipStore: store }),
        logger: createLogger({ level: 'info', to: { file: join(dataDir, 'log') } }),
      });
      await node.start({ listen: { host: '127.0.0.1', port: 0 } });
      running = node;
      const port = node.listening[0]?.port as number;
      return { nodeId: node.nodeId, port, walletScript: node.wallet.newAddress().script, cryptoBackend };
    },
    async connect({ nodeId, port }) {
      await current().peers.connect({ nodeId, host: '127.0.0.1', port });
    },
    async openChannel({ nodeId, ...channel }) {
      const peer = current().peers.getPeer(nodeId);
      if (peer === undefined) throw new LdkError('ldk_not_running', 'the peer is not connected');
      await current().openChannel({ peer, ...channel });
    },
    async status() {
      const { blockHeight, channels, known } = current();
      const usable = channels.filter(({ phase, link }) => phase.name === 'open' && link === 'online');
      const pendingHtlcs = channels.reduce((sum, { htlcs }) => sum + htlcs.size, 0);
      let knownChannels = 0;
      for (const { policies } of known.graph.channels()) {
        if (policies.every((policy) => policy !== undefined)) knownChannels++;
      }
      return { height: blockHeight, usableChannels: usable.length, knownChannels, pendingHtlcs };
    },
    async gossipStatus() {
      const { channels, nodes, synced, pendingVerification } = current().gossip.status();
      return { channels, nodes, synced, pendingVerification, announcedNodes: gossipStore?.nodeCount ?? 0 };
    },
    sendMany: (request) => runKeysendLoad(current(), request),
    async usage() {
      globalThis.gc?.();
      const { user, system } = process.cpuUsage();
      return { rssBytes: process.memoryUsage.rss(), cpuMs: (user + system) / 1000 };
    },
    async stop() {
      await running?.stop();
    },
  };

  const ipc = new LdkIpc((message) => process.send?.(message), {
    async call(method, args) {
      if (!Object.hasOwn(methods, method)) throw new LdkError('ldk_refused', `there is no method ${method}`);
      return (methods[method as keyof RivuletChildMethods] as (...args: readonly unknown[]) => unknown)(
        ...args,
      );
    },
    note() {},
  });
  process.on('message', (message) => ipc.receive(message));
  process.on('disconnect', () => process.exit(0));
}

main();
