import { concatBytes, equalBytes } from '../bytes/index.js';
import { hash160, sha256 } from '../crypto/index.js';
import { TransactionError } from './transactionError.js';

/** The opcodes that Lightning's scripts use. */
export const OP = {
  FALSE: 0x00,
  PUSHDATA1: 0x4c,
  PUSHDATA2: 0x4d,
  ONE_NEGATE: 0x4f,
  ONE: 0x51,
  TWO: 0x52,
  SIXTEEN: 0x60,
  IF: 0x63,
  NOTIF: 0x64,
  ELSE: 0x67,
  ENDIF: 0x68,
  RETURN: 0x6a,
  IFDUP: 0x73,
  DROP: 0x75,
  DUP: 0x76,
  SWAP: 0x7c,
  SIZE: 0x82,
  EQUAL: 0x87,
  EQUALVERIFY: 0x88,
  HASH160: 0xa9,
  CHECKSIG: 0xac,
  CHECKSIGVERIFY: 0xad,
  CHECKMULTISIG: 0xae,
  CHECKLOCKTIMEVERIFY: 0xb1,
  CHECKSEQUENCEVERIFY: 0xb2,
} as const;

/** The shortest push of a byte string (BIP 62's minimal push). */
export function pushData(data: Uint8Array): Uint8Array {
  const { length } = data;
  if (length === 0) return Uint8Array.of(OP.FALSE);
  if (length === 1) {
    const byte = data[0] as number;
    if (byte >= 1 && byte <= 16) return Uint8Array.of(OP.ONE + byte - 1);
    if (byte === 0x81) return Uint8Array.of(OP.ONE_NEGATE);
  }
  if (length < OP.PUSHDATA1) return concatBytes(Uint8Array.of(length), data);
  if (length <= 0xff) return concatBytes(Uint8Array.of(OP.PUSHDATA1, length), data);
  if (length > 520) throw new TransactionError(`a script cannot push ${length} bytes: the limit is 520`);
  return concatBytes(Uint8Array.of(OP.PUSHDATA2, length & 0xff, length >> 8), data);
}

/** A number as Script encodes it: little endian, sign in the highest bit, as short as possible. */
export function scriptNumber(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let left = value < 0n ? -value : value; left > 0n; left >>= 8n) bytes.push(Number(left & 0xffn));
  const last = bytes.length - 1;
  if (last >= 0 && (bytes[last] as number) >= 0x80) bytes.push(value < 0n ? 0x80 : 0);
  else if (value < 0n) bytes[last] = (bytes[last] as number) | 0x80;
  return Uint8Array.from(bytes);
}

/** Joins a script: a `number` is an opcode, bytes are pushed, a `bigint` is pushed as a script number. */
export function script(...parts: readonly (number | bigint | Uint8Array)[]): Uint8Array {
  return concatBytes(
    ...parts.map((part) => {
      if (typeof part === 'number') return Uint8Array.of(part);
      return pushData(typeof part === 'bigint' ? scriptNumber(part) : part);
    }),
  );
}

function witnessProgram(version: number, program: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + program.length);
  out[0] = version;
  out[1] = program.length;
  out.set(program, 2);
  return out;
}

/** The P2WPKH output script of a 33-byte public key or of its 20-byte hash160. */
export function p2wpkhScript(keyOrHash: Uint8Array): Uint8Array {
  return witnessProgram(OP.FALSE, keyOrHash.length === 20 ? keyOrHash : hash160(keyOrHash));
}

/** The P2WSH output script of a witness script. */
export function p2wshScript(witnessScript: Uint8Array): Uint8Array {
  return witnessProgram(OP.FALSE, sha256(witnessScript));
}

/** The P2TR output script of a 32-byte x-only output key (already tweaked). */
export function p2trScript(xOnlyOutputKey: Uint8Array): Uint8Array {
  return witnessProgram(OP.ONE, xOnlyOutputKey);
}

