import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { Logger } from '../logging/logger.js';
import { PeerError, type Scheduler } from '../peers/index.js';
import type { RivuletNode } from './node.js';

/** How long a peer that was dialed for a payment may take to say where its channel stands. */
const timeoutMs = 5_000;

/**
 * Dials a node that we have an open channel with and that is away, where its address is known: a payment
 * should not wait for the next try of the back-off. Returns when a channel can be used, or none can.
 */
export async function reachPeer(
  nodeId: string,
  { node, scheduler, logger }: { node: RivuletNode; scheduler: Scheduler; logger: Logger },
): Promise<void> {
  const open = node.channels.filter(
    ({ params, phase }) => phase.name === 'open' && bytesToHex(params.remoteNodeId) === nodeId,
  );
  if (open.length === 0 || open.some(({ link }) => link !== 'offline')) return;
  const known = node.storage.loadPeers().find((peer) => bytesToHex(peer.nodeId) === nodeId);
  if (known === undefined) return;
  let resolve: () => void = () => {};
  const synced = new Promise<void>((done) => {
    resolve = done;
  });
  const onChannel = ({ params, link }: Channel) => {
    if (link === 'online' && bytesToHex(params.remoteNodeId) === nodeId) resolve();
  };
  node.on('channel', onChannel);
  const cancel = scheduler.schedule(timeoutMs, () => resolve());
  try {
    await node.peers.connect({ nodeId, host: known.host, port: known.port });
    await synced;
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    // It is away; the payment is refused with a sentence that says so.
    logger.debug({ code: error.code }, `a peer with a channel cannot be reached: ${error.message}`);
  } finally {
    cancel();
    node.off('channel', onChannel);
  }
}

/** Has peers that we have channels with dialed and kept. */
export function keepPeers({
  channels,
  storage,
  peers,
}: Pick<RivuletNode, 'channels' | 'storage' | 'peers'>): void {
  const addresses = new Map(
    storage.loadPeers().map(({ nodeId, host, port }) => [bytesToHex(nodeId), { host, port }]),
  );
  for (const channel of channels) {
    if (channel.phase.name === 'closed') continue;
    const nodeId = bytesToHex(channel.params.remoteNodeId);
    peers.keepConnected(nodeId, addresses.get(nodeId));
  }
}
