import { commitmentFeeSat, isTrimmed } from '../tx/index.js';
import type { Channel } from './channel.js';
import { type CommitmentSpec, commitmentSpec, highestFeerate, type Side } from './commitmentSpec.js';
import type { Htlc } from './htlc.js';

/** Each anchor output holds 330 sat, at the opener's cost (BOLT 3). */
const anchorsSat = 660n;

/** Why an HTLC or a feerate does not fit; told as a refusal to our own side, as an error to the peer. */
export type LimitBreach =
  | { readonly limit: 'too_many_htlcs'; readonly maximum: number }
  | { readonly limit: 'in_flight_limit'; readonly maximumMsat: bigint }
  | { readonly limit: 'amount_unaffordable'; readonly availableMsat: bigint }
  | { readonly limit: 'remote_cannot_afford_fee' };

/** Which of the two parties. */
type Party = 'local' | 'remote';

/** What `party` must keep: the other's channel_reserve_satoshis. */
function reserveMsat(channel: Channel, party: Party): bigint {
  const { local, remote } = channel.params;
  return (party === 'local' ? remote : local).channelReserveSat * 1000n;
}

function isOpener(channel: Channel, party: Party): boolean {
  return channel.params.localIsOpener === (party === 'local');
}

/** Whether an HTLC is trimmed in a side's commitment at a feerate (BOLT 3: Trimmed Outputs). */
function isDust(
  channel: Channel,
  htlc: Pick<Htlc, 'direction' | 'amountMsat'>,
  { side, feeratePerKw }: { side: Side; feeratePerKw: number },
): boolean {
  const { params } = channel;
  const offeredByHolder = (htlc.direction === 'offered') === (side === 'local');
  return isTrimmed({
    direction: offeredByHolder ? 'offered' : 'received',
    amountMsat: htlc.amountMsat,
    dustLimitSat: (side === 'local' ? params.local : params.remote).dustLimitSat,
    feeratePerKw,
    channelType: params.format.commitment,
  });
}

/**
 * Whether an HTLC is nowhere on the chain, or perhaps not: its channel does not carry messages any more, and a
 * commitment, ours or theirs, leaves it out (BOLT 3: Trimmed Outputs). Its preimage brings nothing then.
 */
export function isLostToFees(channel: Channel, htlc: Pick<Htlc, 'direction' | 'amountMsat'>): boolean {
  if (channel.phase.name === 'open') return false;
  const feeratePerKw = highestFeerate(channel.fee);
  return (['local', 'remote'] as const).some((side) => isDust(channel, htlc, { side, feeratePerKw }));
}

/** What the opener pays for a commitment, with `extraHtlcs` more untrimmed ones: fee and anchors. */
function openerCostMsat(
  channel: Channel,
  { feeratePerKw, untrimmedHtlcs }: { feeratePerKw: number; untrimmedHtlcs: number },
): bigint {
  const channelType = channel.params.format.commitment;
  const feeSat = commitmentFeeSat({ channelType, feeratePerKw, untrimmedHtlcs });
  return (feeSat + (channelType === 'anchors' ? anchorsSat : 0n)) * 1000n;
}

/** What `party` could still spend from a commitment after its reserve and, as opener, its costs. */
function spendableMsat(
  channel: Channel,
  spec: CommitmentSpec,
  { side, party, buffer }: { side: Side; party: Party; buffer: boolean },
): bigint {
  const balanceMsat = party === 'local' ? spec.localMsat : spec.remoteMsat;
  let costMsat = 0n;
  if (isOpener(channel, party)) {
    const { feeratePerKw } = spec;
    const untrimmedHtlcs = spec.htlcs.filter((htlc) => !isDust(channel, htlc, { side, feeratePerKw })).length;
    // BOLT 2: update_add_htlc, fee spike buffer: twice the feerate and one HTLC more.
    costMsat = openerCostMsat(channel, {
      feeratePerKw: buffer ? feeratePerKw * 2 : feeratePerKw,
      untrimmedHtlcs: buffer ? untrimmedHtlcs + 1 : untrimmedHtlcs,
    });
  }
  return balanceMsat - reserveMsat(channel, party) - costMsat;
}

