import type { Settlement } from '../../channel/index.js';
import { type FailureMessage, failureFromMalformed, readFailure } from '../../onion/index.js';

/** How an HTLC of ours ended without being paid. */
export type AttemptEnd =
  | Exclude<Settlement, { type: 'fulfill' }>
  /** Our channel was closed on chain, and the HTLC is ours again for good. */
  | { readonly type: 'timed_out_on_chain' };

/** Who said what about a failed HTLC. */
export type AttemptReading =
  /** The hop wrote it. `failure` is absent where it wrote nonsense. */
  | { readonly type: 'attributed'; readonly hopIndex: number; readonly failure: FailureMessage | undefined }
  /** The failure was altered by this hop, by the next, or behind it where the next does not attribute. */
  | { readonly type: 'corrupted'; readonly afterHop: number }
  /** Altered by anybody. */
  | { readonly type: 'unattributable' }
  /** The first hop could not read the onion, and says so unencrypted (BOLT 2). */
  | { readonly type: 'malformed'; readonly failure: FailureMessage }
  | { readonly type: 'timed_out_on_chain' };

/** Reads how an attempt ended (BOLT 4, origin node). */
export function readAttempt(end: AttemptEnd, sharedSecrets: readonly Uint8Array[]): AttemptReading {
  switch (end.type) {
    case 'fail': {
      const { reason, attributionData } = end;
      return readFailure({ sharedSecrets, reason, attributionData });
    }
    case 'fail_malformed':
      return { type: 'malformed', failure: failureFromMalformed(end.failureCode, end.sha256OfOnion) };
    case 'timed_out_on_chain':
      return end;
  }
}
