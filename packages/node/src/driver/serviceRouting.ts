import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { displayAlias } from '@rivulet/core/gossip';
import type { GraphChannel, Route, RouteHop } from '@rivulet/core/graph';
import { formatShortChannelId, hasFeature } from '@rivulet/core/wire';
import { type NodeService, type ResponseOf, type RouteInfo, ServiceError } from '@rivulet/sdk';
import type { RivuletNode } from './node.js';
import { PaymentError } from './payments/paymentError.js';
import { checkOtherNode } from './serviceChecks.js';
import { limitsOf, outcomeOf } from './servicePayments.js';

type RoutingService = Pick<
  NodeService,
  'route' | 'rebalance' | 'setPolicy' | 'forwards' | 'network' | 'networkNode'
>;

const hourMs = 3_600_000;

/** The endpoints about ways through the network, and about what others send through us. */
export function routingService(node: RivuletNode): RoutingService {
  return {
    route: async ({ nodeId, amountMsat, probe = false, ...limits }) => {
      checkOtherNode(node, nodeId);
      await node.reach(nodeId);
      const wanted = { destination: hexToBytes(nodeId), amountMsat, ...limitsOf(limits) };
      const { outgoing } = node.payments;
      const planned = outgoing.route(wanted);
      const probed = probe ? await probeResult(outgoing.probe(wanted)) : undefined;
      const routes = probed?.route === undefined ? planned : [probed.route];
      const sum = (amountOf: (route: Route) => bigint) =>
        routes.reduce((total, route) => total + amountOf(route), 0n);
      return {
        routes: routes.map((route) => describeRoute(node, route)),
        amountMsat: sum((route) => route.amountMsat),
        feeMsat: sum((route) => route.feeMsat),
        delayBlocks: Math.max(...routes.map(({ hops }) => hops[0]?.cltvDelta ?? 0)),
        probability: routes.reduce((product, { probability }) => product * probability, 1),
        ...(probed === undefined ? {} : { probe: { reached: probed.reached, message: probed.message } }),
      };
    },
    rebalance: async ({ fromChannelId, toChannelId, amountMsat, maxFeePpm, waitSeconds }) => {
      const from = fromChannelId === undefined ? undefined : channelOf(node, fromChannelId);
      const to = toChannelId === undefined ? undefined : channelOf(node, toChannelId);
      const sent = node.rebalance({
        amountMsat,
        maxFeeMsat: (amountMsat * BigInt(maxFeePpm)) / 1_000_000n,
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
      });
      return outcomeOf(node, { sent, waitSeconds });
    },
    setPolicy: async ({ channelId, ...change }) => {
      const keys = channelId === undefined ? [...node.turns.channels.keys()] : [channelId];
      if (channelId !== undefined) channelOf(node, channelId);
      await node.setPolicies(keys, change);
      return {
        policies: keys.flatMap((key) => {
          const channel = node.turns.channels.get(key);
          return channel === undefined
            ? []
            : [{ channelId: key, policy: node.policies.termsOf(channel).policy }];
        }),
      };
    },
    forwards: async ({ hours = 24 }) => {
      const toHour = Math.floor(Date.now() / hourMs) + 1;
      const totals = node.storage.listForwardTotals({ fromHour: Math.max(0, toHour - hours), toHour });
      return {
        pending: node.payments.forwarder.pending,
        feeMsat: totals.reduce((sum, { feeMsat }) => sum + feeMsat, 0n),
        settled: totals.reduce((sum, { settledCount }) => sum + settledCount, 0),
        totals: totals.map((total) => ({
          fromMs: total.hour * hourMs,
          incomingChannelId: bytesToHex(total.incomingChannelId),
          outgoingChannelId: bytesToHex(total.outgoingChannelId),
          settled: total.settledCount,
          failed: total.failedCount,
          amountMsat: total.amountMsat,
          feeMsat: total.feeMsat,
        })),
      };
    },
    network: async () => {
      const { nodes, channels, synced, pendingVerification } = node.gossip.status();
      return { nodes, channels, synced, pending: pendingVerification };
    },
    networkNode: async ({ nodeId }) => networkNode(node, nodeId),
  };
}

