import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type EndpointName, endpoints } from '@rivulet/sdk';
import type { RivuletApi } from '../interop/rivuletPeer.js';
import { LdkError } from '../ldk/ldkError.js';
import { LdkIpc } from '../ldk/ldkIpc.js';
import type {
  ChaosChildMethods,
  ChaosChildNotes,
  ChaosChildOptions,
  ChaosChildStarted,
} from './chaosChildProtocol.js';

/** The compiled child, also when this runs from the sources: `npm run build` makes it. */
function childPath(): string {
  const here = fileURLToPath(new URL('./chaosChild.js', import.meta.url));
  return here.replace(/([\\/])src([\\/]chaos[\\/]chaosChild\.js)$/, '$1dist$2');
}

/** So that the rest of the machine does not suffer. */
const niceness = 2;
const linesKept = 40;

export interface ChaosExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last lines that it printed. */
  readonly printed: string;
}

/** One life of a node: a process that is started once and ends once. */
export class ChaosProcess {
  readonly api: RivuletApi;
  readonly exited: Promise<ChaosExit>;
  readonly #child: ChildProcess;
  readonly #ipc: LdkIpc;
  #printed: string[] = [];

  constructor(
    onNote: <Name extends keyof ChaosChildNotes>(name: Name, value: ChaosChildNotes[Name]) => void,
  ) {
    const child = fork(childPath(), {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
    });
    this.#child = child;
    if (child.pid !== undefined) setPriority(child.pid, niceness);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#printed = [...this.#printed, ...text.trimEnd().split('\n')].slice(-linesKept);
      });
    }
    this.#ipc = new LdkIpc((message) => child.connected && child.send(message, () => {}), {
      call: (method) => Promise.reject(new LdkError('ldk_refused', `nobody answers ${method}`)),
      note: (name, value) => onNote(name as keyof ChaosChildNotes, value as never),
    });
    child.on('message', (message) => this.#ipc.receive(message));
    child.on('error', () => {});
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#ipc.close(new LdkError('ldk_process', `the process of a node ended (${signal ?? code})`));
        resolve({ code, signal, printed: this.#printed.join('\n') });
      });
    });
    const methods = (Object.keys(endpoints) as EndpointName[]).map((name) => [
      name,
      (request: unknown) => this.call('api', name, request),
    ]);
    this.api = Object.fromEntries(methods) as RivuletApi;
  }

  start(options: ChaosChildOptions): Promise<ChaosChildStarted> {
    mkdirSync(options.dataDir, { recursive: true });
    return this.call('start', options);
  }

  call<Method extends keyof ChaosChildMethods>(
    method: Method,
    ...args: Parameters<ChaosChildMethods[Method]>
  ): ReturnType<ChaosChildMethods[Method]> {
    return this.#ipc.call(method, ...args) as ReturnType<ChaosChildMethods[Method]>;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Stops in order; what does not stop within ten seconds is killed. @returns whether it stopped */
  async halt(): Promise<boolean> {
    if (!this.isAlive) return true;
    const timeout = AbortSignal.timeout(10_000);
    const late = once(timeout, 'abort').then(() => false);
    const stopped = await Promise.race([
      this.call('halt').then(
        () => true,
        () => true,
      ),
      late,
    ]);
    if (stopped && this.#child.connected) this.#child.disconnect();
    else this.kill();
    await this.exited;
    return stopped;
  }
}
