import { compareBytes } from '../bytes/index.js';
import { sha256 } from '../crypto/index.js';
import type { CommitmentKeys } from '../keys/index.js';
import { anchorScript, htlcScripts, toLocalScript, toRemoteOutput } from './commitmentScripts.js';
import { commitmentFeeSat, isTrimmed } from './fees.js';
import { p2wshScript } from './script.js';
import { type Outpoint, type Transaction, txid, unsignedInput } from './transaction.js';
import { TransactionError } from './transactionError.js';
import { anchorSat, type ChannelType } from './weights.js';

/** An HTLC as a commitment transaction sees it. */
export interface HtlcOutputSpec {
  /** As the commitment's holder sees it. */
  direction: 'offered' | 'received';
  /** Unique for each direction of the channel. */
  id: bigint;
  amountMsat: bigint;
  paymentHash: Uint8Array;
  cltvExpiry: number;
}

/** All that decides one commitment transaction. `local` and `holder` are the side that can publish it. */
export interface CommitmentParams<Htlc extends HtlcOutputSpec = HtlcOutputSpec> {
  channelType: ChannelType;
  fundingOutpoint: Outpoint;
  fundingSat: bigint;
  /** 48 bits: see obscuredFactor. */
  obscuredCommitmentFactor: bigint;
  commitmentNumber: bigint;
  /** The holder's balance, before fee and anchors, without what is in `htlcs`. */
  toLocalMsat: bigint;
  toRemoteMsat: bigint;
  htlcs: readonly Htlc[];
  feeratePerKw: number;
  /** The holder's dust limit. */
  dustLimitSat: bigint;
  /** The delay of the holder's outputs: the to_self_delay that the other side asked for. */
  toSelfDelay: number;
  holderIsOpener: boolean;
  keys: CommitmentKeys;
}

/** What an output of a commitment transaction is, and what spends it. */
type OutputPurpose<Htlc extends HtlcOutputSpec> =
  | { readonly kind: 'to_local' | 'local_anchor' | 'remote_anchor'; readonly witnessScript: Uint8Array }
  /** Without witness script where it is P2WPKH. */
  | { readonly kind: 'to_remote'; readonly witnessScript?: Uint8Array }
  | { readonly kind: 'htlc'; readonly witnessScript: Uint8Array; readonly htlc: Htlc };

/** One output of a commitment transaction. */
export type CommitmentOutput<Htlc extends HtlcOutputSpec = HtlcOutputSpec> = OutputPurpose<Htlc> & {
  readonly index: number;
  readonly valueSat: bigint;
  readonly script: Uint8Array;
};

/** An HTLC that has an output. */
export interface HtlcOutput<Htlc extends HtlcOutputSpec = HtlcOutputSpec> {
  readonly htlc: Htlc;
  readonly outputIndex: number;
  readonly valueSat: bigint;
  readonly witnessScript: Uint8Array;
}

export interface Commitment<Htlc extends HtlcOutputSpec = HtlcOutputSpec> {
  readonly params: CommitmentParams<Htlc>;
  /** Unsigned. */
  readonly tx: Transaction;
  /** Internal byte order. */
  readonly txid: Uint8Array;
  /** In the order of the transaction's outputs. */
  readonly outputs: readonly CommitmentOutput<Htlc>[];
  /** In output order: the order of `htlc_signatures` in commitment_signed. */
  readonly htlcOutputs: readonly HtlcOutput<Htlc>[];
  /** HTLCs without output, in the order given. */
  readonly trimmedHtlcs: readonly Htlc[];
  /** What the transaction really pays: the base fee, trimmed outputs and roundings. */
  readonly feeSat: bigint;
}

/**
 * The 48 bits that hide commitment numbers: of SHA256 of the payment basepoints of the channel's
 * opener and of its accepter.
 */
export function obscuredFactor(
  openerPaymentBasepoint: Uint8Array,
  accepterPaymentBasepoint: Uint8Array,
): bigint {
  const input = new Uint8Array(66);
  input.set(openerPaymentBasepoint);
  input.set(accepterPaymentBasepoint, 33);
  let factor = 0n;
  for (const byte of sha256(input).subarray(26)) factor = (factor << 8n) | BigInt(byte);
  return factor;
}

/**
 * The number of the commitment that a transaction spending the funding output is; `undefined` when it
 * does not look like a commitment (a closing transaction, for example). The inverse of the obscuring:
 * whether it really is one of ours shows in its txid.
 */
export function commitmentNumberOf(tx: Transaction, obscuredCommitmentFactor: bigint): bigint | undefined {
  const sequence = tx.inputs[0]?.sequence ?? 0;
  if (tx.inputs.length !== 1 || sequence >>> 24 !== 0x80 || tx.lockTime >>> 24 !== 0x20) return undefined;
  const obscured = (BigInt(sequence & 0xffffff) << 24n) | BigInt(tx.lockTime & 0xffffff);
  return obscured ^ obscuredCommitmentFactor;
}

/** An output before its place is known. `sat` is its value as a number, which sorts faster. */
type Draft<Htlc extends HtlcOutputSpec> = OutputPurpose<Htlc> & {
  readonly sat: number;
  readonly valueSat: bigint;
  readonly script: Uint8Array;
};

/** BOLT 3: Transaction Output Ordering. Two HTLCs that tie even in expiry are ordered by their ids. */
function compareDrafts<Htlc extends HtlcOutputSpec>(a: Draft<Htlc>, b: Draft<Htlc>): number {
  const order = a.sat - b.sat || compareBytes(a.script, b.script);
  if (order !== 0 || a.kind !== 'htlc' || b.kind !== 'htlc') return order;
  return a.htlc.cltvExpiry - b.htlc.cltvExpiry || (a.htlc.id < b.htlc.id ? -1 : 1);
}

