import { randomBytes as systemRandomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  BackupError,
  type ChannelBackup,
  encodeBackedUpChannel,
  openBackup,
  sealForPeer,
} from '@rivulet/core/backup';
import { bytesToHex } from '@rivulet/core/bytes';
import { hasFeature, type Message } from '@rivulet/core/wire';
import type { NodePart } from '../driver/nodePart.js';
import type { Turns } from '../driver/turns.js';
import { type Logger, peerLogger } from '../logging/logger.js';
import type { CancelTimer, PeerInfo, Scheduler } from '../peers/index.js';
import { sameEntries } from './backupRecord.js';
import type { ChannelBackups } from './channelBackups.js';
import { replaceFile } from './durableFile.js';

export const fromPeerFileName = 'channels.from-peer.backup';
/** BOLT 1: a peer may take no more than one update a minute. */
const intervalMs = 60_000;
/** How long a peer may take to give back what it has, before it is given something new. */
const retrievalMs = 10_000;

export interface PeerStorageClientOptions {
  readonly backups: ChannelBackups;
  readonly dataDir: string;
  readonly turns: Turns;
  readonly send: (nodeId: string, messages: readonly Message[]) => void;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly randomBytes?: (count: number) => Uint8Array;
}

/** What a peer keeps for us, as far as we know. */
export interface PeerStorageStatus {
  readonly nodeId: string;
  readonly connected: boolean;
  /** It has said so at this connection: what it has is what our backup says. */
  readonly confirmed: boolean;
  /** It has channels of ours that we do not know: nothing is sent to it, so that these are not lost. */
  readonly holdsMore: boolean;
}

interface StoringPeer {
  connected: boolean;
  confirmed: boolean;
  holdsMore: boolean;
  /** Until it has given back what it has, or had its time for that. */
  waiting: boolean;
  sentAt: number | undefined;
  cancel: CancelTimer;
}

/**
 * Has peers keep our backup (BOLT 1: peer_storage), and looks at what they give back: a peer that has more than
 * we know shows that we have lost data.
 */
export class PeerStorageClient implements NodePart {
  readonly #options: PeerStorageClientOptions;
  readonly #peers = new Map<string, StoringPeer>();

  constructor(options: PeerStorageClientOptions) {
    this.#options = options;
    options.backups.onChanged(() => {
      for (const [nodeId, peer] of this.#peers) {
        peer.confirmed = false;
        this.#plan(nodeId, peer);
      }
    });
  }

