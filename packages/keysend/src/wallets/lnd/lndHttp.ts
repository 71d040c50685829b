import * as z from '../../schema/index.js';
import { HttpProblem, toBase64 } from '../http/index.js';

/** In a path: the alphabet that needs no escape. */
export function toPathBase64(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_');
}

/** A 64-bit number: text in protobuf's JSON; some proxies make a number of it. */
export const int64 = z.pipe(
  z.union([z.string().check(z.regex(/^-?[0-9]{1,20}$/)), z.int()]),
  z.transform((value) => BigInt(value)),
);

/** gRPC's status codes, as far as they matter here. */
export const grpcCode = { invalidArgument: 3, notFound: 5, alreadyExists: 6, permissionDenied: 7 } as const;
const resourceExhausted = 8;
/**
 * Cancelled, deadline exceeded, resource exhausted, internal, unavailable, data loss: said by what is between LND and
 * us as well, LND's own gateway included, of a stream that broke.
 */
const betweenCodes: ReadonlySet<number> = new Set([1, 4, resourceExhausted, 13, 14, 15]);
const unimplemented = 12;
const unauthenticated = 16;

// Proxies write their errors alike, with the HTTP status for a code: those are none of gRPC.
const anyCode = z.int().check(z.gte(0), z.lte(unauthenticated));
const grpcStatus = z.object({ code: anyCode, message: z.string() });
const errorBody = z.union([
  grpcStatus,
  // In a stream; older gateways call the code differently.
  z.object({ error: z.union([grpcStatus, z.object({ grpc_code: anyCode, message: z.string() })]) }),
]);

export interface GrpcError {
  readonly code: number;
  readonly message: string;
}

/** What an error of the gateway says, of a call or in a stream; nothing where it is none of its errors. */
export function grpcErrorOf(body: unknown): GrpcError | undefined {
  const parsed = errorBody.safeParse(body);
  if (!parsed.success) return undefined;
  const error = 'error' in parsed.data ? parsed.data.error : parsed.data;
  return { code: 'code' in error ? error.code : error.grpc_code, message: error.message };
}

/** The same of the text of an answer. */
export function grpcErrorOfText(text: string | undefined): GrpcError | undefined {
  if (text === undefined) return undefined;
  try {
    return grpcErrorOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Whether it is an answer of LND itself, which has then done with the request. */
export function isOfLnd({ code }: GrpcError): boolean {
  return !betweenCodes.has(code);
}

/** Said before a request gets to the part that would carry it out. */
const notServing =
  /wallet locked|wallet not created|waiting to start|in the process of starting|not yet ready to accept/i;
const wrongMacaroon = /macaroon|verification failed|permission denied$|signature mismatch/i;
const noSuchCall = /^(not found|method not allowed|not implemented)$|^unknown (service|method)/i;

/** What LND's own errors say of a request: most come as `code` 2 with HTTP status 500, whatever they are about. */
export function problemOfGrpc({ code, message }: GrpcError, status?: number): HttpProblem {
  const about = `the LND node says: ${message}`;
  const at = status === undefined ? {} : { status };
  const body = JSON.stringify({ code, message });
  if (notServing.test(message)) {
    return new HttpProblem(about, { certain: true, failure: 'unreachable', retryable: true, ...at, body });
  }
  if (code === unauthenticated || code === grpcCode.permissionDenied || wrongMacaroon.test(message)) {
    return new HttpProblem(`${about}: is it the right macaroon, and does it allow this?`, {
      certain: true,
      failure: 'unauthorized',
      ...at,
      body,
    });
  }
  if (noSuchCall.test(message) || code === unimplemented) {
    const says = 'the LND node has no such call: is this its REST address, and is it recent?';
    return new HttpProblem(says, { certain: true, failure: 'wallet_cannot', ...at, body });
  }
  if (code === grpcCode.invalidArgument) {
    return new HttpProblem(about, { certain: true, failure: 'request_invalid', ...at, body });
  }
  if (code === resourceExhausted) {
    // The same code for an answer that was too long for its own gateway, and for a stream that LND broke off.
    const certain = /trying to send message larger than/i.test(message);
    return new HttpProblem(about, { certain, failure: 'rate_limited', retryable: true, ...at, body });
  }
  return new HttpProblem(about, { certain: false, failure: 'other', retryable: true, ...at, body });
}

/** For WalletHttp: errors of the gateway and of LND behind it. */
export function explainLnd(status: number, body: string): HttpProblem | undefined {
  const error = grpcErrorOfText(body);
  return error === undefined ? undefined : problemOfGrpc(error, status);
}
