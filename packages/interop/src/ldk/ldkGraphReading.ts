import * as ldk from 'lightningdevkit';
import type { LdkGraphChannel, LdkGraphDirection, LdkGraphNode, LdkNetworkGraph } from './ldkNetworkTypes.js';
import { featureBits, isNull, optional } from './ldkRuntime.js';

function describeDirection(update: ldk.ChannelUpdateInfo): LdkGraphDirection | undefined {
  if (isNull(update)) return undefined;
  const fees = update.get_fees();
  return {
    enabled: Boolean(update.get_enabled()),
    feeBaseMsat: fees.get_base_msat(),
    feeProportionalMillionths: fees.get_proportional_millionths(),
    cltvExpiryDelta: update.get_cltv_expiry_delta(),
    htlcMinimumMsat: update.get_htlc_minimum_msat(),
    htlcMaximumMsat: update.get_htlc_maximum_msat(),
    timestamp: update.get_last_update(),
  };
}

function describeChannel(shortChannelId: bigint, info: ldk.ChannelInfo): LdkGraphChannel {
  const capacitySat = optional<bigint>(info.get_capacity_sats());
  const oneToTwo = describeDirection(info.get_one_to_two());
  const twoToOne = describeDirection(info.get_two_to_one());
  return {
    shortChannelId,
    nodeId1: info.get_node_one().as_array(),
    nodeId2: info.get_node_two().as_array(),
    ...(capacitySat !== undefined && { capacitySat }),
    ...(oneToTwo && { oneToTwo }),
    ...(twoToOne && { twoToOne }),
  };
}

function describeNode(nodeId: Uint8Array, info: ldk.NodeInfo): LdkGraphNode {
  const announcement = optional<ldk.NodeAnnouncementInfo>(info.get_announcement_info());
  return {
    nodeId,
    shortChannelIds: [...info.get_channels()],
    ...(announcement && {
      announcement: {
        alias: Buffer.from(announcement.alias().get_a()).toString('utf8').replace(/\0+$/, ''),
        rgb: announcement.rgb(),
        timestamp: announcement.last_update(),
        addresses: announcement
          .addresses()
          .flatMap((address) =>
            address instanceof ldk.SocketAddress_TcpIpV4 ? [`${address.addr.join('.')}:${address.port}`] : [],
          ),
        features: featureBits(announcement.features().le_flags()),
      },
    }),
  };
}

/** A node's graph as plain data; holds LDK's lock on it no longer than this call. */
export function readNetworkGraph(graph: ldk.NetworkGraph): LdkNetworkGraph {
  const view = graph.read_only();
  try {
    const channels: LdkGraphChannel[] = [];
    for (const shortChannelId of view.list_channels()) {
      const info = view.channel(shortChannelId);
      if (!isNull(info)) channels.push(describeChannel(shortChannelId, info));
    }
    const nodes: LdkGraphNode[] = [];
    for (const id of view.list_nodes()) {
      const info = view.node(id);
      if (!isNull(info)) nodes.push(describeNode(id.as_array(), info));
    }
    return { channels, nodes };
  } finally {
    view.free();
  }
}
