import { embeddedBackend, RegtestChain, TxRejection } from '@rivulet/chain';
import { p2wshScript, type Transaction, type TxOutput, txid, txidToHex } from '@rivulet/core/tx';
import { type NodeStorage, openMemoryStorage } from '@rivulet/storage';
import { silentLogger } from '../logging/index.js';
import { outpointText } from './coinStates.js';
import type { FundingPlan } from './funding.js';
import type { AddressType } from './keyring.js';
import { WalletPublisher } from './publishing.js';
import { wordsToSeed } from './seed.js';
import { commitPlan, planSend, type SendRequest } from './sending.js';
import { openWallet, type Wallet } from './wallet.js';
import { WalletError } from './walletError.js';

export const testSeed = wordsToSeed(`${'abandon '.repeat(11)}about`);
export const foreign = p2wshScript(Uint8Array.of(0x51));
export const stranger = p2wshScript(Uint8Array.of(0x52));

export function failureOf(action: () => unknown): WalletError {
  try {
    action();
  } catch (error) {
    if (error instanceof WalletError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

export const sum = (items: readonly { readonly valueSat: bigint }[]): bigint =>
  items.reduce((total, { valueSat }) => total + valueSat, 0n);

/** A wallet on the embedded chain, which has the last word on every transaction. */
export class WalletRig {
  readonly chain = new RegtestChain();
  readonly storage: NodeStorage = openMemoryStorage();
  readonly #active = new Map<number, string>();
  wallet: Wallet;
  /** A purse of somebody else's, with coins. */
  readonly other: Wallet;
  readonly #otherActive = new Map<number, string>();
  nowMs = 1_000;

  constructor() {
    this.wallet = this.#open();
    this.other = openWallet({
      seed: new Uint8Array(64).fill(7),
      network: 'regtest',
      storage: openMemoryStorage(),
    });
    this.chain.mine({ blocks: 3, script: this.other.newAddress().script });
    this.chain.mine({ blocks: 101 });
    this.follow();
  }

  #open(): Wallet {
    return openWallet({ seed: testSeed, network: 'regtest', storage: this.storage });
  }

  get state() {
    return this.wallet.state;
  }

  /** A process that ended at any point: what is stored is all there is. */
  restart(): void {
    this.wallet = this.#open();
  }

  publisher(broadcast?: (tx: Transaction) => void): WalletPublisher {
    const backend = embeddedBackend(this.chain);
    return new WalletPublisher({
      state: this.state,
      broadcast: (tx) => {
        broadcast?.(tx);
        return backend.broadcast(tx);
      },
      broadcastPackage: (transactions) => backend.broadcastPackage(transactions),
      logger: silentLogger,
    });
  }

  /** Both wallets see what the chain has, over reorganisations. */
  follow(): void {
    followChain(this.wallet, this.chain, this.#active);
    if (this.other !== undefined) followChain(this.other, this.chain, this.#otherActive);
  }

  mine(blocks = 1): void {
    this.chain.mine({ blocks });
    this.follow();
  }

  /** Confirmed coins of these values, from somebody else. */
  fill(values: readonly bigint[], type: AddressType = 'p2tr'): void {
    this.pay(values.map((valueSat) => ({ valueSat, script: this.wallet.newAddress({ type }).script })));
    this.mine();
  }

  /** The other pays; unconfirmed. */
  pay(outputs: readonly TxOutput[], feeratePerKw = 253): Transaction {
    const { tx } = this.other.fund({ outputs, feeratePerKw });
    this.chain.broadcast(tx);
    this.other.addUnconfirmed(tx);
    this.wallet.addUnconfirmed(tx);
    return tx;
  }

  /** Plans, stores and broadcasts. */
  send(request: Partial<SendRequest> & Pick<SendRequest, 'outputs'>): Transaction {
    return this.commit(planSend(this.state, { feeratePerKw: 1_000, reserveSat: 0n, ...request }));
  }

  commit(
    plan: FundingPlan & { purpose?: 'send' | 'psbt' | 'child' | 'cancel'; replaces?: string | undefined },
  ) {
    const { purpose = 'send', replaces } = plan;
    const tx = commitPlan(this.state, plan, { purpose, replaces, nowMs: this.nowMs++ });
    this.chain.broadcast(tx);
    return tx;
  }

  /** The code with which the chain refuses it; `undefined` if it is taken. */
  refusal(tx: Transaction): string | undefined {
    try {
      this.chain.broadcast(tx);
      return undefined;
    } catch (error) {
      if (error instanceof TxRejection) return error.message;
      throw error;
    }
  }

  inMempool(tx: Transaction): boolean {
    return this.chain.mempool.get(txidToHex(txid(tx))) !== undefined;
  }

  names(): string[] {
    return this.wallet.coins().map(({ outpoint }) => outpointText(outpoint));
  }
}

function followChain(wallet: Wallet, chain: RegtestChain, active: Map<number, string>): void {
  for (let height = wallet.tip?.height ?? 0; height > 0; height--) {
    const hashHex = active.get(height);
    if (hashHex === undefined || chain.blockAt(height)?.hashHex === hashHex) break;
    wallet.undoBlock(chain.block(hashHex)!);
    active.delete(height);
  }
  for (let height = (wallet.tip?.height ?? 0) + 1; height <= chain.height; height++) {
    const { hash, hashHex, transactions } = chain.blockAt(height)!;
    wallet.processBlock({ height, hash, transactions: transactions.map(({ tx }) => tx) });
    active.set(height, hashHex);
  }
}
