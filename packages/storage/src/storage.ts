import type { StoredClaimFee, StoredClosingSpend, StoredPeerBlob } from './closing.js';
import type { InvoiceFilter, InvoicePage, InvoiceUpdate, ListedInvoice, StoredInvoice } from './invoices.js';
import type {
  IncomingPayment,
  Listed,
  OutgoingPayment,
  PaymentFilter,
  PaymentPage,
  PaymentUpdate,
} from './payments.js';
import type { ForwardTotal, StoredForward, StoredSending } from './routing.js';
import type { StoredTowerState, TowerQueue } from './towers.js';

/** A channel as it was last saved. `state` is opaque here and carries its own version. */
export interface StoredChannel {
  /** 32 bytes. */
  readonly channelId: Uint8Array;
  /** 33 bytes. */
  readonly remoteNodeId: Uint8Array;
  readonly state: Uint8Array;
}

export type HtlcDirection = 'offered' | 'received';

/** Which HTLC: ids count up from 0 for each channel and direction (BOLT 2). */
export interface HtlcKey {
  readonly channelId: Uint8Array;
  readonly direction: HtlcDirection;
  readonly id: bigint;
}

export interface StoredHtlc extends HtlcKey {
  /** Opaque; for an archived HTLC what a penalty for a revoked commitment needs, and no more. */
  readonly data: Uint8Array;
}

/** A block that was processed completely. `hash` is in internal byte order. */
export interface StoredBlock {
  readonly height: number;
  readonly hash: Uint8Array;
}

export interface StoredPeer {
  readonly nodeId: Uint8Array;
  readonly host: string;
  readonly port: number;
  readonly lastSeenMs: number;
}

/** How many of the last block hashes are kept: no reorganisation deeper than this can be followed. */
export const BLOCKS_KEPT = 144;

/** What can be read, inside and outside a transaction. Inside, its own writes are visible. */
export interface StorageReader {
  /** In the order in which they were first put. */
  loadChannels(): StoredChannel[];
  /** The HTLCs that are not archived, by direction (offered first) and id. */
  loadHtlcs(channelId: Uint8Array): StoredHtlc[];
  loadArchivedHtlcs(channelId: Uint8Array): StoredHtlc[];
  getArchivedHtlc(key: HtlcKey): StoredHtlc | undefined;

  getOutgoingPayment(paymentHash: Uint8Array): Listed<OutgoingPayment> | undefined;
  getOutgoingPaymentByKey(idempotencyKey: string): Listed<OutgoingPayment> | undefined;
  getIncomingPayment(paymentHash: Uint8Array): Listed<IncomingPayment> | undefined;
  /** Newest first. */
  listPayments(filter?: PaymentFilter): PaymentPage;
  /** Whether this hash has come in before, paid or only marked (threat 27: a hash seen before is refused). */
  hasSeenHash(paymentHash: Uint8Array): boolean;
  /** The preimage that this node knows of a hash: of a payment received, or of one sent and settled. */
  getPreimage(paymentHash: Uint8Array): Uint8Array | undefined;

  /** The payments that are under way. */
  loadSendings(): StoredSending[];
  /** The HTLCs that were passed on and are not over. */
  loadForwards(): StoredForward[];
  /** From `fromHour` to before `toHour`, hours since 1970, in order. */
  listForwardTotals(hours: { fromHour: number; toHour: number }): ForwardTotal[];

  getInvoice(paymentHash: Uint8Array): ListedInvoice | undefined;
  /** Newest first. */
  listInvoices(filter?: InvoiceFilter): InvoicePage;

  /** The confirmed spends of a closed channel's outputs, in the order of the chain. */
  loadClosingSpends(channelId: Uint8Array): StoredClosingSpend[];
  loadClaimFees(): StoredClaimFee[];
  getPeerBlob(nodeId: Uint8Array): StoredPeerBlob | undefined;

  /** The revoked states of a channel that towers wait for, from this commitment number on, in order. */
  loadTowerStates(wanted: { channelId: Uint8Array; from: bigint; limit: number }): StoredTowerState[];
  listTowerQueues(): TowerQueue[];

  getTip(): StoredBlock | undefined;
  /** The blocks that are kept (the last BLOCKS_KEPT), highest first. */
  loadBlocks(): StoredBlock[];

  getValue(key: string): Uint8Array | undefined;
  /** All values whose key starts with `prefix`, in the order of the keys' UTF-8 bytes. */
  listValues(prefix: string): { key: string; value: Uint8Array }[];

  loadPeers(): StoredPeer[];
}

