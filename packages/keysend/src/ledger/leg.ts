import type { Destination, Recipient } from '../value/recipient.js';

/** One payment to one recipient, as it is meant. */
export interface LegPlan {
  /** Names this payment for good: 1 to 128 characters. The same key again is the same payment. */
  readonly key: string;
  /** What it belongs to (a boost, a stream, a run of payouts): 1 to 128 characters. */
  readonly group: string;
  readonly recipient: Recipient;
  readonly amountMsat: bigint;
  /** Custom records, without the preimage (5482373484) and without the account's, which the resolver adds. */
  readonly records: ReadonlyMap<bigint, Uint8Array>;
  /** The wallet's own limit where it is absent; where there are budgets, `defaultMaxFeeMsat`. */
  readonly maxFeeMsat?: bigint | undefined;
  /** Names of the budgets that it is taken from, when it is planned. */
  readonly budgets?: readonly string[] | undefined;
  /** Which episode, for budgets of an episode. */
  readonly scope?: string | undefined;
  /** For recipients who are paid by LNURL and take a comment. */
  readonly comment?: string | undefined;
  /** Ours, for people; not part of what makes two plans the same. */
  readonly note?: string | undefined;
  /** Who wants it, for the audit log: `user` where it is absent. */
  readonly actor?: string | undefined;
}

/**
 * - `planned`: will be paid by the next run; perhaps after a try that certainly failed (`attempts`, `retryAtMs`).
 * - `held`: waits for somebody's approval.
 * - `sending`: the wallet was asked, or is about to be.
 * - `succeeded`, `abandoned`: the end.
 * - `failed`: certainly not paid; can be tried again by hand.
 * - `unknown`: perhaps paid. Ends by the wallet's word, or by that of a person (`resolve`).
 */
export type LegState = 'planned' | 'held' | 'sending' | 'succeeded' | 'failed' | 'unknown' | 'abandoned';

export const legStates: readonly LegState[] = [
  'planned',
  'held',
  'sending',
  'succeeded',
  'failed',
  'unknown',
  'abandoned',
];

export interface LegFailure {
  /** A WalletFailure, a KeysendErrorCode, or `refused_by_guard`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
  /** What it would have cost, where the limit of the fee was too low. */
  readonly neededFeeMsat?: bigint | undefined;
}

export interface LegInvoice {
  /** BOLT 11. */
  readonly invoice: string;
  readonly paymentHash: string;
  readonly expiresAtMs: number;
}

/** A payment that was made, and the hash under which the wallet was asked for it. */
export interface LegWitness {
  readonly key: string;
  readonly paymentHash: string;
}

/** A payment as it is stored. */
export interface Leg extends LegPlan {
  readonly budgets: readonly string[];
  readonly state: LegState;
  /** Counts all legs of the store: the order in which they were planned. */
  readonly sequence: number;
  readonly plannedAtMs: number;
  readonly changedAtMs: number;
  /** Tries that have ended, since it was planned or tried again by hand. */
  readonly attempts: number;
  /** Not before; after a try that failed. */
  readonly retryAtMs?: number | undefined;
  /** When the wallet was asked first. */
  readonly startedAtMs?: number | undefined;
  /** When the wallet was asked last. */
  readonly sentAtMs?: number | undefined;
  readonly destination?: Destination | undefined;
  /** Where the destination is paid by LNURL. */
  readonly invoice?: LegInvoice | undefined;
  /** 64 hex digits, from when the wallet was asked first. */
  readonly paymentHash?: string | undefined;
  /** 64 hex digits, once it is paid and where the wallet tells. */
  readonly preimage?: string | undefined;
  /** Once it is paid. */
  readonly feeMsat?: bigint | undefined;
  /** Why the last try failed, why it waits, or why nobody knows. */
  readonly failure?: LegFailure | undefined;
  /** Why it is held. */
  readonly heldFor?: string | undefined;
  readonly approvedBy?: string | undefined;
  /** Which ledger pays it now (LegLedgerOptions.owner). */
  readonly owner?: string | undefined;
  /** Which wallet was asked: only that one can say what became of it. */
  readonly walletId?: string | undefined;
  /** What that wallet had paid before: while it does not know that any more, it proves nothing of this payment. */
  readonly witness?: LegWitness | undefined;
  /**
   * There where an earlier try may have been paid. Before this time it may even be on its way to the wallet, so that
   * no list of the wallet proves that it was not.
   */
  readonly uncertainUntilMs?: number | undefined;
}

/** What became of some legs. */
export interface LegSummary {
  readonly legs: number;
  readonly amountMsat: bigint;
  /** Of those that succeeded. */
  readonly feesMsat: bigint;
  readonly states: Readonly<Record<LegState, { readonly legs: number; readonly amountMsat: bigint }>>;
}

/**
 * How much the nodes on the way may take where a plan with budgets does not say: as much as is paid up to 1,000 sat,
 * else 5 %, as most wallets do.
 */
export function defaultMaxFeeMsat(amountMsat: bigint): bigint {
  return amountMsat <= 1_000_000n ? amountMsat : amountMsat / 20n;
}
