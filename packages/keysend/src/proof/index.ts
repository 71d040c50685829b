export { signAsNode, verifyNodeSignature } from './nodeSignature.js';
export { senderProofType } from './proofRecord.js';
export type { ProvenPayment } from './proofText.js';
export { paymentOfLeg, proveLeg } from './proveLeg.js';
export {
  decodeReceiptRecord,
  encodeReceiptRecord,
  parseReceipt,
  type Receipt,
  type ReceiptExpectation,
  type ReceiptFault,
  type ReceiptVerdict,
  receiptRecordType,
  receiptSchema,
  signedReceiptText,
  verifyReceipt,
} from './receipt.js';
export { type ReceiptHttpAnswer, type ReceiptHttpRequest, receiptAnswer } from './receiptAnswer.js';
export { type AcceptedReceipt, ReceiptBook, type ReceiptBookOptions } from './receiptBook.js';
export { type IssueOptions, ReceiptIssuer, type ReceiptIssuerOptions } from './receiptIssuer.js';
export {
  ReceiptReturner,
  type ReceiptReturnerOptions,
  type ReturnLimits,
  type ReturnOutcome,
} from './receiptReturner.js';
export {
  createReceiptRequest,
  createSenderProof,
  type PaymentWithRecords,
  type ReceiptRequest,
  type ReceiptWish,
  readReceiptRequest,
  type SenderProofFault,
  type SenderProofRequest,
  type SenderProofVerdict,
  type SignText,
  senderProofSize,
  verifySenderProof,
} from './senderProof.js';