/** What can be changed; every change belongs to exactly one transaction. */
export interface StorageTransaction extends StorageReader {
  /** Inserts or replaces. The remote node of a channel never changes: `wrong_use`. */
  putChannel(channel: StoredChannel): void;
  /** Removes the channel with its HTLCs, archived ones too; what is not there is no error. */
  deleteChannel(channelId: Uint8Array): void;
  /** Inserts or replaces a live HTLC. @throws StorageError `not_found` without its channel. */
  putHtlc(htlc: StoredHtlc): void;
  /** Moves an HTLC out of the live ones and keeps `data` instead of what it had. */
  archiveHtlc(htlc: StoredHtlc): void;
  /** Removes a live HTLC for good, for one that no revoked commitment can hold. */
  deleteHtlc(key: HtlcKey): void;

  /**
   * A payment that failed may be followed by another of the same hash: an invoice that is tried again.
   * @throws StorageError `duplicate` for a payment hash or idempotency key that was used before.
   */
  putOutgoingPayment(payment: OutgoingPayment): void;
  /** Changes the fields that are given. @throws StorageError `not_found`. */
  updateOutgoingPayment(paymentHash: Uint8Array, update: PaymentUpdate): void;
  /** Records a payment that was received, and its hash as seen. @throws StorageError `duplicate`. */
  putIncomingPayment(payment: IncomingPayment): void;
  /** Marks a hash as seen without a payment. Twice is no error. */
  markHashSeen(paymentHash: Uint8Array): void;

  /** Inserts or replaces. */
  putSending(sending: StoredSending): void;
  deleteSending(paymentHash: Uint8Array): void;
  /** Inserts or replaces. */
  putForward(forward: StoredForward): void;
  deleteForward(forward: Pick<StoredForward, 'incomingChannelId' | 'incomingHtlcId'>): void;
  /** Adds to what that hour has of these two channels. */
  addForwardTotal(total: ForwardTotal): void;

  /** @throws StorageError `duplicate` for a payment hash that has an invoice. */
  putInvoice(invoice: StoredInvoice): void;
  /** Changes the fields that are given. @throws StorageError `not_found`. */
  updateInvoice(paymentHash: Uint8Array, update: InvoiceUpdate): void;

  /** The same one twice is no error. @throws StorageError `not_found` without its channel. */
  putClosingSpend(spend: StoredClosingSpend): void;
  /** Forgets those of this height and above, for a reorganisation. */
  deleteClosingSpendsFrom(height: number): void;
  deleteClosingSpends(channelId: Uint8Array): void;
  /** Keeps the higher of what is there and what is given. */
  putClaimFee(fee: StoredClaimFee): void;
  deleteClaimFee(outpoint: { readonly txid: Uint8Array; readonly index: number }): void;
  /** Inserts or replaces. */
  putPeerBlob(blob: StoredPeerBlob): void;
  deletePeerBlob(nodeId: Uint8Array): void;

  /** Inserts or replaces. @throws StorageError `not_found` without its channel. */
  putTowerState(state: StoredTowerState): void;
  /** Forgets the states of a channel with lower commitment numbers: every tower has them. */
  deleteTowerStates(done: { channelId: Uint8Array; before: bigint }): void;
  /**
   * The new tip: the block after the present one, or any block when there is none.
   * @throws StorageError `wrong_use` for a gap or a height that is taken (removeBlocksFrom first).
   */
  putBlock(block: StoredBlock): void;
  /** Forgets this height and all above it, for a reorganisation. */
  removeBlocksFrom(height: number): void;

  putValue(key: string, value: Uint8Array): void;
  deleteValue(key: string): void;

  putPeer(peer: StoredPeer): void;
  deletePeer(nodeId: Uint8Array): void;
}

/**
 * The node's durable memory. One owner at a time; synchronous.
 *
 * Fund safety rests on one promise: when `transaction` returns, everything that its body wrote survives a
 * crash of the process and of the machine; when it throws, nothing of it does. Only after it has returned may
 * anything that follows from it be shown to a peer.
 */
export interface NodeStorage extends StorageReader {
  /**
   * Runs `body` in one transaction and commits it. Whatever `body` throws rolls back and is thrown on.
   * `body` is synchronous; it may not start another transaction, and its argument is dead once it returns.
   */
  transaction<T>(body: (tx: StorageTransaction) => T): T;
  /** What the database finds wrong with itself; empty when sound. Reads everything: slow on a large file. */
  integrityCheck(): string[];
  /** Writes everything into the one file and lets go of it. A second call does nothing. */
  close(): void;
}
