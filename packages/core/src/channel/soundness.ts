import { type ChannelSigner, shachainIndex } from '../keys/index.js';
import { verifyLocalCommitment } from '../tx/index.js';
import type { Channel } from './channel.js';
import { commitmentSpec } from './commitmentSpec.js';
import { buildLocalCommitment } from './commitments.js';

/** What a channel's value contradicts; each in words for the log. Empty for a sound one. */
export function channelFaults(channel: Channel, signer: ChannelSigner): string[] {
  const { phase, dataLost } = channel;
  // Of lost data the rest is not known, and there is nothing left to hold together in a closed channel.
  if (dataLost || phase.name === 'stale' || phase.name === 'closed') return [];
  return [
    ...balanceFaults(channel),
    ...htlcFaults(channel),
    ...secretFaults(channel),
    ...commitmentFaults(channel, signer),
  ];
}

function balanceFaults(channel: Channel): string[] {
  const { localMsat, remoteMsat, params } = channel;
  const faults: string[] = [];
  if (localMsat + remoteMsat !== params.fundingSat * 1000n) {
    faults.push(`balances of ${localMsat} and ${remoteMsat} msat are not its ${params.fundingSat} sat`);
  }
  for (const side of ['local', 'remote'] as const) {
    const spec = commitmentSpec(channel, { side, stage: 'committed' });
    if (spec.localMsat < 0n || spec.remoteMsat < 0n) {
      faults.push(
        `the ${side} commitment has balances of ${spec.localMsat} and ${spec.remoteMsat} msat: less than nothing`,
      );
    }
  }
  return faults;
}

function htlcFaults({ htlcs, offeredMsat, receivedMsat, nextOfferedId, nextReceivedId }: Channel): string[] {
  const sums = { offered: 0n, received: 0n };
  const faults: string[] = [];
  htlcs.forEach(({ direction, id, amountMsat }) => {
    sums[direction] += amountMsat;
    if (id >= (direction === 'offered' ? nextOfferedId : nextReceivedId)) {
      faults.push(`${direction} HTLC ${id} has an id that was not given yet`);
    }
  });
  if (sums.offered !== offeredMsat || sums.received !== receivedMsat) {
    faults.push(
      `its HTLCs are ${sums.offered} msat offered and ${sums.received} received; it counts ${offeredMsat} and ${receivedMsat}`,
    );
  }
  return faults;
}

/** Without its secret a revoked commitment could not be punished (BOLT 3: Efficient Per-commitment Secret Storage). */
function secretFaults({ remoteCommit, revocations }: Channel): string[] {
  if (remoteCommit.number === 0n) return [];
  const last = remoteCommit.number - 1n;
  return revocations.lookup(shachainIndex(last)) === undefined
    ? [`the secret of their commitment ${last} is missing`]
    : [];
}

/** What could not be published would protect nothing. */
function commitmentFaults(channel: Channel, signer: ChannelSigner): string[] {
  const { number } = channel.localCommit;
  const fault = verifyLocalCommitment(buildLocalCommitment(channel, { signer, number }), channel.localCommit);
  return fault === undefined ? [] : [`our commitment ${number} could not be published (${fault.kind})`];
}
