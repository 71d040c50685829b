import type { HintHop } from '@rivulet/core/graph';

/** Who gets a share: a row of a value block, or a line of a payout file. */
export interface Recipient {
  readonly name?: string;
  /** `node`: a public key; `lnaddress`: name@host, resolved as keysend address first and LNURL-pay second. */
  readonly type: 'node' | 'lnaddress';
  /** 66 hex digits in lower case, or name@host in lower case. */
  readonly address: string;
  /** Says which account behind the node is meant. */
  readonly customKey?: string;
  readonly customValue?: string;
}

/** Where a recipient is paid. */
export type Destination =
  | {
      readonly type: 'keysend';
      readonly nodeId: string;
      /** Which account behind the node: to be sent with every payment. */
      readonly records: ReadonlyMap<bigint, Uint8Array>;
      readonly hints?: readonly (readonly HintHop[])[];
    }
  | {
      readonly type: 'lnurl';
      /** Where an invoice is fetched. */
      readonly callback: string;
      readonly minMsat: bigint;
      readonly maxMsat: bigint;
      /** Characters of a comment that are taken; 0 for none. */
      readonly commentLength: number;
      /** What the invoice's description hash must be the hash of. */
      readonly metadata: string;
    };

/** Finds out where a recipient is paid, and gets invoices from those who take no keysend. */
export interface DestinationResolver {
  /** @throws KeysendError `address_invalid`, `address_unknown`, `address_unreachable`. */
  resolve(recipient: Recipient, options?: { signal?: AbortSignal }): Promise<Destination>;
  /** An invoice of exactly this amount, checked. @throws KeysendError `address_unreachable`. */
  invoice(
    destination: Extract<Destination, { type: 'lnurl' }>,
    request: { amountMsat: bigint; comment?: string; signal?: AbortSignal },
  ): Promise<{ invoice: string; paymentHash: string; expiresAtMs: number }>;
}
