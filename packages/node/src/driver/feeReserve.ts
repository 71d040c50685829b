import type { BroadcastResult } from '@rivulet/chain';
import { feeForWeightSat, type SweepInput, type Transaction, type TxOutput } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import type { Logger } from '../logging/logger.js';
import type { FeeInputRequest } from '../onchain/index.js';
import { type FundedTransaction, type Wallet, WalletError } from '../wallet/index.js';

/** What is put aside for the fees of HTLC transactions when the first channel is opened. */
const feeReserveSat = 10_000n;

export interface FeeReserveOptions {
  readonly wallet: Wallet;
  readonly broadcast: (tx: Transaction) => Promise<BroadcastResult>;
  readonly logger: Logger;
}

/**
 * Wallet coins that pay the fees of HTLC transactions in anchor channels. A coin serves one claim at a
 * time; what is held here is free again when the claim is confirmed or given up.
 */
export class FeeReserve {
  readonly #options: FeeReserveOptions;
  readonly #wallet: Wallet;
  readonly #held = new Map<string, readonly SweepInput[]>();
  /** The txid of a coin that is being made and not confirmed yet. */
  #making: Uint8Array | undefined;

  constructor(options: FeeReserveOptions) {
    this.#options = options;
    this.#wallet = options.wallet;
  }

  /** Inputs whose value covers `weight` and their own weight at the feerate, those held before among them. */
  reserve({ id, weight, feeratePerKw, extraSat = 0n }: FeeInputRequest): readonly SweepInput[] | undefined {
    const chosen = [...(this.#held.get(id) ?? [])];
    const free = this.#wallet.feeInputs().sort((a, b) => (a.valueSat < b.valueSat ? 1 : -1));
    const missing = () => {
      const total = chosen.reduce((sum, input) => sum + input.weight, weight);
      const value = chosen.reduce((sum, { valueSat }) => sum + valueSat, 0n);
      return feeForWeightSat(total, feeratePerKw) + extraSat > value;
    };
    while (missing()) {
      const next = free.shift();
      if (next === undefined) return undefined;
      chosen.push(next);
    }
    this.#held.set(id, chosen);
    // A channel that is opened meanwhile must not spend them: its funding would conflict with the claim.
    this.#wallet.hold(
      id,
      chosen.map(({ outpoint }) => outpoint),
    );
    return chosen;
  }

  release(id: string): void {
    this.#held.delete(id);
    this.#wallet.hold(id, []);
  }

  /**
   * Makes a coin that can pay out of coins that cannot, where `reserve` found too little: one whose channels
   * were all opened by others has none, and the claims of a large close need more than the usual one. It can
   * be used when it is confirmed.
   */
  async replenish({ weight, feeratePerKw, extraSat = 0n }: Omit<FeeInputRequest, 'id'>): Promise<void> {
    const making = this.#making && this.#wallet.getTransaction(this.#making);
    if (making !== undefined && making.height === undefined) {
      await this.#options.broadcast(making.tx);
      return;
    }
    this.#making = undefined;
    // Twice the fee: it may have to be raised.
    const needSat = feeForWeightSat(weight, feeratePerKw) * 2n + extraSat;
    const valueSat = needSat > feeReserveSat ? needSat : feeReserveSat;
    const { script } = this.#wallet.newAddress({ type: 'p2wpkh', change: true });
    let funded: FundedTransaction;
    try {
      const outputs = [{ script, valueSat }];
      funded = this.#wallet.fund({ outputs, feeratePerKw, confirmedOnly: true });
    } catch (error) {
      // The sweeper warns of it.
      if (error instanceof WalletError && error.code === 'insufficient_funds') return;
      throw error;
    }
    const result = await this.#options.broadcast(funded.tx);
    if (!result.accepted) {
      this.#wallet.release(funded.txid);
      this.#options.logger.warn({ code: result.code }, `no coin for fees on chain: ${result.message}`);
      return;
    }
    this.#wallet.addUnconfirmed(funded.tx);
    this.#making = funded.txid;
    this.#options.logger.info({ valueSat }, 'making a coin that pays fees of claims on chain');
  }
}

/**
 * Funds a channel, and with it a coin that can pay for HTLC transactions on chain where the wallet has none
 * yet and can afford one: taproot coins cannot stand beside an anchor channel's ECDSA inputs.
 */
export function fundWithReserve(
  wallet: Wallet,
  { funding, feeratePerKw, tx }: { funding: TxOutput; feeratePerKw: number; tx: StorageTransaction },
): FundedTransaction {
  if (!wallet.spendableCoins().some(({ key: { keychain } }) => keychain.type === 'p2wpkh')) {
    const { script } = wallet.newAddress({ type: 'p2wpkh', change: true, tx });
    try {
      return wallet.fund({ outputs: [funding, { script, valueSat: feeReserveSat }], feeratePerKw, tx });
    } catch (error) {
      if (!(error instanceof WalletError) || error.code !== 'insufficient_funds') throw error;
    }
  }
  return wallet.fund({ outputs: [funding], feeratePerKw, tx });
}
