/** A confirmed transaction that spends outputs of a channel that was closed on chain. */
export interface StoredClosingSpend {
  readonly channelId: Uint8Array;
  /** Of the block that has it. */
  readonly height: number;
  /** The whole transaction, serialized. */
  readonly tx: Uint8Array;
}

/** The highest feerate that was ever broadcast for a claim of an output. `txid` is in internal byte order. */
export interface StoredClaimFee {
  readonly txid: Uint8Array;
  readonly index: number;
  readonly feeratePerKw: number;
}

/** What a peer had us keep for it (BOLT 1: peer_storage). */
export interface StoredPeerBlob {
  readonly nodeId: Uint8Array;
  readonly data: Uint8Array;
  readonly storedAtMs: number;
}
