import { KeysendError } from '../keysendError.js';
import type { ReceivedPayment } from '../wallets/wallet.js';
import type { ReceiptIssuer } from './receiptIssuer.js';

export interface ReceiptHttpRequest {
  readonly method: string;
  /** `…/<payment hash>?nonce=<32 hex digits>`: what comes before the hash is left aside. */
  readonly url: string;
}

export interface ReceiptHttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const headers = {
  'content-type': 'application/json; charset=utf-8',
  'access-control-allow-origin': '*',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const;

/**
 * Answers `GET <receipt url>/<payment hash>?nonce=<nonce>` for any HTTP server: the receipt, or 404. A wrong nonce, a
 * payment that is not known and one that asked for no receipt have the same answer, so that nobody learns of the
 * payments of others.
 * @param find the payment that was received with this hash, from the wallet or a store of what came in.
 */
export async function receiptAnswer(
  request: ReceiptHttpRequest,
  given: {
    readonly issuer: ReceiptIssuer;
    readonly find: (
      paymentHash: string,
    ) => Promise<ReceivedPayment | undefined> | ReceivedPayment | undefined;
  },
): Promise<ReceiptHttpAnswer> {
  if (request.method === 'OPTIONS') {
    return { status: 204, headers: { ...headers, 'access-control-allow-methods': 'GET' }, body: '' };
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return answer(405, { error: 'a receipt is got with GET' });
  }
  const [, paymentHash, query = ''] = /\/([0-9a-f]{64})(?:\?([^#]*))?$/.exec(request.url) ?? [];
  const nonce = new URLSearchParams(query).get('nonce') ?? '';
  if (paymentHash === undefined || !/^[0-9a-f]{32}$/.test(nonce)) {
    return answer(400, { error: 'ask for /<payment hash>?nonce=<nonce>, both in lower-case hex' });
  }
  const payment = await given.find(paymentHash);
  if (payment === undefined) return notFound();
  try {
    return answer(200, await given.issuer.issue(payment, { nonce }));
  } catch (error) {
    if (error instanceof KeysendError && error.code === 'receipt_invalid') return notFound();
    throw error;
  }
}

function notFound(): ReceiptHttpAnswer {
  return answer(404, { error: 'there is no receipt for this payment and this nonce' });
}

function answer(status: number, body: unknown): ReceiptHttpAnswer {
  return { status, headers, body: JSON.stringify(body) };
}
