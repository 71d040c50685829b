import { ByteReader, bytesToHex, concatBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  decodeTransaction,
  encodeTransaction,
  type Outpoint,
  p2wpkhScript,
  p2wpkhScriptCode,
  segwitSighash,
  sighashAll,
  signatureToDer,
  type Transaction,
  type TxOutput,
  txid,
  withWitness,
} from '@rivulet/core/tx';
import * as ldk from 'lightningdevkit';
import { LdkError } from './ldkError.js';
import type { LdkBlock } from './ldkTypes.js';

/** A P2WPKH input's witness and its empty scriptSig, with all lengths, in weight units. */
const satisfactionWeight = 1n + 1n + 1n + 73n + 1n + 33n + 4n;

function outpointKey({ txid: id, index }: Outpoint): string {
  return `${bytesToHex(id)}:${index}`;
}

/** The unsigned transaction of a version 0 PSBT: the first thing in its global map. */
function unsignedTransaction(psbt: Uint8Array): Transaction {
  const reader = new ByteReader(psbt);
  const magic = bytesToHex(reader.bytes(5));
  if (magic !== '70736274ff' || reader.u8() !== 1 || reader.u8() !== 0) {
    throw new LdkError('ldk_refused', 'LDK gave a PSBT that does not begin with its transaction');
  }
  const first = reader.u8();
  const length = first < 0xfd ? first : first === 0xfd ? reader.u16Le() : reader.u32Le();
  return decodeTransaction(reader.bytes(length));
}

/**
 * The on-chain coins of an LDK node: one key, told of blocks. LDK needs confirmed coins to pay for anchor
 * channels' commitments and HTLC transactions.
 */
export class LdkWallet {
  readonly script: Uint8Array;
  readonly #privateKey: Uint8Array;
  readonly #publicKey: Uint8Array;
  readonly #coins = new Map<string, { outpoint: Outpoint; output: TxOutput }>();

  constructor(seed: Uint8Array) {
    this.#privateKey = sha256(concatBytes(new TextEncoder().encode('ldk peer wallet'), seed));
    this.#publicKey = secp256k1.publicKey(this.#privateKey);
    this.script = p2wpkhScript(this.#publicKey);
  }

  get balanceSat(): bigint {
    let sum = 0n;
    for (const { output } of this.#coins.values()) sum += output.valueSat;
    return sum;
  }

  /** Takes note of a block's transactions. Reorganisations are not undone: LDK's own feed does that. */
  addBlock(block: LdkBlock): void {
    const script = bytesToHex(this.script);
    for (const raw of block.transactions) {
      const tx = decodeTransaction(raw);
      for (const input of tx.inputs) this.#coins.delete(outpointKey(input.outpoint));
      if (!tx.outputs.some((output) => bytesToHex(output.script) === script)) continue;
      const id = txid(tx);
      tx.outputs.forEach((output, index) => {
        if (bytesToHex(output.script) !== script) return;
        const outpoint = { txid: id, index };
        this.#coins.set(outpointKey(outpoint), { outpoint, output });
      });
    }
  }

  /** Signs those inputs of a PSBT's transaction that spend this wallet's coins. */
  signPsbt(psbt: Uint8Array): Uint8Array {
    let tx = unsignedTransaction(psbt);
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
    return encodeTransaction(tx);
  }

  /** The wallet as LDK's coin selection sees it. */
  asWalletSource(): ldk.WalletSource {
    return ldk.WalletSource.new_impl({
      list_confirmed_utxos: () =>
        ldk.Result_CVec_UtxoZNoneZ.constructor_ok(
          [...this.#coins.values()].map(({ outpoint, output }) =>
            ldk.Utxo.constructor_new(
              ldk.OutPoint.constructor_new(outpoint.txid, outpoint.index),
              ldk.TxOut.constructor_new(output.valueSat, output.script),
              satisfactionWeight,
            ),
          ),
        ),
      get_change_script: () => ldk.Result_CVec_u8ZNoneZ.constructor_ok(this.script),
      sign_psbt: (psbt) => {
        try {
          return ldk.Result_TransactionNoneZ.constructor_ok(this.signPsbt(psbt));
        } catch {
          return ldk.Result_TransactionNoneZ.constructor_err();
        }
      },
    });
  }
}
