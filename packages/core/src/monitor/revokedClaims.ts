import { equalBytes } from '../bytes/index.js';
import type { Channel } from '../channel/channel.js';
import type { ArchivedHtlc } from '../channel/htlcCodec.js';
import type { ChannelSigner, CommitmentKeys } from '../keys/index.js';
import {
  p2wshScript,
  revokedHtlcClaim,
  revokedToLocalClaim,
  type Transaction,
  toLocalScript,
  txid,
} from '../tx/index.js';
import type { Claim, ClaimedHtlc } from './claim.js';
import { claimedHtlc } from './claimedHtlc.js';
import { matchHtlcOutputs } from './htlcMatching.js';
import { toRemoteClaims } from './remoteClaims.js';

/** A commitment that the peer had revoked, on chain. */
export interface RevokedSpend {
  readonly channel: Channel;
  readonly signer: ChannelSigner;
  readonly keys: CommitmentKeys;
  readonly perCommitmentSecret: Uint8Array;
}

/** The outputs of a transaction that pay the peer after its delay: ours, by the revocation key. */
export function revokedDelayedClaims(
  { channel, signer, keys, perCommitmentSecret }: RevokedSpend,
  { tx, purpose }: { tx: Transaction; purpose: 'revoked_to_local' | 'revoked_htlc_delayed' },
): Claim[] {
  const { toSelfDelay } = channel.params.local;
  const script = p2wshScript(toLocalScript({ ...keys, toSelfDelay }));
  const id = txid(tx);
  return tx.outputs.flatMap((output, index): Claim[] => {
    if (!equalBytes(output.script, script)) return [];
    const outpoint = { txid: id, index };
    const { valueSat } = output;
    const target = { signer, outpoint, valueSat, keys, toSelfDelay, perCommitmentSecret };
    return [
      {
        how: 'input',
        input: revokedToLocalClaim(target),
        outpoint,
        valueSat,
        purpose,
        confirmations: 0,
        lockHeight: 0,
        contested: true,
        deadlineConfirmations: toSelfDelay,
      },
    ];
  });
}

/** Every HTLC that the revoked commitment can have had: those that are pending, and those that are over. */
function* candidates(
  channel: Channel,
  { archived, commitmentNumber }: { archived: readonly ArchivedHtlc[]; commitmentNumber: bigint },
): Generator<ClaimedHtlc> {
  for (const htlc of channel.htlcs) {
    if ((htlc.firstRemoteCommitment ?? 0n) <= commitmentNumber) yield htlc;
  }
  for (const htlc of archived) if (htlc.firstRemoteCommitment <= commitmentNumber) yield htlc;
}

/** All claims on a revoked commitment (BOLT 5: Revoked Transaction Close Handling). */
export function revokedClaims(
  spend: RevokedSpend,
  {
    by,
    archived,
    commitmentNumber,
  }: { by: Transaction; archived: readonly ArchivedHtlc[]; commitmentNumber: bigint },
): Claim[] {
  const { channel, signer, keys, perCommitmentSecret } = spend;
  const channelType = channel.params.format.commitment;
  const claims = [
    ...toRemoteClaims(spend, by),
    ...revokedDelayedClaims(spend, { tx: by, purpose: 'revoked_to_local' }),
  ];
  const id = txid(by);
  const possible = candidates(channel, { archived, commitmentNumber });
  for (const match of matchHtlcOutputs({ by, keys, channelType, candidates: possible })) {
    const { htlc, spec, valueSat, outputIndex } = match;
    const outpoint = { txid: id, index: outputIndex };
    const target = { signer, outpoint, valueSat, keys, channelType, htlc: spec, perCommitmentSecret };
    claims.push({
      how: 'input',
      input: revokedHtlcClaim(target),
      outpoint,
      valueSat,
      purpose: 'revoked_htlc',
      confirmations: 0,
      lockHeight: 0,
      contested: true,
      // What they offered they can time out; what we offered they can take with a preimage at any time.
      ...(htlc.direction === 'received' ? { deadlineHeight: htlc.cltvExpiry } : {}),
      htlc: claimedHtlc(htlc),
    });
  }
  return claims;
}
