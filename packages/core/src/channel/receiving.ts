import type { UpdateAddHtlc } from '../wire/index.js';
import { ChannelError } from './channelError.js';
import type { Htlc } from './htlc.js';
import { exceedsDustExposure, htlcLimitBreach } from './htlcLimits.js';
import { cltvExpiryLimit } from './offering.js';
import type { StepDraft } from './step.js';

/** The peer offers an HTLC (BOLT 2: update_add_htlc, receiving node). */
export function receiveAdd(draft: StepDraft, message: UpdateAddHtlc): void {
  const { channel, context } = draft;
  const { local } = channel.params;
  if (channel.shutdown.remoteScript !== undefined) {
    throw new ChannelError('message_unexpected', 'update_add_htlc came after shutdown');
  }
  if (message.id !== channel.nextReceivedId) {
    throw new ChannelError(
      'htlc_invalid',
      `update_add_htlc with id ${message.id}; ${channel.nextReceivedId} is next`,
    );
  }
  if (message.amountMsat === 0n || message.amountMsat < local.htlcMinimumMsat) {
    throw new ChannelError(
      'htlc_invalid',
      `update_add_htlc of ${message.amountMsat} msat; ${local.htlcMinimumMsat} is the least`,
    );
  }
  if (message.cltvExpiry >= cltvExpiryLimit) {
    throw new ChannelError(
      'htlc_invalid',
      `update_add_htlc with expiry ${message.cltvExpiry}, which is a time`,
    );
  }
  const htlc: Htlc = {
    direction: 'received',
    id: message.id,
    amountMsat: message.amountMsat,
    paymentHash: message.paymentHash,
    cltvExpiry: message.cltvExpiry,
    onion: message.onionRoutingPacket,
    state: 'rcvd_add',
    ...(message.pathKey === undefined ? {} : { pathKey: message.pathKey }),
  };
  const breach = htlcLimitBreach(channel, htlc);
  switch (breach?.limit) {
    case undefined:
      break;
    case 'too_many_htlcs':
      throw new ChannelError('htlc_limit_exceeded', `more than ${breach?.maximum} HTLCs at once`);
    case 'in_flight_limit':
      throw new ChannelError('htlc_limit_exceeded', `more than ${breach?.maximumMsat} msat in flight`);
    case 'amount_unaffordable':
    case 'remote_cannot_afford_fee':
      throw new ChannelError(
        'htlc_unaffordable',
        `the peer cannot afford HTLC ${message.id} of ${message.amountMsat} msat above its reserve and fees`,
      );
  }
  // BOLT 2: Bounding exposure to trimmed in-flight HTLCs, when receiving: fail it once it is committed
  const exposed = exceedsDustExposure(channel, htlc, context.policy.maxDustExposureMsat);
  draft.patch({
    htlcs: channel.htlcs.with(exposed ? { ...htlc, mustFail: 'dust_exposure' } : htlc),
    nextReceivedId: htlc.id + 1n,
    receivedMsat: channel.receivedMsat + htlc.amountMsat,
  });
}
