import { bytesToHex } from '../../bytes/index.js';
import { type ChannelSigner, shachainIndex } from '../../keys/index.js';
import { commitmentFeeSat, isTrimmed } from '../../tx/index.js';
import type { Channel } from '../channel.js';
import { type CommitmentSpec, commitmentSpec, type Side } from '../commitmentSpec.js';
import { buildLocalCommitment } from '../commitments.js';
import type { Htlc } from '../htlc.js';

function broken(text: string): never {
  throw new Error(`an invariant is broken: ${text}`);
}

/** Whether anybody may still ask for an HTLC's onion and its path key: to send it again, or to open it. */
function needsOnion({ direction, state, settlement }: Htlc): boolean {
  if (direction === 'received') return settlement === undefined;
  return state === 'sent_add' || state === 'sent_add_commit';
}

/** A channel as text: what a restart has to bring back. */
export function describeChannel(channel: Channel): string {
  // What a connection negotiated ends with it.
  const { htlcs, revocations, link: _, simpleClose: __, anySegwit: ___, ...rest } = channel;
  return JSON.stringify(
    {
      ...rest,
      revocations: revocations.encode(),
      htlcs: [...htlcs].map(({ onion, pathKey, ...htlc }) => ({
        ...htlc,
        ...(needsOnion({ ...htlc, onion }) ? { onion, pathKey } : {}),
      })),
    },
    (_key, value: unknown) => {
      if (typeof value === 'bigint') return `${value}`;
      if (value instanceof Uint8Array) return bytesToHex(value);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
    },
    1,
  );
}

function sumMsat(htlcs: Iterable<Htlc>): bigint {
  let sum = 0n;
  for (const { amountMsat } of htlcs) sum += amountMsat;
  return sum;
}

/** What has to be true of a channel after every turn, whatever happened; `before` was checked already. */
export function checkChannel(
  channel: Channel,
  {
    before,
    signer,
    localTxids,
  }: { before: Channel | undefined; signer: ChannelSigner; localTxids: Map<bigint, string> },
): void {
  if (
    channel.htlcs === before?.htlcs &&
    channel.fee === before.fee &&
    channel.localCommit === before.localCommit &&
    channel.remoteCommit === before.remoteCommit
  ) {
    return;
  }
  const capacityMsat = channel.params.fundingSat * 1000n;
  if (channel.localMsat + channel.remoteMsat !== capacityMsat) broken('the balances are not the capacity');
  if (channel.offeredMsat !== sumMsat(channel.htlcs.direction('offered'))) broken('offeredMsat');
  if (channel.receivedMsat !== sumMsat(channel.htlcs.direction('received'))) broken('receivedMsat');
  for (const side of ['local', 'remote'] as const) {
    for (const stage of ['committed', 'next'] as const) {
      const { localMsat, remoteMsat, htlcs } = commitmentSpec(channel, { side, stage });
      if (localMsat < 0n || remoteMsat < 0n) broken(`a negative balance in the ${side} commitment`);
      if (localMsat + remoteMsat + sumMsat(htlcs) !== capacityMsat)
        broken(`the sum of the ${side} commitment`);
    }
  }
  const last = channel.remoteCommit.number - 1n;
  if (last >= 0n && channel.revocations.lookup(shachainIndex(last)) === undefined) {
    broken(`the secret of their commitment ${last} is missing`);
  }
  // What we would publish stays what the peer signed, until the peer signs the next one.
  const { number } = channel.localCommit;
  const txid = bytesToHex(buildLocalCommitment(channel, { signer, number }).txid);
  const signed = localTxids.get(number);
  if (signed === undefined) localTxids.set(number, txid);
  else if (signed !== txid) broken(`our commitment ${number} is not the one that the peer signed`);
}

/** BOLT 3, told in another way than the machine's own: whose commitment trims which HTLC. */
function trimmed(channel: Channel, htlc: Htlc, { side, feeratePerKw }: { side: Side; feeratePerKw: number }) {
  return isTrimmed({
    direction: side === 'local' ? htlc.direction : htlc.direction === 'offered' ? 'received' : 'offered',
    amountMsat: htlc.amountMsat,
    dustLimitSat: channel.params[side].dustLimitSat,
    feeratePerKw,
    channelType: channel.params.format.commitment,
  });
}

function openerCostMsat(channel: Channel, spec: CommitmentSpec, side: Side): bigint {
  const { feeratePerKw } = spec;
  const channelType = channel.params.format.commitment;
  const untrimmedHtlcs = spec.htlcs.filter((htlc) => !trimmed(channel, htlc, { side, feeratePerKw })).length;
  const feeSat = commitmentFeeSat({ channelType, feeratePerKw, untrimmedHtlcs });
  return (feeSat + (channelType === 'anchors' ? 660n : 0n)) * 1000n;
}

/** What must hold right after we have added an HTLC: reserve, fee, limits, dust. */
export function checkOffer(channel: Channel, { maxDustExposureMsat }: { maxDustExposureMsat: bigint }): void {
  const { params } = channel;
  for (const side of ['local', 'remote'] as const) {
    const spec = commitmentSpec(channel, { side, stage: 'next' });
    const costMsat = params.localIsOpener ? openerCostMsat(channel, spec, side) : 0n;
    if (spec.localMsat - costMsat < params.remote.channelReserveSat * 1000n) {
      broken(`the offerer falls below its reserve in the ${side} commitment`);
    }
  }
  const { htlcs } = commitmentSpec(channel, { side: 'remote', stage: 'next' });
  const offered = htlcs.filter(({ direction }) => direction === 'offered');
  if (offered.length > params.remote.maxAcceptedHtlcs) broken('too many HTLCs are offered');
  if (sumMsat(offered) > params.remote.maxHtlcValueInFlightMsat) broken('too much is in flight');
  const newest = offered.find(({ id }) => id === channel.nextOfferedId - 1n);
  if (newest === undefined) broken('the offered HTLC is not in their next commitment');
  for (const side of ['local', 'remote'] as const) {
    const { feeratePerKw } = commitmentSpec(channel, { side, stage: 'next' });
    if (!trimmed(channel, newest, { side, feeratePerKw })) continue;
    const dust = [...channel.htlcs].filter((htlc) => trimmed(channel, htlc, { side, feeratePerKw }));
    if (sumMsat(dust) > maxDustExposureMsat) broken('the dust exposure is above its limit');
  }
}
