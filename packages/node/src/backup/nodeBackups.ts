import type { Message } from '@rivulet/core/wire';
import type { RivuletNode } from '../driver/node.js';
import type { NodePart } from '../driver/nodePart.js';
import type { Logger } from '../logging/logger.js';
import { type Scheduler, systemScheduler } from '../peers/index.js';
import { ChannelBackups, type ChannelBackupsOptions } from './channelBackups.js';
import { PeerStorageClient } from './peerStorageClient.js';
import { PeerStorageServer } from './peerStorageServer.js';

export interface NodeBackupsOptions
  extends Pick<ChannelBackupsOptions, 'seed' | 'dataDir' | 'paths' | 'randomBytes' | 'files'> {
  readonly node: Pick<RivuletNode, 'network' | 'storage' | 'turns' | 'peers' | 'known'>;
  /** Whether peers keep our backup; we keep theirs either way, for our features say so. */
  readonly peerStorage?: boolean;
  readonly logger: Logger;
  readonly scheduler?: Scheduler;
  readonly now?: () => number;
}

/** All that a node does for backups of channels: its own in files and with peers, and those of peers. */
export class NodeBackups {
  readonly files: ChannelBackups;
  readonly atPeers: PeerStorageClient | undefined;
  readonly parts: readonly NodePart[];

  constructor(options: NodeBackupsOptions) {
    const {
      node,
      peerStorage = true,
      logger,
      scheduler = systemScheduler,
      now = Date.now,
      ...rest
    } = options;
    const { turns, storage, peers, network } = node;
    const shared = { turns, scheduler, logger };
    const send = (nodeId: string, messages: readonly Message[]) => void peers.send(nodeId, messages);
    this.files = new ChannelBackups({
      ...shared,
      ...rest,
      network,
      storage,
      now,
      addressesOf: (nodeId) => node.known.addressesOf(nodeId),
    });
    const server = new PeerStorageServer({ ...shared, storage, now, send });
    if (peerStorage) this.atPeers = new PeerStorageClient({ ...shared, ...rest, backups: this.files, send });
    this.parts = [this.files, server, ...(this.atPeers === undefined ? [] : [this.atPeers])];
  }
}
