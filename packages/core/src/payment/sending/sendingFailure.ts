import type { DirectedChannel } from '../../graph/index.js';

export type SendingFailureCode =
  /** Nothing connects us and the destination, or nothing that would carry the amount. */
  | 'no_route'
  | 'fee_limit'
  | 'cltv_limit'
  | 'insufficient_balance'
  | 'destination_unknown'
  | 'no_channels'
  /** Our own channels took no HTLC of this payment. */
  | 'refused_by_channel'
  | 'refused_by_destination'
  /** The deadline passed. */
  | 'expired'
  | 'too_many_attempts'
  | 'timed_out_on_chain'
  /** The onion has no room for the custom records on the routes that there are. */
  | 'records_too_large'
  /** The search for routes gave one that cannot be; a fault of Rivulet. */
  | 'internal';

/** What there is to know beside the text: only what belongs to the code is there. */
export interface SendingFailureDetails {
  /** How many HTLCs were made. */
  readonly attempts: number;
  /** What a route would cost. */
  readonly feeMsat?: bigint;
  /** How long a route would last, in blocks. */
  readonly cltvDelta?: number;
  /** What our channels could carry. */
  readonly spendableMsat?: bigint;
  /** How many bytes the largest custom record may have. */
  readonly roomBytes?: number;
  /** The last failure that came back: the name of BOLT 4's message, or another cause (AttemptFailure). */
  readonly cause?: string;
  /** The node that said so, in hex. */
  readonly node?: string;
  /** The channel that it was about. */
  readonly channel?: DirectedChannel;
}

/** Why a payment failed: `code` for programs, `text` for people. */
export interface SendingFailure {
  readonly code: SendingFailureCode;
  readonly text: string;
  readonly details: SendingFailureDetails;
}

export const sendingFailureCodes: readonly SendingFailureCode[] = [
  'no_route',
  'fee_limit',
  'cltv_limit',
  'insufficient_balance',
  'destination_unknown',
  'no_channels',
  'refused_by_channel',
  'refused_by_destination',
  'expired',
  'too_many_attempts',
  'timed_out_on_chain',
  'records_too_large',
  'internal',
];

/** Digits in groups of three: `1,204`. */
function grouped(value: bigint | number): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** An amount for people: `1,204 sat`, or `1,204.567 sat` where millisatoshi are left over. */
export function formatMsat(amountMsat: bigint): string {
  const fraction = (amountMsat % 1000n).toString().padStart(3, '0').replace(/0+$/, '');
  return `${grouped(amountMsat / 1000n)}${fraction === '' ? '' : `.${fraction}`} sat`;
}

/** Blocks for people, with the time that they take. */
export function formatBlocks(blocks: number): string {
  const hours = Math.round(blocks / 6);
  const time = hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
  return `${grouped(blocks)} blocks (about ${time})`;
}
