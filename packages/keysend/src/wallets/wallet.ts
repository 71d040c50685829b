import type { HintHop } from '@rivulet/core/graph';

export type WalletKind = 'rivulet' | 'lnd' | 'cln' | 'eclair' | 'nwc';

/** What a wallet can do, said honestly: what is `false` here is refused with `wallet_cannot`, never half done. */
export interface WalletCapabilities {
  /** Keysends at all. */
  readonly keysend: boolean;
  /** Custom records go with a keysend. */
  readonly sendsRecords: boolean;
  /**
   * What makes a second try of a keysend the same payment: its preimage, which the caller chooses; the wallet's own
   * list, in which an earlier try is found by its key; or nothing.
   */
  readonly repeats: 'preimage' | 'lookup' | 'none';
  /**
   * That it keeps to the preimage is not sure before a keysend was answered with it. Until then, whoever repeats one
   * whose outcome is open may pay twice.
   */
  readonly repeatsUnproven?: boolean;
  /** What is known of keysends that arrive: everything, the amounts alone, or nothing. */
  readonly receives: 'records' | 'amounts' | 'none';
  /** Keysends that arrive can be held until somebody decides. */
  readonly holds: boolean;
  /** `signMessage` works, with the node's key. */
  readonly signs: boolean;
  /** `payInvoice` works. */
  readonly paysInvoices: boolean;
  /** Route hints are used for a keysend. */
  readonly takesHints: boolean;
  /** The limit of a payment's fee is respected. */
  readonly limitsFees: boolean;
}

export interface WalletInfo {
  readonly kind: WalletKind;
  /** Of the node behind the wallet, 66 hex digits; where the wallet tells. */
  readonly nodeId?: string;
  readonly alias?: string;
  readonly network?: string;
  readonly version?: string;
}

export interface WalletBalance {
  /** What can be spent over Lightning. */
  readonly spendableMsat: bigint;
  /** What can be received, where the wallet tells. */
  readonly receivableMsat?: bigint;
}

export interface KeysendRequest {
  /** 66 hex digits. */
  readonly nodeId: string;
  readonly amountMsat: bigint;
  /** All custom records but the preimage (5482373484), which the wallet sets. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
  /** Names this payment for good: a second request with the same key is the same payment. 1 to 128 characters. */
  readonly key: string;
  /** 32 bytes, derived from the key (`derivePreimage`); wallets that choose their own leave it aside. */
  readonly preimage: Uint8Array;
  /** The wallet's own limit where it is absent. */
  readonly maxFeeMsat?: bigint;
  readonly hints?: readonly (readonly HintHop[])[];
  /** How long to wait for the outcome; 60 where it is absent. */
  readonly timeoutSeconds?: number;
}

export interface InvoiceRequest {
  /** BOLT 11. */
  readonly invoice: string;
  /** Only where the invoice leaves it open. */
  readonly amountMsat?: bigint;
  readonly maxFeeMsat?: bigint;
  readonly timeoutSeconds?: number;
}

/** Why a payment failed, the same for all wallets. */
export type WalletFailure =
  | 'no_route'
  | 'fee_limit'
  | 'insufficient_balance'
  | 'refused_by_destination'
  | 'timeout'
  | 'request_invalid'
  | 'wallet_cannot'
  | 'unauthorized'
  | 'quota_exceeded'
  | 'unreachable'
  | 'rate_limited'
  | 'other';

/** What became of a payment. `unknown` is not `failed`: it may have been paid, and only `lookup` may tell. */
export type PaymentOutcome =
  | {
      readonly status: 'succeeded';
      /** 64 hex digits, where the wallet tells. */
      readonly paymentHash?: string;
      readonly preimage?: string;
      readonly feeMsat: bigint;
    }
  | {
      /**
       * Certainly not paid, and nothing of it is under way. It is said of this try: what became of an earlier one of
       * the same key that was `unknown`, only `lookup` tells.
       */
      readonly status: 'failed';
      readonly failure: WalletFailure;
      /** For people, without secrets. */
      readonly message: string;
      /** Whether the same may work later. */
      readonly retryable: boolean;
      /** What it would have cost, where a fee limit was too low. */
      readonly neededFeeMsat?: bigint;
    }
  | { readonly status: 'pending' | 'unknown'; readonly message: string };

/** An earlier payment that is looked for. */
export interface PaymentQuery {
  readonly key: string;
  readonly nodeId?: string;
  readonly amountMsat: bigint;
  /** 64 hex digits: SHA-256 of the derived preimage, or an invoice's hash. */
  readonly paymentHash: string;
  /** Nothing was sent before. */
  readonly sinceMs: number;
}

export interface ReceivedPayment {
  /** 64 hex digits. */
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  readonly receivedAtMs: number;
  /** Every record of the last hop but the preimage, the unknown ones too. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
  /** Where this payment is in the wallet's list: what `subscribe` goes on after. */
  readonly cursor: string;
}

export interface SubscribeOptions {
  /** The cursor of the last payment that is stored; from the beginning where it is absent. */
  readonly after?: string;
  readonly signal: AbortSignal;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/**
 * A wallet that sends and receives keysends. All of them behave the same (walletSuite.test.support.ts):
 * `keysend` and `payInvoice` resolve with what became of the payment and never reject for it; whatever leaves that
 * open (a connection that breaks after the request was sent) is `unknown`. The others reject with a KeysendError.
 */
export interface Wallet {
  readonly kind: WalletKind;
  /** Tells it from all other wallets of its kind, where the id of its node does not. No secret. */
  readonly account?: string;
  /** Asks the wallet where it has to (its version, its permissions); remembered. */
  capabilities(options?: CallOptions): Promise<WalletCapabilities>;
  info(options?: CallOptions): Promise<WalletInfo>;
  balance(options?: CallOptions): Promise<WalletBalance>;
  keysend(request: KeysendRequest, options?: CallOptions): Promise<PaymentOutcome>;
  payInvoice(request: InvoiceRequest, options?: CallOptions): Promise<PaymentOutcome>;
  /** What became of an earlier payment; `undefined` where the wallet certainly never sent it. */
  lookup(query: PaymentQuery, options?: CallOptions): Promise<PaymentOutcome | undefined>;
  /**
   * Keysends as they arrive, those after the cursor first, in order, each at least once. Ends when the signal
   * aborts; rejects when the connection is lost (call again with the last cursor).
   */
  subscribe(options: SubscribeOptions): AsyncIterable<ReceivedPayment>;
  /** The node's signature of a text as all implementations make it (`signmessage`): zbase32, 104 characters. */
  signMessage(message: string, options?: CallOptions): Promise<string>;
  close(): Promise<void>;
}
