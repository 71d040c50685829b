import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegtest } from '@rivulet/chain';
import { type BenchNode, type BenchRequest, createBenchResult } from '../benchResult.js';
import { databaseBytes, rivuletWarmUpPayments } from '../rivuletPair.js';
import { RivuletProcess } from '../rivuletProcess.js';
import { untilTrue } from '../untilTrue.js';
import { benchForwardingFee, type ForwardingResult } from './forwardingResult.js';

const names = ['sender', 'forwarder', 'receiver'] as const;

/**
 * Keysends over the middle of three Rivulet processes, over loopback TCP and announced channels of type anchors,
 * each with its SQLite file on disk and every commit synced.
 */
export async function benchRivuletLine(
  request: BenchRequest & { profileDir?: string | undefined },
): Promise<ForwardingResult> {
  const { payments, amountMsat, inFlight, profileDir } = request;
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-'));
  const regtest = await startRegtest();
  const { chain } = regtest;
  const bitcoind = { url: regtest.rpcUrl, user: regtest.rpcUser, password: regtest.rpcPassword };
  const nodes: RivuletProcess[] = [];
  const statuses = () => Promise.all(nodes.map((node) => node.call('status')));
  const mine = async (blocks: number, script?: Uint8Array): Promise<void> => {
    chain.mine({ blocks, ...(script === undefined ? {} : { script }) });
    await untilTrue('blocks', async () =>
      (await statuses()).every(({ height }) => height === chain.tip.height),
    );
  };
  try {
    for (const [i, name] of names.entries()) {
      const dataDir = join(folder, name);
      const seed = new Uint8Array(64).fill(i + 1);
      nodes.push(
        await RivuletProcess.start(
          { seed, dataDir, bitcoind, forwardingFee: benchForwardingFee },
          profileDir,
        ),
      );
    }
    const [sender, forwarder, receiver] = nodes as [RivuletProcess, RivuletProcess, RivuletProcess];
    for (const node of [sender, forwarder]) await mine(20, node.started.walletScript);
    await mine(101);
    // Reserve and fees of a full commitment on top, and what is in flight.
    const totalSat = (amountMsat / 1000n) * BigInt(payments + rivuletWarmUpPayments + inFlight);
    const capacitySat = (totalSat * 11n) / 10n + 2_000_000n;
    for (const [from, to] of [
      [sender, forwarder],
      [forwarder, receiver],
    ] as const) {
      await from.call('connect', to.started);
      const { nodeId } = to.started;
      await from.call('openChannel', { nodeId, capacitySat, pushMsat: 0n, announce: true });
      await untilTrue('the funding transaction', async () => chain.mempool.size > 0);
      await mine(6);
    }
    await untilTrue('usable channels', async () =>
      (await statuses()).every(({ usableChannels }, i) => usableChannels === (i === 1 ? 2 : 1)),
    );
    await untilTrue('gossip', async () =>
      (await statuses()).every(({ knownChannels }) => knownChannels === 2),
    );
    const send = (count: number, limit: number) =>
      sender.call('sendMany', {
        destination: receiver.started.nodeId,
        amountMsat,
        payments: count,
        inFlight: limit,
      });
    await send(rivuletWarmUpPayments, Math.min(inFlight, 100));
    const usages = () => Promise.all(nodes.map((node) => node.call('usage')));
    const before = await usages();
    const measurement = await send(payments, inFlight);
    const after = await usages();
    for (const node of nodes) await node.stop();
    const measured = names.map(
      (name, i): BenchNode => ({
        rssBytes: after[i]?.rssBytes ?? Number.NaN,
        storedBytes: databaseBytes(join(folder, name)),
      }),
    ) as [BenchNode, BenchNode, BenchNode];
    const cpu = names.map((_, i) => ((after[i]?.cpuMs ?? 0) - (before[i]?.cpuMs ?? 0)) / payments);
    return {
      ...createBenchResult({
        implementation: 'rivulet',
        request: { payments, amountMsat, inFlight },
        measurement,
        sender: measured[0],
        receiver: measured[2],
      }),
      forwarder: measured[1],
      cpuMsPerPayment: cpu as [number, number, number],
    };
  } finally {
    for (const node of nodes) await node.stop();
    await regtest.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
