import { ByteReader, ByteWriter, concatBytes, equalBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import { type Transaction, type TxOutput, witnessSize, writeCompactSize } from '@rivulet/core/tx';
import bitcore, { type ExecutionData, type InterpretedTransaction } from 'bitcore-lib';
import {
  isCompressedPublicKey,
  isLowS,
  isUncompressedPublicKey,
  parseDerSignature,
  verifyDerSignature,
} from './ecdsaEncoding.js';
import { SignatureHasher } from './signatureHash.js';
import { commitsToLeaf, tapLeafHash } from './taprootCommitment.js';

const { Script } = bitcore;

/** Bitcoin Core's script verification flags, in the numbering of bitcore-lib. */
export const scriptFlags = {
  P2SH: 1 << 0,
  STRICTENC: 1 << 1,
  DERSIG: 1 << 2,
  LOW_S: 1 << 3,
  NULLDUMMY: 1 << 4,
  SIGPUSHONLY: 1 << 5,
  MINIMALDATA: 1 << 6,
  DISCOURAGE_UPGRADABLE_NOPS: 1 << 7,
  CLEANSTACK: 1 << 8,
  CHECKLOCKTIMEVERIFY: 1 << 9,
  CHECKSEQUENCEVERIFY: 1 << 10,
  WITNESS: 1 << 11,
  DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM: 1 << 12,
  MINIMALIF: 1 << 13,
  NULLFAIL: 1 << 14,
  WITNESS_PUBKEYTYPE: 1 << 15,
  CONST_SCRIPTCODE: 1 << 16,
  TAPROOT: 1 << 17,
  DISCOURAGE_UPGRADABLE_TAPROOT_VERSION: 1 << 18,
  DISCOURAGE_OP_SUCCESS: 1 << 19,
  DISCOURAGE_UPGRADABLE_PUBKEYTYPE: 1 << 20,
} as const;

/** All rules of consensus and of Bitcoin Core's relay policy. */
const standardScriptFlags = Object.values(scriptFlags).reduce((all, flag) => all | flag, 0);

const version = { base: 0, witnessV0: 1, taproot: 2, tapscript: 3 } as const;
const opcode = { codeSeparator: 0xab, checkMultisig: 0xae, checkMultisigVerify: 0xaf } as const;
const trueItem = Buffer.of(1);
const falseItem = Buffer.alloc(0);
/** BIP 433 style pay-to-anchor: anyone may spend it, with an empty witness. */
export const payToAnchor = Uint8Array.of(0x51, 0x02, 0x4e, 0x73);

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * bitcore-lib's interpreter with these replaced:
 * - CLEANSTACK looked at the stack before the output script ran, and so refused every P2PKH and P2WPKH spend;
 * - OP_CHECKMULTISIG ran in tapscript, removed signatures from segwit scripts, and took a malformed key that
 *   matched no signature for a failure;
 * - LOW_S switched off the check of the hash type;
 * - an unknown opcode in a branch that does not run swallowed the rest of the script;
 * - a DER signature of 64 bytes was taken for a Schnorr signature;
 * - the commitment of a taproot output to a large script was refused;
 * - pay-to-anchor was refused as an unknown witness program;
 * - curve operations in plain JavaScript, and the shared parts of signature hashes computed for every input.
 */
class ScriptInterpreter extends Script.Interpreter {
  readonly #hasher: SignatureHasher;
  readonly #index: number;
  readonly #transaction: InterpretedTransaction;

  constructor(tx: Transaction, index: number, hasher: SignatureHasher) {
    super();
    this.#hasher = hasher;
    this.#index = index;
    this.#transaction = {
      version: tx.version,
      nLockTime: tx.lockTime,
      // bitcore's `isFinal` means the opposite: that the locktime is in force for this input.
      inputs: tx.inputs.map(({ sequence }) => ({
        sequenceNumber: sequence,
        isFinal: () => sequence !== 0xffff_ffff,
      })),
      checkSchnorrSignature: (signature, publicKey, _index, sigversion, data) =>
        this.checkSchnorrSignature(signature, publicKey, sigversion, data),
    };
  }

  #fail(error: string): false {
    this.errstr = error;
    return false;
  }

  override checkSignatureEncoding(signature: Buffer): boolean {
    if (signature.length === 0) return true;
    const parsed = parseDerSignature(signature);
    const { DERSIG, LOW_S, STRICTENC } = scriptFlags;
    if ((this.flags & (DERSIG | LOW_S | STRICTENC)) !== 0 && parsed === undefined) {
      return this.#fail('SCRIPT_ERR_SIG_DER');
    }
    if ((this.flags & LOW_S) !== 0 && parsed !== undefined && !isLowS(parsed.s)) {
      return this.#fail('SCRIPT_ERR_SIG_HIGH_S');
    }
    const base = (signature[signature.length - 1] as number) & ~0x80;
    if ((this.flags & STRICTENC) !== 0 && (base < 1 || base > 3)) {
      return this.#fail('SCRIPT_ERR_SIG_HASHTYPE');
    }
    return true;
  }

  override checkPubkeyEncoding(publicKey: Buffer): boolean {
    const compressed = isCompressedPublicKey(publicKey);
    if ((this.flags & scriptFlags.STRICTENC) !== 0 && !compressed && !isUncompressedPublicKey(publicKey)) {
      return this.#fail('SCRIPT_ERR_PUBKEYTYPE');
    }
    const witnessOnly = (this.flags & scriptFlags.WITNESS_PUBKEYTYPE) !== 0;
    if (witnessOnly && this.sigversion === version.witnessV0 && !compressed) {
      return this.#fail('SCRIPT_ERR_WITNESS_PUBKEYTYPE');
    }
    return true;
  }

  /** The running script since the last OP_CODESEPARATOR, without signatures where the old rules ask for it. */
  #scriptCode(signatures: readonly Buffer[]): { bytes: Uint8Array; removed: boolean } {
    let chunks = this.script.chunks.slice(this.pbegincodehash);
    if (this.sigversion !== version.base) {
      return { bytes: new Script().set({ chunks }).toBuffer(), removed: false };
    }
    const before = chunks.length;
    chunks = chunks.filter(
      (chunk) => !signatures.some((signature) => signature.length < 76 && isPushOf(chunk, signature)),
    );
    const removed = chunks.length !== before;
    chunks = chunks.filter((chunk) => chunk.opcodenum !== opcode.codeSeparator);
    return { bytes: new Script().set({ chunks }).toBuffer(), removed };
  }

  #verifyEcdsa(signature: Buffer, publicKey: Buffer, scriptCode: Uint8Array): boolean {
    if (signature.length === 0) return false;
    const options = { index: this.#index, scriptCode, hashType: signature[signature.length - 1] as number };
    const hash =
      this.sigversion === version.witnessV0 ? this.#hasher.witnessV0(options) : this.#hasher.legacy(options);
    return verifyDerSignature({ signature, hash, publicKey });
  }

  override _evalChecksigPreTapscript(
    signature: Buffer,
    publicKey: Buffer,
  ): { success: boolean; result: boolean } {
    const failed = { success: false, result: false };
    const code = this.#scriptCode([signature]);
    if (code.removed && (this.flags & scriptFlags.CONST_SCRIPTCODE) !== 0) {
      this.errstr = 'SCRIPT_ERR_SIG_FINDANDDELETE';
      return failed;
    }
    if (!this.checkSignatureEncoding(signature) || !this.checkPubkeyEncoding(publicKey)) return failed;
    const success = this.#verifyEcdsa(signature, publicKey, code.bytes);
    if (!success && (this.flags & scriptFlags.NULLFAIL) !== 0 && signature.length > 0) {
      this.errstr = 'SCRIPT_ERR_SIG_NULLFAIL';
      return failed;
    }
    return { success, result: true };
  }

  override checkSchnorrSignature(
    signature: Buffer,
    publicKey: Buffer,
    sigversion: number,
    data: ExecutionData,
  ): boolean {
    if (signature.length !== 64 && signature.length !== 65) return this.#fail('SCRIPT_ERR_SCHNORR_SIG_SIZE');
    const hashType = signature[64] ?? 0;
    if (signature.length === 65 && hashType === 0) return this.#fail('SCRIPT_ERR_SCHNORR_SIG_HASHTYPE');
    const hash = this.#hasher.taproot({
      index: this.#index,
      hashType,
      spend: {
        annexHash: data.annexPresent === true ? data.annexHash : undefined,
        leafHash: sigversion === version.tapscript ? data.tapleafHash : undefined,
        codeSeparator:
          data.codeseparatorPos === undefined ? undefined : Number(String(data.codeseparatorPos)),
      },
    });
    if (hash === undefined) return this.#fail('SCRIPT_ERR_SCHNORR_SIG_HASHTYPE');
    const valid = secp256k1.verifySchnorr(signature.subarray(0, 64), hash, publicKey);
    return valid || this.#fail('SCRIPT_ERR_SCHNORR_SIG');
  }

  override step(): boolean {
    const code = this.script.chunks[this.pc]?.opcodenum;
    const multisig = code === opcode.checkMultisig || code === opcode.checkMultisigVerify;
    if (!multisig || this.vfExec.includes(false)) return super.step();
    this.pc++;
    if (this.sigversion === version.tapscript) return this.#fail('SCRIPT_ERR_TAPSCRIPT_CHECKMULTISIG');
    if (++this.nOpCount > 201) return this.#fail('SCRIPT_ERR_OP_COUNT');
    const success = this.#checkMultisig();
    if (success === undefined) return false;
    if (code === opcode.checkMultisig) this.stack.push(success ? trueItem : falseItem);
    else if (!success) return this.#fail('SCRIPT_ERR_CHECKMULTISIGVERIFY');
    return true;
  }

  #popCount(limit: number, error: string): number | undefined {
    const item = this.stack.pop();
    const value = item === undefined || item.length > 4 ? undefined : littleEndian(item);
    if (item === undefined || value === undefined || value < 0 || value > limit) {
      this.errstr = error;
      return undefined;
    }
    const minimal = item.length === (value === 0 ? 0 : 1);
    if (!minimal && (this.flags & scriptFlags.MINIMALDATA) !== 0) {
      this.errstr = 'SCRIPT_ERR_MINIMALDATA';
      return undefined;
    }
    return value;
  }

  #popItems(count: number): Buffer[] | undefined {
    if (this.stack.length < count) {
      this.errstr = 'SCRIPT_ERR_INVALID_STACK_OPERATION';
      return undefined;
    }
    return this.stack.splice(this.stack.length - count, count);
  }

  /** Pops all arguments. `undefined`: the script fails at once. */
  #checkMultisig(): boolean | undefined {
    const keyCount = this.#popCount(20, 'SCRIPT_ERR_PUBKEY_COUNT');
    if (keyCount === undefined) return undefined;
    this.nOpCount += keyCount;
    if (this.nOpCount > 201) {
      this.errstr = 'SCRIPT_ERR_OP_COUNT';
      return undefined;
    }
    const keys = this.#popItems(keyCount);
    if (keys === undefined) return undefined;
    const signatureCount = this.#popCount(keyCount, 'SCRIPT_ERR_SIG_COUNT');
    if (signatureCount === undefined) return undefined;
    const signatures = this.#popItems(signatureCount);
    const dummy = this.#popItems(1)?.[0];
    if (signatures === undefined || dummy === undefined) return undefined;

    const code = this.#scriptCode(signatures);
    if (code.removed && (this.flags & scriptFlags.CONST_SCRIPTCODE) !== 0) {
      this.errstr = 'SCRIPT_ERR_SIG_FINDANDDELETE';
      return undefined;
    }
    // From the last to the first, as the opcode looks at them: it shows in what encodings it refuses.
    let key = keyCount - 1;
    let signature = signatureCount - 1;
    while (signature >= 0 && signature <= key) {
      const one = signatures[signature] as Buffer;
      const publicKey = keys[key] as Buffer;
      if (!this.checkSignatureEncoding(one) || !this.checkPubkeyEncoding(publicKey)) return undefined;
      if (this.#verifyEcdsa(one, publicKey, code.bytes)) signature--;
      key--;
    }
    const success = signature < 0;
    if (!success && (this.flags & scriptFlags.NULLFAIL) !== 0 && signatures.some((one) => one.length > 0)) {
      this.errstr = 'SCRIPT_ERR_NULLFAIL';
      return undefined;
    }
    if ((this.flags & scriptFlags.NULLDUMMY) !== 0 && dummy.length > 0) {
      this.errstr = 'SCRIPT_ERR_SIG_NULLDUMMY';
      return undefined;
    }
    return success;
  }

  /** BIP 141: the witness of a version 0 output. */
  #verifyWitnessV0(program: Buffer, witness: readonly Buffer[], flags: number): boolean {
    let script: Uint8Array;
    const stack = [...witness];
    if (program.length === 32) {
      const last = stack.pop();
      if (last === undefined) return this.#fail('SCRIPT_ERR_WITNESS_PROGRAM_WITNESS_EMPTY');
      if (!equalBytes(sha256(last), program)) return this.#fail('SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH');
      script = last;
    } else if (program.length === 20) {
      if (stack.length !== 2) return this.#fail('SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH');
      script = concatBytes(Uint8Array.of(0x76, 0xa9, 20), program, Uint8Array.of(0x88, 0xac));
    } else {
      return this.#fail('SCRIPT_ERR_WITNESS_PROGRAM_WRONG_LENGTH');
    }
    return this.executeWitnessScript(parseScript(script), stack, version.witnessV0, 0, flags);
  }

  /** BIP 341: the witness of a taproot output. */
  #verifyTaproot(program: Uint8Array, witness: readonly Buffer[], flags: number): boolean {
    if (witness.length === 0) return this.#fail('SCRIPT_ERR_WITNESS_PROGRAM_WITNESS_EMPTY');
    const stack = [...witness];
    const data: ExecutionData = { annexPresent: false, annexInit: true };
    if (stack.length >= 2 && stack.at(-1)?.[0] === 0x50) {
      const annex = stack.pop() as Buffer;
      const writer = new ByteWriter(annex.length + 5);
      writeCompactSize(writer, annex.length);
      data.annexHash = view(sha256(writer.bytes(annex).finish()));
      data.annexPresent = true;
    }
    if (stack.length === 1) {
      return this.checkSchnorrSignature(stack[0]!, view(program), version.taproot, data);
    }
    const control = stack.pop() as Buffer;
    const script = stack.pop() as Buffer;
    if (control.length < 33 || control.length > 33 + 32 * 128 || (control.length - 33) % 32 !== 0) {
      return this.#fail('SCRIPT_ERR_TAPROOT_WRONG_CONTROL_SIZE');
    }
    const leafVersion = (control[0] as number) & 0xfe;
    const leafHash = tapLeafHash(leafVersion, script);
    if (!commitsToLeaf({ program, control, leafHash })) {
      return this.#fail('SCRIPT_ERR_WITNESS_PROGRAM_MISMATCH');
    }
    if (leafVersion !== 0xc0) {
      const discouraged = (flags & scriptFlags.DISCOURAGE_UPGRADABLE_TAPROOT_VERSION) !== 0;
      return !discouraged || this.#fail('SCRIPT_ERR_DISCOURAGE_UPGRADABLE_TAPROOT_VERSION');
    }
    data.tapleafHash = view(leafHash);
    data.tapleafHashInit = true;
    // BIP 342: the budget of signature checks.
    data.validationWeightLeft = witnessSize(witness) + 50;
    data.validationWeightLeftInit = true;
    const parsed = Script.fromBuffer(script);
    return this.executeWitnessScript(parsed, stack, version.tapscript, 0, flags, data);
  }

  #run(script: InstanceType<typeof Script>, stack: Buffer[], flags: number): boolean {
    this.initialize();
    this.set({ script, stack, tx: this.#transaction, nin: this.#index, sigversion: version.base, flags });
    return this.evaluate();
  }

  #topIsTrue(): boolean {
    const top = this.stack[this.stack.length - 1];
    return top !== undefined && Script.Interpreter.castToBool(top);
  }

  /** Bitcoin Core's VerifyScript. */
  verifyInput(options: {
    scriptSig: Uint8Array;
    scriptPubkey: Uint8Array;
    witness: readonly Uint8Array[];
    flags: number;
  }): boolean {
    const { flags } = options;
    const scriptSig = parseScript(options.scriptSig);
    const scriptPubkey = parseScript(options.scriptPubkey);
    const witness = options.witness.map(view);
    const has = (flag: keyof typeof scriptFlags) => (flags & scriptFlags[flag]) !== 0;

    if (has('SIGPUSHONLY') && !scriptSig.isPushOnly()) return this.#fail('SCRIPT_ERR_SIG_PUSHONLY');
    if (!this.#run(scriptSig, [], flags)) return false;
    const pushed = [...this.stack];
    if (!this.#run(scriptPubkey, this.stack, flags)) return false;
    if (!this.#topIsTrue()) return this.#fail('SCRIPT_ERR_EVAL_FALSE');

    const program: { version?: number; program?: Buffer } = {};
    const p2sh = has('P2SH') && scriptPubkey.isScriptHashOut();
    let isWitness = has('WITNESS') && scriptPubkey.isWitnessProgram(program);
    if (isWitness && options.scriptSig.length > 0) return this.#fail('SCRIPT_ERR_WITNESS_MALLEATED');
    if (p2sh) {
      if (!scriptSig.isPushOnly()) return this.#fail('SCRIPT_ERR_SIG_PUSHONLY');
      const redeem = pushed.pop() as Buffer;
      const redeemScript = parseScript(redeem);
      if (!this.#run(redeemScript, pushed, flags)) return false;
      if (!this.#topIsTrue()) return this.#fail('SCRIPT_ERR_EVAL_FALSE');
      if (has('WITNESS') && redeemScript.isWitnessProgram(program)) {
        isWitness = true;
        const single = scriptSig.chunks.length === 1 && isPushOf(scriptSig.chunks[0]!, redeem);
        if (!single) return this.#fail('SCRIPT_ERR_WITNESS_MALLEATED_P2SH');
      }
    }
    if (isWitness) {
      if (!p2sh && equalBytes(options.scriptPubkey, payToAnchor)) {
        return witness.length === 0 || this.#fail('SCRIPT_ERR_WITNESS_UNEXPECTED');
      }
      // A witness program leaves exactly one true item, by consensus: no CLEANSTACK to check.
      const bytes = program.program as Buffer;
      if (program.version === 0) return this.#verifyWitnessV0(bytes, witness, flags);
      if (has('TAPROOT') && !p2sh && program.version === 1 && bytes.length === 32) {
        return this.#verifyTaproot(bytes, witness, flags);
      }
      const discouraged = has('DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM');
      return !discouraged || this.#fail('SCRIPT_ERR_DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM');
    }
    if (has('CLEANSTACK') && this.stack.length !== 1) return this.#fail('SCRIPT_ERR_CLEANSTACK');
    if (has('WITNESS') && witness.length > 0) return this.#fail('SCRIPT_ERR_WITNESS_UNEXPECTED');
    return true;
  }
}

/** A script number of at most 4 bytes: the sign is the highest bit of the last. */
function littleEndian(item: Buffer): number {
  if (item.length === 0) return 0;
  const last = item[item.length - 1] as number;
  let value = last & 0x7f;
  for (let i = item.length - 2; i >= 0; i--) value = value * 256 + (item[i] as number);
  return (last & 0x80) === 0 ? value : -value;
}

/** bitcore's parser swallows all that follows an unknown opcode, as only tapscript's OP_SUCCESS should. */
function parseScript(bytes: Uint8Array): InstanceType<typeof Script> {
  const reader = new ByteReader(bytes);
  const chunks: { opcodenum: number; buf?: Buffer; len?: number }[] = [];
  while (reader.left > 0) {
    const opcodenum = reader.u8();
    if (opcodenum === 0 || opcodenum > 0x4e) {
      chunks.push({ opcodenum });
      continue;
    }
    let len = opcodenum;
    if (opcodenum === 0x4c) len = reader.u8();
    if (opcodenum === 0x4d) len = reader.u16Le();
    if (opcodenum === 0x4e) len = reader.u32Le();
    chunks.push({ opcodenum, len, buf: view(reader.bytes(len)) });
  }
  return new Script().set({ chunks });
}

function isPushOf(chunk: { opcodenum: number; buf?: Buffer }, data: Buffer): boolean {
  if (data.length === 0) return chunk.opcodenum === 0;
  return chunk.opcodenum === data.length && chunk.buf?.equals(data) === true;
}

/** Runs the scripts of a transaction's inputs. */
export class ScriptVerifier {
  readonly #tx: Transaction;
  readonly #spent: readonly TxOutput[];
  readonly #hasher: SignatureHasher;

  /** @param spent the outputs that the inputs spend, in the inputs' order */
  constructor(tx: Transaction, spent: readonly TxOutput[]) {
    this.#tx = tx;
    this.#spent = spent;
    this.#hasher = new SignatureHasher(tx, spent);
  }

  /** The reason why an input is not allowed to spend its output; `undefined` if it is. */
  verify(index: number, flags: number = standardScriptFlags): string | undefined {
    const input = this.#tx.inputs[index]!;
    const interpreter = new ScriptInterpreter(this.#tx, index, this.#hasher);
    try {
      const valid = interpreter.verifyInput({
        scriptSig: input.scriptSig,
        scriptPubkey: this.#spent[index]!.script,
        witness: input.witness,
        flags,
      });
      return valid ? undefined : interpreter.errstr || 'SCRIPT_ERR_UNKNOWN_ERROR';
    } catch (error) {
      // A script that ends inside a push, for one: bitcore throws while parsing.
      return `SCRIPT_ERR_UNKNOWN_ERROR: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  /** The first input that is not allowed to spend its output, and why. */
  verifyAll(flags: number = standardScriptFlags): { index: number; reason: string } | undefined {
    for (let index = 0; index < this.#tx.inputs.length; index++) {
      const reason = this.verify(index, flags);
      if (reason !== undefined) return { index, reason };
    }
    return undefined;
  }
}
