import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  type ChannelInfo,
  createClient,
  type NodeEvent,
  type Payment,
  type RivuletClient,
  tokenFileName,
} from '@rivulet/sdk';
import { z } from 'zod';

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
if (!existsSync(program)) throw new Error('these tests run the built program: npm run build');

const readyLine = z.object({
  nodeId: z.string(),
  apiUrl: z.string(),
  listening: z.array(z.object({ host: z.string(), port: z.number() })),
});

interface Running {
  readonly process: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly client: RivuletClient;
}

/** All that was started: whatever a test leaves behind is ended. */
const alive = new Set<ChildProcess>();

export function killAll(): void {
  for (const child of alive) child.kill('SIGKILL');
}

/** Starts the built program. What it prints is collected. */
export function spawnRivulet(args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '' },
  });
  alive.add(child);
  const printed = { out: '', err: '' };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed.err += text;
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    printed.out += `${line}\n`;
  });
  /** Resolves with the first line from the start on that looks so. */
  const printedLine = (wanted: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = printed.out.split('\n').find((line) => wanted.test(line));
        if (found !== undefined) resolve(found);
      };
      lines.on('line', look);
      look();
      child.once('exit', (code) => reject(new Error(`rivulet ended with ${code}: ${printed.err}`)));
    });
  const firstLine = printedLine(/./);
  // Only some callers wait for it.
  firstLine.catch(() => {});
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once('close', (code, signal) => {
      alive.delete(child);
      resolve({ code, signal });
    }),
  );
  return { process: child, printed, firstLine, printedLine, exited };
}

/** A daemon in a process of its own that can be killed and started again, on the same folder and port. */
export class DaemonProcess {
  readonly name: string;
  readonly dataDir: string;
  nodeId = '';
  port = 0;
  readonly #flags: Readonly<Record<string, string>>;
  #running: Running | undefined;

  constructor(given: { name: string; dataDir: string; flags: Readonly<Record<string, string>> }) {
    this.name = given.name;
    this.dataDir = given.dataDir;
    this.#flags = given.flags;
  }

  async start(): Promise<void> {
    const flags = {
      '--data-dir': this.dataDir,
      '--alias': this.name,
      '--listen-port': String(this.port),
      '--api-port': '0',
      '--keysend-accept': 'true',
      '--log-level': process.env.RIVULET_TEST_LOG ?? 'info',
      ...this.#flags,
    };
    const child = spawnRivulet(['up', '--json', ...Object.entries(flags).flat()]);
    const ready = readyLine.parse(JSON.parse(await child.firstLine));
    this.nodeId = ready.nodeId;
    this.port = ready.listening[0]?.port ?? 0;
    const token = readFileSync(join(this.dataDir, tokenFileName), 'utf8').trim();
    const client = createClient({ url: ready.apiUrl, token });
    this.#running = { process: child.process, exited: child.exited, client };
  }

  get client(): RivuletClient {
    if (this.#running === undefined) throw new Error(`${this.name} does not run`);
    return this.#running.client;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get pid(): number | undefined {
    return this.#running?.process.pid;
  }

  /** The machine fails: nothing is told, nothing is flushed. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.process.kill('SIGKILL');
    await running?.exited;
  }

  async stop(signal: 'SIGINT' | 'SIGTERM' = 'SIGTERM'): Promise<number | null> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return null;
    running.process.kill(signal);
    return (await running.exited).code;
  }

  /** Resolves when something holds: asked now and after every event. */
  async until(what: string, holds: (client: RivuletClient) => Promise<boolean>): Promise<void> {
    const { client } = this;
    const ended = new AbortController();
    const events = await client.events({ signal: ended.signal });
    try {
      if (await holds(client)) return;
      for await (const _ of events) if (await holds(client)) return;
    } finally {
      ended.abort();
    }
    throw new Error(`${this.name} ended before it could be that ${what}`);
  }

  /** From when this resolves; `seen` resolves with the first event that fits. */
  async watch<T>(pick: (event: NodeEvent) => T | undefined): Promise<{ seen: Promise<T> }> {
    const ended = new AbortController();
    const events = await this.client.events({ signal: ended.signal });
    const seen = (async () => {
      for await (const event of events) {
        const picked = pick(event);
        if (picked === undefined) continue;
        ended.abort();
        return picked;
      }
      throw new Error(`${this.name} ended before the event that was waited for`);
    })();
    seen.catch(() => {});
    return { seen };
  }

  async channel(channelId: string): Promise<ChannelInfo> {
    const { channels } = await this.client.channels();
    const found = channels.find((one) => one.channelId === channelId);
    if (found === undefined) throw new Error(`${this.name} has no channel ${channelId}`);
    return found;
  }

  /** Every payment there is, the first one first. */
  async payments(): Promise<Payment[]> {
    const all: Payment[] = [];
    let before: number | undefined;
    do {
      const page = await this.client.payments({ limit: 1_000, ...(before === undefined ? {} : { before }) });
      all.push(...page.payments);
      before = page.next;
    } while (before !== undefined);
    return all.reverse();
  }

  /** What the daemon wrote about itself. */
  log(): string {
    return readFileSync(join(this.dataDir, 'rivulet.log'), 'utf8');
  }
}
