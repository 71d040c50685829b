import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel, ChannelEvent } from '@rivulet/core/channel';
import type { NodeStorage, StorageReader, StorageTransaction } from '@rivulet/storage';
import type { NodePart } from '../driver/nodePart.js';
import type { Turn } from '../driver/turns.js';

const prefix = 'unproven/';

/**
 * Marks channels whose data is a copy of unknown age: until the peer has shown in channel_reestablish that it is
 * the latest, nothing of them may be published (StepContext.unproven).
 */
export function markUnproven(tx: StorageTransaction, channelIds: readonly Uint8Array[]): void {
  for (const channelId of channelIds) tx.putValue(prefix + bytesToHex(channelId), Uint8Array.of(1));
}

export function isUnproven(storage: StorageReader, channelId: Uint8Array): boolean {
  return storage.getValue(prefix + bytesToHex(channelId)) !== undefined;
}

export function clearUnproven(tx: StorageTransaction, channelId: Uint8Array): void {
  tx.deleteValue(prefix + bytesToHex(channelId));
}

/** Which channels are unproven, in memory, for each step asks; and takes the mark off those that were proven. */
export class UnprovenChannels implements NodePart {
  readonly #storage: NodeStorage;
  #marked: Set<string>;

  constructor(storage: NodeStorage) {
    this.#storage = storage;
    this.#marked = this.#load();
  }

  #load(): Set<string> {
    return new Set(this.#storage.listValues(prefix).map(({ key }) => key.slice(prefix.length)));
  }

  has(channelId: Uint8Array): boolean {
    return this.#marked.size > 0 && this.#marked.has(bytesToHex(channelId));
  }

  onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    const { channelId } = channel.params;
    if (!this.has(channelId)) return;
    // Online after a restart: channel_reestablish fitted. Stale and closed ones publish nothing any more anyway.
    const { name } = channel.phase;
    const settled = event.type === 'phaseChanged' && (name === 'stale' || name === 'closed');
    if (event.type !== 'online' && !settled) return;
    clearUnproven(turn.tx, channelId);
    this.#marked.delete(bytesToHex(channelId));
  }

  rollBack(): void {
    this.#marked = this.#load();
  }
}
