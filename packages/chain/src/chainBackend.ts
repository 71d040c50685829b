import type { Outpoint, Transaction } from '@rivulet/core/tx';
import type { BlockHeader } from './block.js';
import type { ChainHealth } from './chainHealth.js';
import type { Network } from './network.js';

/** Hashes of blocks and transactions are 32 bytes in internal byte order throughout this interface. */
export interface ChainTip {
  readonly height: number;
  readonly hash: Uint8Array;
}

/** A block of the active chain with its transactions decoded. */
export interface ChainBlock extends ChainTip {
  readonly header: BlockHeader;
  readonly transactions: readonly Transaction[];
}

export type BroadcastRejectionCode =
  /** The same transaction (or one that differs in its witness alone) waits in the mempool. */
  | 'already_known'
  /** The transaction is in the chain. */
  | 'already_confirmed'
  /** Below the relay or mempool minimum, or too little to replace what it conflicts with. */
  | 'insufficient_fee'
  /** An input does not exist, or a confirmed transaction spent it. */
  | 'missing_inputs'
  /** It conflicts with the mempool in a way that a higher fee does not cure. */
  | 'conflict'
  /** A locktime, a relative locktime or a coinbase's maturity has not come yet: try again in later blocks. */
  | 'not_final'
  /** An output is below the dust limit. */
  | 'dust'
  /** Too many unconfirmed ancestors or descendants. */
  | 'too_long_chain'
  /** Valid by consensus, but not relayed. */
  | 'not_standard'
  /** Not valid by consensus: never send it again. */
  | 'invalid';

export interface BroadcastRejection {
  readonly accepted: false;
  readonly code: BroadcastRejectionCode;
  /** The backend's own words, for the log. */
  readonly message: string;
}

/** `accepted` also for a transaction that the mempool already has: broadcasting is idempotent. */
export type BroadcastResult = { readonly accepted: true; readonly txid: Uint8Array } | BroadcastRejection;

export interface UnspentOutput {
  readonly valueSat: bigint;
  readonly script: Uint8Array;
  /** 0 in the mempool, 1 in the tip's block. */
  readonly confirmations: number;
  readonly coinbase: boolean;
}

export type TransactionLocation =
  | {
      readonly in: 'chain';
      readonly height: number;
      /** The position in its block, as in `short_channel_id`. */
      readonly index: number;
      readonly blockHash: Uint8Array;
    }
  | { readonly in: 'mempool' };

/** An unspent output of the chain that pays to a script that was looked for. */
export interface FoundCoin extends Outpoint {
  readonly height: number;
  readonly valueSat: bigint;
  readonly script: Uint8Array;
  /** It can be spent only 100 blocks later. */
  readonly coinbase: boolean;
}

/**
 * What a node needs of a Bitcoin chain; the embedded regtest chain, bitcoind and Esplora all give it.
 * Every method rejects with ChainError when the backend cannot answer; what does not exist is `undefined`.
 */
export interface ChainBackend {
  readonly kind: 'embedded' | 'bitcoind' | 'esplora';
  getNetwork(): Promise<Network>;
  getTip(): Promise<ChainTip>;
  /** The hash of the active chain's block at a height; `undefined` above the tip. */
  getBlockHash(height: number): Promise<Uint8Array | undefined>;
  /**
   * The active chain's block at a height, or the block of a hash (which may have left the active chain).
   * Rejects with BlockPrunedError where bitcoind has thrown it away and nobody gave it back.
   */
  getBlock(at: number | Uint8Array): Promise<ChainBlock | undefined>;
  broadcast(transaction: Transaction): Promise<BroadcastResult>;
  /**
   * Broadcasts parents and their child (last) as one package, so that the child can pay for parents below
   * the relay minimum. One result a transaction, in order. A backend without package relay sends one by one.
   */
  broadcastPackage(transactions: readonly Transaction[]): Promise<readonly BroadcastResult[]>;
  /**
   * Satoshis a 1000 weight units for confirmation within `targetBlocks`, at least 253 (the relay minimum
   * that survives rounding to virtual bytes); `undefined` where the backend has no estimate.
   */
  estimateFeeratePerKw(targetBlocks: number): Promise<number | undefined>;
  /**
   * An output that neither the chain nor the mempool has spent; `undefined` if spent or unknown.
   * `includeMempool: false` looks at the chain alone.
   */
  getTxOut(outpoint: Outpoint, options?: { includeMempool?: boolean }): Promise<UnspentOutput | undefined>;
  /** Where a transaction is. bitcoind needs `txindex=1` to find a confirmed one. */
  locateTransaction(txid: Uint8Array): Promise<TransactionLocation | undefined>;
  /** A transaction of the chain or the mempool. bitcoind needs `txindex=1` for a confirmed one. */
  getTransaction(txid: Uint8Array): Promise<Transaction | undefined>;
  /** The mempool's transaction that spends an output. */
  getMempoolSpend(outpoint: Outpoint): Promise<Transaction | undefined>;
  /**
   * Calls the listener after every change of the tip that the backend notices, until the returned function
   * is called. The first call may repeat a tip that is known already, so that none is missed by subscribing
   * before or after getTip. Blocks may be skipped: walk from the last tip that was processed, by hash and
   * height.
   */
  onTip(listener: (tip: ChainTip) => void): () => void;
  /**
   * The unspent coins of the chain (not of the mempool) that pay to these scripts, in blocks from `fromHeight`
   * on (default: 0), by height: a wallet that has nothing but its words finds its coins without reading the
   * chain. It takes minutes at bitcoind, which does one at a time (`chain_busy` for a second), and tells an
   * Esplora server which scripts belong together.
   */
  scanScripts(request: {
    readonly scripts: readonly Uint8Array[];
    readonly fromHeight?: number;
  }): Promise<readonly FoundCoin[]>;
  /** How the backend is doing, by what it has seen until now: it asks nobody. */
  health(): ChainHealth;
  /** Calls the listener when the state of the backend or of one of its servers has changed, until the end. */
  onHealth(listener: (health: ChainHealth) => void): () => void;
  /** Ends subscriptions and refuses further calls. */
  close(): Promise<void>;
}

/** The relay minimum that survives rounding from weight to virtual bytes, in satoshis a 1000 weight units. */
export const minimumFeeratePerKw = 253;