  status(): PeerStorageStatus[] {
    return [...this.#peers].map(([nodeId, { connected, confirmed, holdsMore }]) => ({
      nodeId,
      connected,
      confirmed,
      holdsMore,
    }));
  }

  peerConnected({ nodeId, features }: PeerInfo): void {
    if (!hasFeature(features, 'provideStorage')) return;
    const known = this.#peers.get(nodeId);
    known?.cancel();
    const peer: StoringPeer = {
      connected: true,
      confirmed: false,
      holdsMore: known?.holdsMore ?? false,
      waiting: true,
      sentAt: known?.sentAt,
      cancel: () => {},
    };
    this.#peers.set(nodeId, peer);
    // What it has must not be replaced before we have seen it: it may be all that is left.
    peer.cancel = this.#options.scheduler.schedule(retrievalMs, () => {
      peer.waiting = false;
      this.#plan(nodeId, peer);
    });
  }

  peerDisconnected(nodeId: string): void {
    const peer = this.#peers.get(nodeId);
    if (peer === undefined) return;
    peer.cancel();
    // Of who has no channel with us nothing is remembered: there is no end to such peers.
    if (this.#hasChannelWith(nodeId)) peer.connected = false;
    else this.#peers.delete(nodeId);
  }

  onMessage({ nodeId }: PeerInfo, message: Message): void {
    if (message.type !== 'peer_storage_retrieval') return;
    const peer = this.#peers.get(nodeId);
    // Once, at the beginning: anything else is not what BOLT 1 has it for.
    if (peer === undefined || !peer.waiting) return;
    peer.waiting = false;
    peer.cancel();
    this.#judge(nodeId, { peer, blob: message.blob });
    if (!peer.confirmed) this.#plan(nodeId, peer);
  }

  stop(): void {
    for (const peer of this.#peers.values()) peer.cancel();
  }

  #judge(nodeId: string, { peer, blob }: { peer: StoringPeer; blob: Uint8Array }): void {
    const { backups, logger } = this.#options;
    const log = peerLogger(logger, nodeId);
    let backup: ChannelBackup;
    try {
      backup = openBackup(blob, backups.keys.key);
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      log.warn(
        { code: error.code },
        'the peer gave back a backup that is not ours as it was; it gets a new one',
      );
      return;
    }
    const unknown = backups.unknownChannels(backup);
    const same = this.#saysWhatWeSay(backup);
    const isNewer = !same && backup.createdAtMs > (backups.current?.createdAtMs ?? 0);
    if (unknown.length > 0 || isNewer) {
      peer.holdsMore = true;
      this.#keep(nodeId, { blob, backup, unknown: unknown.length });
      return;
    }
    peer.holdsMore = false;
    peer.confirmed = same;
  }

  /** Whether the peer has our backup, or as much of it as has room there. */
  #saysWhatWeSay(backup: ChannelBackup): boolean {
    const { current } = this.#options.backups;
    if (current === undefined) return false;
    const entries = current.channels.map(encodeBackedUpChannel);
    const theirs = backup.channels.map(encodeBackedUpChannel);
    if (backup.omitted === 0) return sameEntries(theirs, entries);
    const ours = new Set(entries.map(bytesToHex));
    return (
      backup.createdAtMs === current.createdAtMs &&
      backup.channels.length + backup.omitted === current.channels.length &&
      theirs.every((entry) => ours.has(bytesToHex(entry)))
    );
  }

  #keep(
    nodeId: string,
    { blob, backup, unknown }: { blob: Uint8Array; backup: ChannelBackup; unknown: number },
  ): void {
    const { dataDir, logger } = this.#options;
    const path = join(dataDir, fromPeerFileName);
    const log = peerLogger(logger, nodeId);
    const fields = {
      path,
      createdAt: new Date(backup.createdAtMs).toISOString(),
      channels: backup.channels.length,
      unknown,
    };
    try {
      replaceFile(path, blob);
      log.error(
        fields,
        'a peer keeps a backup of ours that is newer than what this node knows: data was lost. It is kept in ' +
          'this file: stop the node, and restore the file into an empty folder with rivulet restore',
      );
    } catch (err) {
      log.error(
        { ...fields, err },
        'a peer keeps a backup of ours that is newer than what this node knows: data was lost, and the backup ' +
          'could not be written to this file; it is left with the peer',
      );
    }
  }

  #hasChannelWith(nodeId: string): boolean {
    for (const { params, phase } of this.#options.turns.channels.values()) {
      if (phase.name !== 'closed' && bytesToHex(params.remoteNodeId) === nodeId) return true;
    }
    return false;
  }

  /** Sends the backup as soon as the peer takes one. */
  #plan(nodeId: string, peer: StoringPeer): void {
    if (!peer.connected || peer.waiting || peer.holdsMore || !this.#hasChannelWith(nodeId)) return;
    const { scheduler } = this.#options;
    const sinceMs = peer.sentAt === undefined ? intervalMs : scheduler.now() - peer.sentAt;
    peer.cancel();
    if (sinceMs >= intervalMs) this.#send(nodeId, peer);
    else peer.cancel = scheduler.schedule(intervalMs - sinceMs, () => this.#send(nodeId, peer));
  }

  #send(nodeId: string, peer: StoringPeer): void {
    const { backups, scheduler, send, logger } = this.#options;
    const { current, keys } = backups;
    if (current === undefined) return;
    const nonce = Uint8Array.from((this.#options.randomBytes ?? systemRandomBytes)(12));
    const { blob, backup } = sealForPeer(current, { key: keys.key, nonce });
    if (backup.omitted > 0) {
      peerLogger(logger, nodeId).warn(
        { kept: backup.channels.length, omitted: backup.omitted },
        'not all channels have room in what a peer keeps: the largest are in it; the files have all',
      );
    }
    peer.sentAt = scheduler.now();
    send(nodeId, [{ type: 'peer_storage', blob }]);
  }
}
