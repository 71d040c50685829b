import { join } from 'node:path';
import type { ChainBackend } from '@rivulet/chain';
import { defaultAcceptPolicy, defaultOpeningLimits } from '@rivulet/core/channel';
import { createLogger, createService, defaultPaymentPolicy, RivuletNode } from '@rivulet/node';
import type { NodeEvent, NodeService } from '@rivulet/sdk';
import { openGossipStore, openMemoryGossipStore, openMemoryStorage, openStorage } from '@rivulet/storage';
import type { RivuletOptions } from './rivuletPeer.js';

export interface RivuletHost {
  readonly node: RivuletNode;
  readonly service: NodeService;
  /** May be changed at any time. */
  readonly receive: { acceptKeysend: boolean; minAmountMsat: bigint };
  readonly port: number;
  /** Lets time pass, as far as the node asks for it; its timers are not moved. */
  advance(ms: number): void;
}

export interface RivuletHostOptions {
  readonly options: RivuletOptions;
  readonly backend: ChainBackend;
  readonly onEvent: (event: NodeEvent) => void;
  /** Something changed that has no event, such as an HTLC that is gone. */
  readonly onChange: () => void;
  readonly onLog: (line: string) => void;
}

/** Where a node with this folder keeps what it learned of the network. */
export function gossipPathOf(dataDir: string): string {
  return join(dataDir, 'gossip.db');
}

/** Runs a RivuletNode with the service behind its API, as the daemon does. */
export async function startRivuletHost(host: RivuletHostOptions): Promise<RivuletHost> {
  const { options, backend, onEvent, onChange, onLog } = host;
  const { seed, dataDir, port = 0 } = options;
  const receive = { ...(options.receive ?? { acceptKeysend: true, minAmountMsat: 1n }) };
  let aheadMs = 0;
  const node = new RivuletNode({
    // The cases say when there is a connection.
    reconnect: false,
    network: 'regtest',
    seed,
    storage: dataDir === undefined ? openMemoryStorage() : openStorage({ path: join(dataDir, 'rivulet.db') }),
    gossipStore:
      dataDir === undefined
        ? openMemoryGossipStore()
        : openGossipStore({ path: gossipPathOf(dataDir), warn: onLog }),
    backend,
    now: () => Date.now() + aheadMs,
    profile: { alias: options.alias ?? 'rivulet', rgbColor: Uint8Array.of(0x33, 0x99, 0xff), addresses: [] },
    policy: {
      receive,
      limits: defaultOpeningLimits,
      accept: { ...defaultAcceptPolicy, minimumDepth: 1 },
      maxDustExposureMsat: 100_000_000n,
      anchors: true,
      ...defaultPaymentPolicy,
      // News of others are passed on at once, and blocks looked at when they come: nobody waits for a timer.
      gossip: { ...defaultPaymentPolicy.gossip, limits: { relayIntervalMs: 50 } },
    },
    logger: createLogger({ level: 'debug', to: { write: onLog } }),
  });
  const service = createService({ node, alias: 'rivulet', version: '0', onStop: () => {} });
  service.subscribe((event) => {
    onEvent(event);
    onChange();
  });
  // What came in is worked off in a turn that is scheduled by now.
  node.peers.on('messages', () => setImmediate(onChange));
  const address = { host: '127.0.0.1', port };
  await node.start({ listen: address });
  return {
    node,
    service,
    receive,
    port: node.listening[0]?.port ?? 0,
    advance: (ms) => {
      aheadMs += ms;
    },
  };
}
