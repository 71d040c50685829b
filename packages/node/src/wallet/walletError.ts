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
  | 'unknown_input';

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
