import { equalBytesConstantTime, utf8ToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../keysendError.js';
import type { AuditSink } from '../ledger/auditSink.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import type { ReceivedPayment } from '../wallets/wallet.js';
import { verifyNodeSignature } from './nodeSignature.js';
import {
  checkNonce,
  coverableTypes,
  decodeProofRecord,
  recordsDigest,
  senderProofType,
} from './proofRecord.js';
import { parseReceipt, type Receipt, signedReceiptText } from './receipt.js';
import { checkPayment, type ReceiptRequest, readReceiptRequest, type SignText } from './senderProof.js';

export interface ReceiptIssuerOptions {
  readonly store: ToolkitStore;
  /** Our node, 66 hex digits: whose signature a receipt has. */
  readonly recipient: string;
  readonly sign: SignText;
  readonly audit?: AuditSink;
  readonly now: () => number;
}

export interface IssueOptions {
  /** What somebody asks for the receipt with: it has to be the sender's. The payment's own where it is absent. */
  readonly nonce?: string;
  /** The owner's wish: also for a payment that asked for no receipt, with the nonce given. */
  readonly unasked?: boolean;
}

/** Issues receipts: one for each payment, the same one whenever it is asked for. */
export class ReceiptIssuer {
  readonly #options: ReceiptIssuerOptions;

  constructor(options: ReceiptIssuerOptions) {
    this.#options = options;
  }

  /** The receipt that was issued for a payment. */
  get(paymentHash: string): Receipt | undefined {
    const text = this.#options.store.get(issuedKey(paymentHash));
    return text === undefined ? undefined : parseReceipt(text);
  }

  /**
   * The receipt of a payment that the wallet says it has settled.
   * @throws KeysendError `receipt_invalid` where no receipt was asked for, or with another nonce;
   * `signature_invalid` where the wallet does not sign as the recipient.
   */
  async issue(payment: ReceivedPayment, options: IssueOptions = {}): Promise<Receipt> {
    const { recipient, sign, store } = this.#options;
    const issued = this.get(payment.paymentHash);
    if (issued !== undefined) return withNonce(issued, options.nonce);
    const request = this.#requestOf(payment, options);
    const unsigned: Omit<Receipt, 'signature'> = {
      type: 'keysend-receipt',
      version: 1,
      paymentHash: payment.paymentHash,
      recipient,
      amountMsat: payment.amountMsat.toString(),
      receivedAtMs: payment.receivedAtMs,
      nonce: request.nonce,
      ...(request.sender === undefined ? {} : { sender: request.sender }),
      records: request.records,
    };
    const text = signedReceiptText(unsigned);
    const signature = await sign(text);
    const signer = verifyNodeSignature(text, signature);
    if (signer !== recipient) {
      throw new KeysendError(
        'signature_invalid',
        `the wallet signs as ${signer ?? 'nobody'}, not as ${recipient}: give its own node id`,
      );
    }
    const receipt: Receipt = { ...unsigned, signature };
    return store.transaction((tx) => {
      const before = tx.get(issuedKey(payment.paymentHash));
      // Somebody else was faster: there is one receipt for a payment.
      if (before !== undefined) return withNonce(parseReceipt(before), request.nonce);
      tx.put(issuedKey(payment.paymentHash), JSON.stringify(receipt));
      this.#options.audit?.append(tx, {
        type: 'receipt_issued',
        atMs: this.#options.now(),
        actor: 'rivulet',
        data: {
          paymentHash: receipt.paymentHash,
          amountMsat: receipt.amountMsat,
          counterparty: receipt.sender ?? 'unknown',
        },
      });
      return receipt;
    });
  }

  #requestOf(payment: ReceivedPayment, { nonce, unasked = false }: IssueOptions): ReceiptRequest {
    const { recipient } = this.#options;
    const received = { ...payment, recipient };
    checkPayment(received);
    // Before any signature is looked at: whoever guesses costs us nothing.
    const value = payment.records.get(senderProofType);
    const record = value === undefined ? undefined : decodeProofRecord(value);
    if (
      typeof record === 'object' &&
      record.nonce !== undefined &&
      nonce !== undefined &&
      !sameText(nonce, record.nonce)
    ) {
      throw new KeysendError('receipt_invalid', 'this payment asks for its receipt with another nonce');
    }
    const request = readReceiptRequest(received);
    if (request !== undefined) return request;
    if (!unasked) {
      throw new KeysendError('receipt_invalid', `payment ${payment.paymentHash} asks for no receipt`);
    }
    if (nonce === undefined) {
      throw new KeysendError(
        'receipt_invalid',
        'this payment has no nonce: give one, best one that the payer chose',
      );
    }
    const covered = coverableTypes(payment.records.keys());
    return { nonce: checkNonce(nonce), records: recordsDigest(payment.records, covered) as string };
  }
}

function withNonce(receipt: Receipt, nonce: string | undefined): Receipt {
  if (nonce === undefined || sameText(receipt.nonce, nonce)) return receipt;
  throw new KeysendError('receipt_invalid', 'the receipt of this payment was issued with another nonce');
}

function issuedKey(paymentHash: string): string {
  return `receipt/issued/${paymentHash}`;
}

/** In a time that tells nothing of where they differ. */
function sameText(a: string, b: string): boolean {
  return equalBytesConstantTime(utf8ToBytes(a), utf8ToBytes(b));
}
