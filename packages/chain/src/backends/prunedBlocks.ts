import { z } from 'zod';
import { BlockPrunedError, ChainError } from '../chainError.js';
import { rpcCodes } from '../regtest/rpcError.js';
import type { RpcClient } from './rpcClient.js';

/** How long each peer has to send a block, and how many are asked. */
const peerWaitMs = 15_000;
const maxPeers = 4;
const firstLookMs = 50;
const longestLookMs = 2000;

const peersSchema = z.array(z.object({ id: z.int(), servicesnames: z.array(z.string()).optional() }));

/** Whether an error of bitcoind says that it has thrown the block away. */
export function isPruned(error: unknown): boolean {
  if (!(error instanceof ChainError) || error.serverCode !== rpcCodes.miscellaneous) return false;
  return /pruned data|block not available/i.test(String(error.cause));
}

/** Has bitcoind ask a peer for a block. @returns why it does not */
async function ask(
  rpc: RpcClient,
  { hashHex, id }: { hashHex: string; id: number },
): Promise<ChainError | undefined> {
  try {
    await rpc.call(z.unknown(), 'getblockfrompeer', [hashHex, id]);
    return undefined;
  } catch (error) {
    const refused = error instanceof ChainError && error.code === 'chain_server_error';
    if (refused && error.serverCode !== rpcCodes.methodNotFound) return error;
    throw error;
  }
}

/**
 * Has a pruned bitcoind (since version 23) fetch a block from its peers again, which it then keeps for a while.
 * `look` answers with the block once it is there.
 * @throws BlockPrunedError when no peer sends it in time, or bitcoind cannot ask for it
 */
export async function fetchPruned(request: {
  rpc: RpcClient;
  hashHex: string;
  height: number;
  timeoutMs: number;
  pause: (ms: number) => Promise<void>;
  look: () => Promise<string | undefined>;
}): Promise<string> {
  const { rpc, hashHex, height, pause, look } = request;
  let leftMs = request.timeoutMs;
  let cause: unknown;
  try {
    const peers = await rpc.call(peersSchema, 'getpeerinfo');
    // Those that keep every block, and not only the last days'.
    const keepers = peers.filter(({ servicesnames }) => servicesnames?.includes('NETWORK') === true);
    for (const { id } of keepers.slice(0, maxPeers)) {
      // One that refused may have been asked before: the block may be there all the same.
      const asked = await ask(rpc, { hashHex, id });
      cause = asked ?? cause;
      let lookMs = firstLookMs;
      for (let waitedMs = 0; waitedMs < peerWaitMs && leftMs > 0; waitedMs += lookMs) {
        const found = await look();
        if (found !== undefined) return found;
        if (asked !== undefined) break;
        lookMs = Math.min(longestLookMs, lookMs * 2, leftMs);
        await pause(lookMs);
        leftMs -= lookMs;
      }
      if (leftMs <= 0) break;
    }
  } catch (error) {
    if (!(error instanceof ChainError) || error.code !== 'chain_server_error') throw error;
    cause = error;
  }
  throw new BlockPrunedError(height, cause === undefined ? {} : { cause });
}
