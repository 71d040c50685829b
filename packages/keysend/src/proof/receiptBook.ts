import { KeysendError } from '../keysendError.js';
import type { AuditSink } from '../ledger/auditSink.js';
import type { StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import type { Fetcher } from '../value/fetcher.js';
import {
  decodeReceiptRecord,
  parseReceipt,
  type Receipt,
  type ReceiptFault,
  receiptRecordType,
  verifyReceipt,
} from './receipt.js';
import { checkPayment, type PaymentWithRecords, readReceiptRequest } from './senderProof.js';

/** A payment that a receipt was asked for. */
interface AskedReceipt {
  readonly paymentHash: string;
  readonly recipient: string;
  readonly amountMsat: string;
  readonly nonce: string;
  readonly sender?: string;
  readonly records: string;
  readonly askedAtMs: number;
  readonly leg?: string;
}

export type AcceptedReceipt =
  | { readonly status: 'stored' | 'known'; readonly receipt: Receipt }
  | { readonly status: 'refused'; readonly reason: ReceiptFault | 'payment_unknown' };

export interface ReceiptBookOptions {
  readonly store: ToolkitStore;
  readonly now: () => number;
  readonly audit?: AuditSink;
}

/** The payer's side: which payments asked for a receipt, and the receipts that came, one for each. */
export class ReceiptBook {
  readonly #store: ToolkitStore;
  readonly #now: () => number;
  readonly #audit: AuditSink | undefined;

  constructor({ store, now, audit }: ReceiptBookOptions) {
    this.#store = store;
    this.#now = now;
    this.#audit = audit;
  }

  /**
   * Remembers a payment whose records ask for a receipt, before it leaves: in the transaction of its leg.
   * @param payment with the records as they are sent.
   * @param leg the key of the ledger's leg, from which its preimage derives.
   * @throws KeysendError `request_invalid` where they ask for none.
   */
  ask(tx: StoreTransaction, payment: PaymentWithRecords, leg?: string): void {
    checkPayment(payment);
    const request = readReceiptRequest(payment);
    if (request === undefined) {
      throw new KeysendError('request_invalid', 'the records of this payment ask for no receipt');
    }
    const asked: AskedReceipt = {
      paymentHash: payment.paymentHash,
      recipient: payment.recipient,
      amountMsat: payment.amountMsat.toString(),
      nonce: request.nonce,
      ...(request.sender === undefined ? {} : { sender: request.sender }),
      records: request.records,
      askedAtMs: this.#now(),
      ...(leg === undefined ? {} : { leg }),
    };
    tx.put(askedKey(payment.paymentHash), JSON.stringify(asked));
  }

  /** The nonce with which a payment's receipt is asked for. */
  nonceOf(paymentHash: string): string | undefined {
    return this.#asked(paymentHash)?.nonce;
  }

  /** The leg that made a payment, where `ask` was told. */
  legOf(paymentHash: string): string | undefined {
    return this.#asked(paymentHash)?.leg;
  }

  /** Takes a receipt that came in any way: only for a payment that we made, and only as it was made. */
  accept(value: unknown): AcceptedReceipt {
    const checked = verifyReceipt(value);
    if (checked.status === 'invalid') return { status: 'refused', reason: checked.reason };
    const asked = this.#asked(checked.receipt.paymentHash);
    if (asked === undefined) return { status: 'refused', reason: 'payment_unknown' };
    const verdict = verifyReceipt(value, {
      expected: { ...asked, amountMsat: BigInt(asked.amountMsat) },
    });
    if (verdict.status === 'invalid') return { status: 'refused', reason: verdict.reason };
    const { receipt } = verdict;
    // Somebody with the signature alone could add a sender that the payment did not name.
    if (receipt.sender !== asked.sender) return { status: 'refused', reason: 'other_sender' };
    return this.#store.transaction((tx) => {
      const before = tx.get(gotKey(receipt.paymentHash));
      if (before !== undefined) return { status: 'known', receipt: parseReceipt(before) };
      tx.put(gotKey(receipt.paymentHash), JSON.stringify(receipt));
      this.#audit?.append(tx, {
        type: 'receipt_accepted',
        atMs: this.#now(),
        actor: 'rivulet',
        data: {
          paymentHash: receipt.paymentHash,
          amountMsat: receipt.amountMsat,
          counterparty: receipt.recipient,
        },
      });
      return { status: 'stored', receipt };
    });
  }

  /** Takes the receipt that a keysend brings back; `undefined` where it brings none. */
  acceptPayment(payment: { readonly records: ReadonlyMap<bigint, Uint8Array> }): AcceptedReceipt | undefined {
    const value = payment.records.get(receiptRecordType);
    if (value === undefined) return undefined;
    const compact = decodeReceiptRecord(value);
    if (compact === undefined) return { status: 'refused', reason: 'malformed' };
    const asked = this.#asked(compact.paymentHash);
    if (asked === undefined) return { status: 'refused', reason: 'payment_unknown' };
    const { recipient, amountMsat, nonce, sender, records } = asked;
    return this.accept({
      type: 'keysend-receipt',
      version: 1,
      paymentHash: compact.paymentHash,
      recipient,
      amountMsat,
      receivedAtMs: compact.receivedAtMs,
      nonce,
      ...(sender === undefined ? {} : { sender }),
      records,
      signature: compact.signature,
    });
  }

  /**
   * Gets a receipt over HTTP, and takes it.
   * @param url the recipient's address of receipts.
   * @throws KeysendError `not_found` where we made no such payment or there is no receipt; those of the fetcher.
   */
  async fetch(
    paymentHash: string,
    given: { readonly url: string; readonly fetcher: Fetcher; readonly signal?: AbortSignal },
  ): Promise<AcceptedReceipt> {
    const { url, fetcher, signal } = given;
    const nonce = this.nonceOf(paymentHash);
    if (nonce === undefined) {
      throw new KeysendError('not_found', `no payment ${paymentHash} asked for a receipt`);
    }
    const address = `${url.replace(/\/+$/, '')}/${paymentHash}?nonce=${nonce}`;
    const limits = { maxBytes: 4_096, timeoutMs: 20_000, ...(signal === undefined ? {} : { signal }) };
    const { status, body } = await fetcher(address, limits);
    if (status !== 200) {
      throw new KeysendError('not_found', `the recipient has no receipt for this payment (status ${status})`);
    }
    return this.accept(parseReceipt(new TextDecoder().decode(body)));
  }

  get(paymentHash: string): Receipt | undefined {
    const text = this.#store.get(gotKey(paymentHash));
    return text === undefined ? undefined : parseReceipt(text);
  }

  /** By payment hash. @param after the hash that the last page ended with. */
  list({ after, limit = 100 }: { readonly after?: string; readonly limit?: number } = {}): Receipt[] {
    const entries = this.#store.list({
      prefix: gotKey(''),
      ...(after === undefined ? {} : { after: gotKey(after) }),
      limit,
    });
    return entries.map(({ value }) => parseReceipt(value));
  }

  #asked(paymentHash: string): AskedReceipt | undefined {
    const text = this.#store.get(askedKey(paymentHash));
    return text === undefined ? undefined : (JSON.parse(text) as AskedReceipt);
  }
}

function askedKey(paymentHash: string): string {
  return `receipt/asked/${paymentHash}`;
}

function gotKey(paymentHash: string): string {
  return `receipt/got/${paymentHash}`;
}
