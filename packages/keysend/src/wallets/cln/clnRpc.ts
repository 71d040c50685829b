import * as z from '../../schema/index.js';
import type { Schedule } from '../../timing/schedule.js';
import { errorOfProblem, HttpProblem, type WalletFetch, WalletHttp } from '../http/index.js';
import type { WalletFailure } from '../wallet.js';

/** An amount: a number today, text with a unit before v23.11. */
export const msat = z.pipe(
  z.union([z.int(), z.string().check(z.regex(/^\d{1,19}(msat)?$/))]),
  z.transform((value) => BigInt(typeof value === 'number' ? value : value.replace('msat', ''))),
);

const rpcError = z.object({
  code: z.nullable(z.optional(z.int())),
  message: z.string(),
  data: z.optional(z.unknown()),
});

/** Of lightningd's own list of error codes, those that are told apart here. */
export const clnCode = {
  methodNotFound: -32_601,
  invalidParams: -32_602,
  inProgress: 200,
  tooExpensive: 206,
  waitTimeout: 904,
} as const;

interface CodeMeaning {
  readonly failure: WalletFailure;
  readonly retryable: boolean;
  /** lightningd refused it before anything was sent. */
  readonly certain: boolean;
}

/** Of a payment that ended with an error, its list of payments tells whether nothing is under way any more. */
const meanings = new Map<number, CodeMeaning>([
  [clnCode.methodNotFound, { failure: 'wallet_cannot', retryable: false, certain: true }],
  [clnCode.invalidParams, { failure: 'request_invalid', retryable: false, certain: true }],
  [1501, { failure: 'unauthorized', retryable: false, certain: true }],
  [1502, { failure: 'unauthorized', retryable: false, certain: true }],
  [1503, { failure: 'unauthorized', retryable: false, certain: true }],
  [203, { failure: 'refused_by_destination', retryable: false, certain: false }],
  [204, { failure: 'no_route', retryable: true, certain: false }],
  [205, { failure: 'no_route', retryable: true, certain: false }],
  [clnCode.tooExpensive, { failure: 'fee_limit', retryable: true, certain: false }],
  [207, { failure: 'request_invalid', retryable: false, certain: false }],
  [210, { failure: 'timeout', retryable: true, certain: false }],
  [213, { failure: 'unauthorized', retryable: false, certain: false }],
  [214, { failure: 'unauthorized', retryable: false, certain: false }],
  [215, { failure: 'insufficient_balance', retryable: true, certain: false }],
  [216, { failure: 'no_route', retryable: true, certain: false }],
  [220, { failure: 'no_route', retryable: true, certain: false }],
]);

/** What lightningd says of a call that it did not do; nothing where the answer is none of its errors. */
export function clnErrorOf(body: string | undefined) {
  if (body === undefined) return undefined;
  try {
    const parsed = rpcError.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** For WalletHttp: errors of clnrest, and of lightningd behind it. */
function explainCln(status: number, body: string): HttpProblem | undefined {
  const error = clnErrorOf(body);
  if (error === undefined) return undefined;
  const fields = { status, body };
  if (status === 401 || status === 403) {
    const says = `the Core Lightning node refused the rune for this call: ${error.message}`;
    return new HttpProblem(says, { certain: true, failure: 'unauthorized', ...fields });
  }
  const meaning = meanings.get(error.code ?? 0);
  const says = `the Core Lightning node says: ${error.message}`;
  return new HttpProblem(says, {
    ...(meaning ?? { failure: 'other', retryable: true, certain: false }),
    ...fields,
  });
}

export interface ClnRpcOptions {
  readonly url: string;
  readonly rune: string;
  readonly fetch?: WalletFetch | undefined;
  readonly schedule: Schedule;
}

export interface ClnCall {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Calls of lightningd's methods over clnrest: `POST /v1/<method>` with the rune. */
export class ClnRpc {
  readonly #http: WalletHttp;

  /** @throws KeysendError `wallet_invalid` */
  constructor({ url, rune, fetch, schedule }: ClnRpcOptions) {
    this.#http = new WalletHttp({
      name: 'the Core Lightning node',
      url,
      headers: { Rune: rune },
      secrets: [rune],
      fetch,
      schedule,
      explain: explainCln,
    });
  }

  /** @throws HttpProblem */
  async call<T extends z.AnySchema>(
    method: string,
    params: Readonly<Record<string, unknown>>,
    { schema, timeoutMs, signal }: ClnCall & { readonly schema: T },
  ): Promise<z.output<T>> {
    const answer = await this.#http.json({
      method: 'POST',
      path: `/v1/${method}`,
      json: params,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      signal,
    });
    const parsed = schema.safeParse(answer);
    if (!parsed.success) throw this.#http.notUnderstood();
    return parsed.data;
  }

  /** The same for calls that pay nothing. @throws KeysendError */
  async ask<T extends z.AnySchema>(
    method: string,
    params: Readonly<Record<string, unknown>>,
    options: ClnCall & { readonly schema: T },
  ): Promise<z.output<T>> {
    try {
      return await this.call(method, params, options);
    } catch (problem) {
      throw errorOfProblem(problem);
    }
  }
}
