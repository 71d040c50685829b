import { equalBytes } from '../bytes/index.js';
import type { Channel } from '../channel/channel.js';
import { htlcStateFacts } from '../channel/htlcState.js';
import type { ChannelSigner } from '../keys/index.js';
import {
  anchorClaim,
  anchorSat,
  anchorScript,
  p2wshScript,
  type SweepInput,
  type Transaction,
  txid,
  weight,
} from '../tx/index.js';
import type { ClaimedHtlc } from './claim.js';
import { claimedHtlc, fulfilledPreimage } from './claimedHtlc.js';

/** A commitment of either side that no block has yet, and the anchor by which we can pay for it (BOLT 3). */
export interface AnchoredCommitment {
  readonly tx: Transaction;
  /** Spends our anchor. */
  readonly anchor: SweepInput;
  /** What it pays itself. */
  readonly feeSat: bigint;
  readonly weight: number;
}

/**
 * Our anchor on a transaction that spends a channel's funding output, signed by both; `undefined` for one that
 * has none, as a mutual close.
 */
export function anchoredCommitment(
  tx: Transaction,
  { channel, signer }: { channel: Channel; signer: ChannelSigner },
): AnchoredCommitment | undefined {
  if (channel.params.format.commitment !== 'anchors') return undefined;
  const script = p2wshScript(anchorScript(signer.basepoints.fundingPubkey));
  const index = tx.outputs.findIndex(
    ({ valueSat, script: paid }) => valueSat === anchorSat && equalBytes(paid, script),
  );
  if (index < 0) return undefined;
  const anchor = anchorClaim({ signer, outpoint: { txid: txid(tx), index } });
  const feeSat = tx.outputs.reduce((left, { valueSat }) => left - valueSat, channel.params.fundingSat);
  return { tx, anchor, feeSat, weight: weight(tx) };
}

/** What is lost, or comes late, while a channel's commitment waits for a block. */
export interface CommitmentStakes {
  /** HTLCs that we received and whose preimage we know: the peer takes them back from their expiry on. */
  readonly received: readonly ClaimedHtlc[];
  /** HTLCs that we offered and whose preimage we do not know: the peer can take them at any time. */
  readonly offered: readonly ClaimedHtlc[];
  /** What is ours of the channel beside its HTLCs, in satoshi: nobody takes that, it only waits. */
  readonly balanceSat: bigint;
}

/** Of the HTLCs those that have, or can have, an output there: one that is trimmed is not saved by any fee. */
export function commitmentStakes({ params, htlcs, localMsat }: Channel): CommitmentStakes {
  const { local, remote } = params;
  const isDust = (valueSat: bigint) => valueSat < local.dustLimitSat && valueSat < remote.dustLimitSat;
  const received: ClaimedHtlc[] = [];
  const offered: ClaimedHtlc[] = [];
  for (const htlc of htlcs) {
    const { inLocal, inRemote } = htlcStateFacts[htlc.state];
    if (isDust(htlc.amountMsat / 1000n) || (!inLocal && !inRemote)) continue;
    const fulfilled = fulfilledPreimage(htlc) !== undefined;
    if (htlc.direction === 'received' && fulfilled) received.push(claimedHtlc(htlc));
    if (htlc.direction === 'offered' && !fulfilled) offered.push(claimedHtlc(htlc));
  }
  return { received, offered, balanceSat: localMsat / 1000n };
}
