import type { ChannelSigner } from '../keys/index.js';
import type { SweepInput } from './claims.js';
import type { Commitment, HtlcOutput } from './commitmentTx.js';
import { compactSizeLength } from './compactSize.js';
import { signatureToDer } from './derSignature.js';
import { htlcTxOf, htlcTxWitness } from './htlcTx.js';
import { dustThresholdSat, p2wshScript } from './script.js';
import { segwitSighash, sharedSighashes, sighashAll, taprootSighash } from './sighash.js';
import { type Transaction, type TxInput, type TxOutput, unsignedInput } from './transaction.js';
import { TransactionError } from './transactionError.js';
import { htlcTxWeight } from './weights.js';

/** A transaction that spends several outputs of ours, signed. */
export interface Sweep {
  readonly tx: Transaction;
  readonly feeSat: bigint;
  /** The expected weight that the fee was computed for: the real one is not above it. */
  readonly weight: number;
}

/** Rounded up: never below the feerate that was asked for. */
function sweepFeeSat(weight: number, feeratePerKw: number): bigint {
  return (BigInt(weight) * BigInt(feeratePerKw) + 999n) / 1000n;
}

function outputWeight(script: Uint8Array): number {
  return 4 * (8 + compactSizeLength(script.length) + script.length);
}

/** Version, locktime, counts, marker and flag. */
function frameWeight(inputs: number, outputs: number): number {
  return 4 * (8 + compactSizeLength(inputs) + compactSizeLength(outputs)) + 2;
}

/** Signs the last inputs of a transaction; `before` are the outputs that those before them spend. */
function signInputs(
  tx: Transaction,
  inputs: readonly SweepInput[],
  before: readonly TxOutput[] = [],
): TxInput[] {
  const shared = sharedSighashes(tx);
  const spent = [...before, ...inputs];
  return inputs.map((input, i) => {
    const { scriptCode, valueSat } = input;
    const inputIndex = before.length + i;
    if (input.taproot === true) {
      const signature = input.sign(taprootSighash({ tx, inputIndex, spent }));
      return { ...(tx.inputs[inputIndex] as TxInput), witness: input.witness(signature) };
    }
    const hash = segwitSighash({ tx, inputIndex, scriptCode, valueSat, sighashType: sighashAll, shared });
    const witness = input.witness(signatureToDer(input.sign(hash), sighashAll));
    return { ...(tx.inputs[inputIndex] as TxInput), witness };
  });
}

/**
 * Builds and signs one transaction that sends all inputs to one script. `parents` are unconfirmed
 * transactions whose fee it shall raise to the same feerate (child pays for parent). `undefined` when
 * what is left after the fee would be dust: then fewer inputs, a lower feerate or time may help.
 */
export function buildSweep({
  inputs,
  script,
  feeratePerKw,
  lockTime = 0,
  parents = [],
  minimumFeeSat = 0n,
}: {
  inputs: readonly SweepInput[];
  script: Uint8Array;
  feeratePerKw: number;
  /** Usually the chain's height; an input's own lock raises it. */
  lockTime?: number;
  parents?: readonly { weight: number; feeSat: bigint }[];
  /** The least fee, whatever the feerate: a replacement pays more than what it replaces (BIP 125). */
  minimumFeeSat?: bigint;
}): Sweep | undefined {
  let weight = frameWeight(inputs.length, 1) + outputWeight(script);
  let totalSat = 0n;
  let latest = lockTime;
  for (const input of inputs) {
    weight += input.weight;
    totalSat += input.valueSat;
    latest = Math.max(latest, input.lockTime);
  }
  let feeSat = sweepFeeSat(weight, feeratePerKw);
  for (const parent of parents) {
    const missingSat = sweepFeeSat(parent.weight, feeratePerKw) - parent.feeSat;
    if (missingSat > 0n) feeSat += missingSat;
  }
  if (feeSat < minimumFeeSat) feeSat = minimumFeeSat;
  const valueSat = totalSat - feeSat;
  if (inputs.length === 0 || valueSat < dustThresholdSat(script)) return undefined;
  const unsigned: Transaction = {
    version: 2,
    lockTime: latest,
    inputs: inputs.map(({ outpoint, sequence }) => unsignedInput(outpoint, sequence)),
    outputs: [{ valueSat, script }],
  };
  return { tx: { ...unsigned, inputs: signInputs(unsigned, inputs) }, feeSat, weight };
}