/** The script code that a P2WPKH input signs (BIP 143): the P2PKH script of the key's hash. */
export function p2wpkhScriptCode(keyOrHash: Uint8Array): Uint8Array {
  const keyHash = keyOrHash.length === 20 ? keyOrHash : hash160(keyOrHash);
  return script(OP.DUP, OP.HASH160, keyHash, OP.EQUALVERIFY, OP.CHECKSIG);
}

export type ScriptType =
  | 'p2pkh'
  | 'p2sh'
  | 'p2wpkh'
  | 'p2wsh'
  | 'p2a'
  | 'segwit_unknown'
  | 'op_return'
  | 'nonstandard';

const p2aScript = Uint8Array.of(OP.ONE, 2, 0x4e, 0x73);

function isWitnessProgram(code: Uint8Array): boolean {
  const version = code[0] as number;
  return (
    code.length >= 4 &&
    code.length <= 42 &&
    (version === OP.FALSE || (version >= OP.ONE && version <= OP.SIXTEEN)) &&
    code[1] === code.length - 2
  );
}

/** The kind of an output script. P2TR counts as `segwit_unknown`, as it does in BOLT 3's dust limits. */
export function scriptType(code: Uint8Array): ScriptType {
  if (code[0] === OP.RETURN) return 'op_return';
  if (isWitnessProgram(code)) {
    if (code[0] !== OP.FALSE) return equalBytes(code, p2aScript) ? 'p2a' : 'segwit_unknown';
    if (code.length === 22) return 'p2wpkh';
    return code.length === 34 ? 'p2wsh' : 'nonstandard';
  }
  if (code.length === 25 && code[0] === OP.DUP && code[1] === OP.HASH160 && code[2] === 20) {
    if (code[23] === OP.EQUALVERIFY && code[24] === OP.CHECKSIG) return 'p2pkh';
  }
  if (code.length === 23 && code[0] === OP.HASH160 && code[1] === 20 && code[22] === OP.EQUAL) return 'p2sh';
  return 'nonstandard';
}

/**
 * The value in satoshi below which Bitcoin Core would not relay an output with this script
 * (BOLT 3: Dust Limits). A script of no known kind gets the strictest threshold.
 */
export function dustThresholdSat(code: Uint8Array): bigint {
  const type = scriptType(code);
  switch (type) {
    case 'p2pkh':
    case 'nonstandard':
      return 546n;
    case 'p2sh':
      return 540n;
    case 'p2wpkh':
      return 294n;
    case 'p2wsh':
      return 330n;
    case 'p2a':
      return 240n;
    case 'segwit_unknown':
      return 354n;
    case 'op_return':
      return 0n;
    default: {
      const impossible: never = type;
      return impossible;
    }
  }
}

/** Which of the optional forms of a shutdown script are negotiated. */
export interface ShutdownScriptOptions {
  /** option_shutdown_anysegwit */
  anySegwit: boolean;
  /** option_simple_close */
  simpleClose: boolean;
}

function isShutdownOpReturn(code: Uint8Array): boolean {
  const length = code[1] as number;
  if (length >= 6 && length <= 75) return code.length === 2 + length;
  const longLength = code[2] as number;
  return length === OP.PUSHDATA1 && longLength >= 76 && longLength <= 80 && code.length === 3 + longLength;
}

/** Whether a script has one of the forms that BOLT 2 allows in `shutdown` (and as upfront shutdown script). */
export function isShutdownScript(code: Uint8Array, options: ShutdownScriptOptions): boolean {
  // BOLT 2: shutdown, sending node: the forms of `scriptpubkey`
  const type = scriptType(code);
  if (type === 'p2wpkh' || type === 'p2wsh') return true;
  if (type === 'segwit_unknown' || type === 'p2a') return options.anySegwit;
  return type === 'op_return' && options.simpleClose && isShutdownOpReturn(code);
}
