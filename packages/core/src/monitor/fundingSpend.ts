import { equalBytes } from '../bytes/index.js';
import type { Channel } from '../channel/channel.js';
import {
  buildLocalCommitment,
  buildRemoteCommitment,
  type CommitmentHtlc,
  channelObscuredFactor,
  commitmentKeys,
} from '../channel/commitments.js';
import { type HtlcState, htlcStateFacts, htlcStates } from '../channel/htlcState.js';
import { isRestored } from '../channel/restored.js';
import { secp256k1 } from '../crypto/index.js';
import { type ChannelSigner, type CommitmentKeys, shachainIndex } from '../keys/index.js';
import {
  type Commitment,
  commitmentNumberOf,
  p2wshScript,
  type Transaction,
  TransactionError,
  toLocalScript,
  toRemoteOutput,
  txid,
} from '../tx/index.js';

/**
 * What a transaction that spends the funding output is (BOLT 5). Beside the commitment that a channel's
 * state describes, `latest` false: a commitment of ours that is not our latest one (we may be punished), or
 * one of theirs that is newer than all we know (our data was lost). `unknown`: the user has to be warned,
 * for nobody should be able to make such a transaction.
 */
export type FundingSpend =
  | { readonly kind: 'mutual_close' | 'unknown' }
  | {
      readonly kind: 'local_commitment' | 'remote_commitment';
      readonly commitmentNumber: bigint;
      readonly latest: boolean;
    }
  | { readonly kind: 'revoked_commitment'; readonly commitmentNumber: bigint };

/** The same with what claims are built from. */
export type IdentifiedSpend =
  | { readonly kind: 'mutual_close' | 'unknown' }
  | {
      readonly kind: 'local_commitment';
      readonly commitmentNumber: bigint;
      readonly keys: CommitmentKeys;
      /** Present for our latest one. */
      readonly commitment?: Commitment<CommitmentHtlc>;
    }
  | {
      readonly kind: 'remote_commitment';
      readonly commitmentNumber: bigint;
      /** Present for one that is not revoked and that we signed, as far as we remember. */
      readonly commitment?: Commitment<CommitmentHtlc>;
    }
  | {
      readonly kind: 'revoked_commitment';
      readonly commitmentNumber: bigint;
      readonly keys: CommitmentKeys;
      readonly perCommitmentSecret: Uint8Array;
    };

export interface SpendContext {
  readonly channel: Channel;
  readonly by: Transaction;
  readonly signer: ChannelSigner;
}

function paysTo(tx: Transaction, script: Uint8Array | undefined): boolean {
  return script !== undefined && tx.outputs.some((output) => equalBytes(output.script, script));
}

function isMutualClose({ channel, by }: SpendContext): boolean {
  const id = txid(by);
  if (channel.closingTransactions.some((tx) => equalBytes(txid(tx), id))) return true;
  const { localScript, remoteScript } = channel.shutdown;
  if (paysTo(by, localScript)) return true;
  return remoteScript !== undefined && by.outputs.every(({ script }) => equalBytes(script, remoteScript));
}

/** The states that our commitment_signed led to, and where from. */
const beforeOurSignature = new Map<HtlcState, HtlcState>();
for (const state of htlcStates) {
  const { on, next } = htlcStateFacts[state];
  if (on === 'sent_commit' && next !== undefined) beforeOurSignature.set(next, state);
}

/**
 * Their commitment before the newest one, while the revocation of it is awaited: only our last
 * commitment_signed parts the two, and what it moved waits for that revocation in four states.
 */
function buildPreviousRemoteCommitment(channel: Channel): Commitment<CommitmentHtlc> {
  const undo = <T extends { readonly state: HtlcState }>(update: T): T => {
    const state = beforeOurSignature.get(update.state);
    return state === undefined ? update : { ...update, state };
  };
  return buildRemoteCommitment({
    ...channel,
    htlcs: channel.htlcs.update(undo),
    fee: { ...channel.fee, updates: channel.fee.updates.map(undo) },
    remoteCommit: { ...channel.remoteCommit, awaitingRevocation: false },
  });
}

