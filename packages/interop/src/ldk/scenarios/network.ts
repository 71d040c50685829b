import { equalBytes } from '@rivulet/core/bytes';
import type { LdkNetworkGraph } from '../ldkNetworkTypes.js';
import type { LdkPeer } from '../ldkPeer.js';
import type { LdkNodeOptions, LdkOpenedChannel } from '../ldkTypes.js';
import { mineAndSync, type ScenarioContext, waitUsable } from './scenario.js';

/** Confirmations from which on a channel may be announced (BOLT 7). */
const announcementDepth = 6;

/** alice - bob - carol. */
export interface Line {
  alice: LdkPeer;
  bob: LdkPeer;
  carol: LdkPeer;
  /** From alice to bob. */
  first: LdkOpenedChannel;
  /** From bob to carol; several where the line has been asked for more. */
  last: readonly LdkOpenedChannel[];
}

interface LineOptions {
  alice?: Partial<LdkNodeOptions>;
  bob?: Partial<LdkNodeOptions>;
  carol?: Partial<LdkNodeOptions>;
  capacitySat?: bigint;
  /** Of the channels between bob and carol. */
  lastCapacitySat?: bigint;
  /** Channels side by side between bob and carol. */
  lastChannels?: number;
  /** Whether the channels between bob and carol are announced. */
  announceLast?: boolean;
}

/** Resolves once the node's graph is as `isKnown` wants it. */
export async function waitForGraph(
  peer: LdkPeer,
  what: string,
  isKnown: (graph: LdkNetworkGraph) => boolean,
): Promise<LdkNetworkGraph> {
  // Gossip raises no event of its own, but each message that comes in lets waits look again.
  return peer.log.waitFor(
    async () => {
      const graph = await peer.graph();
      return isKnown(graph) && graph;
    },
    { what },
  ) as Promise<LdkNetworkGraph>;
}

/** Whether so many channels are known, with the updates of both ends or without. */
export function knowsChannels(
  count: number,
  { withUpdates = true } = {},
): (graph: LdkNetworkGraph) => boolean {
  return ({ channels }) =>
    channels.filter(({ oneToTwo, twoToOne }) => !withUpdates || (oneToTwo && twoToOne)).length === count;
}

/**
 * Waits until all know so many channels with the updates of both ends. LDK drops an update that comes in the
 * same read as the peer's announcement_signatures, before it has announced the channel to itself: after a
 * new connection it asks for all there is.
 */
async function shareGossip(peers: readonly [LdkPeer, ...LdkPeer[]], channels: number): Promise<void> {
  for (const peer of peers) {
    await waitForGraph(
      peer,
      `${channels} channels announced`,
      knowsChannels(channels, { withUpdates: false }),
    );
  }
  const pairs = peers.slice(1).map((peer, i) => [peers[i]!, peer] as const);
  for (const [from, to] of pairs) await from.disconnect(to.pubkey);
  for (const peer of peers) {
    await peer.log.waitFor(async () => (await peer.peers()).length === 0, { what: 'disconnected' });
  }
  for (const [from, to] of pairs) await from.connect(to);
  for (const peer of peers) {
    await waitForGraph(peer, `${channels} channels with all updates`, knowsChannels(channels));
  }
}

/** Opens a channel without waiting for its confirmation. */
async function openFunded(
  from: LdkPeer,
  to: LdkPeer,
  channel: { capacitySat: bigint; pushMsat?: bigint; announced?: boolean },
): Promise<LdkOpenedChannel> {
  const opened = await from.openChannel({ pubkey: to.pubkey, ...channel });
  await from.log.waitForEvent('broadcast', ({ txids }) =>
    txids.some((id) => equalBytes(id, opened.fundingTxid)),
  );
  return opened;
}

/** Three nodes in a line, whose graphs know all announced channels. */
export async function openLine(context: ScenarioContext, options: LineOptions = {}): Promise<Line> {
  const { chain, startLdk, channelType } = context;
  const { capacitySat = 1_000_000n, lastCapacitySat = capacitySat } = options;
  const { lastChannels = 1, announceLast = true } = options;
  const alice = await startLdk({ channelType, ...options.alice });
  const bob = await startLdk({ channelType, ...options.bob });
  const carol = await startLdk({ channelType, ...options.carol });
  await alice.connect(bob);
  await bob.connect(carol);
  const first = await openFunded(alice, bob, { capacitySat, announced: true });
  const last: LdkOpenedChannel[] = [];
  for (let i = 0; i < lastChannels; i++) {
    last.push(await openFunded(bob, carol, { capacitySat: lastCapacitySat, announced: announceLast }));
  }
  await mineAndSync(chain, announcementDepth, alice, bob, carol);
  await waitUsable(first.channelId, alice, bob);
  for (const { channelId } of last) await waitUsable(channelId, bob, carol);
  await shareGossip([alice, bob, carol], announceLast ? 1 + lastChannels : 1);
  await waitUsable(first.channelId, alice, bob);
  for (const { channelId } of last) await waitUsable(channelId, bob, carol);
  return { alice, bob, carol, first, last };
}
