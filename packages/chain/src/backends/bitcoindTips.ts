import { z } from 'zod';
import type { ChainTip } from '../chainBackend.js';
import { ChainError } from '../chainError.js';
import { hashToHex } from '../regtest/preparedTransaction.js';
import { rpcCodes } from '../regtest/rpcError.js';
import { hashFromHex } from './chainValues.js';
import type { HealthTracker } from './healthTracker.js';
import type { HttpClient } from './httpClient.js';
import type { RpcClient } from './rpcClient.js';
import { ZmqSubscriber } from './zmq/zmqSubscriber.js';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const infoSchema = z.object({
  chain: z.string().optional(),
  blocks: z.int(),
  bestblockhash: hash,
  headers: z.int().optional(),
  initialblockdownload: z.boolean().optional(),
  time: z.number().optional(),
  mediantime: z.number().optional(),
});

/** How versions of bitcoind refuse an argument that they do not know. */
const tooManyArguments: ReadonlySet<number | undefined> = new Set([
  rpcCodes.miscellaneous,
  rpcCodes.type,
  rpcCodes.invalidParameter,
]);
/** One or two blocks whose headers came first are on their way. */
const headersAhead = 2;

/** What bitcoind's tip is, how the next one is noticed, and how bitcoind is doing. */
export class BitcoindTips {
  readonly #rpc: RpcClient;
  readonly #client: HttpClient;
  readonly #health: HealthTracker;
  readonly #longPollMs: number;
  readonly #pollMs: number;
  readonly #zmq: ZmqSubscriber | undefined;
  #wait: 'from tip' | 'plain' | 'poll' = 'from tip';
  /** Ends the wait for a message of ZMQ; `true` where one came while nobody waited. */
  #wake: (() => void) | boolean = false;
  #zmqFault: string | undefined;
  #behind: string | undefined;

  constructor(options: {
    rpc: RpcClient;
    client: HttpClient;
    health: HealthTracker;
    longPollMs: number;
    zmqUrl: string | undefined;
  }) {
    this.#rpc = options.rpc;
    this.#client = options.client;
    this.#health = options.health;
    this.#longPollMs = options.longPollMs;
    this.#pollMs = Math.min(options.longPollMs, 2000);
    if (options.zmqUrl === undefined) return;
    this.#zmqFault = 'not connected yet';
    this.#zmq = new ZmqSubscriber({
      endpoint: options.zmqUrl,
      topics: ['hashblock', 'rawblock'],
      onMessage: () => this.#rouse(),
      onState: (connected, detail) => {
        this.#zmqFault = connected ? undefined : detail;
        // Blocks that came while there was no connection were told to nobody.
        if (connected) this.#rouse();
      },
    });
  }

  close(): void {
    this.#zmq?.close();
  }

  /** A call has ended; with a failure where bitcoind could not be asked. */
  callEnded(failure: ChainError | undefined): void {
    if (failure !== undefined) this.#health.set({ state: 'unreachable', detail: failure.message });
    else this.#report();
  }

  #report(): void {
    if (this.#behind !== undefined) this.#health.set({ state: 'behind', detail: this.#behind });
    else if (this.#zmqFault === undefined) this.#health.set({ state: 'ok', detail: 'bitcoind answers' });
    else {
      const detail = `bitcoind answers; its ZMQ does not (${this.#zmqFault}), so blocks are asked for`;
      this.#health.set({ state: 'ok', detail });
    }
  }

  async current(): Promise<ChainTip> {
    const info = await this.#rpc.call(infoSchema, 'getblockchaininfo');
    const { blocks: height, headers = height, bestblockhash: hashHex } = info;
    const seconds = info.time ?? info.mediantime;
    this.#health.sawTip({ height, timeMs: seconds === undefined ? undefined : seconds * 1000 });
    // On regtest it lasts until somebody mines.
    const downloading = info.initialblockdownload === true && info.chain !== 'regtest';
    this.#behind =
      downloading || headers - height > headersAhead
        ? `bitcoind has ${height} of at least ${headers} blocks yet`
        : undefined;
    this.#report();
    return { height, hash: hashFromHex(hashHex) };
  }

  /** The tip, once it may be another than `last`. */
  async next(last: ChainTip | undefined): Promise<ChainTip> {
    if (last !== undefined) {
      if (this.#zmq?.connected === true) await this.#waitForMessage(this.#longPollMs);
      else await this.#waitForBlock(last);
    }
    return this.current();
  }

  /** Waits for news of ZMQ, and not forever: messages can be lost. */
  async #waitForMessage(ms: number): Promise<void> {
    if (this.#wake === true) {
      this.#wake = false;
      return;
    }
    const roused = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const end = new AbortController();
    await Promise.race([roused, this.#client.pause(ms, end.signal)]);
    end.abort();
    this.#wake = false;
  }

  #rouse(): void {
    if (typeof this.#wake === 'function') this.#wake();
    this.#wake = true;
  }

  /** Has bitcoind answer when it has another block, by the best means that it has. */
  async #waitForBlock(last: ChainTip): Promise<void> {
    if (this.#wait === 'poll') return this.#client.pause(this.#pollMs);
    // Without the tip to wait from, a block between two waits is noticed only after the wait: a short one.
    const params = this.#wait === 'from tip' ? [this.#longPollMs, hashToHex(last.hash)] : [this.#pollMs];
    try {
      const timeoutMs = this.#longPollMs + 10_000;
      await this.#rpc.call(z.unknown(), 'waitfornewblock', params, { timeoutMs });
    } catch (error) {
      if (!(error instanceof ChainError) || error.code !== 'chain_server_error') throw error;
      if (error.serverCode === rpcCodes.methodNotFound) this.#wait = 'poll';
      else if (this.#wait === 'from tip' && tooManyArguments.has(error.serverCode)) this.#wait = 'plain';
      else throw error;
    }
  }
}
