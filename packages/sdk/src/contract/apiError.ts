import { RivuletError } from '@rivulet/core/bytes';
import { z } from 'zod';

/** The body of every answer that is no success. */
export const errorBody = z.object({
  error: z.object({
    /** Stable and machine-readable. */
    code: z.string(),
    /** For people: what went wrong and what to do. */
    message: z.string(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
});

/** Codes of the server itself, with their HTTP status. */
export const serverErrorStatus = {
  invalid_request: 400,
  unauthorized: 401,
  host_not_allowed: 403,
  endpoint_not_found: 404,
  method_not_allowed: 405,
  body_timeout: 408,
  body_too_large: 413,
  content_type_not_supported: 415,
  too_many_streams: 429,
  internal_error: 500,
  stopping: 503,
} as const;

export type ServerErrorCode = keyof typeof serverErrorStatus;

/** What the node's own logic answers; all with HTTP status 422. */
export type ServiceErrorCode =
  | 'own_node'
  | 'node_id_invalid'
  | 'unknown_peer'
  | 'peer_offline'
  | 'unknown_channel'
  | 'channel_not_usable'
  | 'amount_invalid'
  | 'insufficient_balance'
  | 'no_route'
  | 'fee_limit'
  | 'invoice_invalid'
  | 'invoice_expired'
  | 'invoice_state'
  | 'unknown_invoice'
  | 'unknown_payment'
  | 'request_invalid'
  | 'unknown_node'
  | 'message_too_long'
  | 'record_invalid'
  | 'idempotency_key_reused'
  | 'feature_missing'
  | 'peer_refused'
  | 'address_invalid'
  | 'regtest_only'
  | 'chain_not_synced'
  | 'not_supported';

/**
 * Throw this (or any other RivuletError) from a NodeService to tell the caller. `details` must be JSON:
 * amounts as strings.
 */
export class ServiceError extends RivuletError<ServiceErrorCode> {
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ServiceErrorCode, message: string, details?: Readonly<Record<string, unknown>>) {
    super(code, message);
    this.details = details;
  }
}
