import { KeysendError } from '../keysendError.js';
import type { AuditSink } from '../ledger/auditSink.js';
import type { LegPlan } from '../ledger/leg.js';
import type { StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import type { ReceivedPayment } from '../wallets/wallet.js';
import { encodeReceiptRecord, receiptRecordType } from './receipt.js';
import type { ReceiptIssuer } from './receiptIssuer.js';
import { readReceiptRequest } from './senderProof.js';

export interface ReturnLimits {
  /** What goes back with a receipt; 1,000. */
  readonly amountMsat?: bigint;
  /** The most that the way back may cost; 1,000. */
  readonly maxFeeMsat?: bigint;
  /**
   * Payments below this get no receipt by keysend (over HTTP they do); 10,000. At least what sending it back may
   * cost, so that nobody can make us pay more than they paid.
   */
  readonly minPaymentMsat?: bigint;
  /** In an hour, to all together; 60. */
  readonly perHour?: number;
  /** In an hour, to one node; 6. */
  readonly perHourAndNode?: number;
  /** In a day of UTC, amounts and the most that fees may be together; 100,000. */
  readonly perDayMsat?: bigint;
}

export interface ReceiptReturnerOptions {
  readonly store: ToolkitStore;
  readonly issuer: ReceiptIssuer;
  /** Our node, 66 hex digits. */
  readonly recipient: string;
  /** Pays one leg, once, whatever happens in between: a LegLedger. */
  readonly pay: (leg: LegPlan) => Promise<unknown>;
  readonly now: () => number;
  readonly limits?: ReturnLimits;
  readonly audit?: AuditSink;
}

/** What became of the wish for a receipt. */
export type ReturnOutcome =
  /** Its leg is planned: the ledger pays it. */
  | 'returned'
  | 'already'
  /** No receipt is wanted, or none by keysend to a node. */
  | 'not_asked'
  | 'too_small'
  | 'over_limit';

const hourMs = 3_600_000;
const dayMs = 86_400_000;

/** Sends receipts back by keysend to those who ask for it, within limits that a flood of dust cannot pass. */
export class ReceiptReturner {
  readonly #options: ReceiptReturnerOptions;
  readonly #limits: Required<ReturnLimits>;

  /** @throws KeysendError `request_invalid` for limits with which a receipt could cost more than it was asked with. */
  constructor(options: ReceiptReturnerOptions) {
    const limits = {
      amountMsat: 1_000n,
      maxFeeMsat: 1_000n,
      minPaymentMsat: 10_000n,
      perHour: 60,
      perHourAndNode: 6,
      perDayMsat: 100_000n,
      ...options.limits,
    };
    if (limits.amountMsat < 1n || limits.minPaymentMsat < limits.amountMsat + limits.maxFeeMsat) {
      throw new KeysendError(
        'request_invalid',
        'the smallest payment that gets a receipt back must be at least the amount and the fee of sending it',
      );
    }
    this.#options = options;
    this.#limits = limits;
  }

  /** Called for every payment that arrives, any number of times. Rejects where the wallet does not sign. */
  async handle(payment: ReceivedPayment): Promise<ReturnOutcome> {
    const { recipient, issuer, pay, store } = this.#options;
    const request = readReceiptRequest({ ...payment, recipient });
    const nodeId = request?.replyTo;
    if (nodeId === undefined || nodeId === recipient) return 'not_asked';
    // A receipt that comes back asks for none in turn: two toolkits would never end.
    if (payment.records.has(receiptRecordType)) return 'not_asked';
    if (payment.amountMsat < this.#limits.minPaymentMsat) return 'too_small';
    if (store.get(returnedKey(payment.paymentHash)) === 'planned') return 'already';
    const receipt = await issuer.issue(payment);
    const outcome = store.transaction((tx) => this.#reserve(tx, { payment, nodeId }));
    if (outcome !== 'returned') return outcome;
    const { amountMsat, maxFeeMsat } = this.#limits;
    await pay({
      key: `receipt/${payment.paymentHash}`,
      group: 'receipts',
      recipient: { type: 'node', address: nodeId },
      amountMsat,
      maxFeeMsat,
      records: new Map([[receiptRecordType, encodeReceiptRecord(receipt)]]),
      actor: 'rivulet',
      note: 'receipt',
    });
    store.transaction((tx) => tx.put(returnedKey(payment.paymentHash), 'planned'));
    return outcome;
  }

  /** Counts it against the limits, once, before it can leave. */
  #reserve(tx: StoreTransaction, given: { payment: ReceivedPayment; nodeId: string }): ReturnOutcome {
    const { payment, nodeId } = given;
    const state = tx.get(returnedKey(payment.paymentHash));
    if (state === 'planned') return 'already';
    // Counted before, and perhaps not given to the ledger: the ledger knows its key.
    if (state === 'reserved') return 'returned';
    const nowMs = this.#options.now();
    const cost = this.#limits.amountMsat + this.#limits.maxFeeMsat;
    const counts = [
      { name: 'hour', period: hourMs, add: 1n, most: BigInt(this.#limits.perHour) },
      { name: `node/${nodeId}`, period: hourMs, add: 1n, most: BigInt(this.#limits.perHourAndNode) },
      { name: 'day', period: dayMs, add: cost, most: this.#limits.perDayMsat },
    ].map(({ name, period, add, most }) => {
      const key = `receipt/count/${name}`;
      const bucket = Math.floor(nowMs / period);
      const [storedBucket, storedSum] = tx.get(key)?.split(' ') ?? [];
      const sum = (storedBucket === `${bucket}` ? BigInt(storedSum ?? '0') : 0n) + add;
      return { key, text: `${bucket} ${sum}`, over: sum > most };
    });
    if (counts.some(({ over }) => over)) return 'over_limit';
    for (const { key, text } of counts) tx.put(key, text);
    tx.put(returnedKey(payment.paymentHash), 'reserved');
    this.#options.audit?.append(tx, {
      type: 'receipt_returned',
      atMs: nowMs,
      actor: 'rivulet',
      data: {
        paymentHash: payment.paymentHash,
        counterparty: nodeId,
        amountMsat: this.#limits.amountMsat.toString(),
      },
    });
    return 'returned';
  }
}

function returnedKey(paymentHash: string): string {
  return `receipt/returned/${paymentHash}`;
}
