import { join } from 'node:path';
import { startEsploraServer } from './esploraServer.js';
import { claimFolder } from './folderClaim.js';
import type { LoopbackServer } from './loopbackServer.js';
import { RegtestChain } from './regtestChain.js';
import { startRpcServer } from './rpcServer.js';

export interface RegtestOptions {
  /** Keeps the chain (`regtest.dat`) and the RPC's `.cookie`. In memory only without. */
  readonly dataDir?: string;
  /** Default: a free one. */
  readonly rpcPort?: number;
  /** Default: a free one. */
  readonly esploraPort?: number;
  /** Default: `__cookie__` and a random password, in the cookie. */
  readonly rpcUser?: string;
  readonly rpcPassword?: string;
  readonly now?: () => number;
  readonly feeratePerKw?: number;
  /** Called on the RPC method `stop`, after the servers have stopped. */
  readonly onStop?: () => void;
}

export interface Regtest {
  readonly chain: RegtestChain;
  readonly rpcUrl: string;
  readonly rpcUser: string;
  readonly rpcPassword: string;
  /** `undefined` without a dataDir. */
  readonly cookiePath: string | undefined;
  readonly esploraUrl: string;
  stop(): Promise<void>;
}

/**
 * A regtest chain with Bitcoin Core's JSON-RPC and Esplora's HTTP on 127.0.0.1.
 * @throws ChainError `chain_folder_in_use`, `chain_port_in_use`
 */
export async function startRegtest(options: RegtestOptions = {}): Promise<Regtest> {
  const { dataDir } = options;
  const cookiePath = dataDir === undefined ? undefined : join(dataDir, '.cookie');
  const release = dataDir === undefined ? () => {} : claimFolder(dataDir);
  let chain: RegtestChain;
  try {
    chain = new RegtestChain({
      ...(dataDir === undefined ? {} : { dataFile: join(dataDir, 'regtest.dat') }),
      ...(options.now === undefined ? {} : { now: options.now }),
      ...(options.feeratePerKw === undefined ? {} : { feeratePerKw: options.feeratePerKw }),
    });
  } catch (error) {
    release();
    throw error;
  }
  const servers: LoopbackServer[] = [];

  async function stop(): Promise<void> {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    chain.close();
    release();
  }

  try {
    const esplora = await startEsploraServer({ chain, port: options.esploraPort });
    servers.push(esplora);
    const rpc = await startRpcServer({
      chain,
      port: options.rpcPort,
      user: options.rpcUser,
      password: options.rpcPassword,
      cookiePath,
      // The answer to `stop` goes out first.
      onStop: () => setImmediate(() => void stop().then(() => options.onStop?.())),
    });
    servers.push(rpc);
    const { user: rpcUser, password: rpcPassword } = rpc;
    return { chain, rpcUrl: rpc.url, rpcUser, rpcPassword, cookiePath, esploraUrl: esplora.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
