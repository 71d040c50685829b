import { bytesToHex } from '@rivulet/core/bytes';
import { sortableNumber } from '../../store/sortableKey.js';
import type { ToolkitStore } from '../../store/toolkitStore.js';
import type { ReceivedPayment } from '../wallet.js';
import { metadataOf } from './nwcProtocol.js';

/** What arrived, as apps are told of it. */
export interface IncomingTransaction {
  readonly type: 'incoming';
  readonly state: 'settled';
  readonly invoice: '';
  readonly description: '';
  readonly preimage: '';
  readonly payment_hash: string;
  readonly amount: number;
  readonly fees_paid: 0;
  readonly created_at: number;
  readonly settled_at: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const prefix = 'nwc-service/incoming/';
const hashPrefix = 'nwc-service/incoming-hash/';
const cursorKey = 'nwc-service/cursor';
const countKey = 'nwc-service/incoming-count';
/** Apps look at what is new: the wallet itself keeps the rest. */
const maxKept = 5_000;

/** The newest payments that the wallet received, in the store. */
export class NwcIncoming {
  readonly #store: ToolkitStore;

  constructor(store: ToolkitStore) {
    this.#store = store;
  }

  get cursor(): string | undefined {
    return this.#store.get(cursorKey);
  }

  /** @returns it as apps are told of it; nothing where it is known. */
  add(payment: ReceivedPayment): IncomingTransaction | undefined {
    const { paymentHash, amountMsat, receivedAtMs, records, cursor } = payment;
    const seconds = Math.floor(receivedAtMs / 1000);
    const transaction: IncomingTransaction = {
      type: 'incoming',
      state: 'settled',
      invoice: '',
      description: '',
      preimage: '',
      payment_hash: paymentHash,
      amount: Number(amountMsat),
      fees_paid: 0,
      created_at: seconds,
      settled_at: seconds,
      metadata: metadataOf(Array.from(records, ([type, value]) => [type, bytesToHex(value)])),
    };
    return this.#store.transaction((tx) => {
      tx.put(cursorKey, cursor);
      if (tx.get(hashPrefix + paymentHash) !== undefined) return undefined;
      const key = `${prefix}${sortableNumber(seconds)}/${paymentHash}`;
      tx.put(key, JSON.stringify(transaction));
      tx.put(hashPrefix + paymentHash, key);
      const count = Number(tx.get(countKey) ?? 0) + 1;
      const over = Math.max(0, count - maxKept);
      for (const old of over === 0 ? [] : tx.list({ prefix, limit: over })) {
        tx.delete(old.key);
        tx.delete(hashPrefix + old.key.slice(-64));
      }
      tx.put(countKey, String(count - over));
      return transaction;
    });
  }

  get(paymentHash: string): IncomingTransaction | undefined {
    const key = this.#store.get(hashPrefix + paymentHash);
    const text = key === undefined ? undefined : this.#store.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as IncomingTransaction);
  }

  /** In the order in which they came. */
  list(): IncomingTransaction[] {
    return this.#store.list({ prefix }).map(({ value }) => JSON.parse(value) as IncomingTransaction);
  }
}
