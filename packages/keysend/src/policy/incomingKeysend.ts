/** A keysend that has arrived and is not settled: whoever judges it sees no more than its sender gave. */
export interface IncomingKeysend {
  /** 64 hex digits. */
  readonly paymentHash: string;
  /** All parts together. */
  readonly amountMsat: bigint;
  /** Every custom record but the preimage. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
  /** The channel that it came by, 64 hex digits. */
  readonly channelId: string;
  /** Our node, 66 hex digits: what a sender's signature is for. */
  readonly recipient: string;
  readonly nowMs: number;
}

/** What becomes of it. A refused one goes back, and nothing of it is kept. */
export type PolicyVerdict =
  | { readonly action: 'accept' }
  | { readonly action: 'refuse'; readonly rule: string }
  /** Stays unsettled until somebody decides, and goes back at `untilMs`. */
  | { readonly action: 'hold'; readonly rule: string; readonly untilMs: number };
