import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  type Outpoint,
  p2wpkhScript,
  p2wpkhScriptCode,
  segwitSighash,
  sighashAll,
  signatureToDer,
  type Transaction,
  type TxOutput,
  withWitness,
} from '@rivulet/core/tx';
import type { RegtestChain } from './regtestChain.js';

/** A clock for tests that moves only when it is told to. */
export class TestClock {
  milliseconds = 1_700_000_000_000;
  readonly now = () => this.milliseconds;
}

export interface TestCoin extends TxOutput {
  readonly outpoint: Outpoint;
}

export interface TestSpend {
  readonly coins: readonly TestCoin[];
  readonly outputs: readonly TxOutput[];
  readonly version?: number;
  readonly lockTime?: number;
  readonly sequence?: number;
}

/** One P2WPKH key, for tests: signs with core's code, which shares nothing with the chain's checks. */
export class TestWallet {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly script: Uint8Array;

  constructor(seed = 1) {
    this.privateKey = sha256(Uint8Array.of(seed));
    this.publicKey = secp256k1.publicKey(this.privateKey);
    this.script = p2wpkhScript(this.publicKey);
  }

  unsigned(spend: TestSpend): Transaction {
    return {
      version: spend.version ?? 2,
      lockTime: spend.lockTime ?? 0,
      inputs: spend.coins.map(({ outpoint }) => ({
        outpoint,
        scriptSig: new Uint8Array(0),
        sequence: spend.sequence ?? 0xffff_fffd,
        witness: [],
      })),
      outputs: spend.outputs,
    };
  }

  sign(spend: TestSpend): Transaction {
    let tx = this.unsigned(spend);
    const scriptCode = p2wpkhScriptCode(this.publicKey);
    for (const [inputIndex, { valueSat }] of spend.coins.entries()) {
      const hash = segwitSighash({ tx, inputIndex, scriptCode, valueSat, sighashType: sighashAll });
      const signature = signatureToDer(secp256k1.sign(hash, this.privateKey), sighashAll);
      tx = withWitness(tx, inputIndex, [signature, this.publicKey]);
    }
    return tx;
  }

  /** Pays all of `coins` but the fee back to this wallet. */
  sweep(coins: readonly TestCoin[], feeSat: bigint): Transaction {
    const total = coins.reduce((sum, coin) => sum + coin.valueSat, 0n);
    return this.sign({ coins, outputs: [{ valueSat: total - feeSat, script: this.script }] });
  }

  /** Mines `count` coins of a block reward each to this wallet, and 100 blocks more so that they can be spent. */
  fund(chain: RegtestChain, count = 1): TestCoin[] {
    const blocks = chain.mine({ blocks: count, script: this.script });
    chain.mine({ blocks: 100 });
    return blocks.map((block) => {
      const { txid, tx } = block.transactions[0]!;
      return { outpoint: { txid, index: 0 }, ...tx.outputs[0]! };
    });
  }
}

/** An output of a transaction as a coin. */
export function coinOf(txid: Uint8Array, tx: Transaction, index = 0): TestCoin {
  return { outpoint: { txid, index }, ...tx.outputs[index]! };
}
