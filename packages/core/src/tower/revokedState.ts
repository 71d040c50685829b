import { ByteReader, ByteWriter } from '../bytes/index.js';
import type { Channel, ChannelParams, FeeUpdate } from '../channel/channel.js';
import { commitmentSpec } from '../channel/commitmentSpec.js';
import { channelObscuredFactor, commitmentKeys } from '../channel/commitments.js';
import type { Htlc } from '../channel/htlc.js';
import type { HtlcState } from '../channel/htlcState.js';
import { secp256k1 } from '../crypto/index.js';
import { buildCommitment, type Commitment, type HtlcOutputSpec } from '../tx/index.js';
import { TowerError } from './towerError.js';

/**
 * All that decides a commitment of the peer besides the channel's unchanging parameters: enough to build it
 * again and to punish it, in a fraction of the bytes.
 */
export interface RevokedState {
  /** The peer's balance: it holds the commitment. */
  readonly toLocalMsat: bigint;
  readonly toRemoteMsat: bigint;
  readonly feeratePerKw: number;
  /** As the peer sees them. */
  readonly htlcs: readonly HtlcOutputSpec[];
}

/** Where an update was before our last commitment_signed: only states that wait for the revocation come from it. */
const beforeSigning: Partial<Record<HtlcState, HtlcState>> = {
  sent_add_commit: 'sent_add',
  sent_remove_ack_commit: 'sent_remove_revocation',
  sent_add_ack_commit: 'sent_add_revocation',
  sent_remove_commit: 'sent_remove',
};

function takenBack<Update extends Htlc | FeeUpdate>(update: Update): Update {
  const state = beforeSigning[update.state];
  return state === undefined ? update : { ...update, state };
}

/**
 * The peer's commitment that its revoke_and_ack takes back, out of the channel as it was before that message:
 * `remoteCommit.number`, and not the newer one that waits for that revocation.
 */
export function revokedStateOf(before: Channel): RevokedState {
  const { fee } = before;
  const unsigned: Channel = {
    ...before,
    htlcs: before.htlcs.update(takenBack),
    fee: { ...fee, updates: fee.updates.map(takenBack) },
  };
  const spec = commitmentSpec(unsigned, { side: 'remote', stage: 'committed' });
  return {
    toLocalMsat: spec.remoteMsat,
    toRemoteMsat: spec.localMsat,
    feeratePerKw: spec.feeratePerKw,
    htlcs: spec.htlcs.map(({ direction, id, amountMsat, paymentHash, cltvExpiry }) => ({
      direction: direction === 'offered' ? 'received' : 'offered',
      id,
      amountMsat,
      paymentHash,
      cltvExpiry,
    })),
  };
}

/** The peer's commitment with this number, whose secret it has revealed. */
export function revokedCommitment(
  params: ChannelParams,
  {
    state,
    commitmentNumber,
    perCommitmentSecret,
  }: { state: RevokedState; commitmentNumber: bigint; perCommitmentSecret: Uint8Array },
): Commitment {
  const perCommitmentPoint = secp256k1.publicKey(perCommitmentSecret);
  return buildCommitment({
    ...state,
    channelType: params.format.commitment,
    fundingOutpoint: params.fundingOutpoint,
    fundingSat: params.fundingSat,
    obscuredCommitmentFactor: channelObscuredFactor(params),
    commitmentNumber,
    dustLimitSat: params.remote.dustLimitSat,
    toSelfDelay: params.local.toSelfDelay,
    holderIsOpener: !params.localIsOpener,
    keys: commitmentKeys(params, { side: 'remote', perCommitmentPoint }),
  });
}

const version = 1;
const htlcBytes = 53;

/** For the database: 23 bytes, and 53 for each HTLC. */
export function encodeRevokedState({
  toLocalMsat,
  toRemoteMsat,
  feeratePerKw,
  htlcs,
}: RevokedState): Uint8Array {
  const writer = new ByteWriter(23 + htlcBytes * htlcs.length)
    .u8(version)
    .u64(toLocalMsat)
    .u64(toRemoteMsat)
    .u32(feeratePerKw)
    .u16(htlcs.length);
  for (const { direction, id, amountMsat, paymentHash, cltvExpiry } of htlcs) {
    writer
      .u8(direction === 'offered' ? 0 : 1)
      .u64(id)
      .u64(amountMsat)
      .bytes(paymentHash)
      .u32(cltvExpiry);
  }
  return writer.finish();
}

/** @throws TowerError `state_malformed` */
export function decodeRevokedState(bytes: Uint8Array): RevokedState {
  const reader = new ByteReader(bytes);
  if (bytes.length < 23 || reader.u8() !== version) throw malformed();
  const toLocalMsat = reader.u64();
  const toRemoteMsat = reader.u64();
  const feeratePerKw = reader.u32();
  const count = reader.u16();
  if (reader.left !== count * htlcBytes) throw malformed();
  const htlcs = Array.from({ length: count }, (): HtlcOutputSpec => {
    const direction = reader.u8() === 0 ? 'offered' : 'received';
    const [id, amountMsat] = [reader.u64(), reader.u64()];
    return { direction, id, amountMsat, paymentHash: reader.bytes(32), cltvExpiry: reader.u32() };
  });
  return { toLocalMsat, toRemoteMsat, feeratePerKw, htlcs };
}

function malformed(): TowerError {
  return new TowerError('state_malformed', 'what was stored for the towers is no revoked state');
}
