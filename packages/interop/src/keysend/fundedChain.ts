import { addressToScript, type Regtest, startRegtest } from '@rivulet/chain';

/** What a script of one OP_TRUE takes to be spent. */
const anybody = [Uint8Array.of(0x51)];
const maturity = 100;
const feeSat = 10_000n;

/** A chain whose first blocks can be spent by anybody: nodes that begin on it need not follow a hundred more. */
export class FundedChain {
  readonly regtest: Regtest;
  #spent = 0;

  private constructor(regtest: Regtest) {
    this.regtest = regtest;
  }

  static async start(): Promise<FundedChain> {
    const regtest = await startRegtest({ rpcUser: 'rivulet', rpcPassword: 'regtest' });
    regtest.chain.mine({ blocks: maturity + 20 });
    return new FundedChain(regtest);
  }

  /** The settings under which a daemon finds it. */
  get settings() {
    const { rpcUrl, rpcUser, rpcPassword } = this.regtest;
    return { type: 'bitcoind', url: rpcUrl, user: rpcUser, password: rpcPassword };
  }

  /** The reward of a block to this address, once a block is mined. */
  pay(address: string): void {
    const { chain } = this.regtest;
    this.#spent++;
    const coinbase = chain.blockAt(this.#spent)?.transactions[0];
    const valueSat = coinbase?.tx.outputs[0]?.valueSat;
    if (coinbase === undefined || valueSat === undefined) throw new Error('there are no coins left');
    chain.broadcast({
      version: 2,
      lockTime: 0,
      inputs: [
        {
          outpoint: { txid: coinbase.txid, index: 0 },
          scriptSig: new Uint8Array(),
          sequence: 0xffff_fffd,
          witness: anybody,
        },
      ],
      outputs: [{ valueSat: valueSat - feeSat, script: addressToScript(address, 'regtest') }],
    });
  }
}
