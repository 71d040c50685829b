import type { LdkNetworkGraph } from '../../ldk/ldkNetworkTypes.js';
import { type BenchRequest, createBenchResult } from '../benchResult.js';
import { checkLdkInFlight, LdkBenchNodes, ldkCapacitySat, ldkWarmUpPayments } from '../ldkBenchNodes.js';
import { untilTrue } from '../untilTrue.js';
import { benchForwardingFee, type ForwardingResult } from './forwardingResult.js';

/** BOLT 7: before, a channel is not announced. */
const announcementDepth = 6;

function knowsBoth({ channels }: LdkNetworkGraph, { withUpdates }: { withUpdates: boolean }): boolean {
  const known = channels.filter(({ oneToTwo, twoToOne }) => !withUpdates || (oneToTwo && twoToOne));
  return known.length === 2;
}

/**
 * Keysend payments over the middle of three LDK processes, over loopback TCP and announced channels of type
 * anchors; see LdkBenchNodes for what is written to disk.
 * @throws LdkError when more payments are to be in flight than LDK can have.
 */
export async function benchLdkLine(request: BenchRequest): Promise<ForwardingResult> {
  checkLdkInFlight(request);
  const nodes = new LdkBenchNodes();
  try {
    const forwarding = benchForwardingFee;
    const [sender, forwarder, receiver] = [
      await nodes.start({ forwarding }),
      await nodes.start({ forwarding }),
      await nodes.start({ forwarding }),
    ];
    const { payments, amountMsat, inFlight } = request;
    const channel = { capacitySat: ldkCapacitySat(request), announced: true };
    await nodes.open(sender, forwarder, channel);
    await nodes.open(forwarder, receiver, channel);
    await nodes.mineUntilUsable(announcementDepth);
    for (const node of [sender, forwarder, receiver]) {
      await untilTrue('announcements', async () => knowsBoth(await node.graph(), { withUpdates: false }));
    }
    // LDK may have dropped updates that came before the announcement: it asks for all after a new connection.
    await forwarder.disconnect(sender.pubkey);
    await forwarder.disconnect(receiver.pubkey);
    await untilTrue('disconnection', async () => (await forwarder.peers()).length === 0);
    await untilTrue('disconnection', async () => (await sender.peers()).length === 0);
    await sender.connect(forwarder);
    await forwarder.connect(receiver);
    await untilTrue('updates', async () => knowsBoth(await sender.graph(), { withUpdates: true }));
    await nodes.mineUntilUsable(0);
    const { pubkey } = receiver;
    await sender.sendMany({ pubkey, amountMsat, payments: ldkWarmUpPayments, inFlight: 100 });
    const measurement = await sender.sendMany({ pubkey, amountMsat, payments, inFlight });
    return {
      ...createBenchResult({
        implementation: 'ldk',
        request,
        measurement,
        sender: await nodes.measure(sender),
        receiver: await nodes.measure(receiver),
      }),
      forwarder: await nodes.measure(forwarder),
    };
  } finally {
    await nodes.stop();
  }
}
