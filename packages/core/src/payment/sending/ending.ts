import { bytesToHex } from '../../bytes/index.js';
import type { NoRoute } from '../../graph/index.js';
import { recordRoom } from './attemptOnion.js';
import { type Attempt, attemptsInFlight, directedChannel, type Sending } from './sending.js';
import {
  formatBlocks,
  formatMsat,
  type SendingFailure,
  type SendingFailureCode,
  type SendingFailureDetails,
} from './sendingFailure.js';

/** Why nothing more is sent. */
export type EndingCause =
  | { readonly code: 'expired' | 'too_many_attempts' | 'timed_out_on_chain' | 'internal' }
  | { readonly code: 'refused_by_destination'; readonly sentence: string }
  | { readonly code: 'no_route'; readonly noRoute: NoRoute; readonly blockHeight: number };

/** Ends the payment: at once where nothing is in flight, else with the last HTLC that comes back. */
export function ended(sending: Sending, cause: EndingCause): Sending {
  const failure = sending.failure ?? describe(sending, cause);
  return settled({ ...sending, failure });
}

/** `failed`, as soon as there is a failure and nothing that could still be fulfilled. */
export function settled(sending: Sending): Sending {
  const over =
    sending.status === 'pending' && sending.failure !== undefined && attemptsInFlight(sending).length === 0;
  return over ? { ...sending, status: 'failed' } : sending;
}

interface Description {
  readonly code: SendingFailureCode;
  readonly text: string;
  readonly details?: Omit<SendingFailureDetails, 'attempts'>;
}

function describe(sending: Sending, cause: EndingCause): SendingFailure {
  const { code, text, details } = describeCause(sending, cause);
  const last = lastFailed(sending);
  const history =
    code === 'refused_by_destination' || code === 'refused_by_channel' ? '' : historyOf(sending, last);
  return {
    code,
    text: `${text}${history}`,
    details: { attempts: sending.attempts.length, ...details, ...(last === undefined ? {} : blamed(last)) },
  };
}

function describeCause(sending: Sending, cause: EndingCause): Description {
  switch (cause.code) {
    case 'expired':
      return { code: 'expired', text: 'the time that the payment was given is over' };
    case 'too_many_attempts':
      return {
        code: 'too_many_attempts',
        text: `the payment was tried ${timesOf(sending.attempts.length)}, and no more attempts are allowed`,
      };
    case 'timed_out_on_chain':
      return {
        code: 'timed_out_on_chain',
        text: 'the channel was closed on chain and the payment came back after its expiry',
      };
    case 'internal':
      return {
        code: 'internal',
        text: 'the search for routes gave one that is not valid; nothing was sent over it. Please report this',
      };
    case 'refused_by_destination':
      return { code: cause.code, text: cause.sentence };
    case 'no_route':
      return describeNoRoute(sending, cause);
  }
}

function timesOf(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function describeNoRoute(
  sending: Sending,
  { noRoute, blockHeight }: Extract<EndingCause, { code: 'no_route' }>,
): Description {
  const { request } = sending;
  const refused = refusedByChannels(sending);
  switch (noRoute.reason) {
    case 'no_channels':
      if (refused !== undefined) return refused;
      return {
        code: 'no_channels',
        text:
          request.firstHops === undefined
            ? 'none of our channels can send now: open one, or wait until its peer is connected'
            : 'none of the channels that the payment may begin with can send now',
      };
    case 'insufficient_balance':
      if (refused !== undefined) return refused;
      return {
        code: 'insufficient_balance',
        text:
          noRoute.spendableMsat < request.amountMsat
            ? `our channels can send ${formatMsat(noRoute.spendableMsat)} now` +
              `${sending.knowledge.partsLimit === 1 ? ' in one part' : ''}; ` +
              `the payment needs ${formatMsat(request.amountMsat)} and the fees`
            : `those of our channels that lead to this node can send less than ${formatMsat(request.amountMsat)} ` +
              'and the fees now',
        details: { spendableMsat: noRoute.spendableMsat },
      };
    case 'destination_unknown':
      return {
        code: 'destination_unknown',
        text:
          'no channel is known that leads to this node: it may have none, or none that is public; ' +
          'pay an invoice with hints, or open a channel with it',
      };
    case 'no_path':
      if (refused !== undefined) return refused;
      return {
        code: 'no_route',
        text: `there is no route that carries ${formatMsat(request.amountMsat)} to this node`,
      };
    case 'fee_limit':
      return {
        code: 'fee_limit',
        text:
          `a route exists that would cost ${formatMsat(noRoute.feeMsat)}; ` +
          `your limit is ${formatMsat(request.maxFeeMsat)}`,
        details: { feeMsat: noRoute.feeMsat },
      };
    case 'cltv_limit':
      return {
        code: 'cltv_limit',
        text:
          `a route exists that could hold the money for ${formatBlocks(noRoute.cltvDelta)}; ` +
          `your limit is ${formatBlocks(request.maxCltvDelta)}`,
        details: { cltvDelta: noRoute.cltvDelta },
      };
    case 'too_many_hops':
      return describeTooLong(sending, { hops: noRoute.hops, blockHeight });
  }
}

function describeTooLong(
  sending: Sending,
  { hops, blockHeight }: { hops: number; blockHeight: number },
): Description {
  const found = recordRoom(sending.request, { hops, blockHeight });
  // Without records the onion has room for as many hops as any route has.
  if (found === undefined || found.room >= found.bytes) {
    return { code: 'no_route', text: `the shortest route has ${hops} hops, more than an onion has room for` };
  }
  const { recordType, bytes, room } = found;
  return {
    code: 'records_too_large',
    text:
      `the custom records do not fit into the onion: record ${recordType} has ${bytes} bytes, ` +
      `${room === 0 ? 'none' : room} fit on the route to this node (${hops} ${hops === 1 ? 'hop' : 'hops'})`,
    details: { roomBytes: room },
  };
}

/** Where every attempt was refused by our own channels, what they said is the answer. */
function refusedByChannels({ attempts }: Sending): Description | undefined {
  const text = attempts[0]?.failure?.text;
  if (text === undefined || attempts.some(({ failure }) => failure?.cause !== 'refused_by_channel')) {
    return undefined;
  }
  return { code: 'refused_by_channel', text };
}

/** The attempt whose failure came last. */
function lastFailed({ attempts }: Sending): Attempt | undefined {
  let last: Attempt | undefined;
  for (const attempt of attempts) {
    if (attempt.status !== 'failed') continue;
    if (last === undefined || (attempt.endedAtMs ?? 0) >= (last.endedAtMs ?? 0)) last = attempt;
  }
  return last;
}

function historyOf({ attempts }: Sending, last: Attempt | undefined): string {
  if (last?.failure === undefined) return '';
  const { cause, hopIndex } = last.failure;
  const where = hopIndex === undefined ? '' : ` at hop ${hopIndex + 1} of ${last.route.hops.length}`;
  const which = attempts.length === 1 ? 'the attempt' : `the last of ${attempts.length} attempts`;
  return `; ${which} failed${where}: ${cause}`;
}

function blamed({ failure, route }: Attempt): Pick<SendingFailureDetails, 'cause' | 'node' | 'channel'> {
  if (failure === undefined) return {};
  const { cause, hopIndex } = failure;
  if (hopIndex === undefined) return { cause };
  const hop = route.hops[hopIndex];
  const next = route.hops[hopIndex + 1];
  return {
    cause,
    ...(hop === undefined ? {} : { node: bytesToHex(hop.nodeId) }),
    ...(next === undefined ? {} : { channel: directedChannel(next) }),
  };
}
