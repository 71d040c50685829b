import { type ChannelUpdate, decodeMessage, encodeMessage } from '@rivulet/core/wire';
import type { NodeStorage } from '@rivulet/storage';
import type { ChannelKey, Turn } from './turns.js';

const keyPrefix = 'channel-remote-update/';

/**
 * The terms on which our peers forward to us through our own channels: for the hints of invoices, and for
 * payments to ourselves. The last `channel_update` of each, its signature checked, is stored.
 */
export class RemotePolicies {
  readonly #storage: NodeStorage;
  #updates = new Map<ChannelKey, ChannelUpdate>();

  constructor(storage: NodeStorage) {
    this.#storage = storage;
    this.reload();
  }

  /** After a turn was rolled back, too. */
  reload(): void {
    this.#updates = new Map(
      this.#storage.listValues(keyPrefix).flatMap(({ key, value }) => {
        const message = decodeMessage(value);
        return message.type === 'channel_update' ? [[key.slice(keyPrefix.length), message] as const] : [];
      }),
    );
  }

  get(key: ChannelKey): ChannelUpdate | undefined {
    return this.#updates.get(key);
  }

  /** Takes an update that is newer than what is there; the caller has checked whose it is. */
  put(turn: Turn, { key, update }: { key: ChannelKey; update: ChannelUpdate }): void {
    const known = this.#updates.get(key);
    if (known !== undefined && known.timestamp >= update.timestamp) return;
    this.#updates.set(key, update);
    turn.tx.putValue(keyPrefix + key, encodeMessage(update));
  }
}
