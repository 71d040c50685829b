import { ByteReader, ByteWriter, bytesToHex } from '@rivulet/core/bytes';
import { decodeTransaction, encodeTransaction, type Transaction } from '@rivulet/core/tx';
import type { NodeStorage, StorageTransaction } from '@rivulet/storage';
import type { ChannelKey } from './turns.js';

const fundingPrefix = 'channel-funding/';
const closingPrefix = 'channel-closing-script/';
const openedPrefix = 'channel-opened-at/';

/**
 * What belongs to a channel and not to its protocol: the funding transaction that we publish until it
 * confirms, and the address of ours that a cooperative close pays.
 */
export class FundingStore {
  readonly #storage: NodeStorage;
  readonly #closingScripts: Map<ChannelKey, Uint8Array>;
  readonly #openedAt: Map<ChannelKey, number>;

  constructor(storage: NodeStorage) {
    this.#storage = storage;
    this.#closingScripts = new Map(
      storage.listValues(closingPrefix).map(({ key, value }) => [key.slice(closingPrefix.length), value]),
    );
    this.#openedAt = new Map(
      storage
        .listValues(openedPrefix)
        .map(({ key, value }) => [key.slice(openedPrefix.length), new ByteReader(value).u32()]),
    );
  }

  put(tx: StorageTransaction, funding: { key: ChannelKey; tx: Transaction }): void {
    tx.putValue(fundingPrefix + funding.key, encodeTransaction(funding.tx));
  }

  get(key: ChannelKey): Transaction | undefined {
    const stored = this.#storage.getValue(fundingPrefix + key);
    return stored === undefined ? undefined : decodeTransaction(stored);
  }

  putClosingScript(tx: StorageTransaction, { key, script }: { key: ChannelKey; script: Uint8Array }): void {
    tx.putValue(closingPrefix + key, script);
    this.#closingScripts.set(key, script);
  }

  closingScript(channelId: Uint8Array): Uint8Array | undefined {
    return this.#closingScripts.get(bytesToHex(channelId));
  }

  /** Notes the height of the chain at which a peer opened a channel with us. */
  putOpenedAt(tx: StorageTransaction, { key, height }: { key: ChannelKey; height: number }): void {
    tx.putValue(openedPrefix + key, new ByteWriter(4).u32(height).finish());
    this.#openedAt.set(key, height);
  }

  openedAt(key: ChannelKey): number | undefined {
    return this.#openedAt.get(key);
  }

  /** Removes all that is kept of a channel. What memory has of it harms nobody, should the turn be lost. */
  forget(tx: StorageTransaction, key: ChannelKey): void {
    for (const prefix of [fundingPrefix, closingPrefix, openedPrefix]) tx.deleteValue(prefix + key);
  }
}
