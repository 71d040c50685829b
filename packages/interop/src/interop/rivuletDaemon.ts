import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BitcoindOptions } from '@rivulet/chain';
import { hexToBytes } from '@rivulet/core/bytes';
import { createClient, type NodeEvent, type RivuletClient, tokenFileName } from '@rivulet/sdk';
import type { RivuletApi, RivuletPeer } from './rivuletPeer.js';
import { type ProgramRun, startRivuletProgram } from './rivuletProgram.js';
import { RivuletStory } from './rivuletStory.js';
import { InteropError } from './waitUntil.js';

export interface RivuletDaemonOptions {
  readonly dataDir: string;
  /** The chain. */
  readonly rpc: Pick<BitcoindOptions, 'url' | 'user' | 'password'>;
  /** More of what `rivulet up` takes: `{ '--reconnect': 'true' }`. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** Settings under which a program of Rivulet finds the chain of a case. */
export function chainFlags({ url, user, password }: RivuletDaemonOptions['rpc']): string[] {
  const flags = {
    '--network': 'regtest',
    '--chain-type': 'bitcoind',
    '--chain-url': url,
    '--chain-user': user ?? '',
    '--chain-password': password ?? '',
    '--log-level': 'debug',
  };
  return Object.entries(flags).flat();
}

interface Ready {
  readonly nodeId: string;
  readonly apiUrl: string;
  readonly listening: readonly { readonly port: number }[];
}

/** The daemon as its users run it, `rivulet up`, with all of its parts: backups, copies, towers. */
export class RivuletDaemon extends RivuletStory implements RivuletPeer {
  readonly dataDir: string;
  readonly #options: RivuletDaemonOptions;
  #running: { run: ProgramRun; client: RivuletClient; events: AbortController } | undefined;
  #ready: Ready = { nodeId: '', apiUrl: '', listening: [] };

  private constructor(options: RivuletDaemonOptions) {
    super();
    this.#options = options;
    this.dataDir = options.dataDir;
  }

  static async start(options: RivuletDaemonOptions): Promise<RivuletDaemon> {
    const daemon = new RivuletDaemon(options);
    await daemon.start();
    return daemon;
  }

  get nodeId(): string {
    return this.#ready.nodeId;
  }

  get pubkey(): Uint8Array {
    return hexToBytes(this.nodeId);
  }

  get port(): number {
    return this.#ready.listening[0]?.port ?? 0;
  }

  get api(): RivuletApi {
    if (this.#running === undefined) throw new InteropError('interop_unexpected', 'this Rivulet is stopped');
    return this.#running.client;
  }

  /** Of its log file, over all lives in this folder. */
  override get logLines(): string[] {
    const file = join(this.dataDir, 'rivulet.log');
    return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  }

  async setReceivePolicy(): Promise<void> {
    throw new InteropError('interop_unexpected', 'a daemon has its settings from its start on');
  }

  async start(): Promise<void> {
    const { rpc, flags = {} } = this.#options;
    const settings = {
      '--data-dir': this.dataDir,
      '--listen-port': String(this.port),
      '--api-port': '0',
      '--keysend-accept': 'true',
      '--channels-minimum-depth': '1',
      // The cases say when there is a connection.
      '--reconnect': 'false',
      ...flags,
    };
    const run = startRivuletProgram(['up', ...chainFlags(rpc), ...Object.entries(settings).flat()]);
    this.#ready = (await run.firstLine) as Ready;
    const token = readFileSync(join(this.dataDir, tokenFileName), 'utf8').trim();
    const client = createClient({ url: this.#ready.apiUrl, token });
    const events = new AbortController();
    this.#running = { run, client, events };
    const stream = await client.events({ signal: events.signal });
    void this.#follow(stream);
  }

  async #follow(stream: AsyncIterable<NodeEvent>): Promise<void> {
    try {
      for await (const event of stream) this.tell(event);
    } catch {
      // It was killed.
    }
  }

  async stop({ crash = false }: { crash?: boolean } = {}): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    running.run.kill(crash ? 'SIGKILL' : 'SIGTERM');
    await running.run.exited;
    running.events.abort();
  }
}
