import { equalBytes } from '../bytes/index.js';
import type { Channel } from '../channel/channel.js';
import type { CommitmentHtlc } from '../channel/commitments.js';
import type { ChannelSigner } from '../keys/index.js';
import {
  type Commitment,
  type HtlcOutput,
  htlcPreimageClaim,
  htlcTimeoutClaim,
  type Transaction,
  toRemoteClaim,
  toRemoteOutput,
  txid,
} from '../tx/index.js';
import type { Claim } from './claim.js';
import { claimedHtlc, fulfilledPreimage } from './claimedHtlc.js';

interface RemoteSpend {
  readonly channel: Channel;
  readonly signer: ChannelSigner;
}

/** Our balance on any commitment of theirs, also on one that we know nothing about: its key is static. */
export function toRemoteClaims({ channel, signer }: RemoteSpend, by: Transaction): Claim[] {
  const channelType = channel.params.format.commitment;
  const { script } = toRemoteOutput(signer.basepoints.paymentBasepoint, channelType);
  const id = txid(by);
  return by.outputs.flatMap((output, index): Claim[] => {
    if (!equalBytes(output.script, script)) return [];
    const outpoint = { txid: id, index };
    const { valueSat } = output;
    return [
      {
        how: 'input',
        input: toRemoteClaim({ signer, outpoint, valueSat, channelType }),
        outpoint,
        valueSat,
        purpose: 'to_remote',
        confirmations: channelType === 'anchors' ? 1 : 0,
        lockHeight: 0,
        contested: false,
      },
    ];
  });
}

/** BOLT 5: HTLC Output Handling: Remote Commitment, of local and remote offers. */
function htlcClaim(
  { signer }: RemoteSpend,
  {
    commitment,
    htlcOutput,
  }: { commitment: Commitment<CommitmentHtlc>; htlcOutput: HtlcOutput<CommitmentHtlc> },
): Claim {
  const { keys, channelType } = commitment.params;
  const { valueSat, outputIndex } = htlcOutput;
  const { htlc } = htlcOutput.htlc;
  const outpoint = { txid: commitment.txid, index: outputIndex };
  const target = { signer, outpoint, valueSat, keys, channelType, htlc: htlcOutput.htlc };
  const common = {
    outpoint,
    valueSat,
    confirmations: channelType === 'anchors' ? 1 : 0,
    contested: true,
    htlc: claimedHtlc(htlc),
  };
  if (htlc.direction === 'offered') {
    const lockHeight = htlc.cltvExpiry;
    return { how: 'input', input: htlcTimeoutClaim(target), ...common, purpose: 'htlc_timeout', lockHeight };
  }
  const received = { ...common, lockHeight: 0, deadlineHeight: htlc.cltvExpiry };
  const preimage = fulfilledPreimage(htlc);
  if (preimage === undefined) return { how: 'wait', ...received, purpose: 'htlc_pending' };
  const input = htlcPreimageClaim({ ...target, preimage });
  return { how: 'input', input, ...received, purpose: 'htlc_success' };
}

/** All claims on a commitment of theirs that is not revoked; without `commitment` on one that we do not know. */
export function remoteClaims(
  spend: RemoteSpend,
  { by, commitment }: { by: Transaction; commitment?: Commitment<CommitmentHtlc> | undefined },
): Claim[] {
  const claims = toRemoteClaims(spend, by);
  for (const htlcOutput of commitment?.htlcOutputs ?? []) {
    claims.push(htlcClaim(spend, { commitment: commitment as Commitment<CommitmentHtlc>, htlcOutput }));
  }
  return claims;
}