/** The balances in whole satoshi after the opener has paid the base fee and both anchors, as far as it can. */
function balancesAfterFees(
  params: CommitmentParams,
  untrimmedHtlcs: number,
): { localSat: bigint; remoteSat: bigint } {
  const { channelType, feeratePerKw, toLocalMsat, toRemoteMsat, holderIsOpener } = params;
  if (toLocalMsat < 0n || toRemoteMsat < 0n)
    throw new TransactionError('a balance of the channel is negative');
  // BOLT 3: Commitment Transaction Construction, step 3
  const baseFeeSat = commitmentFeeSat({ channelType, feeratePerKw, untrimmedHtlcs });
  const costSat = baseFeeSat + (channelType === 'anchors' ? 2n * anchorSat : 0n);
  const pay = (balanceSat: bigint) => (balanceSat > costSat ? balanceSat - costSat : 0n);
  const localSat = toLocalMsat / 1000n;
  const remoteSat = toRemoteMsat / 1000n;
  return holderIsOpener ? { localSat: pay(localSat), remoteSat } : { localSat, remoteSat: pay(remoteSat) };
}

function draftBalances(params: CommitmentParams, untrimmedHtlcs: number): Draft<never>[] {
  const { channelType, dustLimitSat, keys, toSelfDelay } = params;
  const { localSat, remoteSat } = balancesAfterFees(params, untrimmedHtlcs);
  const drafts: Draft<never>[] = [];
  // BOLT 3: Commitment Transaction Construction, steps 6 to 8
  const hasLocal = localSat >= dustLimitSat;
  const hasRemote = remoteSat >= dustLimitSat;
  if (hasLocal) {
    const witnessScript = toLocalScript({ ...keys, toSelfDelay });
    drafts.push({
      kind: 'to_local',
      sat: Number(localSat),
      valueSat: localSat,
      script: p2wshScript(witnessScript),
      witnessScript,
    });
  }
  if (hasRemote) {
    const output = toRemoteOutput(keys.remotePaymentPubkey, channelType);
    drafts.push({ kind: 'to_remote', sat: Number(remoteSat), valueSat: remoteSat, ...output });
  }
  if (channelType === 'anchors') {
    const addAnchor = (kind: 'local_anchor' | 'remote_anchor', fundingPubkey: Uint8Array) => {
      const witnessScript = anchorScript(fundingPubkey);
      const sat = Number(anchorSat);
      drafts.push({ kind, sat, valueSat: anchorSat, script: p2wshScript(witnessScript), witnessScript });
    };
    if (hasLocal || untrimmedHtlcs > 0) addAnchor('local_anchor', keys.localFundingPubkey);
    if (hasRemote || untrimmedHtlcs > 0) addAnchor('remote_anchor', keys.remoteFundingPubkey);
  }
  return drafts;
}

/** The unsigned commitment as a transaction: the obscured number is in its locktime and sequence. */
function commitmentTransaction(
  params: CommitmentParams,
  outputs: readonly { valueSat: bigint; script: Uint8Array }[],
): Transaction {
  const obscured = params.obscuredCommitmentFactor ^ params.commitmentNumber;
  return {
    version: 2,
    lockTime: 0x20000000 + Number(obscured & 0xffffffn),
    inputs: [unsignedInput(params.fundingOutpoint, 0x80000000 + Number(obscured >> 24n))],
    outputs: outputs.map(({ valueSat, script }) => ({ valueSat, script })),
  };
}

/**
 * Builds the commitment transaction of one side (BOLT 3: Commitment Transaction Construction). An
 * opener that cannot pay the whole fee pays what it has; refusing such a state is the channel's affair.
 * @throws TransactionError when a balance is negative or the outputs exceed the channel's capacity.
 */
export function buildCommitment<Htlc extends HtlcOutputSpec>(
  params: CommitmentParams<Htlc>,
): Commitment<Htlc> {
  const htlcDrafts: Draft<Htlc>[] = [];
  const trimmedHtlcs: Htlc[] = [];
  const { channelType, dustLimitSat, feeratePerKw, keys } = params;
  const scriptOf = htlcScripts(keys, channelType);
  for (const htlc of params.htlcs) {
    const { direction, amountMsat } = htlc;
    if (isTrimmed({ direction, amountMsat, dustLimitSat, feeratePerKw, channelType })) {
      trimmedHtlcs.push(htlc);
      continue;
    }
    const valueSat = amountMsat / 1000n;
    const witnessScript = scriptOf(htlc);
    const script = p2wshScript(witnessScript);
    htlcDrafts.push({ kind: 'htlc', sat: Number(valueSat), valueSat, script, witnessScript, htlc });
  }
  const drafts = [...draftBalances(params, htlcDrafts.length), ...htlcDrafts].sort(compareDrafts);

  let totalSat = 0n;
  const outputs: CommitmentOutput<Htlc>[] = [];
  const htlcOutputs: HtlcOutput<Htlc>[] = [];
  for (const [index, { sat: _, ...draft }] of drafts.entries()) {
    totalSat += draft.valueSat;
    outputs.push({ index, ...draft });
    if (draft.kind === 'htlc') {
      const { htlc, valueSat, witnessScript } = draft;
      htlcOutputs.push({ htlc, outputIndex: index, valueSat, witnessScript });
    }
  }
  const feeSat = params.fundingSat - totalSat;
  if (feeSat < 0n) {
    throw new TransactionError(
      `the commitment would pay ${totalSat} sat out of a channel of ${params.fundingSat} sat`,
    );
  }
  const tx = commitmentTransaction(params, outputs);
  return { params, tx, txid: txid(tx), outputs, htlcOutputs, trimmedHtlcs, feeSat };
}
