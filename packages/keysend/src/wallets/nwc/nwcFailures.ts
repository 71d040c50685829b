import { KeysendError, type KeysendErrorCode } from '../../keysendError.js';
import type { WalletFailure } from '../wallet.js';
import type { NwcAnswer } from './nwcClient.js';

interface CodeMeaning {
  readonly failure: WalletFailure;
  readonly retryable: boolean;
  /**
   * The wallet said no before it did anything. `once`: as far as it got the request once; what it has begun for one
   * copy may be why it refuses the next.
   */
  readonly certain: 'always' | 'once' | 'never';
}

/** The error codes of NIP-47 for a payment. */
const meanings: Readonly<Record<string, CodeMeaning>> = {
  RATE_LIMITED: { failure: 'rate_limited', retryable: true, certain: 'once' },
  NOT_IMPLEMENTED: { failure: 'wallet_cannot', retryable: false, certain: 'always' },
  INSUFFICIENT_BALANCE: { failure: 'insufficient_balance', retryable: true, certain: 'once' },
  QUOTA_EXCEEDED: { failure: 'quota_exceeded', retryable: true, certain: 'once' },
  RESTRICTED: { failure: 'unauthorized', retryable: false, certain: 'always' },
  UNAUTHORIZED: { failure: 'unauthorized', retryable: false, certain: 'always' },
  UNSUPPORTED_ENCRYPTION: { failure: 'wallet_cannot', retryable: false, certain: 'always' },
  // It may say so of a payment that it waited for in vain and that still is under way.
  PAYMENT_FAILED: { failure: 'no_route', retryable: true, certain: 'never' },
};
const unclear: CodeMeaning = { failure: 'other', retryable: true, certain: 'never' };

export function meaningOfCode(code: string): CodeMeaning {
  return Object.hasOwn(meanings, code) ? (meanings[code] as CodeMeaning) : unclear;
}

const errorCodes: Partial<Record<string, KeysendErrorCode>> = {
  NOT_IMPLEMENTED: 'wallet_cannot',
  UNSUPPORTED_ENCRYPTION: 'wallet_cannot',
  RESTRICTED: 'wallet_unauthorized',
  UNAUTHORIZED: 'wallet_unauthorized',
  RATE_LIMITED: 'wallet_unreachable',
  NOT_FOUND: 'not_found',
};

/** What a call that pays nothing rejects with. @param shown what the wallet said, made fit for people. */
export function errorOfAnswer(
  method: string,
  answer: Exclude<NwcAnswer, { type: 'result' }>,
  shown: string,
): KeysendError {
  if (answer.type === 'error') {
    return new KeysendError(
      errorCodes[answer.code] ?? 'wallet_failed',
      `the wallet refused ${method}: ${shown}`,
    );
  }
  if (answer.why === 'stopped') return new KeysendError('stopped', shown);
  return new KeysendError('wallet_unreachable', `the wallet did not answer ${method}: ${shown}`);
}
