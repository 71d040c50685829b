import type { Network } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import type { Outpoint, SweepInput, Transaction, TxOutput } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import { type ListedCoin, listCoins } from './coinStates.js';
import { feeInputOf } from './feeInput.js';
import { abandon, addUnconfirmed, processBlock, undoBlock } from './following.js';
import { buildFunding, buildSweepAll } from './funding.js';
import { type AddressType, keychainOf } from './keyring.js';
import { outpointKey, type WalletCoin } from './ledger.js';
import { reservePlan } from './reserving.js';
import { signInputs } from './signing.js';
import { WalletState } from './walletState.js';
import { txKey, type WalletTip, walletWrites } from './walletStore.js';
import type {
  FundedTransaction,
  WalletAddress,
  WalletBalance,
  WalletBlock,
  WalletOptions,
  WalletTransaction,
} from './walletTypes.js';

/**
 * Opens the wallet of a seed in a node's storage; makes it when it is not there.
 * @throws WalletError `wrong_seed` when the storage has the wallet of another seed or network.
 */
export function openWallet(options: WalletOptions): Wallet {
  return new Wallet(options);
}

/**
 * The on-chain wallet. Synchronous: blocks are fed to it in order. Methods that change something take the
 * storage transaction they shall be part of, or make one of their own. If that outer transaction is rolled back
 * afterwards, call `reload`.
 */
export class Wallet {
  readonly network: Network;
  /** For the wallet's own operations (sending, bumping, PSBT, labels), which are functions over it. */
  readonly state: WalletState;

  constructor(options: WalletOptions) {
    this.network = options.network;
    this.state = new WalletState(options);
  }

  /** Forgets what is in memory and reads the stored state again. */
  reload(): void {
    this.state.reload();
  }

  /** The last block that was processed. */
  get tip(): WalletTip | undefined {
    return this.state.tip;
  }

  /** Every script that would be noticed: those given out, and the gap after them. */
  scripts(): Uint8Array[] {
    return this.state.keyring.scripts();
  }

  isOurs(script: Uint8Array): boolean {
    return this.state.isOurs(script);
  }

  /** The wallet as output descriptors (BIP 380): receiving and change, taproot and version 0. */
  descriptors(): string[] {
    return this.state.keyring.descriptors();
  }

  /** An address that was never given out before. Taproot and for receiving unless asked otherwise. */
  newAddress(options: { change?: boolean; type?: AddressType; tx?: StorageTransaction } = {}): WalletAddress {
    const keychain = keychainOf(options.type ?? 'p2tr', options.change ?? false);
    const { state } = this;
    return state.change(options.tx, (tx) => {
      const key = state.nextKey(keychain);
      state.advance(keychain, key.index + 1);
      walletWrites.next(tx, state.next);
      return { address: state.keyring.address(key), script: key.script, path: state.keyring.path(key) };
    });
  }

  /**
   * Takes in the block after the tip (the first one may have any height). One that was processed already
   * changes nothing.
   * @returns the wallet's transactions in it.
   * @throws WalletError `block_order` for a gap, or another block at the tip's height: undo that one first.
   */
  processBlock(block: WalletBlock, outer?: StorageTransaction): WalletTransaction[] {
    return processBlock(this.state, block, outer);
  }

  /**
   * Takes back the tip's block: its transactions wait for a block again, and its reward is gone.
   * A block above the tip, which was never processed, changes nothing.
   * @throws WalletError `block_order` for a block below the tip, or another one at its height.
   */
  undoBlock(block: { readonly height: number; readonly hash: Uint8Array }, outer?: StorageTransaction): void {
    undoBlock(this.state, block, outer);
  }

  /**
   * Notes a transaction that this node has broadcast: its inputs are spent from now on, its outputs to the wallet
   * are unconfirmed, and a reservation for it has served its purpose. What does not concern the wallet is ignored.
   */
  addUnconfirmed(tx: Transaction, outer?: StorageTransaction): void {
    addUnconfirmed(this.state, tx, outer);
  }

  /**
   * Forgets an unconfirmed transaction that will never confirm, and those that build on it: its inputs are free
   * again. Only for one that the network has refused or lost. Says whether it was known.
   */
  abandon(txid: Uint8Array, outer?: StorageTransaction): boolean {
    return abandon(this.state, txid, outer);
  }

  balance(): WalletBalance {
    const { state } = this;
    const balance = { confirmedSat: 0n, unconfirmedSat: 0n, immatureSat: 0n, reservedSat: 0n };
    for (const coin of state.ledger.coins()) {
      if (state.reservedOutpoints.has(outpointKey(coin.outpoint))) balance.reservedSat += coin.valueSat;
      else if (coin.height === undefined) balance.unconfirmedSat += coin.valueSat;
      else if (!state.isMature(coin)) balance.immatureSat += coin.valueSat;
      else balance.confirmedSat += coin.valueSat;
    }
    return balance;
  }

