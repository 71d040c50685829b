import { RivuletError } from '@rivulet/core/bytes';
import type { BroadcastRejectionCode } from '../chainBackend.js';

/** Why a transaction was refused, in the words that Bitcoin Core uses (`reject-reason`). */
export class TxRejection extends RivuletError<'transaction_rejected'> {
  readonly reason: string;
  readonly detail: string | undefined;

  constructor(reason: string, detail?: string) {
    super('transaction_rejected', detail === undefined ? reason : `${reason}, ${detail}`);
    this.reason = reason;
    this.detail = detail;
  }
}

/** From the starts of Bitcoin Core's reasons. What is not here is `invalid`. */
const codes: readonly (readonly [string, BroadcastRejectionCode])[] = [
  ['txn-already-in-mempool', 'already_known'],
  ['txn-same-nonwitness-data-in-mempool', 'already_known'],
  ['txn-already-known', 'already_confirmed'],
  ['transaction already in block chain', 'already_confirmed'],
  ['transaction outputs already in utxo set', 'already_confirmed'],
  ['bad-txns-inputs-missingorspent', 'missing_inputs'],
  ['missing-inputs', 'missing_inputs'],
  ['min relay fee not met', 'insufficient_fee'],
  ['mempool min fee not met', 'insufficient_fee'],
  ['insufficient fee', 'insufficient_fee'],
  ['package-fee-too-low', 'insufficient_fee'],
  ['package-not-validated', 'missing_inputs'],
  ['mempool full', 'insufficient_fee'],
  ['replacement-adds-unconfirmed', 'conflict'],
  ['too many potential replacements', 'conflict'],
  ['bad-txns-spends-conflicting-tx', 'conflict'],
  ['txn-mempool-conflict', 'conflict'],
  ['non-final', 'not_final'],
  ['non-bip68-final', 'not_final'],
  ['bad-txns-premature-spend-of-coinbase', 'not_final'],
  ['bad-txns-nonfinal', 'not_final'],
  ['dust', 'dust'],
  ['too-long-mempool-chain', 'too_long_chain'],
  ['truc-violation', 'too_long_chain'],
  ['version', 'not_standard'],
  ['tx-size', 'not_standard'],
  ['scriptsig-', 'not_standard'],
  ['scriptpubkey', 'not_standard'],
  ['datacarrier', 'not_standard'],
  ['bare-multisig', 'not_standard'],
  ['multi-op-return', 'not_standard'],
  ['bad-txns-nonstandard-inputs', 'not_standard'],
  ['bad-witness-nonstandard', 'not_standard'],
  ['bad-txns-too-many-sigops', 'not_standard'],
  ['non-mandatory-script-verify-flag', 'not_standard'],
  ['mempool-script-verify-flag-failed', 'not_standard'],
];

/** Sorts a rejection in Bitcoin Core's words into what the node has to do about it. */
export function broadcastCodeOf(message: string): BroadcastRejectionCode {
  const lower = message.toLowerCase();
  return codes.find(([reason]) => lower.startsWith(reason))?.[1] ?? 'invalid';
}
