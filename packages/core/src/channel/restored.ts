import { ShachainStore } from '../keys/index.js';
import type { Channel, ChannelParams, Readiness } from './channel.js';
import { HtlcTable } from './htlcTable.js';

/** In the place of a signature that we do not have; no signature is all zeros. */
const noSignature = new Uint8Array(64);

/**
 * A channel of which a backup has told everything that never changes and nothing else is left (BOLT 2: a node
 * that has lost its data). It says so to the peer with the lowest numbers in channel_reestablish, asks it to
 * close, and publishes nothing itself: it has no commitment. On chain it claims our balance on any commitment of
 * the peer, whatever its number, for the key of that is static; and on one of ours, from before the loss, after
 * its delay. HTLCs are lost, and so are the secrets that would punish a revoked commitment.
 *
 * The balance is not known: all of it counts as the peer's.
 */
export function restoredChannel({
  params,
  fundingConfirmed,
  closingScript,
}: {
  readonly params: ChannelParams;
  readonly fundingConfirmed?: Readiness['fundingConfirmed'];
  /** Where a close together would pay us: tells one on chain from an unknown transaction. */
  readonly closingScript?: Uint8Array | undefined;
}): Channel {
  return {
    params,
    phase: { name: 'stale' },
    link: 'offline',
    simpleClose: false,
    dataLost: true,
    localMsat: 0n,
    remoteMsat: params.fundingSat * 1000n,
    htlcs: HtlcTable.empty,
    offeredMsat: 0n,
    receivedMsat: 0n,
    nextOfferedId: 0n,
    nextReceivedId: 0n,
    fee: { feeratePerKw: 0, updates: [] },
    localCommit: { number: 0n, signature: noSignature, htlcSignatures: [] },
    // Some valid point: theirs are not known, and nothing is signed with it.
    remoteCommit: { number: 0n, awaitingRevocation: false, currentPoint: params.remote.paymentBasepoint },
    revocations: ShachainStore.empty,
    lastSent: 'none',
    unsignedChanges: false,
    readiness: {
      localSent: false,
      remoteReceived: false,
      ...(fundingConfirmed === undefined ? {} : { fundingConfirmed }),
    },
    shutdown: { localSent: false, ...(closingScript === undefined ? {} : { localScript: closingScript }) },
    negotiation: {},
    closingTransactions: [],
  };
}

/** Whether all that is known of a channel comes from a backup (restoredChannel). */
export function isRestored({ dataLost, localCommit }: Channel): boolean {
  return dataLost && localCommit.signature.every((byte) => byte === 0);
}
