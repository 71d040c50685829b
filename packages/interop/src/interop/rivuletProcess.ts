import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BitcoindOptions } from '@rivulet/chain';
import { hexToBytes } from '@rivulet/core/bytes';
import type { ReceivePolicy } from '@rivulet/core/payment';
import { type EndpointName, endpoints, type NodeEvent } from '@rivulet/sdk';
import { LdkError } from '../ldk/ldkError.js';
import { LdkIpc } from '../ldk/ldkIpc.js';
import { gossipPathOf } from './rivuletHost.js';
import type { RivuletApi, RivuletOptions, RivuletPeer } from './rivuletPeer.js';
import { RivuletStory } from './rivuletStory.js';

export interface RivuletChildOptions extends RivuletOptions {
  readonly dataDir: string;
  /** The chain. */
  readonly rpc: BitcoindOptions;
}

/** What the child tells once it runs. */
export interface RivuletChildStarted {
  readonly nodeId: string;
  readonly port: number;
}

/** The compiled child, also when this runs from the sources: `npm run build` makes it. */
function childPath(): string {
  const here = fileURLToPath(new URL('./rivuletChild.js', import.meta.url));
  return here.replace(/([\\/])src([\\/]interop[\\/]rivuletChild\.js)$/, '$1dist$2');
}

/** A Rivulet in a process of its own, which can be killed, with its database in a folder. */
export class RivuletProcess extends RivuletStory implements RivuletPeer {
  readonly api: RivuletApi;
  #options: RivuletChildOptions;
  #child: { process: ChildProcess; ipc: LdkIpc } | undefined;
  #started: RivuletChildStarted = { nodeId: '', port: 0 };

  private constructor(options: RivuletChildOptions) {
    super();
    this.#options = options;
    const methods = (Object.keys(endpoints) as EndpointName[]).map((name) => [
      name,
      (request: unknown) => this.#call(name, request),
    ]);
    this.api = Object.fromEntries(methods) as RivuletApi;
  }

  static async start(options: RivuletChildOptions): Promise<RivuletProcess> {
    const rivulet = new RivuletProcess(options);
    await rivulet.start();
    return rivulet;
  }

  get nodeId(): string {
    return this.#started.nodeId;
  }

  get pubkey(): Uint8Array {
    return hexToBytes(this.nodeId);
  }

  get port(): number {
    return this.#started.port;
  }

  get gossipPath(): string {
    return gossipPathOf(this.#options.dataDir);
  }

  async setReceivePolicy(receive: ReceivePolicy): Promise<void> {
    this.#options = { ...this.#options, receive };
    await this.#call('setReceivePolicy', receive);
  }

  async start(): Promise<void> {
    const child = fork(childPath(), {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.addLogLine(text));
    }
    const ipc = new LdkIpc((message) => child.connected && child.send(message), {
      call: async () => undefined,
      note: (name, value) => {
        if (name === 'event') this.tell(value as NodeEvent);
        else if (name === 'log') this.addLogLine(value as string);
        else this.touch();
      },
    });
    child.on('message', (message) => ipc.receive(message));
    child.once('exit', (code, signal) => {
      const last = this.logLines.slice(-20).join('\n');
      ipc.close(new LdkError('ldk_process', `the Rivulet process ended (${signal ?? code})\n${last}`));
    });
    this.#child = { process: child, ipc };
    this.#started = (await ipc.call('start', { ...this.#options, port: this.port })) as RivuletChildStarted;
  }

  async stop({ crash = false }: { crash?: boolean } = {}): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const ended = child.process.exitCode !== null || child.process.signalCode !== null;
    const exit = ended ? Promise.resolve() : once(child.process, 'exit');
    if (crash) {
      child.process.kill('SIGKILL');
    } else if (!ended) {
      await child.ipc.call('halt');
      child.process.disconnect();
    }
    await exit;
  }

  #call(method: string, request: unknown): Promise<unknown> {
    const error = new LdkError('ldk_not_running', 'the Rivulet process is not running');
    return this.#child?.ipc.call(method, request) ?? Promise.reject(error);
  }
}