/** One of our own HTLCs that an HTLC transaction shall resolve. */
export interface HtlcPackageItem {
  commitment: Commitment;
  htlcOutput: HtlcOutput;
  /** 64 bytes: the one of the peer's htlc_signatures for this output. */
  remoteSignature: Uint8Array;
  signer: ChannelSigner;
  /** For an HTLC that we received. */
  preimage?: Uint8Array;
}

function requireSameLockTime(txs: readonly Transaction[]): number {
  const lockTime = txs[0]?.lockTime ?? 0;
  if (txs.some((tx) => tx.lockTime !== lockTime)) {
    throw new TransactionError('HTLC transactions of different locktimes cannot be combined');
  }
  return lockTime;
}

function signHtlcInputs(tx: Transaction, items: readonly HtlcPackageItem[]): TxInput[] {
  const shared = sharedSighashes(tx);
  return items.map(({ commitment, htlcOutput, remoteSignature, signer, preimage }, inputIndex) => {
    const { witnessScript, valueSat } = htlcOutput;
    const { keys, channelType } = commitment.params;
    const hash = segwitSighash({
      tx,
      inputIndex,
      scriptCode: witnessScript,
      valueSat,
      sighashType: sighashAll,
      shared,
    });
    const [localSignature] = signer.signWithHtlcKey(keys.perCommitmentPoint, [hash]) as [Uint8Array];
    const parts = { channelType, remoteSignature, localSignature, preimage, witnessScript };
    return { ...(tx.inputs[inputIndex] as TxInput), witness: htlcTxWitness(parts) };
  });
}

/**
 * Combines HTLC transactions of anchor channels, which pay no fee themselves, with inputs that pay it
 * (BOLT 5: Generation of HTLC Transactions). All HTLC-success, or all HTLC-timeout of one expiry: the
 * peer's signatures cover the locktime. `undefined` when the inputs do not suffice.
 * @throws TransactionError when the locktimes differ or a channel has no anchors.
 */
export function buildHtlcPackage({
  items,
  feeInputs,
  changeScript,
  feeratePerKw,
  minimumFeeSat = 0n,
}: {
  items: readonly HtlcPackageItem[];
  feeInputs: readonly SweepInput[];
  changeScript: Uint8Array;
  feeratePerKw: number;
  /** The least fee, whatever the feerate: a replacement pays more than what it replaces (BIP 125). */
  minimumFeeSat?: bigint;
}): Sweep | undefined {
  const feeAtLeast = (weight: number) => {
    const feeSat = sweepFeeSat(weight, feeratePerKw);
    return feeSat < minimumFeeSat ? minimumFeeSat : feeSat;
  };
  const htlcTxs = items.map(({ commitment, htlcOutput }) => htlcTxOf(commitment, htlcOutput));
  const lockTime = requireSameLockTime(htlcTxs);
  const outputs: TxOutput[] = htlcTxs.flatMap((tx) => tx.outputs);
  let weight = frameWeight(items.length + feeInputs.length, items.length + 1);
  for (const { commitment, htlcOutput } of items) {
    const { channelType } = commitment.params;
    if (channelType !== 'anchors')
      throw new TransactionError('only HTLC transactions of anchor channels combine');
    const kind = htlcOutput.htlc.direction === 'offered' ? 'timeout' : 'success';
    // All of the HTLC transaction but its own frame.
    weight += htlcTxWeight(kind, channelType) - frameWeight(1, 1);
  }
  let paidSat = 0n;
  for (const input of feeInputs) {
    weight += input.weight;
    paidSat += input.valueSat;
  }
  const withChange = weight + outputWeight(changeScript);
  const changeSat = paidSat - feeAtLeast(withChange);
  if (changeSat >= dustThresholdSat(changeScript)) {
    outputs.push({ valueSat: changeSat, script: changeScript });
    weight = withChange;
  } else if (paidSat < feeAtLeast(weight)) return undefined;

  const htlcInputs = htlcTxs.flatMap((tx) => tx.inputs);
  const htlcPrevouts = items.map(({ htlcOutput: { valueSat, witnessScript } }) => ({
    valueSat,
    script: p2wshScript(witnessScript),
  }));
  const otherInputs = feeInputs.map(({ outpoint, sequence }) => unsignedInput(outpoint, sequence));
  const tx: Transaction = { version: 2, lockTime, inputs: [...htlcInputs, ...otherInputs], outputs };
  const inputs = [...signHtlcInputs(tx, items), ...signInputs(tx, feeInputs, htlcPrevouts)];
  const isChange = outputs.length > items.length;
  return { tx: { ...tx, inputs }, feeSat: isChange ? paidSat - changeSat : paidSat, weight };
}
