import { RivuletError } from '@rivulet/core/bytes';

/**
 * - `words_count`, `words_unknown`, `words_checksum`: recovery words that are not the ones of a seed.
 * - `entropy_length`: a seed must start from 16 or 32 bytes of entropy.
 * - `wrong_seed`: the storage belongs to the wallet of another seed or network.
 * - `insufficient_funds`: see `details`.
 * - `feerate_too_low`, `feerate_absurd`: below what the network relays, or surely a mistake.
 * - `dust_output`, `bad_output`: an output that the network would not relay, or none at all.
 * - `too_many_inputs`: the coins are so small that a transaction of standard size cannot gather enough.
 * - `block_order`: blocks must come one after the other; see the message.
 * - `unknown_input`: an input that shall be signed is not the wallet's.
 * - `fee_absurd`: more than the sender can have meant; `details` has the fee.
 * - `reserve_needed`: what must be kept for the fees of channels would be spent.
 * - `unknown_coin`, `coin_taken`, `bad_coin`: a coin that was named is not there, not free, or named twice.
 * - `unknown_transaction`, `transaction_confirmed`, `transaction_replaced`, `cannot_bump`: why a transaction's fee
 *   cannot be raised, or it cannot be taken back.
 * - `channel_waits`: a channel waits for this transaction: it must not be replaced.
 * - `idempotency_key_reused`: another request had this key.
 * - `payment_lost`: the payment of this key can never confirm: a block spends its coins.
 * - `payment_cancelled`: the payment of this key was taken back.
 * - `bad_label`: a label, or what it is for, is not what BIP 329 has.
 * - `psbt_malformed`: not a PSBT, or one that cannot be understood;
 * - `psbt_refused`: one that lies about our coins or asks for a signature that could be misused;
 * - `psbt_foreign_inputs`: has inputs of others, which must be agreed to;
 * - `psbt_incomplete`: signatures are missing.
 * - `bad_import`: a coin that was said to be found is none.
 */
export type WalletErrorCode =
  | 'words_count'
  | 'words_unknown'
  | 'words_checksum'
  | 'entropy_length'
  | 'wrong_seed'
  | 'insufficient_funds'
  | 'feerate_too_low'
  | 'feerate_absurd'
  | 'dust_output'
  | 'bad_output'
  | 'too_many_inputs'
  | 'block_order'
  | 'unknown_input'
  | 'fee_absurd'
  | 'reserve_needed'
  | 'unknown_coin'
  | 'coin_taken'
  | 'bad_coin'
  | 'unknown_transaction'
  | 'transaction_confirmed'
  | 'transaction_replaced'
  | 'cannot_bump'
  | 'channel_waits'
  | 'idempotency_key_reused'
  | 'payment_lost'
  | 'payment_cancelled'
  | 'bad_label'
  | 'psbt_malformed'
  | 'psbt_refused'
  | 'psbt_foreign_inputs'
  | 'psbt_incomplete'
  | 'bad_import';

/** What a transaction lacks, in satoshi. */
export interface FundsDetails {
  /** What the wallet could spend now, before fees. */
  readonly availableSat: bigint;
  /** The outputs and the fee together, with the coins that would be used. */
  readonly neededSat: bigint;
  /** The part of `neededSat` that is fee. */
  readonly feeSat: bigint;
}

/** Every failure of the wallet. Nothing is reserved or stored by the call that threw it. */
export class WalletError extends RivuletError<WalletErrorCode> {
  readonly details: FundsDetails | undefined;

  constructor(code: WalletErrorCode, message: string, options?: { cause?: unknown; details?: FundsDetails }) {
    super(code, message, options);
    this.details = options?.details;
  }
}
