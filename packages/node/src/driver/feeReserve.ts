import type { BroadcastResult } from '@rivulet/chain';
import type { Channel } from '@rivulet/core/channel';
import { feeForWeightSat, type SweepInput, type Transaction, type TxOutput } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import type { Logger } from '../logging/logger.js';
import { type FeeInputRequest, isFunded } from '../onchain/index.js';
import { type FundedTransaction, type Wallet, WalletError } from '../wallet/index.js';

/** What is kept for each anchor channel: its commitment and its HTLC transactions may need it, at any time. */
const reserveSatPerChannel = 10_000n;
/** Not all channels fail at once. */
const channelsReckonedWith = 10;

/** What should be kept in confirmed coins for fees on chain, and what is. */
export interface ReserveStatus {
  readonly neededSat: bigint;
  readonly haveSat: bigint;
}

/**
 * How many channels may need fees of the wallet on chain: anchor channels that are funded and not over. What a
 * stranger has begun and not paid for asks for nothing.
 */
export function anchorChannels(channels: Iterable<Channel>): number {
  let count = 0;
  for (const channel of channels) {
    const { params, phase } = channel;
    const isOver = phase.name === 'closed' || phase.name === 'closing';
    if (params.format.commitment === 'anchors' && !isOver && isFunded(channel)) count++;
  }
  return count;
}

/** What should be kept for so many anchor channels. */
export function neededReserveSat(channels: number): bigint {
  return BigInt(Math.min(channels, channelsReckonedWith)) * reserveSatPerChannel;
}

export interface FeeReserveOptions {
  readonly wallet: Wallet;
  readonly broadcast: (tx: Transaction) => Promise<BroadcastResult>;
  readonly logger: Logger;
}

const sumSat = (coins: readonly { readonly valueSat: bigint }[]): bigint =>
  coins.reduce((sum, { valueSat }) => sum + valueSat, 0n);

/**
 * Wallet coins that pay the fees of commitments and HTLC transactions in anchor channels. A coin serves one claim
 * at a time; what is held here is free again when the claim is confirmed or given up.
 */
export class FeeReserve {
  readonly #options: FeeReserveOptions;
  readonly #wallet: Wallet;
  readonly #held = new Map<string, readonly SweepInput[]>();
  /** The txid of a coin that is being made and not confirmed yet. */
  #making: Uint8Array | undefined;
  /** What was warned of last. */
  #warned: string | undefined;

  constructor(options: FeeReserveOptions) {
    this.#options = options;
    this.#wallet = options.wallet;
  }

  status(channels: Iterable<Channel>): ReserveStatus {
    const held = [...this.#held.values()].flat();
    const haveSat = sumSat(this.#wallet.feeInputs()) + sumSat(held);
    return { neededSat: neededReserveSat(anchorChannels(channels)), haveSat };
  }

  /** Says in the log that too little is kept: once, and again when that changes. */
  check(channels: Iterable<Channel>): void {
    const { neededSat, haveSat } = this.status(channels);
    const state = haveSat < neededSat ? `${neededSat} ${haveSat}` : undefined;
    if (state !== undefined && state !== this.#warned) {
      this.#options.logger.warn(
        { neededSat, haveSat },
        'the wallet has too few confirmed coins to pay for channels that have to be closed on chain: add some',
      );
    }
    this.#warned = state;
  }

  /**
   * Inputs whose value covers `weight` and their own weight at the feerate, those held before among them: the
   * smallest coin that suffices, with room for a higher fee where there is one, or several.
   */
  reserve({ id, weight, feeratePerKw, extraSat = 0n }: FeeInputRequest): readonly SweepInput[] | undefined {
    const chosen = [...(this.#held.get(id) ?? [])];
    const free = this.#wallet.feeInputs().sort((a, b) => (a.valueSat < b.valueSat ? -1 : 1));
    const missingSat = (extra: readonly SweepInput[], factor = 1n) => {
      const inputs = [...chosen, ...extra];
      const total = inputs.reduce((sum, input) => sum + input.weight, weight);
      return feeForWeightSat(total, feeratePerKw) * factor + extraSat - sumSat(inputs);
    };
    if (missingSat([]) > 0n) {
      const single =
        free.find((input) => missingSat([input], 2n) <= 0n) ??
        free.find((input) => missingSat([input]) <= 0n);
      if (single !== undefined) chosen.push(single);
    }
    while (missingSat([]) > 0n) {
      const largest = free.pop();
      if (largest === undefined) return undefined;
      chosen.push(largest);
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
    const valueSat = needSat > reserveSatPerChannel ? needSat : reserveSatPerChannel;
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
 * Funds a channel, and with it a coin of its own that can pay for it on chain: coins serve one channel at a time.
 * `channels` is how many anchor channels there are with this one; what is kept for those is left alone.
 * @throws WalletError as `fund` does, and `reserve_needed` where that would be spent.
 */
export function fundWithReserve(
  wallet: Wallet,
  {
    funding,
    feeratePerKw,
    tx,
    channels = 1,
  }: { funding: TxOutput; feeratePerKw: number; tx: StorageTransaction; channels?: number },
): FundedTransaction {
  const neededSat = neededReserveSat(channels);
  const coins = wallet.spendableCoins().length;
  if (channels > 0 && coins <= Math.min(channels, channelsReckonedWith)) {
    const { script } = wallet.newAddress({ type: 'p2wpkh', change: true, tx });
    try {
      const reserve = { script, valueSat: reserveSatPerChannel };
      return leaving(wallet, { outputs: [funding, reserve], feeratePerKw, tx, neededSat });
    } catch (error) {
      if (!(error instanceof WalletError) || error.code !== 'insufficient_funds') throw error;
    }
  }
  return leaving(wallet, { outputs: [funding], feeratePerKw, tx, neededSat });
}

/** Funds outputs, if what is left to the wallet afterwards is not less than what it has to keep. */
function leaving(
  wallet: Wallet,
  {
    neededSat,
    ...request
  }: { outputs: readonly TxOutput[]; feeratePerKw: number; tx: StorageTransaction; neededSat: bigint },
): FundedTransaction {
  const availableSat = sumSat(wallet.spendableCoins());
  const funded = wallet.fund(request);
  const leftSat = availableSat - sumSat(funded.inputs) + ownSat(wallet, funded.tx);
  if (leftSat >= neededSat) return funded;
  wallet.release(funded.txid, request.tx);
  throw new WalletError(
    'reserve_needed',
    `${leftSat} sat would be left in the wallet, but ${neededSat} sat have to be kept to pay for channels that ` +
      'must be closed on chain: open a smaller channel, or add funds',
  );
}

function ownSat(wallet: Wallet, { outputs }: Transaction): bigint {
  return sumSat(outputs.filter(({ script }) => wallet.isOurs(script)));
}