/** The channel with an HTLC that `direction` says who adds, as if it had been added now. */
function withHtlc(channel: Channel, htlc: Htlc): Channel {
  return { ...channel, htlcs: channel.htlcs.with(htlc) };
}

/** A bound that holds for every commitment at once: everything pending untrimmed and nothing gained. */
function surelyLeft(channel: Channel): { local: bigint; remote: bigint } {
  const opener: Party = channel.params.localIsOpener ? 'local' : 'remote';
  const leastMsat = {
    local: channel.localMsat - channel.offeredMsat,
    remote: channel.remoteMsat - channel.receivedMsat,
  };
  leastMsat[opener] -= openerCostMsat(channel, {
    feeratePerKw: highestFeerate(channel.fee) * 2,
    untrimmedHtlcs: channel.htlcs.size + 2,
  });
  return leastMsat;
}

function surelyAffordable(channel: Channel, htlc: Htlc): boolean {
  const leastMsat = surelyLeft(channel);
  leastMsat[htlc.direction === 'offered' ? 'local' : 'remote'] -= htlc.amountMsat;
  return (
    leastMsat.local >= reserveMsat(channel, 'local') && leastMsat.remote >= reserveMsat(channel, 'remote')
  );
}

function count(htlcs: readonly Htlc[], direction: Htlc['direction']): { count: number; sumMsat: bigint } {
  let found = 0;
  let sumMsat = 0n;
  for (const htlc of htlcs) {
    if (htlc.direction !== direction) continue;
    found++;
    sumMsat += htlc.amountMsat;
  }
  return { count: found, sumMsat };
}

/**
 * Whether an HTLC may be added by the side that offers it: number and value in flight, balance, reserve
 * and fee (BOLT 2: update_add_htlc). Our own HTLCs are held against both commitments with the fee spike
 * buffer, the peer's against ours without it: what it must keep and not what it should.
 */
export function htlcLimitBreach(channel: Channel, htlc: Htlc): LimitBreach | undefined {
  const offered = htlc.direction === 'offered';
  const limits = offered ? channel.params.remote : channel.params.local;
  const pending = offered ? channel.htlcs.offeredCount : channel.htlcs.receivedCount;
  const pendingMsat = offered ? channel.offeredMsat : channel.receivedMsat;
  if (
    pending < limits.maxAcceptedHtlcs &&
    pendingMsat + htlc.amountMsat <= limits.maxHtlcValueInFlightMsat &&
    surelyAffordable(channel, htlc)
  ) {
    return undefined;
  }
  const changed = withHtlc(channel, htlc);
  const receiving: Side = offered ? 'remote' : 'local';
  const spec = commitmentSpec(changed, { side: receiving, stage: 'next' });
  const inFlight = count(spec.htlcs, htlc.direction);
  if (inFlight.count > limits.maxAcceptedHtlcs) {
    return { limit: 'too_many_htlcs', maximum: limits.maxAcceptedHtlcs };
  }
  if (inFlight.sumMsat > limits.maxHtlcValueInFlightMsat) {
    return { limit: 'in_flight_limit', maximumMsat: limits.maxHtlcValueInFlightMsat };
  }
  return offered ? offeredBreach(changed, spec, htlc) : receivedBreach(changed, spec);
}

function offeredBreach(changed: Channel, remoteSpec: CommitmentSpec, htlc: Htlc): LimitBreach | undefined {
  const localSpec = ownCommitmentWith(changed, htlc);
  const buffer = true;
  const leftMsat = minimum(
    spendableMsat(changed, remoteSpec, { side: 'remote', party: 'local', buffer }),
    spendableMsat(changed, localSpec, { side: 'local', party: 'local', buffer }),
  );
  if (leftMsat < 0n) {
    const availableMsat = htlc.amountMsat + leftMsat;
    return { limit: 'amount_unaffordable', availableMsat: availableMsat > 0n ? availableMsat : 0n };
  }
  if (changed.params.localIsOpener) return undefined;
  // BOLT 2: update_add_htlc, not responsible for the fee: the opener must be able to pay for it.
  const openerLeftMsat = minimum(
    spendableMsat(changed, remoteSpec, { side: 'remote', party: 'remote', buffer: false }),
    spendableMsat(changed, localSpec, { side: 'local', party: 'remote', buffer: false }),
  );
  return openerLeftMsat < 0n ? { limit: 'remote_cannot_afford_fee' } : undefined;
}