/**
 * A commitment that cannot be built is not what was published. Where a channel's state is wrong by a fault of
 * ours, what can be claimed without it still has to be claimed.
 */
function buildable<T>(build: () => T): T | undefined {
  try {
    return build();
  } catch (error) {
    if (error instanceof TransactionError) return undefined;
    throw error;
  }
}

/** The commitments of theirs that are signed and not revoked: one, or two while a revocation is awaited. */
function unrevokedRemoteCommitments(channel: Channel): Commitment<CommitmentHtlc>[] {
  const newest = buildable(() => buildRemoteCommitment(channel));
  const previous = channel.remoteCommit.awaitingRevocation
    ? buildable(() => buildPreviousRemoteCommitment(channel))
    : undefined;
  return [newest, previous].filter((commitment) => commitment !== undefined);
}

/** Whether this is a commitment of ours: of all commitments only those pay to these two scripts. */
function isOfOurs({ channel, by }: SpendContext, keys: CommitmentKeys): boolean {
  const { params } = channel;
  const toSelfDelay = params.remote.toSelfDelay;
  const theirs = toRemoteOutput(params.remote.paymentBasepoint, params.format.commitment);
  return paysTo(by, p2wshScript(toLocalScript({ ...keys, toSelfDelay }))) || paysTo(by, theirs.script);
}

/** See classifySpend. */
export function identifySpend(context: SpendContext): IdentifiedSpend {
  const { channel, by, signer } = context;
  const { params, localCommit, remoteCommit } = channel;
  const commitmentNumber = commitmentNumberOf(by, channelObscuredFactor(params));
  if (commitmentNumber === undefined) return { kind: isMutualClose(context) ? 'mutual_close' : 'unknown' };

  const id = txid(by);
  const ownPoint = signer.perCommitmentPoint(commitmentNumber);
  const keys = commitmentKeys(params, { side: 'local', perCommitmentPoint: ownPoint });
  if (commitmentNumber === localCommit.number) {
    const commitment = buildable(() => buildLocalCommitment(channel, { signer, number: commitmentNumber }));
    if (commitment !== undefined && equalBytes(commitment.txid, id)) {
      return { kind: 'local_commitment', commitmentNumber, keys, commitment };
    }
  }
  for (const commitment of unrevokedRemoteCommitments(channel)) {
    if (equalBytes(commitment.txid, id)) return { kind: 'remote_commitment', commitmentNumber, commitment };
  }
  if (isOfOurs(context, keys)) return { kind: 'local_commitment', commitmentNumber, keys };
  const perCommitmentSecret = channel.revocations.lookup(shachainIndex(commitmentNumber));
  if (commitmentNumber < remoteCommit.number && perCommitmentSecret !== undefined) {
    const perCommitmentPoint = secp256k1.publicKey(perCommitmentSecret);
    const revokedKeys = commitmentKeys(params, { side: 'remote', perCommitmentPoint });
    return { kind: 'revoked_commitment', commitmentNumber, keys: revokedKeys, perCommitmentSecret };
  }
  // BOLT 5: a number that is greater than expected: our data was lost, the peer's was not.
  const newestKnown = remoteCommit.awaitingRevocation ? remoteCommit.number + 1n : remoteCommit.number;
  if (isRestored(channel) || commitmentNumber > newestKnown) {
    return { kind: 'remote_commitment', commitmentNumber };
  }
  return { kind: 'unknown' };
}

/**
 * Says which transaction has spent the funding output: by its number, and by its id where the channel's
 * state lets us build the same (BOLT 5: General Nomenclature and the cases that follow).
 */
export function classifySpend(context: SpendContext): FundingSpend {
  return spendKind(identifySpend(context));
}

/** What is told of an identified spend. */
export function spendKind(identified: IdentifiedSpend): FundingSpend {
  switch (identified.kind) {
    case 'mutual_close':
    case 'unknown':
      return { kind: identified.kind };
    case 'revoked_commitment':
      return { kind: identified.kind, commitmentNumber: identified.commitmentNumber };
    case 'local_commitment':
    case 'remote_commitment': {
      const { kind, commitmentNumber, commitment } = identified;
      return { kind, commitmentNumber, latest: commitment !== undefined };
    }
  }
}
