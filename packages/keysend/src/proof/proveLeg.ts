import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { hmacSha256, sha256 } from '@rivulet/core/crypto';
import { KeysendError } from '../keysendError.js';
import { derivePreimage } from '../ledger/derivePreimage.js';
import type { LegPlan } from '../ledger/leg.js';
import { senderProofType } from './proofRecord.js';
import {
  createReceiptRequest,
  createSenderProof,
  type PaymentWithRecords,
  type SignText,
} from './senderProof.js';

/**
 * The payment that a leg of a ledger makes, as a proof binds it: its hash follows from the ledger's secret and the
 * leg's key. Holds for wallets whose preimage the caller chooses (`repeats: 'preimage'`).
 * @throws KeysendError `request_invalid` for a recipient that is no node.
 */
export function paymentOfLeg(plan: LegPlan, secret: Uint8Array): PaymentWithRecords {
  const { recipient, amountMsat, records } = plan;
  if (recipient.type !== 'node') {
    throw new KeysendError(
      'request_invalid',
      `${recipient.address} is no node: resolve the address first, as a proof names the node that is paid`,
    );
  }
  const paymentHash = bytesToHex(sha256(derivePreimage(secret, plan.key)));
  return { paymentHash, recipient: recipient.address, amountMsat, records };
}

/**
 * The plan with a record that says who sends it, that asks for a receipt, or both. A plan whose key is known already
 * gets the record of the first time: the same key is the same payment.
 * @param secret the ledger's.
 * @throws KeysendError `request_invalid`, `signature_invalid`
 */
export async function proveLeg(
  plan: LegPlan,
  given: {
    readonly secret: Uint8Array;
    /** Who says that it sends; nobody does where it is absent. */
    readonly signer?: { readonly nodeId: string; readonly sign: SignText } | undefined;
    /** A receipt is wanted; by keysend where there is a `replyTo`. */
    readonly receipt?: { readonly replyTo?: string } | undefined;
    readonly nowMs: number;
    /** The leg of this key that the ledger has already. */
    readonly known?: LegPlan | undefined;
  },
): Promise<LegPlan> {
  const { secret, signer, receipt, nowMs, known } = given;
  const before = known?.records.get(senderProofType);
  if (known !== undefined) return before === undefined ? plan : withRecord(plan, before);
  const payment = paymentOfLeg(plan, secret);
  const wish = receipt === undefined ? undefined : { ...receipt, nonce: receiptNonce(secret, plan.key) };
  if (signer !== undefined) {
    const request = {
      ...payment,
      sender: signer.nodeId,
      signedAtMs: nowMs,
      ...(wish === undefined ? {} : { receipt: wish }),
    };
    return withRecord(plan, await createSenderProof(request, signer.sign));
  }
  return wish === undefined ? plan : withRecord(plan, createReceiptRequest(payment.records, wish));
}

function withRecord(plan: LegPlan, value: Uint8Array): LegPlan {
  return { ...plan, records: new Map([...plan.records, [senderProofType, value]]) };
}

const nonceDomain = utf8ToBytes('rivulet/keysend/receipt-nonce/1\0');

/** The same for the same payment, and known to nobody else. */
function receiptNonce(secret: Uint8Array, key: string): string {
  return bytesToHex(hmacSha256(secret, nonceDomain, utf8ToBytes(key)).subarray(0, 16));
}