/** Our commitment as it will be once the peer has acknowledged everything that we sent, this HTLC too. */
function ownCommitmentWith(changed: Channel, htlc: Htlc): CommitmentSpec {
  const spec = commitmentSpec(changed, { side: 'local', stage: 'next' });
  let localMsat = spec.localMsat;
  const htlcs = [...spec.htlcs];
  changed.htlcs.forEach((pending) => {
    const onItsWay = pending.state === 'sent_add' || pending.state === 'sent_add_commit';
    if (!onItsWay || pending.id > htlc.id) return;
    localMsat -= pending.amountMsat;
    htlcs.push(pending);
  });
  return { ...spec, localMsat, htlcs, feeratePerKw: highestFeerate(changed.fee) };
}

/**
 * What the peer's updates are weighed against: without the cost of our HTLCs that it has acknowledged and not
 * signed for yet. It may have sent the update before it saw them, as BOLT 2 lets it, and after a reconnection
 * the update comes behind the acknowledgement.
 */
function asPeerSawIt(spec: CommitmentSpec): CommitmentSpec {
  return { ...spec, htlcs: spec.htlcs.filter(({ state }) => state !== 'rcvd_add_revocation') };
}

function receivedBreach(changed: Channel, spec: CommitmentSpec): LimitBreach | undefined {
  const leftMsat = spendableMsat(changed, asPeerSawIt(spec), {
    side: 'local',
    party: 'remote',
    buffer: false,
  });
  return leftMsat < 0n ? { limit: 'amount_unaffordable', availableMsat: 0n } : undefined;
}

/** Whether the opener, `party`, can pay a new feerate on both commitments and keep its reserve. */
export function canAffordFeerate(channel: Channel, { party, side }: { party: Party; side: Side }): boolean {
  const next = commitmentSpec(channel, { side, stage: 'next' });
  const spec = party === 'remote' ? asPeerSawIt(next) : next;
  return spendableMsat(channel, spec, { side, party, buffer: false }) >= 0n;
}

/**
 * The value of all trimmed HTLCs on the worse of the two commitments at a feerate (BOLT 2: Bounding
 * exposure to trimmed in-flight HTLCs). `added` counts as if it were pending already.
 */
export function dustExposureMsat(
  channel: Channel,
  { feeratePerKw, added }: { feeratePerKw: number; added?: Htlc },
): bigint {
  const exposureMsat = { local: 0n, remote: 0n };
  const weigh = (htlc: Htlc): void => {
    for (const side of ['local', 'remote'] as const) {
      if (isDust(channel, htlc, { side, feeratePerKw })) exposureMsat[side] += htlc.amountMsat;
    }
  };
  channel.htlcs.forEach(weigh);
  if (added !== undefined) weigh(added);
  return exposureMsat.local > exposureMsat.remote ? exposureMsat.local : exposureMsat.remote;
}

/** Whether adding this HTLC would expose more to miners' fees than `maximumMsat`. */
export function exceedsDustExposure(channel: Channel, htlc: Htlc, maximumMsat: bigint): boolean {
  if (channel.offeredMsat + channel.receivedMsat + htlc.amountMsat <= maximumMsat) return false;
  const feeratePerKw = highestFeerate(channel.fee);
  const dust = (['local', 'remote'] as const).some((side) => isDust(channel, htlc, { side, feeratePerKw }));
  return dust && dustExposureMsat(channel, { feeratePerKw, added: htlc }) > maximumMsat;
}

/** The most that one payment of ours could have now: what is left after reserve, fees and pending HTLCs. */
export function spendableNowMsat(channel: Channel): bigint {
  const { maxHtlcValueInFlightMsat, maxAcceptedHtlcs } = channel.params.remote;
  const amountMsat = channel.localMsat - channel.offeredMsat;
  if (amountMsat <= 0n || channel.htlcs.offeredCount >= maxAcceptedHtlcs) return 0n;
  const affordableMsat = affordableOf(channel, amountMsat);
  // What is trimmed costs no fee: of that there may be enough where there is not for an output.
  const trimmedMsat = minimum(amountMsat, surelyTrimmedMsat(channel));
  const mostMsat =
    affordableMsat >= trimmedMsat
      ? affordableMsat
      : maximum(affordableMsat, affordableOf(channel, trimmedMsat));
  return atLeastZero(minimum(mostMsat, maxHtlcValueInFlightMsat - channel.offeredMsat));
}

