import type { Channel, FeeState, FeeUpdate } from './channel.js';
import type { Htlc } from './htlc.js';
import { type CommitmentEvent, htlcStateFacts, isOver, stateAfter } from './htlcState.js';

/** What one of the four commitment messages did to the updates of a channel. */
export interface Transition {
  readonly fields: Pick<
    Channel,
    'htlcs' | 'fee' | 'localMsat' | 'remoteMsat' | 'offeredMsat' | 'receivedMsat'
  >;
  /** HTLCs whose state changed and that are still pending. */
  readonly moved: readonly Htlc[];
  /** HTLCs that are over now and have left the table. */
  readonly over: readonly Htlc[];
}

/** Moves every HTLC and fee update of a channel over one message (see htlcState.ts). */
export function transition(
  channel: Channel,
  { event, signedRemoteNumber }: { event: CommitmentEvent; signedRemoteNumber?: bigint },
): Transition {
  let { localMsat, remoteMsat, offeredMsat, receivedMsat } = channel;
  const moved: Htlc[] = [];
  const over: Htlc[] = [];
  const htlcs = channel.htlcs.update((htlc) => {
    const state = stateAfter(htlc.state, event);
    if (state === htlc.state) return htlc;
    const entersRemote = !htlcStateFacts[htlc.state].inRemote && htlcStateFacts[state].inRemote;
    const next: Htlc = {
      ...htlc,
      state,
      ...(entersRemote && signedRemoteNumber !== undefined
        ? { firstRemoteCommitment: signedRemoteNumber }
        : {}),
    };
    if (!isOver(state)) {
      moved.push(next);
      return next;
    }
    over.push(next);
    const paidMsat = next.settlement?.type === 'fulfill' ? next.amountMsat : 0n;
    if (next.direction === 'offered') {
      offeredMsat -= next.amountMsat;
      localMsat -= paidMsat;
      remoteMsat += paidMsat;
    } else {
      receivedMsat -= next.amountMsat;
      remoteMsat -= paidMsat;
      localMsat += paidMsat;
    }
    return undefined;
  });
  const fee = moveFee(channel.fee, event);
  return { fields: { htlcs, fee, localMsat, remoteMsat, offeredMsat, receivedMsat }, moved, over };
}

function moveFee(fee: FeeState, event: CommitmentEvent): FeeState {
  if (fee.updates.length === 0) return fee;
  let { feeratePerKw } = fee;
  const updates: FeeUpdate[] = [];
  for (const update of fee.updates) {
    const state = stateAfter(update.state, event);
    const irrevocable = htlcStateFacts[state].on === undefined;
    if (irrevocable) feeratePerKw = update.feeratePerKw;
    else updates.push(state === update.state ? update : { ...update, state });
  }
  return { feeratePerKw, updates };
}

/** Whether any update waits for our next commitment_signed. */
export function hasUnsignedChanges(channel: Pick<Channel, 'htlcs' | 'fee'>): boolean {
  const waits = (state: Htlc['state']) => htlcStateFacts[state].on === 'sent_commit';
  if (channel.fee.updates.some((update) => waits(update.state))) return true;
  let found = false;
  channel.htlcs.forEach((htlc) => {
    found ||= waits(htlc.state);
  });
  return found;
}
