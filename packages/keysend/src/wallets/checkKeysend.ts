import { firstCustomType, keysendRecordType, lastCustomType } from '../records/recordTypes.js';
import type { KeysendRequest, PaymentOutcome, WalletCapabilities, WalletFailure } from './wallet.js';

/** All bitcoin that can exist. */
const allMsat = 2_100_000_000_000_000_000n;

/** An outcome of a payment that certainly was not made. */
export function failed(
  failure: WalletFailure,
  message: string,
  retryable = false,
): Extract<PaymentOutcome, { status: 'failed' }> {
  return { status: 'failed', failure, message, retryable };
}

/** What is wrong with a request, for all wallets alike; nothing where it may be sent. */
export function checkKeysend(
  request: KeysendRequest,
  can: WalletCapabilities,
): Extract<PaymentOutcome, { status: 'failed' }> | undefined {
  const invalid = (message: string) => failed('request_invalid', message);
  if (!/^0[23][0-9a-f]{64}$/.test(request.nodeId)) {
    return invalid('the destination is no node id: 66 hex digits in lower case that start with 02 or 03');
  }
  if (request.amountMsat <= 0n || request.amountMsat > allMsat) {
    return invalid('the amount has to be at least 1 msat, and no more than all there is');
  }
  const { maxFeeMsat = 0n } = request;
  if (maxFeeMsat < 0n || maxFeeMsat > allMsat) return invalid('the limit of the fee is no amount');
  if (request.preimage.length !== 32) return invalid('the preimage has to have 32 bytes');
  if (request.key === '' || request.key.length > 128) {
    return invalid('the key of a payment has to have 1 to 128 characters');
  }
  for (const type of request.records.keys()) {
    if (type === keysendRecordType) {
      return invalid(`record ${type} is the preimage, which the wallet sets: leave it out`);
    }
    // BOLT 4: tlv_payload, custom records have types of 65536 and above
    if (type < firstCustomType || type > lastCustomType) {
      return invalid(`record ${type} is none of an app: types are from 65536 to 18446744073709551615`);
    }
  }
  const cannot = (what: string) => failed('wallet_cannot', `this wallet cannot ${what}`);
  if (!can.keysend) return cannot('send keysends');
  if (!can.sendsRecords && request.records.size > 0) return cannot('send records with a keysend');
  if (!can.takesHints && (request.hints ?? []).length > 0) return cannot('use route hints for a keysend');
  if (!can.limitsFees && request.maxFeeMsat !== undefined) return cannot('limit the fee of a keysend');
  return undefined;
}

/** The limit that nodes use by default: all of an amount up to 1,000 sat, else 5 %. */
export function defaultMaxFeeMsat(amountMsat: bigint): bigint {
  return amountMsat <= 1_000_000n ? amountMsat : amountMsat / 20n;
}
