import type { Channel, FeeState } from './channel.js';
import type { Htlc } from './htlc.js';
import { htlcStateFacts, stateAfter } from './htlcState.js';

/** Whose commitment: `local` is the one that we could publish. */
export type Side = 'local' | 'remote';

/**
 * `committed`: the latest commitment that is signed. `next`: the one that would be signed now, with all
 * updates that its holder has been sent.
 */
export type Stage = 'committed' | 'next';

/** What a commitment holds, before anything is rounded or trimmed. Balances are of us and of the peer. */
export interface CommitmentSpec {
  readonly localMsat: bigint;
  readonly remoteMsat: bigint;
  readonly htlcs: readonly Htlc[];
  readonly feeratePerKw: number;
}

function isIn(state: Htlc['state'], { side, stage }: { side: Side; stage: Stage }): boolean {
  const reached =
    stage === 'committed' ? state : stateAfter(state, side === 'local' ? 'rcvd_commit' : 'sent_commit');
  const facts = htlcStateFacts[reached];
  return side === 'local' ? facts.inLocal : facts.inRemote;
}

/** The feerate of a commitment: that of the newest update which is in it. */
function feerateOf(fee: FeeState, view: { side: Side; stage: Stage }): number {
  for (let i = fee.updates.length - 1; i >= 0; i--) {
    const update = fee.updates[i] as FeeState['updates'][number];
    if (isIn(update.state, view)) return update.feeratePerKw;
  }
  return fee.feeratePerKw;
}

/** The highest feerate that any commitment has or is about to have. */
export function highestFeerate(fee: FeeState): number {
  return fee.updates.reduce((highest, { feeratePerKw }) => Math.max(highest, feeratePerKw), fee.feeratePerKw);
}

export function commitmentSpec(channel: Channel, view: { side: Side; stage: Stage }): CommitmentSpec {
  let localMsat = channel.localMsat;
  let remoteMsat = channel.remoteMsat;
  const htlcs: Htlc[] = [];
  channel.htlcs.forEach((htlc) => {
    const included = isIn(htlc.state, view);
    const removedByFulfill =
      !included && htlcStateFacts[htlc.state].removing && htlc.settlement?.type === 'fulfill';
    if (included) htlcs.push(htlc);
    if (!included && !removedByFulfill) return;
    if (htlc.direction === 'offered') {
      localMsat -= htlc.amountMsat;
      if (removedByFulfill) remoteMsat += htlc.amountMsat;
    } else {
      remoteMsat -= htlc.amountMsat;
      if (removedByFulfill) localMsat += htlc.amountMsat;
    }
  });
  return { localMsat, remoteMsat, htlcs, feeratePerKw: feerateOf(channel.fee, view) };
}
