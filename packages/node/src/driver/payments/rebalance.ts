import { equalBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import type { HintHop } from '@rivulet/core/graph';
import { isUsable } from '../describe.js';
import type { RemotePolicies } from '../remotePolicies.js';
import { nameOf } from './firstHops.js';
import { hintThrough } from './invoices.js';
import { PaymentError } from './paymentError.js';

export interface RebalanceRequest {
  readonly amountMsat: bigint;
  readonly maxFeeMsat: bigint;
  /** Where it leaves; any channel but `to` where it is absent. */
  readonly from?: Channel;
  /** Where it comes back; any channel but `from` where it is absent. */
  readonly to?: Channel;
}

/** The ends of a circle: a payment to ourselves (BOLT 4 knows no other). */
export interface Circle {
  readonly firstHops: ReadonlySet<bigint>;
  readonly hints: readonly (readonly HintHop[])[];
}

/** @throws PaymentError where there is no such circle. */
export function circleOf(
  { from, to }: RebalanceRequest,
  { channels, remotePolicies }: { channels: readonly Channel[]; remotePolicies: RemotePolicies },
): Circle {
  if (from === undefined && to === undefined) {
    throw invalid('say where the payment leaves, or where it comes back');
  }
  if (from !== undefined && to !== undefined && isSame(from, to))
    throw invalid('it cannot leave and come back by the same channel');
  for (const end of [from, to]) {
    if (end !== undefined && !isUsable(end)) {
      throw invalid('this channel cannot be used now: its peer is away, or it is not open');
    }
  }
  const usable = channels.filter(isUsable);
  const except = (end: Channel | undefined) =>
    usable.filter((channel) => end === undefined || !isSame(channel, end));
  const leaving = from === undefined ? except(to) : [from];
  const returning = to === undefined ? except(from) : [to];
  const hints = returning.flatMap((channel) => {
    const hint = hintThrough(channel, remotePolicies);
    return hint === undefined ? [] : [[hint]];
  });
  if (leaving.length === 0) throw invalid('there is no other channel by which it could leave');
  if (hints.length === 0) {
    throw invalid('no peer has said yet what it takes for forwarding to us; wait for its channel_update');
  }
  return { firstHops: new Set(leaving.flatMap((channel) => nameOf(channel) ?? [])), hints };
}

/** A channel is another object after each of its steps. */
function isSame(a: Channel, b: Channel): boolean {
  return equalBytes(a.params.channelId, b.params.channelId);
}

function invalid(message: string): PaymentError {
  return new PaymentError('request_invalid', message);
}
