/** A commitment that a peer has revoked and that a tower has yet to be told of; `data` is opaque here. */
export interface StoredTowerState {
  readonly channelId: Uint8Array;
  readonly commitmentNumber: bigint;
  readonly data: Uint8Array;
}

/** How many states of one channel wait for a tower. */
export interface TowerQueue {
  readonly channelId: Uint8Array;
  readonly count: number;
  /** Of their `data`. */
  readonly bytes: number;
  /** The lowest commitment number of them, and the highest. */
  readonly first: bigint;
  readonly last: bigint;
}
