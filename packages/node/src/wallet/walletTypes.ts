import type { Network } from '@rivulet/chain';
import type { Outpoint, Transaction } from '@rivulet/core/tx';
import type { NodeStorage } from '@rivulet/storage';

export interface WalletOptions {
  /** 64 bytes: of wordsToSeed. */
  readonly seed: Uint8Array;
  readonly network: Network;
  readonly storage: NodeStorage;
}

/** What the wallet needs of a block. `hash` is in internal byte order. */
export interface WalletBlock {
  readonly height: number;
  readonly hash: Uint8Array;
  readonly transactions: readonly Transaction[];
}

export interface WalletAddress {
  readonly address: string;
  readonly script: Uint8Array;
  /** BIP 32 path from the seed. */
  readonly path: string;
}

/** Each coin is in exactly one of these. */
export interface WalletBalance {
  /** In blocks, and free to be spent. */
  readonly confirmedSat: bigint;
  /** In transactions that no block has yet. */
  readonly unconfirmedSat: bigint;
  /** Block rewards that are not 100 blocks deep. */
  readonly immatureSat: bigint;
  /** Inputs of transactions that were funded and are neither broadcast nor released. */
  readonly reservedSat: bigint;
}

/** A transaction that touches the wallet. */
export interface WalletTransaction {
  readonly txid: Uint8Array;
  readonly tx: Transaction;
  /** Absent while unconfirmed. */
  readonly height?: number | undefined;
  /** What it changed: received minus spent. */
  readonly netSat: bigint;
}

/** A transaction that the wallet has signed and whose inputs it keeps aside. Not broadcast. */
export interface FundedTransaction {
  readonly tx: Transaction;
  readonly txid: Uint8Array;
  readonly inputs: readonly {
    readonly outpoint: Outpoint;
    readonly valueSat: bigint;
    readonly script: Uint8Array;
  }[];
  /** The output that comes back to the wallet; absent when there is none. */
  readonly changeIndex?: number | undefined;
  readonly feeSat: bigint;
}
