export type OutgoingStatus = 'pending' | 'succeeded' | 'failed';

/** A payment that this node sends. A hash is used once: a retry has a preimage and hash of its own. */
export interface OutgoingPayment {
  readonly direction: 'outgoing';
  readonly paymentHash: Uint8Array;
  readonly preimage?: Uint8Array | undefined;
  /** Node id, 33 bytes. */
  readonly destination: Uint8Array;
  readonly amountMsat: bigint;
  /** What it costs on top of the amount: the estimate while pending, the truth once succeeded. */
  readonly feeMsat: bigint;
  readonly status: OutgoingStatus;
  readonly failureCode?: string | undefined;
  readonly failureText?: string | undefined;
  /** The custom records as an encoded TLV stream, every one as it was sent. */
  readonly records: Uint8Array;
  readonly createdAtMs: number;
  readonly settledAtMs?: number | undefined;
  readonly channelId?: Uint8Array | undefined;
  readonly htlcId?: bigint | undefined;
  readonly label?: string | undefined;
  /** The caller's key for exactly-once: unique when given. */
  readonly idempotencyKey?: string | undefined;
}

/** What may change after a payment was put. A field that is absent stays as it is. */
export type PaymentUpdate = Partial<
  Pick<
    OutgoingPayment,
    'preimage' | 'feeMsat' | 'status' | 'failureCode' | 'failureText' | 'settledAtMs' | 'channelId' | 'htlcId'
  >
>;

/** A payment that this node has received. */
export interface IncomingPayment {
  readonly direction: 'incoming';
  readonly paymentHash: Uint8Array;
  readonly preimage: Uint8Array;
  readonly amountMsat: bigint;
  readonly status: 'settled';
  /** The custom records as an encoded TLV stream, every one as it came. */
  readonly records: Uint8Array;
  /** Node id of the sender, where the records name one. */
  readonly sender?: Uint8Array | undefined;
  readonly channelId: Uint8Array;
  readonly htlcId: bigint;
  readonly receivedAtMs: number;
}

/** A payment with its place in the list: `sequence` counts up from 1 as payments are put. */
export type Listed<P extends OutgoingPayment | IncomingPayment> = P & { readonly sequence: number };

export type ListedPayment = Listed<OutgoingPayment> | Listed<IncomingPayment>;

export interface PaymentFilter {
  readonly direction?: 'outgoing' | 'incoming' | undefined;
  readonly status?: OutgoingStatus | 'settled' | undefined;
  /** Only payments whose sequence is below this: the `next` of the page before. */
  readonly before?: number | undefined;
  /** Only payments whose sequence is above this, and oldest first: for whoever follows the list. Not with `before`. */
  readonly after?: number | undefined;
  /** 1 to 1,000; 100 unless given. */
  readonly limit?: number | undefined;
}

export interface PaymentPage {
  readonly payments: ListedPayment[];
  /** Where the next page starts; absent on the last one. */
  readonly next?: number | undefined;
}
