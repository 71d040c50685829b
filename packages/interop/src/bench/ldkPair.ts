import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equalBytes } from '@rivulet/core/bytes';
import { InteropChain } from '../ldk/interopChain.js';
import { LdkError } from '../ldk/ldkError.js';
import { LdkProcess } from '../ldk/ldkProcess.js';
import { type BenchNode, type BenchRequest, type BenchResult, createBenchResult } from './benchResult.js';

/** LDK tells that a payment is sent before its HTLC is gone: half of 483 leaves room for those. */
const maximumInFlight = 240;
/** V8 has translated the hot half of LDK's WebAssembly by then; before, it runs at half the speed. */
const warmUpPayments = 600;

function folderBytes(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

async function measureNode(node: LdkProcess, folder: string): Promise<BenchNode> {
  return { rssBytes: await node.rssBytes(), storedBytes: folderBytes(folder) };
}

/** A channel with room for all payments, ready to be used. */
async function openChannel({
  chain,
  sender,
  receiver,
  amountMsat,
}: {
  chain: InteropChain;
  sender: LdkProcess;
  receiver: LdkProcess;
  amountMsat: bigint;
}): Promise<void> {
  await sender.connect(receiver);
  // Reserve and fees of a commitment full of HTLCs on top.
  const capacitySat = ((amountMsat / 1000n) * 11n) / 10n + 2_000_000n;
  const { fundingTxid } = await sender.openChannel({ pubkey: receiver.pubkey, capacitySat });
  await sender.log.waitForEvent('broadcast', ({ txids }) => txids.some((id) => equalBytes(id, fundingTxid)));
  chain.mine(1);
  for (const node of [sender, receiver]) {
    await node.log.waitFor(
      async () => {
        await node.sync();
        return (await node.channels())[0]?.isUsable;
      },
      { what: 'channel usable' },
    );
  }
}

/**
 * Keysend payments between two LDK processes over loopback TCP and one channel of type anchors. Every update
 * of a channel monitor is written and fsynced before LDK goes on; the manager is written once a second.
 * @throws LdkError when more payments are to be in flight than LDK can have.
 */
export async function benchLdkPair(request: BenchRequest): Promise<BenchResult> {
  if (request.inFlight > maximumInFlight) {
    throw new LdkError(
      'ldk_refused',
      `LDK can have ${maximumInFlight} payments in flight, not ${request.inFlight}`,
    );
  }
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-'));
  const chain = new InteropChain();
  const folders = { sender: join(folder, 'sender'), receiver: join(folder, 'receiver') };
  const nodes: LdkProcess[] = [];
  const start = async (seed: number, dataDir: string): Promise<LdkProcess> => {
    const node = await LdkProcess.start({
      options: {
        seed: new Uint8Array(32).fill(seed),
        dataDir,
        managerPersistence: 'second',
        logLevel: 'error',
        eventHistory: 500,
        eventPaths: false,
        quiet: true,
      },
      chain: chain.ldk,
      fund: chain.fund,
    });
    nodes.push(node);
    return node;
  };
  try {
    const sender = await start(1, folders.sender);
    const receiver = await start(2, folders.receiver);
    const { payments, amountMsat, inFlight } = request;
    const totalMsat = amountMsat * BigInt(payments + warmUpPayments);
    await openChannel({ chain, sender, receiver, amountMsat: totalMsat });
    const { pubkey } = receiver;
    await sender.sendMany({ pubkey, amountMsat, payments: warmUpPayments, inFlight: 100 });
    const measurement = await sender.sendMany({ pubkey, amountMsat, payments, inFlight });
    return createBenchResult({
      implementation: 'ldk',
      request,
      measurement,
      sender: await measureNode(sender, folders.sender),
      receiver: await measureNode(receiver, folders.receiver),
    });
  } finally {
    for (const node of nodes) await node.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
