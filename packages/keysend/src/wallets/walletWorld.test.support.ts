import type { Wallet, WalletFailure } from './wallet.js';

/** What the backend does with the next keysend. */
export type SendBehaviour =
  /** Pays, and says so. */
  | { readonly type: 'succeed'; readonly feeMsat?: bigint }
  /** Does not pay, and says why. `neededFeeMsat`: what it would have cost, for `fee_limit`. */
  | { readonly type: 'fail'; readonly failure: WalletFailure; readonly neededFeeMsat?: bigint }
  /** Takes it and says nothing until `release`. */
  | { readonly type: 'hang' }
  /** Cuts the connection instead of an answer; `paid` says whether it was carried out before. */
  | { readonly type: 'cut'; readonly paid: boolean }
  /** Pays, and then answers as broken servers and proxies do. */
  | { readonly type: 'paid_then_500' | 'paid_then_garbage' | 'paid_then_half' | 'paid_then_oversize' }
  /** Does not carry it out and says that there are too many requests; only where the backend has such an answer. */
  | { readonly type: 'rate_limit' };

/** A keysend as the recipient got it. */
export interface SentKeysend {
  readonly nodeId: string;
  readonly amountMsat: bigint;
  /** Without the preimage. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
}

export interface IncomingKeysend {
  readonly amountMsat: bigint;
  /** Without the preimage, which the world chooses. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
}

/**
 * What stands behind the wallet of a test: a rebuilt server, or a real node. The suite leaves out the cases whose
 * controls are missing.
 */
export interface WalletWorld {
  /** Whom to pay. */
  readonly nodeId: string;
  /** In no message, ever: macaroons, passwords, runes, keys. */
  readonly secrets: readonly string[];
  /** The largest type of a record that this backend can say; all where it is absent. */
  readonly maxRecordType?: bigint;
  /** What was paid for good, in order. */
  sent(): readonly SentKeysend[] | Promise<readonly SentKeysend[]>;
  /** Once for each of the next keysends; others succeed with a fee of 1,000 msat. */
  nextSend?(behaviour: SendBehaviour): void;
  /** The kinds of `SendBehaviour` that this backend can show; all where it is absent. */
  readonly behaviours?: ReadonlySet<SendBehaviour['type']>;
  /** Failures that this backend can tell apart. */
  readonly failures?: readonly WalletFailure[];
  /** Resolves once a keysend hangs. */
  hanging?(): Promise<void>;
  /** Ends the one that hangs. */
  release?(outcome: 'succeeded' | 'failed'): void | Promise<void>;
  /** Lets time pass for the wallet's timers. */
  elapse?(milliseconds: number): void;
  /** A keysend arrives. Resolves with its hash once the backend has it. */
  receive?(payment: IncomingKeysend): Promise<string>;
  /** A payment arrives that is no keysend. */
  receiveInvoice?(amountMsat: bigint): Promise<void>;
  /** Breaks all connections and comes back at the same address; what it knew it knows. */
  restart?(): Promise<void>;
  /** Goes away: connections are refused. */
  stop?(): Promise<void>;
  /** Another wallet object over the same backend, as after a restart of the app: with what is durable, if anything. */
  reopen?(): Promise<Wallet>;
  /** One whose credentials are wrong. */
  openWrong?(): Promise<Wallet>;
  /** An invoice of somebody else, with its hash. */
  invoice?(amountMsat: bigint): Promise<{ invoice: string; paymentHash: string }>;
  close(): Promise<void>;
}

/** Timers that a test lets go by. */
export class ManualSchedule {
  readonly #timers = new Set<{ at: number; run: () => void }>();
  #now = 0;

  /** `shortMs`: what waits no longer goes by at once, for polling; 0 for none. */
  constructor(readonly shortMs = 0) {}

  readonly schedule = (delayMs: number, run: () => void): (() => void) => {
    if (delayMs <= this.shortMs) {
      const immediate = setImmediate(run);
      return () => clearImmediate(immediate);
    }
    const timer = { at: this.#now + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  readonly elapse = (milliseconds: number): void => {
    this.#now += milliseconds;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > this.#now || !this.#timers.delete(timer)) continue;
      timer.run();
    }
  };
}
