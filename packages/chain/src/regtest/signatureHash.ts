import { ByteWriter, concatBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256, sha256d } from '@rivulet/core/crypto';
import {
  encodeOutputs,
  encodeWithoutWitness,
  type Transaction,
  type TxOutput,
  writeCompactSize,
} from '@rivulet/core/tx';

const sighashNone = 2;
const sighashSingle = 3;
const anyoneCanPay = 0x80;
const zeros = new Uint8Array(32);
const tapSighashTag = sha256(utf8ToBytes('TapSighash'));

/** What BIP 341 and BIP 342 add to the hash of one input. */
export interface TaprootSpend {
  readonly annexHash?: Uint8Array | undefined;
  /** Of a script path. */
  readonly leafHash?: Uint8Array | undefined;
  readonly codeSeparator?: number | undefined;
}

/**
 * The hashes that signatures of one transaction commit to. Written apart from the code that signs (so that a
 * mistake there is noticed here), and with what all inputs share computed once, so that a transaction with
 * hundreds of inputs and outputs is checked in linear time.
 */
export class SignatureHasher {
  readonly #tx: Transaction;
  readonly #spent: readonly TxOutput[];
  readonly #shared = new Map<string, Uint8Array>();

  /** @param spent the outputs that the inputs spend, in the inputs' order */
  constructor(tx: Transaction, spent: readonly TxOutput[]) {
    this.#tx = tx;
    this.#spent = spent;
  }

  #once(name: string, write: (writer: ByteWriter) => void): Uint8Array {
    let hash = this.#shared.get(name);
    if (hash === undefined) {
      const writer = new ByteWriter(1024);
      write(writer);
      hash = sha256(writer.finish());
      this.#shared.set(name, hash);
    }
    return hash;
  }

  #prevouts(): Uint8Array {
    return this.#once('prevouts', (writer) => {
      for (const { outpoint } of this.#tx.inputs) writer.bytes(outpoint.txid).u32Le(outpoint.index);
    });
  }

  #sequences(): Uint8Array {
    return this.#once('sequences', (writer) => {
      for (const input of this.#tx.inputs) writer.u32Le(input.sequence);
    });
  }

  #outputs(): Uint8Array {
    return this.#once('outputs', (writer) => writer.bytes(encodeOutputs(this.#tx.outputs)));
  }

  #amounts(): Uint8Array {
    return this.#once('amounts', (writer) => {
      for (const output of this.#spent) writer.u64Le(output.valueSat);
    });
  }

  #scripts(): Uint8Array {
    return this.#once('scripts', (writer) => {
      for (const output of this.#spent) {
        writeCompactSize(writer, output.script.length);
        writer.bytes(output.script);
      }
    });
  }

  /** The original algorithm, for scripts without segregated witness. */
  legacy(options: { index: number; scriptCode: Uint8Array; hashType: number }): Uint8Array {
    const { index, scriptCode, hashType } = options;
    const base = hashType & 0x1f;
    const { inputs, outputs } = this.#tx;
    if (base === sighashSingle && index >= outputs.length) {
      // The oldest quirk of all: a SINGLE signature without its output commits to the number one.
      const one = new Uint8Array(32);
      one[0] = 1;
      return one;
    }
    let signed = inputs.map((input, i) => ({
      ...input,
      scriptSig: i === index ? scriptCode : new Uint8Array(0),
      sequence: i !== index && (base === sighashNone || base === sighashSingle) ? 0 : input.sequence,
    }));
    if ((hashType & anyoneCanPay) !== 0) signed = signed.slice(index, index + 1);
    let kept = [...outputs];
    if (base === sighashNone) kept = [];
    if (base === sighashSingle) {
      kept = outputs
        .slice(0, index + 1)
        .map((output, i) =>
          i === index ? output : { valueSat: 0xffff_ffff_ffff_ffffn, script: new Uint8Array(0) },
        );
    }
    const preimage = encodeWithoutWitness({ ...this.#tx, inputs: signed, outputs: kept });
    return sha256d(concatBytes(preimage, new ByteWriter(4).u32Le(hashType).finish()));
  }

  /** BIP 143. */
  witnessV0(options: { index: number; scriptCode: Uint8Array; hashType: number }): Uint8Array {
    const { index, scriptCode, hashType } = options;
    const base = hashType & 0x1f;
    const any = (hashType & anyoneCanPay) !== 0;
    const all = base !== sighashNone && base !== sighashSingle;
    const input = this.#tx.inputs[index]!;
    let outputs: Uint8Array = zeros;
    if (all) outputs = sha256(this.#outputs());
    else if (base === sighashSingle && index < this.#tx.outputs.length) {
      outputs = sha256d(encodeOutputs([this.#tx.outputs[index]!]));
    }
    const writer = new ByteWriter(256 + scriptCode.length)
      .u32Le(this.#tx.version >>> 0)
      .bytes(any ? zeros : sha256(this.#prevouts()))
      .bytes(!any && all ? sha256(this.#sequences()) : zeros)
      .bytes(input.outpoint.txid)
      .u32Le(input.outpoint.index);
    writeCompactSize(writer, scriptCode.length);
    writer
      .bytes(scriptCode)
      .u64Le(this.#spent[index]!.valueSat)
      .u32Le(input.sequence)
      .bytes(outputs)
      .u32Le(this.#tx.lockTime)
      .u32Le(hashType);
    return sha256d(writer.finish());
  }

  /** BIP 341, and BIP 342 where a leaf is given; `undefined` for a hash type that is not defined. */
  taproot(options: { index: number; hashType: number; spend: TaprootSpend }): Uint8Array | undefined {
    const { index, hashType, spend } = options;
    if (!(hashType <= 3 || (hashType >= 0x81 && hashType <= 0x83))) return undefined;
    const base = hashType === 0 ? 1 : hashType & 3;
    const input = this.#tx.inputs[index]!;
    const output = this.#spent[index]!;
    const writer = new ByteWriter(512)
      .bytes(tapSighashTag)
      .bytes(tapSighashTag)
      .u8(0)
      .u8(hashType)
      .u32Le(this.#tx.version >>> 0)
      .u32Le(this.#tx.lockTime);
    if ((hashType & anyoneCanPay) === 0) {
      writer.bytes(this.#prevouts()).bytes(this.#amounts()).bytes(this.#scripts()).bytes(this.#sequences());
    }
    if (base !== sighashNone && base !== sighashSingle) writer.bytes(this.#outputs());
    writer.u8((spend.leafHash === undefined ? 0 : 2) + (spend.annexHash === undefined ? 0 : 1));
    if ((hashType & anyoneCanPay) !== 0) {
      writer
        .bytes(input.outpoint.txid)
        .u32Le(input.outpoint.index)
        .bytes(encodeOutputs([output]));
      writer.u32Le(input.sequence);
    } else {
      writer.u32Le(index);
    }
    if (spend.annexHash !== undefined) writer.bytes(spend.annexHash);
    if (base === sighashSingle) {
      const own = this.#tx.outputs[index];
      if (own === undefined) return undefined;
      writer.bytes(sha256(encodeOutputs([own])));
    }
    if (spend.leafHash !== undefined) {
      writer
        .bytes(spend.leafHash)
        .u8(0)
        .u32Le(spend.codeSeparator ?? 0xffff_ffff);
    }
    return sha256(writer.finish());
  }
}
