import { bytesToHex, concatBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  decodeTransaction,
  type Outpoint,
  p2wpkhScript,
  p2wpkhScriptCode,
  segwitSighash,
  sighashAll,
  signatureToDer,
  type Transaction,
  type TxOutput,
  txid,
  unsignedInput,
  withWitness,
} from '@rivulet/core/tx';
import { LdkError } from './ldkError.js';

interface Coin {
  outpoint: Outpoint;
  output: TxOutput;
  /** The height of the first block that may contain a spend. */
  spendableAt: number;
}

const coinbaseMaturity = 100;
/** Weight units of a P2WPKH input, and of the rest of a transaction with a few outputs, rounded up. */
const inputWeight = 272;
const restWeight = 600;

function outpointKey({ txid: id, index }: Outpoint): string {
  return `${bytesToHex(id)}:${index}`;
}

/** The confirmed coins of one key, known from the blocks it is told of. Reorganisations are not undone. */
export class KeyWallet {
  readonly script: Uint8Array;
  readonly #privateKey: Uint8Array;
  readonly #publicKey: Uint8Array;
  readonly #coins = new Map<string, Coin>();
  #height = 0;

  constructor(seed: Uint8Array) {
    this.#privateKey = sha256(concatBytes(new TextEncoder().encode('interop wallet'), seed));
    this.#publicKey = secp256k1.publicKey(this.#privateKey);
    this.script = p2wpkhScript(this.#publicKey);
  }

  get balanceSat(): bigint {
    let sum = 0n;
    for (const { output } of this.#coins.values()) sum += output.valueSat;
    return sum;
  }

  /** The coins that the next block may spend. */
  coins(): { outpoint: Outpoint; output: TxOutput }[] {
    return [...this.#coins.values()].filter(({ spendableAt }) => spendableAt <= this.#height + 1);
  }

  addBlock({ height, transactions }: { height: number; transactions: readonly Uint8Array[] }): void {
    this.#height = height;
    const script = bytesToHex(this.script);
    transactions.forEach((raw, position) => {
      const tx = decodeTransaction(raw);
      for (const input of tx.inputs) this.#coins.delete(outpointKey(input.outpoint));
      tx.outputs.forEach((output, index) => {
        if (bytesToHex(output.script) !== script) return;
        const outpoint = { txid: txid(tx), index };
        const spendableAt = height + (position === 0 ? coinbaseMaturity : 1);
        this.#coins.set(outpointKey(outpoint), { outpoint, output, spendableAt });
      });
    });
  }

  /** Signs those inputs that spend this wallet's coins, with SIGHASH_ALL. */
  sign(unsigned: Transaction): Transaction {
    let tx = unsigned;
    tx.inputs.forEach((input, inputIndex) => {
      const coin = this.#coins.get(outpointKey(input.outpoint));
      if (!coin) return;
      const hash = segwitSighash({
        tx,
        inputIndex,
        scriptCode: p2wpkhScriptCode(this.#publicKey),
        valueSat: coin.output.valueSat,
        sighashType: sighashAll,
      });
      const signature = signatureToDer(secp256k1.sign(hash, this.#privateKey), sighashAll);
      tx = withWitness(tx, inputIndex, [signature, this.#publicKey]);
    });
    return tx;
  }

  /**
   * A signed transaction whose first output is `output`, with the change behind it. Its coins are not used
   * again, and its change not before it is confirmed.
   */
  pay(output: TxOutput, feeratePerKw: number): Transaction {
    const used: Coin[] = [];
    let missing = output.valueSat + BigInt(Math.ceil((restWeight * feeratePerKw) / 1000));
    for (const coin of this.#coins.values()) {
      if (missing <= 0n) break;
      if (coin.spendableAt > this.#height + 1) continue;
      used.push(coin);
      missing += BigInt(Math.ceil((inputWeight * feeratePerKw) / 1000)) - coin.output.valueSat;
    }
    if (missing > 0n) throw new LdkError('ldk_refused', `the wallet lacks ${missing} sat: mine to it first`);
    const outputs = [output];
    if (missing < -1000n) outputs.push({ valueSat: -missing, script: this.script });
    const inputs = used.map(({ outpoint }) => unsignedInput(outpoint, 0xfffffffd));
    const tx = this.sign({ version: 2, lockTime: 0, inputs, outputs });
    for (const { outpoint } of used) this.#coins.delete(outpointKey(outpoint));
    return tx;
  }
}
