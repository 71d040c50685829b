import { type ChannelSigner, type CommitmentKeys, deriveCommitmentKeys } from '../keys/index.js';
import {
  buildCommitment,
  type Commitment,
  type CommitmentSignatures,
  completeCommitment,
  obscuredFactor,
  signRemoteCommitment,
  type Transaction,
  verifyLocalCommitment,
} from '../tx/index.js';
import type { Channel, ChannelParams, LocalCommit } from './channel.js';
import { ChannelError } from './channelError.js';
import { commitmentSpec, type Side } from './commitmentSpec.js';
import type { Htlc } from './htlc.js';

/** An HTLC as a commitment's holder sees it; `htlc` is the one of the channel. */
export interface CommitmentHtlc {
  direction: 'offered' | 'received';
  id: bigint;
  amountMsat: bigint;
  paymentHash: Uint8Array;
  cltvExpiry: number;
  htlc: Htlc;
}

/** The 48 bits that hide commitment numbers on chain (BOLT 3). */
export function channelObscuredFactor(params: ChannelParams): bigint {
  const { local, remote, localIsOpener } = params;
  return localIsOpener
    ? obscuredFactor(local.paymentBasepoint, remote.paymentBasepoint)
    : obscuredFactor(remote.paymentBasepoint, local.paymentBasepoint);
}

/** The keys of a commitment of `side` with this per-commitment point. */
export function commitmentKeys(
  params: ChannelParams,
  { side, perCommitmentPoint }: { side: Side; perCommitmentPoint: Uint8Array },
): CommitmentKeys {
  const holder = side === 'local' ? params.local : params.remote;
  const counterparty = side === 'local' ? params.remote : params.local;
  return deriveCommitmentKeys({ perCommitmentPoint, holder, counterparty });
}

/** The latest signed commitment of a side, as the HTLCs' states say, with its number and point. */
function buildSide(
  channel: Channel,
  { side, number, perCommitmentPoint }: { side: Side; number: bigint; perCommitmentPoint: Uint8Array },
): Commitment<CommitmentHtlc> {
  const { params } = channel;
  const local = side === 'local';
  const spec = commitmentSpec(channel, { side, stage: 'committed' });
  const htlcs = spec.htlcs.map((htlc): CommitmentHtlc => {
    const { id, amountMsat, paymentHash, cltvExpiry } = htlc;
    const direction = (htlc.direction === 'offered') === local ? 'offered' : 'received';
    return { direction, id, amountMsat, paymentHash, cltvExpiry, htlc };
  });
  return buildCommitment({
    channelType: params.format.commitment,
    fundingOutpoint: params.fundingOutpoint,
    fundingSat: params.fundingSat,
    obscuredCommitmentFactor: channelObscuredFactor(params),
    commitmentNumber: number,
    toLocalMsat: local ? spec.localMsat : spec.remoteMsat,
    toRemoteMsat: local ? spec.remoteMsat : spec.localMsat,
    htlcs,
    feeratePerKw: spec.feeratePerKw,
    dustLimitSat: (local ? params.local : params.remote).dustLimitSat,
    toSelfDelay: (local ? params.remote : params.local).toSelfDelay,
    holderIsOpener: params.localIsOpener === local,
    keys: commitmentKeys(params, { side, perCommitmentPoint }),
  });
}

/** Our commitment that the HTLCs' states describe, unsigned; `number` is its number. */
export function buildLocalCommitment(
  channel: Channel,
  { signer, number }: { signer: ChannelSigner; number: bigint },
): Commitment<CommitmentHtlc> {
  return buildSide(channel, {
    side: 'local',
    number,
    perCommitmentPoint: signer.perCommitmentPoint(number),
  });
}

/** Their newest commitment that the HTLCs' states describe: `number` + 1 while its revocation is awaited. */
export function buildRemoteCommitment(channel: Channel): Commitment<CommitmentHtlc> {
  const { number, awaitingRevocation, currentPoint, nextPoint } = channel.remoteCommit;
  const newest = awaitingRevocation && nextPoint !== undefined;
  return buildSide(channel, {
    side: 'remote',
    number: newest ? number + 1n : number,
    perCommitmentPoint: newest ? nextPoint : currentPoint,
  });
}

/** Our signatures of their newest commitment. Deterministic: the same channel gives the same again. */
export function signNewestRemoteCommitment(channel: Channel, signer: ChannelSigner): CommitmentSignatures {
  return signRemoteCommitment(signer, buildRemoteCommitment(channel));
}

/**
 * Checks the peer's signatures of our commitment with this number.
 * @throws ChannelError where one is missing or wrong.
 */
export function acceptLocalCommitment(
  channel: Channel,
  { signer, number, signatures }: { signer: ChannelSigner; number: bigint; signatures: CommitmentSignatures },
): LocalCommit {
  const commitment = buildLocalCommitment(channel, { signer, number });
  const fault = verifyLocalCommitment(commitment, signatures);
  if (fault?.kind === 'signature') {
    throw new ChannelError('signature_invalid', `the signature of our commitment ${number} is not valid`);
  }
  if (fault?.kind === 'htlc_signature') {
    throw new ChannelError(
      'signature_invalid',
      `HTLC signature ${fault.index} of our commitment ${number} is not valid`,
    );
  }
  if (fault !== undefined) {
    throw new ChannelError(
      'signature_count',
      `our commitment ${number} has ${fault.expected} HTLC outputs, ${fault.received} signatures came`,
    );
  }
  return { number, ...signatures };
}

/**
 * Our latest commitment, signed by both, to be published. Never of a channel that lost data.
 * The caller makes sure that nothing newer was signed: publishing a revoked one loses everything.
 */
export function completeLocalCommitment(
  channel: Channel,
  signer: ChannelSigner,
): { commitment: Commitment<CommitmentHtlc>; tx: Transaction } {
  const { number, signature } = channel.localCommit;
  const commitment = buildLocalCommitment(channel, { signer, number });
  return { commitment, tx: completeCommitment({ signer, commitment, remoteSignature: signature }) };
}
