import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Regtest, startRegtest } from '@rivulet/chain';
import {
  type BenchMeasurement,
  type BenchRequest,
  type BenchResult,
  createBenchResult,
} from './benchResult.js';
import type { RivuletSendMany, RivuletUsage } from './rivuletChildProtocol.js';
import { RivuletProcess } from './rivuletProcess.js';
import { untilTrue } from './untilTrue.js';

/** As many as for LDK: after them the code is compiled. */
export const rivuletWarmUpPayments = 600;
/** BOLT 2: what one side may have in a commitment. */
const maxInFlightOneWay = 483;

export interface RivuletBenchRequest extends BenchRequest {
  channels: number;
  /** Where both processes leave a CPU profile. */
  profileDir?: string | undefined;
}

/** What only Rivulet's side of the benchmark tells, in addition. */
export interface RivuletBenchResult extends BenchResult {
  channels: number;
  /** `both`: half of the payments go the other way at the same time, with half of `inFlight`. */
  direction: 'one way' | 'both';
  /** Of the sender and the receiver. */
  cpuMsPerPayment: readonly [number, number];
  rssBytesPerPayment: readonly [number, number];
  /** After the nodes have stopped, so without their write-ahead logs. */
  storedBytesPerPayment: readonly [number, number];
  cryptoBackend: string;
}

/** Of a node's database, its write-ahead log included. */
export function databaseBytes(folder: string): number {
  return readdirSync(folder)
    .filter((name) => name.startsWith('rivulet.db'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

interface Pair {
  regtest: Regtest;
  sender: RivuletProcess;
  receiver: RivuletProcess;
}

async function openChannels(
  { regtest: { chain }, sender, receiver }: Pair,
  { channels, capacitySat, pushMsat }: { channels: number; capacitySat: bigint; pushMsat: bigint },
): Promise<void> {
  const both = [sender, receiver];
  const mine = async (blocks: number, script?: Uint8Array): Promise<void> => {
    chain.mine({ blocks, ...(script === undefined ? {} : { script }) });
    await untilTrue('blocks', async () => {
      const seen = await Promise.all(both.map((node) => node.call('status')));
      return seen.every(({ height }) => height === chain.tip.height);
    });
  };
  await mine(40, sender.started.walletScript);
  await mine(101);
  await sender.call('connect', receiver.started);
  for (let opened = 0; opened < channels; opened++) {
    await sender.call('openChannel', { nodeId: receiver.started.nodeId, capacitySat, pushMsat });
    await untilTrue('the funding transaction', async () => chain.mempool.size > 0);
    await mine(6);
  }
  await untilTrue('usable channels', async () => {
    const seen = await Promise.all(both.map((node) => node.call('status')));
    return seen.every(({ usableChannels }) => usableChannels === channels);
  });
}

/** Half of the payments each way, at the same time, or all of them from the sender. */
async function run(
  { sender, receiver }: Pair,
  { payments, amountMsat, inFlight }: BenchRequest,
  bothWays: boolean,
): Promise<BenchMeasurement> {
  const request = (to: RivuletProcess, share: number): RivuletSendMany => ({
    destination: to.started.nodeId,
    amountMsat,
    payments: share,
    inFlight: bothWays ? Math.ceil(inFlight / 2) : inFlight,
  });
  if (!bothWays) return sender.call('sendMany', request(receiver, payments));
  const half = Math.ceil(payments / 2);
  const measured = await Promise.all([
    sender.call('sendMany', request(receiver, half)),
    receiver.call('sendMany', request(sender, payments - half)),
  ]);
  const merged = (pick: (one: BenchMeasurement) => Float64Array): Float64Array =>
    Float64Array.from(measured.flatMap((one) => [...pick(one)]));
  return {
    elapsedMs: Math.max(...measured.map(({ elapsedMs }) => elapsedMs)),
    latenciesMs: merged(({ latenciesMs }) => latenciesMs),
    settledAtMs: merged(({ settledAtMs }) => settledAtMs).sort(),
  };
}

async function usages({ sender, receiver }: Pair): Promise<[RivuletUsage, RivuletUsage]> {
  return [await sender.call('usage'), await receiver.call('usage')];
}

/**
 * Keysends between two Rivulet processes over loopback TCP and channels of type anchors, each with its SQLite
 * file on disk and every commit synced. Above 483 in flight on one channel the payments go both ways.
 */
export async function benchRivuletPair(request: RivuletBenchRequest): Promise<RivuletBenchResult> {
  const { payments, amountMsat, inFlight, channels, profileDir } = request;
  const bothWays = inFlight > maxInFlightOneWay * channels;
  const folder = mkdtempSync(join(tmpdir(), 'rivulet-bench-'));
  const folders = [join(folder, 'sender'), join(folder, 'receiver')] as const;
  const regtest = await startRegtest();
  const bitcoind = { url: regtest.rpcUrl, user: regtest.rpcUser, password: regtest.rpcPassword };
  const nodes: RivuletProcess[] = [];
  const start = async (fill: number, dataDir: string): Promise<RivuletProcess> => {
    const node = await RivuletProcess.start(
      { seed: new Uint8Array(64).fill(fill), dataDir, bitcoind },
      profileDir,
    );
    nodes.push(node);
    return node;
  };
  try {
    const pair: Pair = { regtest, sender: await start(1, folders[0]), receiver: await start(2, folders[1]) };
    // Reserve, fees of a full commitment and an uneven use of the channels on top.
    const eachSat =
      ((amountMsat / 1000n) * BigInt(payments + rivuletWarmUpPayments) * 11n) / 10n / BigInt(channels);
    const capacitySat = eachSat + (amountMsat / 1000n) * BigInt(inFlight) + 2_000_000n;
    const pushMsat = bothWays ? (capacitySat / 2n) * 1000n : 0n;
    await openChannels(pair, { channels, capacitySat, pushMsat });
    await run(
      pair,
      { payments: rivuletWarmUpPayments, amountMsat, inFlight: Math.min(inFlight, 100) },
      false,
    );
    const before = await usages(pair);
    const measurement = await run(pair, request, bothWays);
    const after = await usages(pair);
    for (const node of nodes) await node.stop();
    const perPayment = (of: (at: 0 | 1) => number): [number, number] => [of(0) / payments, of(1) / payments];
    const stored = [databaseBytes(folders[0]), databaseBytes(folders[1])] as const;
    const total = payments + rivuletWarmUpPayments;
    return {
      ...createBenchResult({
        implementation: 'rivulet',
        request: { payments, amountMsat, inFlight },
        measurement,
        sender: { rssBytes: after[0].rssBytes, storedBytes: stored[0] },
        receiver: { rssBytes: after[1].rssBytes, storedBytes: stored[1] },
      }),
      channels,
      direction: bothWays ? 'both' : 'one way',
      cpuMsPerPayment: perPayment((at) => after[at].cpuMs - before[at].cpuMs),
      rssBytesPerPayment: perPayment((at) => after[at].rssBytes - before[at].rssBytes),
      storedBytesPerPayment: [stored[0] / total, stored[1] / total],
      cryptoBackend: pair.sender.started.cryptoBackend,
    };
  } finally {
    for (const node of nodes) await node.stop();
    await regtest.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
