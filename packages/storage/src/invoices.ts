/**
 * `open`: may be paid. `held`: paid in full and waiting for its preimage, or for a decision. `settled`,
 * `cancelled`: over.
 */
export type InvoiceState = 'open' | 'held' | 'settled' | 'cancelled';

/** An invoice that this node made (BOLT 11). */
export interface StoredInvoice {
  readonly paymentHash: Uint8Array;
  /** Absent where this node does not know it yet: a hold invoice that was made with the hash alone. */
  readonly preimage?: Uint8Array | undefined;
  readonly paymentSecret: Uint8Array;
  /** Absent where the payer chooses. */
  readonly amountMsat?: bigint | undefined;
  readonly bolt11: string;
  readonly description: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly minFinalCltvDelta: number;
  /** What is paid is held until the owner settles or cancels it. */
  readonly hold: boolean;
  readonly state: InvoiceState;
  /** What was paid, from `held` on. */
  readonly receivedMsat?: bigint | undefined;
  readonly settledAtMs?: number | undefined;
}

/** What may change of an invoice. A field that is absent stays as it is. */
export type InvoiceUpdate = Partial<
  Pick<StoredInvoice, 'preimage' | 'state' | 'receivedMsat' | 'settledAtMs'>
>;

/** With its place in the list: `sequence` counts up from 1. */
export type ListedInvoice = StoredInvoice & { readonly sequence: number };

export interface InvoiceFilter {
  readonly state?: InvoiceState | undefined;
  /** Only invoices whose sequence is below this: the `next` of the page before. */
  readonly before?: number | undefined;
  /** 1 to 1,000; 100 unless given. */
  readonly limit?: number | undefined;
}

export interface InvoicePage {
  readonly invoices: ListedInvoice[];
  readonly next?: number | undefined;
}
