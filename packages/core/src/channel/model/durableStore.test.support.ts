import type { Channel } from '../channel.js';
import { decodeChannel, encodeChannel, type HtlcReference } from '../channelCodec.js';
import type { Settlement } from '../htlc.js';
import { decodeArchivedHtlc, decodeHtlc, encodeArchivedHtlc, encodeHtlc } from '../htlcCodec.js';
import type { StoreAction } from '../step.js';

/** How an HTLC that we offered stands, as the node's payments would remember it. */
export interface OfferedRecord {
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  readonly cltvExpiry: number;
  readonly outcome: 'pending' | 'fulfilled' | 'failed';
  /** The connection on which the preimage was heard of last. */
  readonly heardOnConnection?: number;
}

/** How an HTLC that the peer offered stands. */
export interface ReceivedRecord {
  readonly paymentHash: string;
  readonly mustFail: boolean;
  readonly state: 'waiting' | 'settled' | 'over';
  readonly settlement?: Settlement;
}

/** What the node's own logic writes in the transaction of a turn. */
export interface Ledger {
  readonly offered: ReadonlyMap<bigint, OfferedRecord>;
  readonly received: ReadonlyMap<bigint, ReceivedRecord>;
}

function rowKey({ direction, id }: HtlcReference): string {
  return `${direction} ${id}`;
}

/** What survives a crash: the channel's bytes, the rows of its HTLCs, the archive, the node's own records. */
export class DurableStore {
  #blob: Uint8Array;
  #rows: ReadonlyMap<string, Uint8Array> = new Map();
  #archive: ReadonlyMap<string, Uint8Array> = new Map();
  ledger: Ledger = { offered: new Map(), received: new Map() };

  constructor(channel: Channel) {
    this.#blob = encodeChannel(channel);
  }

  get blob(): Uint8Array {
    return this.#blob;
  }

  get rows(): ReadonlyMap<string, Uint8Array> {
    return this.#rows;
  }

  get archive(): ReadonlyMap<string, Uint8Array> {
    return this.#archive;
  }

  /** One transaction: the store actions of a turn, the channel as it is at the turn's end, the ledger. */
  commit(actions: readonly StoreAction[], { channel, ledger }: { channel: Channel; ledger: Ledger }): void {
    const rows = new Map(this.#rows);
    const archive = new Map(this.#archive);
    let unsaved = false;
    for (const action of actions) {
      switch (action.type) {
        case 'putChannel':
          unsaved = true;
          break;
        case 'putHtlc':
          rows.set(rowKey(action.htlc), encodeHtlc(action.htlc));
          break;
        case 'archiveHtlc':
          rows.delete(rowKey(action.htlc));
          archive.set(rowKey(action.htlc), encodeArchivedHtlc(action.htlc));
      }
    }
    if (unsaved) this.#blob = encodeChannel(channel);
    this.#rows = rows;
    this.#archive = archive;
    this.ledger = ledger;
  }

  load(): Channel {
    return decodeChannel(this.#blob, (reference) => {
      const row = this.#rows.get(rowKey(reference));
      return row === undefined ? undefined : decodeHtlc(row, reference);
    });
  }

  archived(reference: HtlcReference): ReturnType<typeof decodeArchivedHtlc> | undefined {
    const row = this.#archive.get(rowKey(reference));
    return row === undefined ? undefined : decodeArchivedHtlc(row, reference);
  }
}
