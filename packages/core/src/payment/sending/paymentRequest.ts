import { bytesToHex, equalBytes, RivuletError } from '../../bytes/index.js';
import { secp256k1, sha256 } from '../../crypto/index.js';
import type { DirectedChannel, HintHop } from '../../graph/index.js';
import { keysendRecordType } from '../keysend.js';

/** What the destination is told beside the amount and the expiry. */
export type PaymentKind =
  /** A push to a node id (bLIP 3); the preimage is in the onion. */
  | { readonly type: 'keysend'; readonly preimage: Uint8Array }
  /** Paid against an invoice (BOLT 11). */
  | { readonly type: 'invoice'; readonly paymentSecret: Uint8Array; readonly paymentMetadata?: Uint8Array }
  /**
   * The hash is random, so that nobody can settle it: the payment succeeds when the destination itself says
   * that it does not know it. Always one HTLC.
   */
  | { readonly type: 'probe' };

/** A payment as it was asked for. It never changes, whatever is learned while it is made. */
export interface PaymentRequest {
  readonly paymentHash: Uint8Array;
  /** 33 bytes; may be our own node, for a circle. */
  readonly destination: Uint8Array;
  /** What arrives, all parts together. */
  readonly amountMsat: bigint;
  readonly kind: PaymentKind;
  /**
   * Lets a keysend be sent in parts: it goes into `payment_data` of each, and only where there are several.
   * 32 random bytes. A probe without one makes one up.
   */
  readonly paymentSecret?: Uint8Array;
  /** Types of 65536 and above, without the preimage's. */
  readonly customRecords: ReadonlyMap<bigint, Uint8Array>;
  /** What the destination asks for, in blocks. */
  readonly finalCltvDelta: number;
  /** Ways over unannounced channels, each ending at the destination. */
  readonly hints: readonly (readonly HintHop[])[];
  /** For all parts together. */
  readonly maxFeeMsat: bigint;
  /** The most that an HTLC may last, in blocks, the final delta included. */
  readonly maxCltvDelta: number;
  /** How many HTLCs may be on the way at a time. */
  readonly maxParts: number;
  /** How many HTLCs may be made in all. */
  readonly maxAttempts: number;
  /** Nothing is sent from then on. Milliseconds since 1970. */
  readonly deadlineMs: number;
  /** Only these of our channels may begin a route (`FirstHop.shortChannelId`). */
  readonly firstHops?: ReadonlySet<bigint>;
  /** Node ids in hex. */
  readonly excludedNodes?: ReadonlySet<string>;
  readonly excludedChannels?: ReadonlySet<DirectedChannel>;
}

export type SendingErrorCode =
  /** A payment that cannot be asked for so. */
  | 'request_invalid'
  /** There is no such attempt, or the preimage is not that of this payment. */
  | 'attempt_unknown'
  | 'preimage_wrong';

/** A call that must not be: nothing changed. What becomes of a payment is never told by an exception. */
export class SendingError extends RivuletError<SendingErrorCode> {}

/** All the bitcoin there will ever be. */
const maxAmountMsat = 21_000_000n * 100_000_000n * 1000n;
/** What a stored payment may hold; far above what is of use. */
const requestLimits = { attempts: 1000, parts: 100, hints: 64, hintHops: 20, excluded: 1000 } as const;

