import { bytesToHex } from '@rivulet/core/bytes';
import { type Channel, channelFaults } from '@rivulet/core/channel';
import { decodePendingForward, type PendingForward } from '@rivulet/core/forwarding';
import type { CheckedState } from '../driver/index.js';

/** Something that must never be so. `channelId` in hex. */
export interface Finding {
  readonly code:
    | 'channel_unsound'
    | 'channel_not_stored'
    | 'htlc_of_nobody'
    | 'htlc_overdue'
    | 'payment_of_nothing'
    | 'forward_of_nothing'
    | 'preimage_not_used'
    | 'claim_overdue'
    | 'wallet_behind';
  readonly message: string;
  readonly channelId?: string;
}

/** Blocks that an HTLC may stand past its expiry before somebody has to ask why the channel is still open. */
const overdueBlocks = 6;

type Key = `${string}/${bigint}`;
const keyOf = (channelId: Uint8Array, id: bigint): Key => `${bytesToHex(channelId)}/${id}`;

/** Whether a channel can still change off chain. */
function isLive({ phase }: Channel): boolean {
  switch (phase.name) {
    case 'awaiting_ready':
    case 'open':
    case 'closing':
      return true;
    case 'failed':
    case 'stale':
    case 'spent':
    case 'closed':
      return false;
  }
}

/** Compares what must agree: channels with themselves and with what is stored, HTLCs with payments and forwards. */
export function checkInvariants(state: CheckedState): Finding[] {
  const forwards = state.storage
    .loadForwards()
    .map(({ data, incomingChannelId, incomingHtlcId }) =>
      decodePendingForward(data, { channelId: incomingChannelId, htlcId: incomingHtlcId }),
    );
  return [
    ...state.channels.flatMap((channel) => channelFindings(state, channel)),
    ...htlcFindings(state, forwards),
    ...forwardFindings(state, forwards),
    ...paymentFindings(state),
    ...chainFindings(state),
  ];
}

function channelFindings({ signerOf, height, storage }: CheckedState, channel: Channel): Finding[] {
  const channelId = bytesToHex(channel.params.channelId);
  const findings: Finding[] = channelFaults(channel, signerOf(channel)).map((message) => ({
    code: 'channel_unsound',
    channelId,
    message,
  }));
  const rows = storage.loadHtlcs(channel.params.channelId).length;
  if (channel.phase.name !== 'closed' && !channel.dataLost && rows < committedHtlcs(channel)) {
    const message = `${committedHtlcs(channel)} HTLCs are pending and ${rows} are stored`;
    findings.push({ code: 'channel_not_stored', channelId, message });
  }
  if (!isLive(channel)) return findings;
  channel.htlcs.forEach(({ direction, id, cltvExpiry, state }) => {
    if (state === 'sent_add' || height <= cltvExpiry + overdueBlocks) return;
    const message = `${direction} HTLC ${id} expired at ${cltvExpiry} and the channel is still open at ${height}`;
    findings.push({ code: 'htlc_overdue', channelId, message });
  });
  return findings;
}

/** HTLCs that a commitment has: those have rows. */
function committedHtlcs(channel: Channel): number {
  let count = 0;
  channel.htlcs.forEach(({ state }) => {
    if (state !== 'sent_add' && state !== 'rcvd_add') count++;
  });
  return count;
}

/** Every HTLC that we offer is somebody's: a payment of ours or a forward. */
function htlcFindings(
  { channels, isSent, storage }: CheckedState,
  forwards: readonly PendingForward[],
): Finding[] {
  const passedOn = new Set(forwards.map(({ outgoing }) => keyOf(outgoing.channelId, outgoing.htlcId)));
  // A peer that went away before its settlement was committed has to say it again: until then the HTLC stands,
  // and whose it was is over.
  const online = channels.filter((channel) => isLive(channel) && channel.link === 'online');
  return online.flatMap((channel) => {
    const { channelId } = channel.params;
    const findings: Finding[] = [];
    for (const htlc of channel.htlcs.direction('offered')) {
      // What is settled, and only waits for its removal to be committed, has been told already.
      if (htlc.settlement !== undefined || storage.getPreimage(htlc.paymentHash) !== undefined) continue;
      if (passedOn.has(keyOf(channelId, htlc.id)) || isSent({ channelId, htlcId: htlc.id })) continue;
      const message = `offered HTLC ${htlc.id} over ${htlc.amountMsat} msat belongs to no payment and no forward`;
      findings.push({ code: 'htlc_of_nobody', channelId: bytesToHex(channelId), message });
    }
    return findings;
  });
}

/** A forward has its incoming HTLC, and a preimage that is known is given to it. */
function forwardFindings({ channels }: CheckedState, forwards: readonly PendingForward[]): Finding[] {
  const byId = new Map(channels.map((channel) => [bytesToHex(channel.params.channelId), channel]));
  return forwards.flatMap(({ incoming, preimage }): Finding[] => {
    const channelId = bytesToHex(incoming.channelId);
    const channel = byId.get(channelId);
    if (channel === undefined || !isLive(channel)) return [];
    const htlc = channel.htlcs.get('received', incoming.htlcId);
    if (htlc === undefined) {
      const message = `a forward waits for received HTLC ${incoming.htlcId}, which is not there`;
      return [{ code: 'forward_of_nothing', channelId, message }];
    }
    if (preimage === undefined || htlc.settlement?.type === 'fulfill') return [];
    const message = `the preimage of received HTLC ${htlc.id} is known and was not given to its channel`;
    return [{ code: 'preimage_not_used', channelId, message }];
  });
}

/** A payment that is pending is being sent: otherwise nobody would ever end it. */
function paymentFindings({ storage }: CheckedState): Finding[] {
  const live = new Set(storage.loadSendings().map(({ paymentHash }) => bytesToHex(paymentHash)));
  const findings: Finding[] = [];
  for (let before: number | undefined; ; ) {
    const page = storage.listPayments({ direction: 'outgoing', status: 'pending', limit: 1_000, before });
    for (const { paymentHash } of page.payments) {
      const hash = bytesToHex(paymentHash);
      if (live.has(hash)) continue;
      findings.push({
        code: 'payment_of_nothing',
        message: `payment ${hash} is pending and nothing sends it`,
      });
    }
    if (page.next === undefined) return findings;
    before = page.next;
  }
}

function chainFindings({ openClaims, height, walletHeight }: CheckedState): Finding[] {
  const findings = openClaims.flatMap(({ channelId, valueSat, deadlineHeight }): Finding[] => {
    if (deadlineHeight === undefined || height < deadlineHeight) return [];
    const message = `${valueSat} sat of a closed channel could be taken by others since block ${deadlineHeight}`;
    return [{ code: 'claim_overdue', channelId: bytesToHex(channelId), message }];
  });
  if (walletHeight !== undefined && walletHeight !== height) {
    findings.push({
      code: 'wallet_behind',
      message: `the wallet has seen block ${walletHeight}, the channels ${height}`,
    });
  }
  return findings;
}
