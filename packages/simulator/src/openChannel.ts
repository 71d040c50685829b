import { utf8ToBytes } from '@rivulet/core/bytes';
import {
  acceptOpening,
  type Channel,
  type ChannelMessage,
  defaultAcceptPolicy,
  defaultOpeningLimits,
  defaultPeerTolerance,
  fundingCreated,
  type OpeningFeatures,
  receiveAcceptChannel,
  receiveFundingCreated,
  receiveFundingSigned,
  type StepContext,
  startOpening,
  step,
} from '@rivulet/core/channel';
import { sha256 } from '@rivulet/core/crypto';
import { deriveChannelSecrets, InMemoryChannelSigner } from '@rivulet/core/keys';
import type { SimChain } from './simChain.js';

export const chainHash = sha256(utf8ToBytes('rivulet simulation'));

const features: OpeningFeatures = {
  largeChannels: true,
  upfrontShutdown: false,
  anySegwit: true,
  simpleClose: true,
  staticRemoteKey: true,
  anchors: true,
  scidAlias: false,
  zeroConf: false,
  dualFund: false,
};

interface OpeningEnd {
  readonly nodeId: Uint8Array;
  readonly seed: Uint8Array;
}

export interface OpeningPlan {
  readonly opener: OpeningEnd;
  readonly accepter: OpeningEnd;
  /** Of all channels of the simulation. */
  readonly index: number;
  readonly capacitySat: bigint;
  /** What the opener keeps, from 0 to 1; a little more where it could not pay the fees. */
  readonly share: number;
  readonly feeratePerKw: number;
  readonly maxAcceptedHtlcs: number;
  /** Where the funding transaction is in the chain. */
  readonly confirmedHeight: number;
}

export interface OpenedSide {
  readonly channel: Channel;
  readonly signer: InMemoryChannelSigner;
}

/** What the opener is left with at least: its reserve and the fees of some HTLCs. */
const fixedReserveSat = 6_000n;

/** Opens a channel by BOLT 2's messages; its funding output is on the chain and deep. */
export function openChannel(
  plan: OpeningPlan,
  { chain, contextOf }: { chain: SimChain; contextOf: (signer: InMemoryChannelSigner) => StepContext },
): { opener: OpenedSide; accepter: OpenedSide } {
  const { opener, accepter, index, capacitySat } = plan;
  const channelKeyId = sha256(utf8ToBytes(`channel ${index}`));
  const signers = [opener, accepter].map(
    ({ seed }) => new InMemoryChannelSigner(deriveChannelSecrets(seed, channelKeyId)),
  ) as [InMemoryChannelSigner, InMemoryChannelSigner];
  const leastSat = (capacitySat * 3n) / 100n + fixedReserveSat;
  const wantedMsat = BigInt(Math.floor(Number(capacitySat) * plan.share)) * 1000n;
  const openerMsat = wantedMsat > leastSat * 1000n ? wantedMsat : leastSat * 1000n;
  const common = {
    chainHash,
    channelKeyId,
    features,
    limits: { ...defaultOpeningLimits, maxAcceptedHtlcs: plan.maxAcceptedHtlcs },
    localAlias: BigInt(index) + (1n << 60n),
  };
  const started = startOpening({
    ...common,
    remoteNodeId: accepter.nodeId,
    signer: signers[0],
    temporaryChannelId: sha256(channelKeyId),
    format: { commitment: 'anchors', scidAlias: false, zeroConf: false },
    announce: true,
    fundingSat: capacitySat,
    pushMsat: capacitySat * 1000n - openerMsat,
    feeratePerKw: plan.feeratePerKw,
  });
  const accepted = acceptOpening({
    ...common,
    open: started.message,
    remoteNodeId: opener.nodeId,
    signer: signers[1],
    policy: defaultAcceptPolicy,
  });
  const funding = receiveAcceptChannel(started.opening, accepted.message, defaultPeerTolerance);
  const outpoint = { txid: sha256(utf8ToBytes(`funding ${index}`)), index: 0 };
  const created = fundingCreated(funding, { outpoint });
  const funded = receiveFundingCreated(accepted.opening, created.message);
  const { channel } = receiveFundingSigned(created.opening, funded.message);
  chain.issue(outpoint, { valueSat: capacitySat, script: funding.fundingScript });
  return makeReady(
    [
      { channel, signer: signers[0] },
      { channel: funded.channel, signer: signers[1] },
    ],
    { confirmed: { height: plan.confirmedHeight, index }, contextOf },
  );
}

/** Both sides see the funding transaction and exchange `channel_ready`; then they are disconnected. */
function makeReady(
  sides: readonly [OpenedSide, OpenedSide],
  {
    confirmed,
    contextOf,
  }: {
    confirmed: { height: number; index: number };
    contextOf: (signer: InMemoryChannelSigner) => StepContext;
  },
): { opener: OpenedSide; accepter: OpenedSide } {
  const channels = sides.map(({ channel }) => channel) as [Channel, Channel];
  const inboxes: [ChannelMessage[], ChannelMessage[]] = [[], []];
  const run = (side: 0 | 1, command: Parameters<typeof step>[1]) => {
    const made = step(channels[side], command, contextOf(sides[side].signer));
    channels[side] = made.channel;
    for (const effect of made.effects) {
      if (effect.type === 'send') inboxes[side === 0 ? 1 : 0].push(effect.message);
    }
  };
  for (const side of [0, 1] as const) run(side, { type: 'fundingConfirmed', ...confirmed });
  for (const side of [0, 1] as const) {
    for (const message of inboxes[side]) run(side, { type: 'message', message });
  }
  for (const side of [0, 1] as const) run(side, { type: 'disconnected' });
  return {
    opener: { ...sides[0], channel: channels[0] },
    accepter: { ...sides[1], channel: channels[1] },
  };
}
