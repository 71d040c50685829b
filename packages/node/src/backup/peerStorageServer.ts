import type { ChainBlock } from '@rivulet/chain';
import { peerStorageLength } from '@rivulet/core/backup';
import { ByteReader, ByteWriter, bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { Message } from '@rivulet/core/wire';
import type { NodeStorage } from '@rivulet/storage';
import type { NodePart } from '../driver/nodePart.js';
import type { Turn, Turns } from '../driver/turns.js';
import type { CancelTimer, PeerInfo, Scheduler } from '../peers/index.js';

/** BOLT 1: MAY delay storage to ratelimit peer to no more than one update per minute. */
const intervalMs = 60_000;
/** BOLT 1: SHOULD wait at least 2016 blocks before deleting the blob of a peer without open channels. */
const keptBlocks = 2_016;
/** How often that is looked at. */
const lookBlocks = 144;
/** The height at which we first saw that all channels with a peer are closed. */
const closedPrefix = 'peer-blob-closed/';

export interface PeerStorageServerOptions {
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly send: (nodeId: string, messages: readonly Message[]) => void;
  readonly scheduler: Scheduler;
  readonly now: () => number;
}

interface Pending {
  /** The latest that came and is not stored. */
  blob: Uint8Array | undefined;
  readonly cancel: CancelTimer;
}

/** A channel that cost the peer, or us, something: anybody can begin one. */
function isFunded({ params, phase, readiness }: Channel): boolean {
  if (phase.name === 'closed') return false;
  return params.localIsOpener || readiness.fundingConfirmed !== undefined;
}

/**
 * Keeps a blob for each peer that we have a channel with (BOLT 1: peer_storage), and gives it back at each
 * connection before channel_reestablish. One blob of at most 64 KiB a peer is stored, once a minute at most.
 */
export class PeerStorageServer implements NodePart {
  readonly #options: PeerStorageServerOptions;
  /** Peers whose last update is less than a minute ago. */
  readonly #recent = new Map<string, Pending>();

  constructor(options: PeerStorageServerOptions) {
    this.#options = options;
  }

  peerConnected({ nodeId }: PeerInfo): void {
    const { storage, send } = this.#options;
    const blob = this.#recent.get(nodeId)?.blob ?? storage.getPeerBlob(hexToBytes(nodeId))?.data;
    // BOLT 1: MUST send peer_storage_retrieval again after reconnection, after exchanging init messages
    if (blob !== undefined) send(nodeId, [{ type: 'peer_storage_retrieval', blob }]);
  }

  onMessage({ nodeId }: PeerInfo, message: Message): void {
    if (message.type !== 'peer_storage' || message.blob.length > peerStorageLength) return;
    // BOLT 1: MUST store the message if it has an open channel with the sender
    if (!this.#channelsWith(nodeId).some(isFunded)) return;
    const pending = this.#recent.get(nodeId);
    // BOLT 1: MUST replace the old blob with the latest received
    if (pending !== undefined) pending.blob = message.blob;
    else this.#store(nodeId, message.blob);
  }

  stop(): void {
    for (const [nodeId, { blob, cancel }] of this.#recent) {
      cancel();
      if (blob !== undefined) this.#put(nodeId, blob);
    }
    this.#recent.clear();
  }

  #store(nodeId: string, blob: Uint8Array): void {
    this.#put(nodeId, blob);
    const cancel = this.#options.scheduler.schedule(intervalMs, () => {
      const latest = this.#recent.get(nodeId)?.blob;
      this.#recent.delete(nodeId);
      if (latest !== undefined) this.#store(nodeId, latest);
    });
    this.#recent.set(nodeId, { blob: undefined, cancel });
  }

  #put(nodeId: string, blob: Uint8Array): void {
    const { turns, now } = this.#options;
    const stored = { nodeId: hexToBytes(nodeId), data: blob, storedAtMs: now() };
    turns.enqueue({ run: (turn) => turn.tx.putPeerBlob(stored) });
  }

  #channelsWith(nodeId: string): Channel[] {
    return [...this.#options.turns.channels.values()].filter(
      ({ params }) => bytesToHex(params.remoteNodeId) === nodeId,
    );
  }

  processBlock(turn: Turn, { height }: ChainBlock): void {
    if (height % lookBlocks !== 0) return;
    const open = new Set<string>();
    const all = new Set<string>();
    for (const { params, phase } of turn.channels.values()) {
      const nodeId = bytesToHex(params.remoteNodeId);
      all.add(nodeId);
      if (phase.name !== 'closed') open.add(nodeId);
    }
    for (const nodeId of all) this.#age(turn, { nodeId, height, isOpen: open.has(nodeId) });
  }

  #age(turn: Turn, { nodeId, height, isOpen }: { nodeId: string; height: number; isOpen: boolean }): void {
    const { tx } = turn;
    const key = closedPrefix + nodeId;
    const since = tx.getValue(key);
    if (isOpen) {
      if (since !== undefined) tx.deleteValue(key);
      return;
    }
    const id = hexToBytes(nodeId);
    if (since === undefined) {
      if (tx.getPeerBlob(id) !== undefined) tx.putValue(key, new ByteWriter(4).u32(height).finish());
      return;
    }
    if (height - new ByteReader(since).u32() < keptBlocks) return;
    tx.deletePeerBlob(id);
    tx.deleteValue(key);
  }
}
