import { equalBytes } from '@rivulet/core/bytes';
import type { Transaction, TxOutput } from '@rivulet/core/tx';
import { witnessProgramOf } from '../address.js';
import type { Coin } from './consensus.js';
import type { PreparedTransaction } from './preparedTransaction.js';
import { payToAnchor } from './scriptVerifier.js';
import { TxRejection } from './txRejection.js';

const maxStandardWeight = 400_000;
/** Below this, a transaction could pass for an inner node of the merkle tree. */
const minBaseSize = 65;
const maxScriptSigSize = 1650;
const maxDataCarrierSize = 83;
const dustFeePerKvb = 3000n;
const maxWitnessScriptSize = 3600;
const maxWitnessItems = 100;
const maxWitnessItemSize = 80;

export type ScriptKind = 'pubkey' | 'pubkeyhash' | 'scripthash' | 'multisig' | 'nulldata' | WitnessKind;
type WitnessKind =
  | 'witness_v0_keyhash'
  | 'witness_v0_scripthash'
  | 'witness_v1_taproot'
  | 'anchor'
  | 'witness_unknown';

function isKey(bytes: Uint8Array): boolean {
  if (bytes.length === 33) return bytes[0] === 2 || bytes[0] === 3;
  return bytes.length === 65 && bytes[0] === 4;
}

function isBareMultisig(script: Uint8Array): boolean {
  const keys = (script[script.length - 2] ?? 0) - 0x50;
  const needed = (script[0] ?? 0) - 0x50;
  if (script[script.length - 1] !== 0xae || keys < 1 || keys > 3 || needed < 1 || needed > keys) return false;
  let offset = 1;
  for (let i = 0; i < keys; i++) {
    const length = script[offset] ?? 0;
    if (!isKey(script.subarray(offset + 1, offset + 1 + length))) return false;
    offset += 1 + length;
  }
  return offset === script.length - 2;
}

function isNullData(script: Uint8Array): boolean {
  if (script[0] !== 0x6a) return false;
  let offset = 1;
  while (offset < script.length) {
    const code = script[offset] as number;
    if (code > 0x60) return false;
    if (code === 0x4c) offset += 2 + (script[offset + 1] ?? 0);
    else if (code === 0x4d) offset += 3 + (script[offset + 1] ?? 0) + (script[offset + 2] ?? 0) * 256;
    else if (code > 0x4d) offset += 1;
    else offset += 1 + code;
  }
  return offset === script.length;
}

/** The form of an output script, by Bitcoin Core's names; `undefined` for one that is not standard. */
export function scriptKind(script: Uint8Array): ScriptKind | undefined {
  const witness = witnessProgramOf(script);
  if (witness !== undefined) {
    const { version, program } = witness;
    if (version === 0) {
      if (program.length === 20) return 'witness_v0_keyhash';
      return program.length === 32 ? 'witness_v0_scripthash' : undefined;
    }
    if (version === 1 && program.length === 32) return 'witness_v1_taproot';
    return equalBytes(script, payToAnchor) ? 'anchor' : 'witness_unknown';
  }
  const { length } = script;
  const isHash = script[0] === 0x76 && script[1] === 0xa9 && script[2] === 20;
  if (length === 25 && isHash && script[23] === 0x88 && script[24] === 0xac) return 'pubkeyhash';
  if (length === 23 && script[0] === 0xa9 && script[1] === 20 && script[22] === 0x87) return 'scripthash';
  if (script[0] === length - 2 && script[length - 1] === 0xac && isKey(script.subarray(1, -1)))
    return 'pubkey';
  if (isNullData(script)) return 'nulldata';
  return isBareMultisig(script) ? 'multisig' : undefined;
}

/** What an output must have at least so that it is worth spending at 3 sat a virtual byte. */
function dustThresholdSat(output: TxOutput): bigint {
  if (output.script[0] === 0x6a) return 0n;
  const size = 8 + (output.script.length < 0xfd ? 1 : 3) + output.script.length;
  const spending = witnessProgramOf(output.script) === undefined ? 148 : 67;
  return (BigInt(size + spending) * dustFeePerKvb) / 1000n;
}

/** Bitcoin Core's IsStandardTx: what nodes relay, of all that is valid. */
export function checkStandard({ tx, weight, baseSize }: PreparedTransaction): void {
  if (tx.version < 1 || tx.version > 3) throw new TxRejection('version');
  if (weight > maxStandardWeight) throw new TxRejection('tx-size');
  if (baseSize < minBaseSize) throw new TxRejection('tx-size-small');
  for (const { scriptSig } of tx.inputs) {
    if (scriptSig.length > maxScriptSigSize) throw new TxRejection('scriptsig-size');
  }
  let dataOutputs = 0;
  for (const [index, output] of tx.outputs.entries()) {
    const kind = scriptKind(output.script);
    if (kind === undefined) throw new TxRejection('scriptpubkey', `output ${index}`);
    if (kind === 'nulldata') {
      if (output.script.length > maxDataCarrierSize) throw new TxRejection('datacarrier', `output ${index}`);
      dataOutputs++;
    }
    if (output.valueSat < dustThresholdSat(output)) throw new TxRejection('dust', `output ${index}`);
  }
  if (dataOutputs > 1) throw new TxRejection('multi-op-return');
}

function isWitnessStandard(witness: readonly Uint8Array[], kind: ScriptKind | undefined): boolean {
  const script = witness[witness.length - 1];
  if (script === undefined) return true;
  if (kind === 'anchor') return false;
  if (kind === 'witness_v0_scripthash') {
    if (script.length > maxWitnessScriptSize || witness.length - 1 > maxWitnessItems) return false;
    return witness.slice(0, -1).every((item) => item.length <= maxWitnessItemSize);
  }
  if (kind === 'witness_v1_taproot' && witness.length >= 2) {
    if (script[0] === 0x50) return false; // An annex has no meaning yet.
    if (((script[0] as number) & 0xfe) === 0xc0) {
      return witness.slice(0, -2).every((item) => item.length <= maxWitnessItemSize);
    }
  }
  return true;
}

/** Bitcoin Core's AreInputsStandard and IsWitnessStandard. */
export function checkInputsStandard(tx: Transaction, coins: readonly Coin[]): void {
  for (const [index, coin] of coins.entries()) {
    const kind = scriptKind(coin.script);
    if (kind === undefined || kind === 'witness_unknown' || kind === 'nulldata') {
      throw new TxRejection('bad-txns-nonstandard-inputs', `input ${index}`);
    }
    if (!isWitnessStandard(tx.inputs[index]!.witness, kind)) {
      throw new TxRejection('bad-witness-nonstandard', `input ${index}`);
    }
  }
}

export const policyLimits = {
  /** Satoshis a 1000 virtual bytes, to be relayed at all. */
  minRelayFeePerKvb: 1000n,
  /** Satoshis a 1000 virtual bytes, that a replacement pays on top of what it evicts. */
  incrementalFeePerKvb: 1000n,
  maxReplacementEvictions: 100,
  maxAncestors: 25,
  maxDescendants: 25,
  maxFamilyVsize: 101_000,
  /** Version 3 transactions (BIP 431). */
  maxTrucVsize: 10_000,
  maxTrucChildVsize: 1000,
} as const;

/** The fee of a size at a rate, rounded up as Bitcoin Core does. */
export function feeOf(vsize: number, perKvb: bigint): bigint {
  return (BigInt(vsize) * perKvb + 999n) / 1000n;
}