  /** All unspent coins with what they may be used for, the largest first. */
  coins(): ListedCoin[] {
    return listCoins(this.state);
  }

  /** What `fund` may use, in a fixed order: mature, not taken, and confirmed or change of our own. */
  spendableCoins(options: { confirmedOnly?: boolean } = {}): WalletCoin[] {
    return this.state.spendableCoins(options);
  }

  /** Keeps coins from every other use, until it is said again with the same id; with no coins they are free. */
  hold(id: string, outpoints: readonly Outpoint[]): void {
    this.state.hold(id, outpoints.map(outpointKey));
  }

  /** Unconfirmed ones first, then from the newest block down. */
  transactions(): WalletTransaction[] {
    const height = (one: WalletTransaction): number => one.height ?? Number.MAX_SAFE_INTEGER;
    return [...this.state.ledger.transactions.keys()]
      .map((key) => this.state.describe(key))
      .sort((a, b) => height(b) - height(a));
  }

  getTransaction(txid: Uint8Array): WalletTransaction | undefined {
    const key = txKey(txid);
    return this.state.ledger.transactions.has(key) ? this.state.describe(key) : undefined;
  }

  /**
   * Builds and signs a transaction with these outputs, and keeps its inputs aside until it is broadcast
   * (addUnconfirmed), seen in a block, or given up (release). All inputs are segwit, so that its txid is final.
   * @throws WalletError `insufficient_funds` with details, `feerate_too_low`, `feerate_absurd`, `dust_output`,
   *   `bad_output`, `too_many_inputs`
   */
  fund(request: {
    readonly outputs: readonly TxOutput[];
    readonly feeratePerKw: number;
    /** Leaves unconfirmed change aside. */
    readonly confirmedOnly?: boolean;
    readonly tx?: StorageTransaction;
  }): FundedTransaction {
    const { state } = this;
    const plan = buildFunding({
      outputs: request.outputs,
      feeratePerKw: request.feeratePerKw,
      coins: state.spendableCoins({ confirmedOnly: request.confirmedOnly ?? false }),
      changeScript: state.nextKey(keychainOf('p2tr', true)).script,
      lockTime: state.tip?.height ?? 0,
    });
    return reservePlan(state, plan, request.tx);
  }

  /** Builds and signs a transaction that sends all that can be spent to one script; reserved as by `fund`. */
  sweepAll(request: {
    readonly script: Uint8Array;
    readonly feeratePerKw: number;
    readonly tx?: StorageTransaction;
  }): FundedTransaction {
    const plan = buildSweepAll({
      script: request.script,
      feeratePerKw: request.feeratePerKw,
      coins: this.spendableCoins(),
      lockTime: this.tip?.height ?? 0,
    });
    return reservePlan(this.state, { ...plan, changeIndex: undefined }, request.tx);
  }

  /** The transactions that were funded and are neither broadcast nor released. */
  reservations(): Transaction[] {
    return [...this.state.reserved.values()];
  }

  /**
   * Gives the inputs of a funded transaction back. Only for one that nobody else can broadcast any more, or
   * that was never handed out. Says whether it was reserved.
   */
  release(txid: Uint8Array, outer?: StorageTransaction): boolean {
    const key = txKey(txid);
    if (!this.state.reserved.has(key)) return false;
    return this.state.change(outer, (storage) => this.state.dropReservation(storage, key));
  }

  /**
   * Signs the wallet's inputs of a transaction that has others too. `spent` are the outputs that all inputs
   * spend, in order.
   * @throws WalletError `unknown_input` when none is the wallet's.
   */
  signInputs(tx: Transaction, spent: readonly TxOutput[]): Transaction {
    return signInputs({ keyring: this.state.keyring, tx, spent });
  }

  /**
   * Confirmed coins as inputs for core's sweeps, HTLC packages and children of anchors: what pays their fees. Not
   * reserved: see `hold`.
   */
  feeInputs(): SweepInput[] {
    return this.spendableCoins({ confirmedOnly: true }).map((coin) => feeInputOf(coin, this.state.keyring));
  }

  /** For logs: which wallet this is, without a secret. */
  toString(): string {
    const { tip } = this;
    return `wallet ${this.state.fingerprint} on ${this.network}${
      tip?.hash === undefined ? '' : ` at block ${tip.height} ${bytesToHex(tip.hash).slice(0, 8)}`
    }`;
  }
}
