import type { ChainBackend } from '@rivulet/chain';
import { embeddedBackend, RegtestChain } from '@rivulet/chain';
import { encodeTransaction } from '@rivulet/core/tx';
import { KeyWallet } from './keyWallet.js';
import { ldkChainOf } from './ldkChain.js';
import type { LdkChain, LdkFund } from './ldkTypes.js';

const coinbases = 20;

/** An embedded regtest chain with a rich wallet, on which nodes of both implementations live. */
export class InteropChain {
  readonly regtest: RegtestChain;
  readonly backend: ChainBackend;
  readonly ldk: LdkChain;
  /** What miners want of a transaction, with its parents, to take it into a block: satoshis a 1000 weight units. */
  minersFeeratePerKw = 0;
  readonly #wallet = new KeyWallet(new TextEncoder().encode('the rich'));

  constructor(regtest = new RegtestChain()) {
    this.regtest = regtest;
    this.backend = embeddedBackend(regtest);
    this.ldk = ldkChainOf(this.backend);
    this.#addBlocks(this.regtest.mine({ blocks: coinbases, script: this.#wallet.script }));
    this.mine(100);
  }

  /** Makes a funding transaction of whatever channel; the caller broadcasts it. */
  readonly fund: LdkFund = async (output) => encodeTransaction(this.#wallet.pay(output, 500));

  get height(): number {
    return this.regtest.height;
  }

  /** Pays to a script in the next block. */
  pay(script: Uint8Array, valueSat: bigint): void {
    this.regtest.broadcast(this.#wallet.pay({ script, valueSat }, 500));
  }

  mine(blocks = 1): void {
    this.#addBlocks(this.regtest.mine({ blocks, minFeeratePerKw: this.minersFeeratePerKw }));
  }

  /** Replaces the last blocks by one more new ones, with the same transactions. */
  reorganise(depth: number): void {
    this.#addBlocks(this.regtest.reorganise({ depth }));
  }

  #addBlocks(blocks: ReturnType<RegtestChain['mine']>): void {
    for (const { height, transactions } of blocks) {
      this.#wallet.addBlock({ height, transactions: transactions.map(({ tx }) => encodeTransaction(tx)) });
    }
  }
}
