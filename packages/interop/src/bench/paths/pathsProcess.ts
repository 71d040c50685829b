import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LdkError } from '../../ldk/ldkError.js';
import { LdkIpc } from '../../ldk/ldkIpc.js';
import type { LoadedGraph, PathAnswer, PathQuery, PathsChildMethods } from './pathQuery.js';

export type PathsImplementation = 'rivulet' | 'ldk';

/** A path-finder in a process of its own: its memory is its own, and the other does not run beside it. */
export class PathsProcess implements PathsChildMethods {
  readonly #child: ChildProcess;
  readonly #ipc: LdkIpc;

  constructor(implementation: PathsImplementation) {
    this.#child = fork(fileURLToPath(new URL('./pathsChild.js', import.meta.url)), [implementation], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: ['--expose-gc'],
    });
    const child = this.#child;
    this.#ipc = new LdkIpc((message) => child.connected && child.send(message), {
      call: (method) => Promise.reject(new LdkError('ldk_refused', `nobody answers ${method}`)),
      note() {},
    });
    child.on('message', (message) => this.#ipc.receive(message));
    child.once('exit', (code, signal) => {
      this.#ipc.close(new LdkError('ldk_process', `the process of a path-finder ended (${signal ?? code})`));
    });
  }

  load(graphPath: string): Promise<LoadedGraph> {
    return this.#ipc.call('load', graphPath) as Promise<LoadedGraph>;
  }

  find(queries: readonly PathQuery[]): Promise<PathAnswer[]> {
    return this.#ipc.call('find', queries) as Promise<PathAnswer[]>;
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.disconnect();
    await exit;
  }
}
