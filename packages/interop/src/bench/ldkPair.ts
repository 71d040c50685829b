import { type BenchRequest, type BenchResult, createBenchResult } from './benchResult.js';
import { checkLdkInFlight, LdkBenchNodes, ldkCapacitySat, ldkWarmUpPayments } from './ldkBenchNodes.js';

/**
 * Keysend payments between two LDK processes over loopback TCP and one channel of type anchors; see
 * LdkBenchNodes for what is written to disk.
 * @throws LdkError when more payments are to be in flight than LDK can have.
 */
export async function benchLdkPair(request: BenchRequest): Promise<BenchResult> {
  checkLdkInFlight(request);
  const nodes = new LdkBenchNodes();
  try {
    const sender = await nodes.start();
    const receiver = await nodes.start();
    const { payments, amountMsat, inFlight } = request;
    await nodes.open(sender, receiver, { capacitySat: ldkCapacitySat(request), announced: false });
    await nodes.mineUntilUsable(1);
    const { pubkey } = receiver;
    await sender.sendMany({ pubkey, amountMsat, payments: ldkWarmUpPayments, inFlight: 100 });
    const measurement = await sender.sendMany({ pubkey, amountMsat, payments, inFlight });
    return createBenchResult({
      implementation: 'ldk',
      request,
      measurement,
      sender: await nodes.measure(sender),
      receiver: await nodes.measure(receiver),
    });
  } finally {
    await nodes.stop();
  }
}
