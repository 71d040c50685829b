import { KeysendError, type KeysendErrorCode } from '../../keysendError.js';
import { failed } from '../checkKeysend.js';
import type { PaymentOutcome, WalletFailure } from '../wallet.js';

/** What a ClientError of `@rivulet/sdk` has: read by its fields, so that the sdk need not be loaded. */
interface DaemonError {
  readonly code: string;
  readonly message: string;
  readonly status: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
}

/** The daemon's error, or its client's; nothing for anything else. */
export function daemonErrorOf(error: unknown): DaemonError | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const { status, details } = error as { status?: unknown; details?: unknown };
  return {
    code: error.code,
    message: error.message,
    status: typeof status === 'number' ? status : undefined,
    details:
      typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : undefined,
  };
}

type Failing = readonly [failure: WalletFailure, retryable: boolean];

/** Codes of a failed payment, and of a request that was refused. Nothing was paid with any of them. */
const failures: ReadonlyMap<string, Failing> = new Map<string, Failing>([
  ['daemon_unreachable', ['unreachable', true]],
  ['stopping', ['unreachable', true]],
  ['unauthorized', ['unauthorized', false]],
  ['host_not_allowed', ['unauthorized', false]],
  ['endpoint_not_found', ['wallet_cannot', false]],
  ['method_not_allowed', ['wallet_cannot', false]],
  ['not_supported', ['wallet_cannot', false]],
  ['too_many_streams', ['rate_limited', true]],
  ['no_channels', ['no_route', true]],
  ['no_route', ['no_route', true]],
  ['destination_unknown', ['no_route', true]],
  ['unknown_node', ['no_route', true]],
  ['refused_by_channel', ['no_route', true]],
  ['too_many_attempts', ['no_route', true]],
  ['cltv_limit', ['no_route', true]],
  ['peer_offline', ['no_route', true]],
  ['fee_limit', ['fee_limit', true]],
  ['insufficient_balance', ['insufficient_balance', true]],
  ['refused_by_destination', ['refused_by_destination', false]],
  ['feature_missing', ['refused_by_destination', false]],
  ['expired', ['timeout', true]],
  ['timed_out_on_chain', ['timeout', true]],
  ['not_accepting', ['other', true]],
  ['not_stored', ['other', true]],
  ['chain_not_synced', ['other', true]],
  ['failed_before', ['other', true]],
  ['internal', ['other', true]],
]);

/** Codes after which nobody knows: the answer did not come, or the node itself is not sure. */
const open: ReadonlySet<string> = new Set([
  'connection_lost',
  'response_invalid',
  'internal_error',
  'outcome_unknown',
]);

/** Why a payment failed, by the code of the payment or of the error. */
export function failureOf(given: {
  readonly code: string;
  readonly message: string;
  readonly details?: DaemonError['details'];
}): Extract<PaymentOutcome, { status: 'failed' }> {
  // What is not listed is a request that makes no sense: an invoice, a record, an amount that is refused.
  const [failure, retryable] = failures.get(given.code) ?? ['request_invalid', false];
  const outcome = failed(failure, given.message, retryable);
  const feeMsat = given.details?.feeMsat;
  if (failure !== 'fee_limit' || typeof feeMsat !== 'string' || !/^[0-9]{1,19}$/.test(feeMsat))
    return outcome;
  return { ...outcome, neededFeeMsat: BigInt(feeMsat) };
}

/** What a rejected call says of the payment; nothing where it leaves that open. */
export function certainFailure(error: unknown): PaymentOutcome | undefined {
  const known = daemonErrorOf(error);
  if (known === undefined || open.has(known.code)) return undefined;
  // Only what was refused before anything was sent has one of these statuses; or none, where it never left here.
  const { status } = known;
  if (status !== undefined && status >= 500 && known.code !== 'stopping') return undefined;
  if (status === undefined && !['daemon_unreachable', 'request_invalid'].includes(known.code))
    return undefined;
  return failureOf(known);
}

const codes: Partial<Record<WalletFailure, KeysendErrorCode>> = {
  unreachable: 'wallet_unreachable',
  rate_limited: 'wallet_unreachable',
  unauthorized: 'wallet_unauthorized',
  wallet_cannot: 'wallet_cannot',
  request_invalid: 'request_invalid',
};

/** What calls that pay nothing reject with. */
export function keysendErrorOf(error: unknown): KeysendError {
  if (error instanceof KeysendError) return error;
  const known = daemonErrorOf(error);
  if (known === undefined) {
    return new KeysendError('wallet_failed', 'the Rivulet node gave no answer', { cause: error });
  }
  if (known.code === 'connection_lost') return new KeysendError('wallet_unreachable', known.message);
  if (open.has(known.code)) return new KeysendError('wallet_failed', known.message);
  return new KeysendError(codes[failureOf(known).failure] ?? 'wallet_failed', known.message);
}