/** @throws SendingError `request_invalid` */
export function checkRequest(request: PaymentRequest): void {
  const { kind, customRecords } = request;
  check(isBytes(request.paymentHash, 32), 'a payment hash has 32 bytes');
  check(
    secp256k1.isPublicKey(request.destination),
    'the destination is not a public key: 33 bytes that begin with 02 or 03',
  );
  check(request.amountMsat > 0n, 'the amount must be above zero');
  check(request.amountMsat <= maxAmountMsat, 'the amount is more than all the bitcoin there will be');
  check(
    request.maxFeeMsat >= 0n && request.maxFeeMsat <= maxAmountMsat,
    'the fee limit must be zero or above, and below all the bitcoin there is',
  );
  check(isInteger(request.finalCltvDelta, 1, 0xffff), 'the final CLTV delta is from 1 to 65535 blocks');
  check(
    isInteger(request.maxCltvDelta, request.finalCltvDelta, 0xffff),
    `the payment may be locked for ${request.maxCltvDelta} blocks at most, and the destination alone asks for ${request.finalCltvDelta}: allow more`,
  );
  check(isInteger(request.maxParts, 1, requestLimits.parts), `from 1 to ${requestLimits.parts} parts`);
  check(
    isInteger(request.maxAttempts, 1, requestLimits.attempts),
    `from 1 to ${requestLimits.attempts} attempts`,
  );
  check(isInteger(request.deadlineMs, 0, Number.MAX_SAFE_INTEGER), 'the deadline is a time in milliseconds');
  const { paymentSecret } = request;
  check(paymentSecret === undefined || isBytes(paymentSecret, 32), 'a payment secret has 32 bytes');
  switch (kind.type) {
    case 'keysend':
      check(isBytes(kind.preimage, 32), 'a preimage has 32 bytes');
      check(
        equalBytes(sha256(kind.preimage), request.paymentHash),
        'the payment hash is not that of the preimage',
      );
      break;
    case 'invoice':
      check(isBytes(kind.paymentSecret, 32), 'a payment secret has 32 bytes');
      check((kind.paymentMetadata?.length ?? 0) <= 1300, 'the payment metadata does not fit into an onion');
      break;
    case 'probe':
      break;
    default:
      kind satisfies never;
  }
  for (const type of customRecords.keys()) {
    check(type !== keysendRecordType, `record ${type} holds the preimage; it is set by Rivulet`);
    // BOLT 4: what is below belongs to the protocol
    check(type >= 65536n && type < 1n << 64n, `record ${type}: custom records have types of 65536 and above`);
  }
  checkSelections(request);
}

function checkSelections(request: PaymentRequest): void {
  const { excludedNodes, excludedChannels, firstHops, hints } = request;
  for (const selection of [excludedNodes, excludedChannels, firstHops]) {
    check((selection?.size ?? 0) <= requestLimits.excluded, `at most ${requestLimits.excluded} entries`);
  }
  check(
    excludedNodes?.has(bytesToHex(request.destination)) !== true,
    'the destination is among the excluded nodes',
  );
  check(hints.length <= requestLimits.hints, `at most ${requestLimits.hints} hints`);
  for (const hint of hints) {
    check(
      hint.length > 0 && hint.length <= requestLimits.hintHops,
      `a hint has from 1 to ${requestLimits.hintHops} hops`,
    );
    check(hint.every(isHintHop), 'a hint names no node, or has a number that no channel has');
  }
  for (const node of excludedNodes ?? []) {
    check(/^[0-9a-f]{66}$/.test(node), 'an excluded node is not a node id of 66 lower-case hex digits');
  }
  for (const channel of excludedChannels ?? []) {
    const [, id] = /^(\d{1,20})\/[01]$/.exec(channel) ?? [];
    check(id !== undefined && isU64(BigInt(id)), 'an excluded channel is not an id, a slash and 0 or 1');
  }
  for (const id of firstHops ?? []) check(isU64(id), 'a channel of ours is not a short channel id');
}

function isHintHop(hop: HintHop): boolean {
  return (
    isBytes(hop.nodeId, 33) &&
    isU64(hop.shortChannelId) &&
    isInteger(hop.feeBaseMsat, 0, 0xffff_ffff) &&
    isInteger(hop.feeProportionalMillionths, 0, 0xffff_ffff) &&
    isInteger(hop.cltvExpiryDelta, 0, 0xffff) &&
    isU64(hop.htlcMinimumMsat ?? 0n) &&
    isU64(hop.htlcMaximumMsat ?? 0n)
  );
}

function isU64(value: bigint): boolean {
  return value >= 0n && value < 1n << 64n;
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new SendingError('request_invalid', message);
}

function isBytes(value: Uint8Array, length: number): boolean {
  return value instanceof Uint8Array && value.length === length;
}

function isInteger(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

/** How many HTLCs of a payment may be on the way at a time: one, where nothing tells the parts together. */
export function partsAllowed(request: PaymentRequest): number {
  switch (request.kind.type) {
    case 'keysend':
      return request.paymentSecret === undefined ? 1 : request.maxParts;
    case 'invoice':
      return request.maxParts;
    case 'probe':
      return 1;
  }
}
