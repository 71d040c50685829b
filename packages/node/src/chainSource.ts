import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  addressToScript,
  bitcoindBackend,
  type ChainBackend,
  defaultStallMs,
  embeddedBackend,
  esploraBackend,
  type Network,
  startRegtest,
} from '@rivulet/chain';
import { z } from 'zod';
import type { Config } from './config/index.js';
import { DaemonError } from './daemonError.js';
import type { Miner } from './driver/index.js';

/** Where a daemon's blocks come from, and what else that place can do. */
export interface ChainSource {
  readonly backend: ChainBackend;
  readonly mine?: Miner;
  /** After the backend was closed. */
  stop(): Promise<void>;
}

/** @throws ChainError or DaemonError where the chain cannot be had. */
export async function openChainSource({ config }: { config: Config }): Promise<ChainSource> {
  const { chain, network, dataDir } = config;
  switch (chain.type) {
    case 'embedded':
      return embedded(chain, { network, dataDir });
    case 'bitcoind':
      return bitcoind(chain, network);
    case 'esplora': {
      const backend = esploraBackend({ url: chain.urls, network, ...stallOf(chain, network) });
      await checkNetwork(backend, network);
      return { backend, stop: async () => {} };
    }
  }
}

async function embedded(
  { rpcPort, esploraPort }: { rpcPort: number; esploraPort: number },
  { network, dataDir }: { network: Network; dataDir: string },
): Promise<ChainSource> {
  if (network !== 'regtest') {
    throw new DaemonError(
      'wrong_network',
      `the embedded chain is a regtest one: for ${network} set chain.type to bitcoind or esplora`,
    );
  }
  const regtest = await startRegtest({ dataDir: join(dataDir, 'regtest'), rpcPort, esploraPort });
  return {
    backend: embeddedBackend(regtest.chain),
    mine: async ({ blocks, address }) => {
      const mined = regtest.chain.mine({ blocks, script: addressToScript(address, 'regtest') });
      return { height: regtest.chain.tip.height, blockHashes: mined.map(({ hashHex }) => hashHex) };
    },
    stop: () => regtest.stop(),
  };
}

type BitcoindConfig = Extract<Config['chain'], { type: 'bitcoind' }>;

/** Regtest has blocks when somebody mines; the others have one in ten minutes. */
function stallOf({ stallMinutes }: { stallMinutes?: number }, network: Network): { stallMs: number } {
  if (stallMinutes !== undefined) return { stallMs: stallMinutes * 60_000 };
  return { stallMs: network === 'regtest' ? 0 : defaultStallMs };
}

async function bitcoind(chain: BitcoindConfig, network: Network): Promise<ChainSource> {
  const { url, auth, zmqUrl } = chain;
  const backend = bitcoindBackend({
    url,
    ...auth,
    ...(zmqUrl === undefined ? {} : { zmqUrl }),
    ...stallOf(chain, network),
  });
  await checkNetwork(backend, network);
  return {
    backend,
    ...(network === 'regtest' ? { mine: rpcMiner({ url, auth }) } : {}),
    stop: async () => {},
  };
}

async function checkNetwork(backend: ChainBackend, network: Network): Promise<void> {
  let found: Network;
  try {
    found = await backend.getNetwork();
  } catch (error) {
    await backend.close();
    throw error;
  }
  if (found === network) return;
  await backend.close();
  throw new DaemonError(
    'wrong_network',
    `the chain backend is on ${found}, this node is set to ${network}: set network or the backend's URL right`,
  );
}

const minerTimeoutMs = 60_000;
const rpcAnswer = z.object({ result: z.unknown(), error: z.object({ message: z.string() }).nullish() });

function rpcMiner({ url, auth }: Pick<BitcoindConfig, 'url' | 'auth'>): Miner {
  const call = async (method: string, params: unknown[]): Promise<unknown> => {
    let answer: z.output<typeof rpcAnswer>;
    try {
      const credentials =
        'cookiePath' in auth
          ? (await readFile(auth.cookiePath, 'utf8')).trim()
          : `${auth.user}:${auth.password}`;
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({ jsonrpc: '1.0', id: 'mine', method, params }),
        signal: AbortSignal.timeout(minerTimeoutMs),
      });
      answer = rpcAnswer.parse(await response.json());
    } catch (cause) {
      throw new DaemonError('mining_failed', `bitcoind at ${url} does not answer: does it run?`, { cause });
    }
    if (answer.error)
      throw new DaemonError('mining_failed', `bitcoind does not mine: ${answer.error.message}`);
    return answer.result;
  };
  return async ({ blocks, address }) => {
    const blockHashes = z.array(z.string()).parse(await call('generatetoaddress', [blocks, address]));
    return { height: z.int().parse(await call('getblockcount', [])), blockHashes };
  };
}