/** What of an amount could be offered in one HTLC, balances and fees alone considered. */
function affordableOf(channel: Channel, amountMsat: bigint): bigint {
  const htlc = probe(channel, { direction: 'offered', amountMsat });
  const changed = withHtlc(channel, htlc);
  const breach = offeredBreach(changed, commitmentSpec(changed, { side: 'remote', stage: 'next' }), htlc);
  if (breach?.limit === 'remote_cannot_afford_fee') return 0n;
  return breach?.limit === 'amount_unaffordable' ? breach.availableMsat : amountMsat;
}

/** An amount that is trimmed in either commitment, whatever the feerate. */
function surelyTrimmedMsat({ params }: Channel): bigint {
  return minimum(params.local.dustLimitSat, params.remote.dustLimitSat) * 1000n - 1n;
}

/**
 * At most what `spendableNowMsat` says, found without looking at each pending HTLC: for who only wants to know
 * whether an amount fits by far.
 */
export function surelySpendableMsat(channel: Channel): bigint {
  const { maxHtlcValueInFlightMsat, maxAcceptedHtlcs } = channel.params.remote;
  if (channel.htlcs.offeredCount >= maxAcceptedHtlcs) return 0n;
  const least = surelyLeft(channel);
  if (least.remote < reserveMsat(channel, 'remote') && !channel.params.localIsOpener) return 0n;
  const leftMsat = least.local - reserveMsat(channel, 'local');
  return atLeastZero(minimum(leftMsat, maxHtlcValueInFlightMsat - channel.offeredMsat));
}

/** What a channel can take of an HTLC that we would offer on it now. */
export interface OutgoingLimits {
  /** Open, with its peer there, and not being closed. */
  readonly usable: boolean;
  /** The most that one HTLC could have; 0 where the channel is not usable. */
  readonly spendableMsat: bigint;
  /** The least that the peer takes. */
  readonly minimumMsat: bigint;
}

/** What a payment, or one that is forwarded, needs to know of a channel before it is offered there. */
export function outgoingLimits(channel: Channel): OutgoingLimits {
  const { phase, link, shutdown, params } = channel;
  const closing = shutdown.localScript !== undefined || shutdown.remoteScript !== undefined;
  const usable = phase.name === 'open' && link === 'online' && !closing;
  return {
    usable,
    spendableMsat: usable ? spendableNowMsat(channel) : 0n,
    minimumMsat: params.remote.htlcMinimumMsat > 0n ? params.remote.htlcMinimumMsat : 1n,
  };
}

/** The same for the peer, as far as we can tell. */
export function receivableNowMsat(channel: Channel): bigint {
  const { maxHtlcValueInFlightMsat, maxAcceptedHtlcs } = channel.params.local;
  const amountMsat = channel.remoteMsat - channel.receivedMsat;
  if (amountMsat <= 0n || channel.htlcs.receivedCount >= maxAcceptedHtlcs) return 0n;
  const changed = withHtlc(channel, probe(channel, { direction: 'received', amountMsat }));
  const spec = commitmentSpec(changed, { side: 'local', stage: 'next' });
  const leftMsat = spendableMsat(changed, spec, { side: 'local', party: 'remote', buffer: true });
  return atLeastZero(minimum(amountMsat + leftMsat, maxHtlcValueInFlightMsat - channel.receivedMsat));
}

function probe(channel: Channel, { direction, amountMsat }: Pick<Htlc, 'direction' | 'amountMsat'>): Htlc {
  const offered = direction === 'offered';
  return {
    direction,
    amountMsat,
    id: offered ? channel.nextOfferedId : channel.nextReceivedId,
    state: offered ? 'sent_add' : 'rcvd_add',
    paymentHash: new Uint8Array(32),
    cltvExpiry: 0,
    onion: new Uint8Array(0),
  };
}

function atLeastZero(value: bigint): bigint {
  return value > 0n ? value : 0n;
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
