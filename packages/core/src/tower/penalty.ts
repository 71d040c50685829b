import type { ChannelParams } from '../channel/channel.js';
import type { ChannelSigner } from '../keys/index.js';
import {
  type Commitment,
  dustThresholdSat,
  type HtlcOutput,
  htlcTxOf,
  type Outpoint,
  revokedHtlcClaim,
  revokedToLocalClaim,
  type SweepInput,
  segwitSighash,
  sighashAll,
  signatureToDer,
  type Transaction,
  type TxOutput,
  txid,
  unsignedInput,
} from '../tx/index.js';
import { locatorOf } from './appointment.js';
import { type RevokedState, revokedCommitment } from './revokedState.js';

/** One signed transaction that takes one output of a cheater, and by what the tower finds its moment. */
export interface Penalty {
  /** Which user of the tower it is for: a tower keeps one appointment for each user and locator. */
  readonly userIndex: number;
  readonly locator: Uint8Array;
  /** What has to confirm before: the commitment, or the cheater's HTLC transaction. */
  readonly disputeTxid: Uint8Array;
  readonly tx: Transaction;
  readonly valueSat: bigint;
  readonly feeSat: bigint;
}

/** Pay-to-anchor: an output that anybody may spend, so that the tower can raise the fee by a child. */
export const bumpOutput: TxOutput = { valueSat: 240n, script: Uint8Array.of(0x51, 0x02, 0x4e, 0x73) };

/** The HTLCs of one commitment that get penalties of their own, the largest ones: each is one appointment more. */
export const maxPunishedHtlcs = 24;
/** Penalties on less pay for no anchor: its 240 sat would be a large part of them. */
const leastBumpableSat = 5_000n;
/** The relay minimum that survives rounding to virtual bytes, in satoshis a 1000 weight units. */
const leastFeeratePerKw = 253;

/** Version, locktime, counts, marker and flag, and the outputs. */
function outerWeight(outputs: readonly TxOutput[]): number {
  return outputs.reduce((weight, { script }) => weight + 4 * (9 + script.length), 4 * (8 + 1 + 1) + 2);
}

function feeSat(weight: number, feeratePerKw: number): bigint {
  return (BigInt(weight) * BigInt(feeratePerKw) + 999n) / 1000n;
}

/**
 * The transaction that sends one output to `script`. Its fee cannot be changed later, so the feerate should be
 * generous; it takes at most half of the value. `undefined` where not even the relay minimum leaves anything.
 */
function buildPenalty(
  input: SweepInput,
  { script, feeratePerKw }: { script: Uint8Array; feeratePerKw: number },
): { tx: Transaction; feeSat: bigint } | undefined {
  const { outpoint, sequence, valueSat, scriptCode } = input;
  const extra = valueSat >= leastBumpableSat ? [bumpOutput] : [];
  const weight = input.weight + outerWeight([{ valueSat, script }, ...extra]);
  const wantedSat = feeSat(weight, feeratePerKw);
  const feeOfThisSat = wantedSat < valueSat / 2n ? wantedSat : valueSat / 2n;
  const extraSat = extra.length === 0 ? 0n : bumpOutput.valueSat;
  const sweptSat = valueSat - feeOfThisSat - extraSat;
  if (feeOfThisSat < feeSat(weight, leastFeeratePerKw) || sweptSat < dustThresholdSat(script))
    return undefined;
  const unsigned: Transaction = {
    version: 2,
    lockTime: 0,
    inputs: [unsignedInput(outpoint, sequence)],
    outputs: [{ valueSat: sweptSat, script }, ...extra],
  };
  const hash = segwitSighash({
    tx: unsigned,
    inputIndex: 0,
    scriptCode,
    valueSat,
    sighashType: sighashAll,
  });
  const witness = input.witness(signatureToDer(input.sign(hash), sighashAll));
  return {
    tx: { ...unsigned, inputs: unsigned.inputs.map((one) => ({ ...one, witness })) },
    feeSat: feeOfThisSat,
  };
}

interface PenaltyRequest {
  readonly params: ChannelParams;
  readonly state: RevokedState;
  readonly commitmentNumber: bigint;
  readonly perCommitmentSecret: Uint8Array;
  readonly signer: ChannelSigner;
  /** Where the money goes: the wallet's. */
  readonly script: Uint8Array;
  readonly feeratePerKw: number;
}

/**
 * All penalties for one revoked commitment. Each takes one output: a cheater who spends one HTLC output makes
 * every transaction invalid that has it among others. `to_local` is for user 0, each HTLC output for a user of
 * its own. Without anchors the cheater's HTLC transactions are known too, and what they pay is punished as
 * well; with anchors they are not, and that is left to our own node (BOLT 5: Revoked Transaction Close Handling).
 */
export function penaltiesOf(request: PenaltyRequest): Penalty[] {
  const { params, signer, perCommitmentSecret } = request;
  const commitment = revokedCommitment(params, request);
  const { keys } = commitment.params;
  const { toSelfDelay } = params.local;
  const channelType = params.format.commitment;
  const secrets = { signer, keys, perCommitmentSecret };
  const penalties: Penalty[] = [];
  const add = (userIndex: number, disputeTxid: Uint8Array, input: SweepInput): void => {
    const built = buildPenalty(input, request);
    if (built === undefined) return;
    const { valueSat } = input;
    penalties.push({ userIndex, locator: locatorOf(disputeTxid), disputeTxid, valueSat, ...built });
  };
  const delayed = (outpoint: Outpoint, valueSat: bigint) =>
    revokedToLocalClaim({ ...secrets, outpoint, valueSat, toSelfDelay });

  const toLocal = commitment.outputs.find(({ kind }) => kind === 'to_local');
  if (toLocal !== undefined) {
    add(0, commitment.txid, delayed({ txid: commitment.txid, index: toLocal.index }, toLocal.valueSat));
  }
  for (const [i, htlcOutput] of punishedHtlcs(commitment).entries()) {
    const { htlc, outputIndex, valueSat } = htlcOutput;
    const outpoint = { txid: commitment.txid, index: outputIndex };
    add(i + 1, commitment.txid, revokedHtlcClaim({ ...secrets, outpoint, valueSat, channelType, htlc }));
    if (channelType === 'anchors') continue;
    const htlcTx = htlcTxOf(commitment, htlcOutput);
    const htlcTxid = txid(htlcTx);
    add(0, htlcTxid, delayed({ txid: htlcTxid, index: 0 }, htlcTx.outputs[0]?.valueSat ?? 0n));
  }
  return penalties;
}

/** The largest HTLC outputs, in their order. */
function punishedHtlcs({ htlcOutputs }: Commitment): readonly HtlcOutput[] {
  if (htlcOutputs.length <= maxPunishedHtlcs) return htlcOutputs;
  const bySize = [...htlcOutputs].sort((a, b) => Number(b.valueSat - a.valueSat));
  const largest = new Set(bySize.slice(0, maxPunishedHtlcs));
  return htlcOutputs.filter((output) => largest.has(output));
}
