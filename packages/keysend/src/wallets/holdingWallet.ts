import type { CallOptions, Wallet } from './wallet.js';

/** A keysend that has arrived and waits for somebody to decide. */
export interface HeldKeysend {
  /** 64 hex digits. */
  readonly paymentHash: string;
  readonly amountMsat: bigint;
  /** Every record of the last hop but the preimage. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
}

/** A wallet whose `holds` may be true. */
export interface HoldingWallet extends Wallet {
  /** Keysends that wait for a decision, each once. Ends with the signal; rejects when the connection is lost. */
  heldKeysends(options: { readonly signal: AbortSignal }): AsyncIterable<HeldKeysend>;
  /** Takes what is held, or gives it back. @throws KeysendError `state_conflict` where it is not held any more */
  decide(
    decision: { readonly paymentHash: string; readonly accept: boolean },
    options?: CallOptions,
  ): Promise<void>;
}
