import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createClient, type NodeEvent, type RivuletClient, tokenFileName } from '@rivulet/sdk';
import { z } from 'zod';
import { CliError } from '../cliError.js';

const readyLine = z.object({
  nodeId: z.string(),
  apiUrl: z.string(),
  listening: z.array(z.object({ host: z.string(), port: z.number() })),
});

const askEveryMs = 50;
const patienceMs = 90_000;

/** One daemon of the demo: a process of its own, run by `rivulet up`. */
export class DemoNode {
  readonly name: string;
  readonly dataDir: string;
  readonly nodeId: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly client: RivuletClient;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;

  private constructor(given: {
    name: string;
    dataDir: string;
    ready: z.output<typeof readyLine>;
    process: ChildProcess;
    exited: Promise<void>;
  }) {
    const { name, dataDir, ready } = given;
    this.name = name;
    this.dataDir = dataDir;
    this.nodeId = ready.nodeId;
    const [address] = ready.listening;
    if (address === undefined) throw new CliError('not_available', `${name} listens nowhere`);
    this.address = address;
    const token = readFileSync(join(dataDir, tokenFileName), 'utf8').trim();
    this.client = createClient({ url: ready.apiUrl, token });
    this.#process = given.process;
    this.#exited = given.exited;
  }

  static async start(given: {
    name: string;
    dataDir: string;
    chain: { rpcUrl: string; cookiePath: string };
    signal: AbortSignal;
  }): Promise<DemoNode> {
    const { name, dataDir, chain } = given;
    const program = fileURLToPath(new URL('../main.js', import.meta.url));
    const flags = {
      '--data-dir': dataDir,
      '--alias': name,
      '--network': 'regtest',
      '--listen-port': '0',
      '--api-port': '0',
      '--chain-type': 'bitcoind',
      '--chain-url': chain.rpcUrl,
      '--chain-cookie-path': chain.cookiePath,
      '--keysend-accept': 'true',
      '--log-level': 'debug',
    };
    const child = spawn(process.execPath, [program, 'up', '--json', ...Object.entries(flags).flat()], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C at the terminal is for the demo, which stops its nodes in order.
      detached: true,
      env: { PATH: process.env.PATH ?? '' },
    });
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-2_000);
    });
    const lines = createInterface({ input: child.stdout });
    const ready = new Promise<z.output<typeof readyLine>>((resolve, reject) => {
      lines.once('line', (line) => {
        const parsed = readyLine.safeParse(JSON.parse(line));
        if (parsed.success) resolve(parsed.data);
        else reject(new CliError('not_available', `${name} did not start: ${line}`));
      });
      child.once('exit', () =>
        reject(
          new CliError('not_available', `${name} did not start: ${complaint.trim() || 'no reason given'}`),
        ),
      );
      given.signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
    });
    return new DemoNode({ name, dataDir, ready: await ready, process: child, exited });
  }

  /** Resolves with the first event that fits, from when `watch` was called. */
  async watch<T>(
    pick: (event: NodeEvent) => T | undefined,
    signal: AbortSignal,
  ): Promise<{ seen: Promise<T> }> {
    const ended = new AbortController();
    const events = await this.client.events({ signal: AbortSignal.any([signal, ended.signal]) });
    const seen = (async () => {
      for await (const event of events) {
        const picked = pick(event);
        if (picked === undefined) continue;
        ended.abort();
        return picked;
      }
      throw new CliError('not_available', `${this.name} stopped in the middle of the demo`);
    })();
    // Awaited later; a failure in between is not unhandled.
    seen.catch(() => {});
    return { seen };
  }

  /** Asks again and again, for what no event tells, until there is an answer. */
  async until<T>(
    ask: (client: RivuletClient) => Promise<T | undefined>,
    given: { what: string; signal: AbortSignal },
  ): Promise<T> {
    const { what, signal } = given;
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const answer = await ask(this.client);
      if (answer !== undefined) return answer;
      if (performance.now() > deadline) {
        throw new CliError('not_available', `${this.name} waited in vain until ${what}`);
      }
      await sleep(askEveryMs, undefined, { signal });
    }
  }

  /** Asks the daemon to stop and waits until it has. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.#exited;
  }
}
