import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createClient, type Payment, type RivuletClient, tokenFileName } from '@rivulet/sdk';
import { FundedChain } from './fundedChain.js';

/** The built program, as a user runs it. */
const program = fileURLToPath(new URL('../../../cli/dist/main.js', import.meta.url));
if (!existsSync(program)) throw new Error('this runs the built program: npm run build');

/** Whatever is left of a run is ended with it. */
const alive = new Set<ChildProcess>();

interface Command {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  readonly printed: { out: string; err: string };
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Resolves with the first line of its output that looks so. */
  readonly line: (wanted: RegExp) => Promise<string>;
}

/** Starts a program of Node.js. */
export function spawnScript(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Command {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', ...env },
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
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once('close', (code, signal) => {
      alive.delete(child);
      resolve({ code, signal });
    }),
  );
  const line = (wanted: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = printed.out.split('\n').find((one) => wanted.test(one));
        if (found !== undefined) resolve(found);
      };
      lines.on('line', look);
      look();
      child.once('close', (code) => reject(new Error(`${script} ended with ${code}: ${printed.err}`)));
    });
  return { child, printed, exited, line };
}

/** A daemon in a process of its own, which can be killed and started again. */
export class NodeProcess {
  readonly dataDir: string;
  nodeId = '';
  port = 0;
  readonly #flags: Readonly<Record<string, string>>;
  #command: Command | undefined;
  #client: RivuletClient | undefined;

  constructor({ dataDir, flags }: { dataDir: string; flags: Readonly<Record<string, string>> }) {
    this.dataDir = dataDir;
    this.#flags = flags;
  }

  get client(): RivuletClient {
    if (this.#client === undefined) throw new Error('the daemon does not run');
    return this.#client;
  }

  get pid(): number | undefined {
    return this.#command?.child.pid;
  }

  async start(): Promise<void> {
    const flags = {
      ...{ '--data-dir': this.dataDir, '--listen-port': String(this.port), '--api-port': '0' },
      ...this.#flags,
    };
    const command = spawnScript(program, ['up', '--json', ...Object.entries(flags).flat()]);
    this.#command = command;
    const ready = JSON.parse(await command.line(/^\{/)) as {
      nodeId: string;
      apiUrl: string;
      listening: { port: number }[];
    };
    this.nodeId = ready.nodeId;
    this.port = ready.listening[0]?.port ?? 0;
    const token = readFileSync(join(this.dataDir, tokenFileName), 'utf8').trim();
    this.#client = createClient({ url: ready.apiUrl, token });
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#command?.child.kill(signal);
    await this.#command?.exited;
  }

  /** Resolves when something holds: asked now and after every event. */
  async until(holds: (client: RivuletClient) => Promise<boolean>): Promise<void> {
    const { client } = this;
    const ended = new AbortController();
    const events = await client.events({ signal: ended.signal });
    try {
      if (await holds(client)) return;
      for await (const _ of events) if (await holds(client)) return;
    } finally {
      ended.abort();
    }
    throw new Error('the daemon ended before what was waited for');
  }

  /** Every payment there is. */
  async payments(): Promise<Payment[]> {
    const all: Payment[] = [];
    let before: number | undefined;
    do {
      const page = await this.client.payments({ limit: 1_000, ...(before === undefined ? {} : { before }) });
      all.push(...page.payments);
      before = page.next;
    } while (before !== undefined);
    return all;
  }
}

/** A chain in this process, daemons in their own, and commands as a user types them. */
export class CommandWorld {
  readonly folder: string;
  readonly #chain: FundedChain;
  readonly #nodes: NodeProcess[] = [];

  private constructor(folder: string, chain: FundedChain) {
    this.folder = folder;
    this.#chain = chain;
  }

  static async create(): Promise<CommandWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-commands-'));
    return new CommandWorld(folder, await FundedChain.start());
  }

  /** A daemon that takes keysends. @param more its flags, such as `--address-enabled`. */
  async node(name: string, more: Readonly<Record<string, string>> = {}): Promise<NodeProcess> {
    const { type, url, user, password } = this.#chain.settings;
    const node = new NodeProcess({
      dataDir: join(this.folder, name),
      flags: {
        '--alias': name,
        '--keysend-accept': 'true',
        '--chain-type': type,
        '--chain-url': url,
        '--chain-user': user,
        '--chain-password': password,
        ...more,
      },
    });
    this.#nodes.push(node);
    await node.start();
    return node;
  }

  /** A channel that can be used, all of it on our side. */
  async openChannel(from: NodeProcess, to: NodeProcess, capacitySat: bigint): Promise<void> {
    this.#chain.pay((await from.client.newAddress()).address);
    await this.#mine(1, [from, to]);
    const countOf = async ({ client }: NodeProcess) => (await client.channels()).channels.length;
    const before = new Map([
      [from, await countOf(from)],
      [to, await countOf(to)],
    ]);
    await from.client.openChannel({ nodeId: to.nodeId, host: '127.0.0.1', port: to.port, capacitySat });
    await this.#mine(6, [from, to]);
    for (const node of [from, to]) {
      await node.until(async (client) => {
        const { channels } = await client.channels();
        return channels.length > (before.get(node) ?? 0) && channels.every(({ usable }) => usable);
      });
    }
  }

  /** A command of `rivulet` over the folder of a daemon. */
  rivulet(node: NodeProcess, args: readonly string[]): Command {
    return spawnScript(program, ['--data-dir', node.dataDir, ...args]);
  }

  async #mine(blocks: number, nodes: readonly NodeProcess[]): Promise<void> {
    const { chain } = this.#chain.regtest;
    chain.mine({ blocks });
    const { height } = chain.tip;
    for (const node of nodes) {
      await node.until(async (client) => (await client.info()).blockHeight >= height);
    }
  }

  async close(): Promise<void> {
    for (const child of alive) child.kill('SIGKILL');
    await this.#chain.regtest.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
