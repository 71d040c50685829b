import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LdkError } from '../ldk/ldkError.js';
import { LdkIpc } from '../ldk/ldkIpc.js';
import type {
  RivuletChildMethods,
  RivuletChildOptions,
  RivuletChildStarted,
} from './rivuletChildProtocol.js';

/** A node in a process of its own. */
export class RivuletProcess {
  readonly #child: ChildProcess;
  readonly #ipc: LdkIpc;
  #started: RivuletChildStarted | undefined;

  private constructor(child: ChildProcess, ipc: LdkIpc) {
    this.#child = child;
    this.#ipc = ipc;
  }

  /** @param profileDir where the process leaves a CPU profile when it ends. */
  static async start(options: RivuletChildOptions, profileDir?: string): Promise<RivuletProcess> {
    mkdirSync(options.dataDir, { recursive: true });
    const profile = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
    const child = fork(fileURLToPath(new URL('./rivuletChild.js', import.meta.url)), {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: ['--expose-gc', ...profile],
    });
    const ipc = new LdkIpc((message) => child.connected && child.send(message), {
      call: (method) => Promise.reject(new LdkError('ldk_refused', `nobody answers ${method}`)),
      note() {},
    });
    child.on('message', (message) => ipc.receive(message));
    child.once('exit', (code, signal) => {
      ipc.close(new LdkError('ldk_process', `the process of a node ended (${signal ?? code})`));
    });
    const node = new RivuletProcess(child, ipc);
    node.#started = await node.call('start', options);
    return node;
  }

  get started(): RivuletChildStarted {
    return this.#started as RivuletChildStarted;
  }

  call<Method extends keyof RivuletChildMethods>(
    method: Method,
    ...args: Parameters<RivuletChildMethods[Method]>
  ): ReturnType<RivuletChildMethods[Method]> {
    return this.#ipc.call(method, ...args) as ReturnType<RivuletChildMethods[Method]>;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    await this.call('stop').catch(() => undefined);
    this.#child.disconnect();
    await exit;
  }
}
