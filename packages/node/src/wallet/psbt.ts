import { equalBytes, reverseBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import {
  decodeTransaction,
  encodeTransaction,
  p2wpkhScriptCode,
  segwitSighash,
  sighashAll,
  signatureFromDer,
  type Transaction,
  type TxOutput,
  txidToHex,
} from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import { bip32Path, Transaction as PsbtTransaction, SigHash } from '@scure/btc-signer';
import { outpointText } from './coinStates.js';
import type { WalletKey } from './keyring.js';
import { outpointKey } from './ledger.js';
import { lockCoins, unlockCoins } from './locking.js';
import { type ReadInput, type ReadPsbt, readPsbt } from './psbtReading.js';
import { checkFee, commitTransaction, planSend, type SendRequest } from './sending.js';
import { signInputs, toSigner } from './signing.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { txKey, walletWrites } from './walletStore.js';

interface PsbtInputView {
  readonly outpoint: string;
  /** As our ledger has it for ours, as the PSBT says for others. */
  readonly valueSat?: bigint | undefined;
  readonly ours: boolean;
  readonly signed: boolean;
}

/** What signing and broadcasting a PSBT would do. */
export interface PsbtView {
  readonly txid: Uint8Array;
  readonly inputs: readonly PsbtInputView[];
  readonly outputs: readonly (TxOutput & { readonly ours: boolean })[];
  /** What the wallet loses (below zero) or gains. */
  readonly netSat: bigint;
  /** Absent where the PSBT does not say what its inputs have. */
  readonly feeSat?: bigint | undefined;
  /** Whether every input has a signature. */
  readonly complete: boolean;
}

/** The lock of coins that a PSBT waits with. */
const lockReason = (txid: Uint8Array): string => `PSBT ${txidToHex(txid)}`;

/** Previous transactions are left out where they would make a PSBT larger than this: in bytes. */
const maxPreviousBytes = 24_000;

/**
 * Makes a PSBT of a payment, unsigned, with the paths of our keys. Its coins are locked until it is broadcast,
 * or until they are unlocked; the address of its change is used.
 * @throws WalletError as planSend
 */
export function createPsbt(
  state: WalletState,
  request: SendRequest & {
    readonly version?: 0 | 2;
    readonly lock?: boolean;
    readonly tx?: StorageTransaction;
  },
): { psbt: Uint8Array; view: PsbtView } {
  const plan = planSend(state, request);
  const psbt = new PsbtTransaction({
    version: plan.tx.version,
    lockTime: plan.tx.lockTime,
    PSBTVersion: request.version ?? 0,
    allowUnknownOutputs: true,
    disableScriptCheck: true,
  });
  let previousBytes = 0;
  plan.coins.forEach(({ outpoint, valueSat, key }, index) => {
    const previous = state.ledger.transactions.get(txKey(outpoint.txid));
    const raw = previous === undefined ? undefined : encodeTransaction(previous.tx);
    // Signers of version 0 inputs cannot trust an amount that stands alone (BIP 174).
    const isGiven = key.keychain.type === 'p2wpkh' && raw !== undefined;
    if (isGiven) previousBytes += raw.length;
    psbt.addInput({
      txid: reverseBytes(outpoint.txid),
      index: outpoint.index,
      sequence: plan.tx.inputs[index]?.sequence ?? 0xffff_fffd,
      witnessUtxo: { amount: valueSat, script: key.script },
      ...(isGiven && previousBytes <= maxPreviousBytes ? { nonWitnessUtxo: raw } : {}),
      ...originOf(state, key),
    });
  });
  for (const { valueSat, script } of plan.tx.outputs) {
    const key = state.keyring.find(script);
    psbt.addOutput({ amount: valueSat, script, ...(key === undefined ? {} : originOf(state, key)) });
  }
  const bytes = psbt.toPSBT(request.version ?? 0);
  const read = readPsbt(state, bytes);
  state.change(request.tx, (storage) => {
    if (state.advanceOver(plan.tx)) walletWrites.next(storage, state.next);
    if (request.lock === false) return;
    const outpoints = plan.coins.map(({ outpoint }) => outpoint);
    lockCoins(state, outpoints, { reason: lockReason(read.txid), tx: storage });
  });
  return { psbt: bytes, view: viewOf(state, read) };
}

/** BIP 174 and 371: where a key comes from. */
function originOf(state: WalletState, key: WalletKey) {
  const der = { fingerprint: state.keyring.fingerprint, path: bip32Path(state.keyring.path(key)) };
  if (key.keychain.type === 'p2wpkh')
    return { bip32Derivation: [[key.publicKey, der]] as [Uint8Array, typeof der][] };
  const internal = key.publicKey.subarray(1);
  const entry: [Uint8Array, { hashes: Uint8Array[]; der: typeof der }] = [internal, { hashes: [], der }];
  return { tapInternalKey: internal, tapBip32Derivation: [entry] };
}

function viewOf(state: WalletState, { tx, txid, inputs, feeSat }: ReadPsbt): PsbtView {
  return {
    txid,
    inputs: inputs.map(({ outpoint, spent, coin, signed }) => ({
      outpoint: outpointText(outpoint),
      valueSat: spent?.valueSat,
      ours: coin !== undefined,
      signed,
    })),
    outputs: tx.outputs.map((output) => ({ ...output, ours: state.isOurs(output.script) })),
    netSat: netSat(state, tx, inputs),
    feeSat,
    complete: inputs.every(({ signed }) => signed),
  };
}

function netSat(state: WalletState, tx: Transaction, inputs: readonly ReadInput[]): bigint {
  let net = 0n;
  for (const { valueSat, script } of tx.outputs) if (state.isOurs(script)) net += valueSat;
  for (const { coin } of inputs) net -= coin?.valueSat ?? 0n;
  return net;
}

/** What a PSBT says, and does to us. @throws WalletError `psbt_malformed`, `psbt_refused` */
export function inspectPsbt(state: WalletState, bytes: Uint8Array): PsbtView {
  return viewOf(state, readPsbt(state, bytes));
}

/** No other transaction of ours, and no lock of its owner, has these coins. */
function checkFree(state: WalletState, { inputs, txid }: ReadPsbt): void {
  for (const { outpoint, coin } of inputs) {
    if (coin === undefined) continue;
    const key = outpointKey(outpoint);
    const lock = state.locks.get(key);
    const taken =
      state.reservedOutpoints.has(key) ||
      state.heldFor(key) !== undefined ||
      (lock !== undefined && lock !== lockReason(txid));
    if (taken) {
      const why = lock === undefined || lock === lockReason(txid) ? '' : ` (${lock})`;
      throw new WalletError(
        'coin_taken',
        `${outpointText(outpoint)} is in use${why}: free it first, or make another PSBT`,
      );
    }
    if (!state.isMature(coin)) {
      throw new WalletError(
        'coin_taken',
        `${outpointText(outpoint)} is a block reward that is not 100 blocks deep`,
      );
    }
  }
}

function checkFeeOf({ tx, feeSat }: ReadPsbt, maxFeeSat: bigint | undefined): void {
  if (feeSat === undefined) return;
  const paidSat = tx.outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
  checkFee({ feeSat, paidSat, maxFeeSat });
}

/**
 * Signs our inputs. Amounts come from our ledger, and every signature covers the whole transaction.
 * @param options.allowForeign agrees to inputs of others being there, which the caller has shown.
 * @throws WalletError `psbt_malformed`, `psbt_refused`, `psbt_foreign_inputs`, `coin_taken`, `fee_absurd`, `unknown_input`
 */
export function signPsbt(
  state: WalletState,
  bytes: Uint8Array,
  options: { allowForeign?: boolean | undefined; maxFeeSat?: bigint | undefined } = {},
): { psbt: Uint8Array; view: PsbtView } {
  const read = readPsbt(state, bytes);
  checkFree(state, read);
  checkFeeOf(read, options.maxFeeSat);
  const spent = read.inputs.map(({ spent: output, outpoint, coin }) => {
    if (coin === undefined && options.allowForeign !== true) {
      throw new WalletError(
        'psbt_foreign_inputs',
        `this PSBT spends ${outpointText(outpoint)}, which is not ours: look at it (rivulet psbt show), and sign it with --foreign-inputs if that is meant`,
      );
    }
    if (output !== undefined) return output;
    throw new WalletError(
      'psbt_refused',
      `this PSBT does not say what ${outpointText(outpoint)} has: a signature needs it`,
    );
  });
  const explicitAll = new Set(read.inputs.flatMap(({ explicitAll: all }, index) => (all ? [index] : [])));
  const signed = signInputs({ keyring: state.keyring, tx: read.tx, spent, explicitAll });
  read.inputs.forEach(({ coin, signed: already }, index) => {
    if (coin === undefined || already) return;
    const [signature] = signed.inputs[index]?.witness ?? [];
    const part =
      coin.key.keychain.type === 'p2tr'
        ? { tapKeySig: signature as Uint8Array }
        : { partialSig: [[coin.key.publicKey, signature]] as [Uint8Array, Uint8Array][] };
    read.psbt.updateInput(index, part, true);
  });
  const psbt = read.psbt.toPSBT();
  return { psbt, view: inspectPsbt(state, psbt) };
}

/**
 * The transaction of a PSBT whose inputs are all signed, here or elsewhere. Our own signatures are verified.
 * @throws WalletError `psbt_incomplete`, `psbt_refused`, and as signPsbt
 */
export function finalizePsbt(
  state: WalletState,
  bytes: Uint8Array,
  options: { maxFeeSat?: bigint | undefined } = {},
): { tx: Transaction; view: PsbtView } {
  const read = readPsbt(state, bytes);
  checkFree(state, read);
  checkFeeOf(read, options.maxFeeSat);
  const missing: string[] = [];
  read.inputs.forEach(({ outpoint }, index) => {
    const { finalScriptWitness, finalScriptSig } = read.psbt.getInput(index);
    if ((finalScriptWitness?.length ?? 0) > 0 || (finalScriptSig?.length ?? 0) > 0) return;
    try {
      read.psbt.finalizeIdx(index);
    } catch {
      missing.push(outpointText(outpoint));
    }
  });
  if (missing.length > 0) {
    throw new WalletError('psbt_incomplete', `signatures are missing for ${missing.join(', ')}`);
  }
  const tx = decodeTransaction(read.psbt.extract());
  const spent = read.inputs.map((input) => input.spent);
  read.inputs.forEach(({ coin, outpoint }, index) => {
    if (coin === undefined || isSignedBy(coin.key, { tx, index, spent })) return;
    throw new WalletError(
      'psbt_refused',
      `the signature of our coin ${outpointText(outpoint)} is not valid for this transaction`,
    );
  });
  return { tx, view: viewOf(state, read) };
}

/** Whether an input of ours has a valid signature that covers all of the transaction (BIP 143, BIP 341). */
function isSignedBy(
  key: WalletKey,
  { tx, index, spent }: { tx: Transaction; index: number; spent: readonly (TxOutput | undefined)[] },
): boolean {
  const input = tx.inputs[index];
  const own = spent[index];
  const [signature, publicKey] = input?.witness ?? [];
  if (input === undefined || own === undefined || signature === undefined) return false;
  if (input.scriptSig.length > 0) return false;
  if (key.keychain.type === 'p2wpkh') {
    if (input.witness.length !== 2 || publicKey === undefined) return false;
    if (!equalBytes(publicKey, key.publicKey)) return false;
    const hash = segwitSighash({
      tx,
      inputIndex: index,
      scriptCode: p2wpkhScriptCode(key.publicKey),
      valueSat: own.valueSat,
      sighashType: sighashAll,
    });
    return verifyDer(signature, hash, key.publicKey);
  }
  const outputs = spent.flatMap((output) => output ?? []);
  if (input.witness.length !== 1 || outputs.length !== spent.length) return false;
  const type = signature.length === 64 ? SigHash.DEFAULT : signature[64];
  if (signature.length > 65 || type === undefined) return false;
  if (type !== SigHash.ALL && (type !== SigHash.DEFAULT || signature.length === 65)) return false;
  const hash = toSigner(tx).preimageWitnessV1(
    index,
    outputs.map(({ script }) => script),
    type,
    outputs.map(({ valueSat }) => valueSat),
  );
  return secp256k1.verifySchnorr(signature.subarray(0, 64), hash, key.script.subarray(2));
}

function verifyDer(witnessItem: Uint8Array, hash: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    const { signature, sighashType } = signatureFromDer(witnessItem);
    return sighashType === sighashAll && secp256k1.verify(signature, hash, publicKey);
  } catch {
    return false;
  }
}

/**
 * Stores the transaction of a PSBT as one of the wallet's, to be broadcast from now on; the locks that it waited
 * with are over.
 * @throws WalletError as finalizePsbt
 */
export function commitPsbt(
  state: WalletState,
  bytes: Uint8Array,
  options: {
    nowMs: number;
    label?: string | undefined;
    maxFeeSat?: bigint | undefined;
    tx?: StorageTransaction | undefined;
  },
): { tx: Transaction; view: PsbtView } {
  const { tx, view } = finalizePsbt(state, bytes, options);
  if (!state.ledger.concerns(tx)) {
    throw new WalletError('psbt_refused', 'this PSBT neither spends coins of this wallet nor pays to it');
  }
  const known = state.ledger.transactions.get(txKey(view.txid));
  if (known?.height !== undefined) {
    throw new WalletError(
      'transaction_confirmed',
      `transaction ${txidToHex(view.txid)} is in block ${known.height}`,
    );
  }
  state.change(options.tx, (storage) => {
    unlockCoins(
      state,
      tx.inputs.map(({ outpoint }) => outpoint),
      storage,
    );
    const { nowMs, label } = options;
    commitTransaction(state, { tx, options: { purpose: 'psbt', nowMs, label }, storage });
  });
  return { tx, view };
}
