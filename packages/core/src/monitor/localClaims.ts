import { equalBytes } from '../bytes/index.js';
import type { Channel } from '../channel/channel.js';
import type { CommitmentHtlc } from '../channel/commitments.js';
import type { ChannelSigner, CommitmentKeys } from '../keys/index.js';
import {
  type Commitment,
  completeHtlcTx,
  delayedClaim,
  type HtlcOutput,
  htlcTxKind,
  htlcTxWeight,
  p2wshScript,
  type Transaction,
  toLocalScript,
  txid,
} from '../tx/index.js';
import type { Claim } from './claim.js';
import { claimedHtlc, fulfilledPreimage } from './claimedHtlc.js';

/** A commitment of ours on chain. */
interface LocalSpend {
  readonly channel: Channel;
  readonly signer: ChannelSigner;
  readonly keys: CommitmentKeys;
}

/** The outputs of a transaction that pay us after our delay: `to_local`, or those of HTLC transactions. */
export function delayedClaims(
  { channel, signer, keys }: LocalSpend,
  { tx, purpose }: { tx: Transaction; purpose: 'to_local' | 'htlc_delayed' },
): Claim[] {
  const { toSelfDelay } = channel.params.remote;
  const script = p2wshScript(toLocalScript({ ...keys, toSelfDelay }));
  const id = txid(tx);
  return tx.outputs.flatMap((output, index): Claim[] => {
    if (!equalBytes(output.script, script)) return [];
    const outpoint = { txid: id, index };
    const { valueSat } = output;
    return [
      {
        how: 'input',
        input: delayedClaim({ signer, outpoint, valueSat, keys, toSelfDelay }),
        outpoint,
        valueSat,
        purpose,
        confirmations: toSelfDelay,
        lockHeight: 0,
        contested: false,
      },
    ];
  });
}

/** BOLT 5: HTLC Output Handling: Local Commitment, of local and remote offers. */
function htlcClaim(
  { channel, signer }: LocalSpend,
  {
    commitment,
    htlcOutput,
    remoteSignature,
  }: {
    commitment: Commitment<CommitmentHtlc>;
    htlcOutput: HtlcOutput<CommitmentHtlc>;
    remoteSignature: Uint8Array | undefined;
  },
): Claim {
  const { htlc } = htlcOutput.htlc;
  const channelType = channel.params.format.commitment;
  const offered = htlc.direction === 'offered';
  const preimage = offered ? undefined : fulfilledPreimage(htlc);
  const lockTime = offered ? htlc.cltvExpiry : 0;
  const common = {
    outpoint: { txid: commitment.txid, index: htlcOutput.outputIndex },
    valueSat: htlcOutput.valueSat,
    confirmations: channelType === 'anchors' ? 1 : 0,
    lockHeight: lockTime,
    contested: true,
    htlc: claimedHtlc(htlc),
    ...(offered ? {} : { deadlineHeight: htlc.cltvExpiry }),
  };
  if ((!offered && preimage === undefined) || remoteSignature === undefined) {
    return { how: 'wait', ...common, purpose: offered ? 'htlc_timeout' : 'htlc_pending' };
  }
  const item = {
    commitment,
    htlcOutput,
    remoteSignature,
    signer,
    ...(preimage === undefined ? {} : { preimage }),
  };
  const purpose = offered ? 'htlc_timeout' : 'htlc_success';
  if (channelType === 'static_remotekey') {
    return { how: 'transaction', complete: () => completeHtlcTx(item), ...common, purpose };
  }
  const weight = htlcTxWeight(htlcTxKind(htlcOutput.htlc.direction), channelType);
  return { how: 'package', item, weight, lockTime, ...common, purpose };
}

/** All claims on a commitment of ours; those of HTLCs only on our latest, whose signatures we have. */
export function localClaims(
  spend: LocalSpend,
  { by, commitment }: { by: Transaction; commitment?: Commitment<CommitmentHtlc> | undefined },
): Claim[] {
  const claims = delayedClaims(spend, { tx: by, purpose: 'to_local' });
  const { htlcSignatures } = spend.channel.localCommit;
  commitment?.htlcOutputs.forEach((htlcOutput, index) => {
    claims.push(htlcClaim(spend, { commitment, htlcOutput, remoteSignature: htlcSignatures[index] }));
  });
  return claims;
}
