import { sha256d } from '../crypto/index.js';
import type { CommitmentKeys } from '../keys/index.js';
import { toLocalScript } from './commitmentScripts.js';
import type { Commitment, HtlcOutputSpec } from './commitmentTx.js';
import { signatureToDer } from './derSignature.js';
import { htlcSuccessFeeSat, htlcTimeoutFeeSat } from './fees.js';
import { p2wshScript } from './script.js';
import { type SighashType, sighashAll, sighashSingleAnyoneCanPay } from './sighash.js';
import { type Transaction, unsignedInput } from './transaction.js';
import { TransactionError } from './transactionError.js';
import type { ChannelType } from './weights.js';

/** `timeout` spends an HTLC that the commitment's holder offered, `success` one that it received. */
export type HtlcTxKind = 'timeout' | 'success';

export interface HtlcTxParams {
  kind: HtlcTxKind;
  /** Internal byte order. */
  commitmentTxid: Uint8Array;
  outputIndex: number;
  amountMsat: bigint;
  cltvExpiry: number;
  keys: CommitmentKeys;
  toSelfDelay: number;
  feeratePerKw: number;
  channelType: ChannelType;
}

/** The second-stage transaction of an HTLC in this direction, as the commitment's holder sees it. */
export function htlcTxKind(direction: 'offered' | 'received'): HtlcTxKind {
  return direction === 'offered' ? 'timeout' : 'success';
}

/** The sighash type that the other side's HTLC signatures have. The holder's own is always sighashAll. */
export function remoteHtlcSighashType(channelType: ChannelType): SighashType {
  // BOLT 5: Generation of HTLC Transactions
  return channelType === 'anchors' ? sighashSingleAnyoneCanPay : sighashAll;
}

function htlcTxOutputSat({ kind, amountMsat, ...fees }: Omit<HtlcTxParams, 'keys'>): bigint {
  const feeSat = kind === 'timeout' ? htlcTimeoutFeeSat(fees) : htlcSuccessFeeSat(fees);
  const valueSat = amountMsat / 1000n - feeSat;
  if (valueSat < 0n) throw new TransactionError('the HTLC is smaller than the fee of its transaction');
  return valueSat;
}

/** Builds an HTLC-timeout or HTLC-success transaction, unsigned (BOLT 3). */
export function buildHtlcTx(params: HtlcTxParams): Transaction {
  const { kind, commitmentTxid, outputIndex, cltvExpiry, keys, toSelfDelay, channelType } = params;
  const script = p2wshScript(toLocalScript({ ...keys, toSelfDelay }));
  return {
    version: 2,
    lockTime: kind === 'timeout' ? cltvExpiry : 0,
    inputs: [unsignedInput({ txid: commitmentTxid, index: outputIndex }, channelType === 'anchors' ? 1 : 0)],
    outputs: [{ valueSat: htlcTxOutputSat(params), script }],
  };
}

/** The unsigned second-stage transaction of one HTLC output of a commitment. */
export function htlcTxOf(
  commitment: Commitment,
  { htlc, outputIndex }: { htlc: HtlcOutputSpec; outputIndex: number },
): Transaction {
  const { params, txid } = commitment;
  return buildHtlcTx({
    ...params,
    kind: htlcTxKind(htlc.direction),
    commitmentTxid: txid,
    outputIndex,
    amountMsat: htlc.amountMsat,
    cltvExpiry: htlc.cltvExpiry,
  });
}

const zeroSequenceHash = sha256d(new Uint8Array(4));
const oneSequenceHash = sha256d(Uint8Array.of(1, 0, 0, 0));

/**
 * What is signed in each HTLC transaction of a commitment, in the order of `htlcOutputs`. The same as
 * segwitSighash of each htlcTxOf, without building the transactions: a commitment can have 966 of them.
 */
export function htlcSighashes(commitment: Commitment, sighashType: SighashType): Uint8Array[] {
  const { params, txid, htlcOutputs } = commitment;
  const { channelType, feeratePerKw, keys, toSelfDelay } = params;
  const sequence = channelType === 'anchors' ? 1 : 0;
  const timeoutFeeSat = htlcTimeoutFeeSat({ channelType, feeratePerKw });
  const successFeeSat = htlcSuccessFeeSat({ channelType, feeratePerKw });
  const all = sighashType === sighashAll;

  const outpoint = new Uint8Array(36);
  outpoint.set(txid);
  const outpointView = new DataView(outpoint.buffer);
  const output = new Uint8Array(43);
  output[8] = 34;
  output.set(p2wshScript(toLocalScript({ ...keys, toSelfDelay })), 9);
  const outputView = new DataView(output.buffer);
  // The longest HTLC script has 144 bytes: its length takes one byte.
  const preimage = new Uint8Array(320);
  const view = new DataView(preimage.buffer);
  view.setUint32(0, 2, true);
  if (all) preimage.set(sequence === 1 ? oneSequenceHash : zeroSequenceHash, 36);

  return htlcOutputs.map(({ htlc, outputIndex, valueSat, witnessScript }) => {
    const timeout = htlc.direction === 'offered';
    const scriptLength = witnessScript.length;
    outpointView.setUint32(32, outputIndex, true);
    outputView.setBigUint64(0, valueSat - (timeout ? timeoutFeeSat : successFeeSat), true);
    if (all) preimage.set(sha256d(outpoint), 4);
    preimage.set(outpoint, 68);
    preimage[104] = scriptLength;
    preimage.set(witnessScript, 105);
    let offset = 105 + scriptLength;
    view.setBigUint64(offset, valueSat, true);
    view.setUint32(offset + 8, sequence, true);
    preimage.set(sha256d(output), offset + 12);
    offset += 44;
    view.setUint32(offset, timeout ? htlc.cltvExpiry : 0, true);
    view.setUint32(offset + 4, sighashType, true);
    return sha256d(preimage.subarray(0, offset + 8));
  });
}

const emptyItem = new Uint8Array(0);

/**
 * The witness of an HTLC transaction's input: `preimage` for HTLC-success, none for HTLC-timeout.
 * Signatures are 64 bytes.
 */
export function htlcTxWitness({
  channelType,
  remoteSignature,
  localSignature,
  preimage,
  witnessScript,
}: {
  channelType: ChannelType;
  remoteSignature: Uint8Array;
  localSignature: Uint8Array;
  preimage?: Uint8Array | undefined;
  witnessScript: Uint8Array;
}): Uint8Array[] {
  return [
    emptyItem,
    signatureToDer(remoteSignature, remoteHtlcSighashType(channelType)),
    signatureToDer(localSignature, sighashAll),
    preimage ?? emptyItem,
    witnessScript,
  ];
}