/** What a probe found, in words: that it does not arrive is an answer too. */
async function probeResult(
  probe: Promise<Route | undefined>,
): Promise<{ reached: boolean; message: string; route?: Route }> {
  try {
    const route = await probe;
    const message = 'a payment of this amount would arrive now';
    return { reached: true, message, ...(route === undefined ? {} : { route }) };
  } catch (error) {
    if (!(error instanceof PaymentError)) throw error;
    return { reached: false, message: error.message };
  }
}

/** @throws ServiceError `unknown_channel` */
function channelOf(node: RivuletNode, channelId: string): Channel {
  const channel = node.turns.channels.get(channelId);
  if (channel === undefined) {
    throw new ServiceError(
      'unknown_channel',
      `there is no channel ${channelId}; \`rivulet channels\` lists them`,
    );
  }
  return channel;
}

function describeRoute(node: RivuletNode, route: Route): RouteInfo {
  const { hops, amountMsat, feeMsat, probability } = route;
  return {
    hops: hops.map((hop, i) => describeHop(node, { hop, before: hops[i - 1] })),
    amountMsat,
    feeMsat,
    delayBlocks: hops[0]?.cltvDelta ?? 0,
    probability,
  };
}

function describeHop(
  node: RivuletNode,
  { hop, before }: { hop: RouteHop; before: RouteHop | undefined },
): RouteInfo['hops'][number] {
  const alias = aliasOf(node, hop.nodeId);
  return {
    nodeId: bytesToHex(hop.nodeId),
    ...(alias === undefined ? {} : { alias }),
    shortChannelId: formatShortChannelId(hop.shortChannelId),
    amountMsat: hop.amountMsat,
    feeMsat: before === undefined ? 0n : before.amountMsat - hop.amountMsat,
    delayBlocks: hop.cltvDelta,
  };
}

function aliasOf(node: RivuletNode, nodeId: Uint8Array): string | undefined {
  const alias = node.known.graph.getNode(nodeId)?.alias;
  return alias === undefined ? undefined : displayAlias(alias);
}

function networkNode(node: RivuletNode, nodeId: string): ResponseOf<'networkNode'> {
  const id = hexToBytes(nodeId);
  const { graph } = node.known;
  if (!graph.hasNode(id)) {
    throw new ServiceError(
      'unknown_node',
      'no announced channel of this node is known: it may have private ones only, or its gossip has not come',
    );
  }
  const features = graph.nodeFeatures(id) ?? new Uint8Array(0);
  const alias = aliasOf(node, id);
  return {
    nodeId,
    ...(alias === undefined ? {} : { alias }),
    addresses: node.known.addressesOf(id),
    features: bytesToHex(features),
    keysend: hasFeature(features, 'keysend'),
    channels: [...graph.channelsOf(id)].map((channel) => describeGraphChannel(channel, id)),
  };
}

function describeGraphChannel(
  channel: GraphChannel,
  nodeId: Uint8Array,
): ResponseOf<'networkNode'>['channels'][number] {
  const isFirst = bytesToHex(channel.nodeId1) === bytesToHex(nodeId);
  const policy = channel.policies[isFirst ? 0 : 1];
  return {
    shortChannelId: formatShortChannelId(channel.shortChannelId),
    nodeId: bytesToHex(isFirst ? channel.nodeId2 : channel.nodeId1),
    capacitySat: channel.capacitySat,
    ...(policy === undefined
      ? {}
      : {
          policy: {
            feeBaseMsat: policy.feeBaseMsat,
            feeProportionalMillionths: policy.feeProportionalMillionths,
            cltvExpiryDelta: policy.cltvExpiryDelta,
            htlcMinimumMsat: policy.htlcMinimumMsat,
            htlcMaximumMsat: policy.htlcMaximumMsat,
            disabled: policy.disabled,
          },
        }),
  };
}
