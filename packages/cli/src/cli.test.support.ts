import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApiServer } from '@rivulet/node/api';
import type { EndpointName, NodeEvent, NodeService, Payment, ResponseOf } from '@rivulet/sdk';
import type { CliContext } from './cliContext.js';
import type { ExitCode } from './cliError.js';
import { runCli } from './runCli.js';

export const nodeId = `02${'ab'.repeat(32)}`;
export const hash = 'cd'.repeat(32);

/** What a daemon says of itself. */
export const info: ResponseOf<'info'> = {
  nodeId,
  alias: 'spring',
  version: '0.1.0',
  network: 'regtest',
  blockHeight: 1,
  blockHash: '00'.repeat(32),
  synced: true,
  crypto: 'native',
  listening: [],
  peers: 0,
  channels: { usable: 0, open: 0, pending: 0, closing: 0 },
  keysend: { accept: true, minAmountMsat: 1n },
};

export const payment: Payment = {
  sequence: 7,
  direction: 'outgoing',
  status: 'succeeded',
  paymentHash: hash,
  preimage: '11'.repeat(32),
  nodeId,
  amountMsat: 1_234_567n,
  feeMsat: 0n,
  createdAtMs: Date.UTC(2026, 10, 21, 2, 3, 4),
  records: new Map(),
};

type Methods = Partial<{ [N in EndpointName]: (request: never) => Promise<unknown> }>;

/** A data folder with, if asked for, an API server whose node is made up by the test. */
export class CliWorld {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'rivulet-cli-'));
  readonly calls: { readonly name: string; readonly request: unknown }[] = [];
  readonly listeners = new Set<(event: NodeEvent) => void>();
  #server: { close(): Promise<void> } | undefined;

  async serve(methods: Methods): Promise<this> {
    const record = (name: string, method: (request: never) => Promise<unknown>) => (request: unknown) => {
      this.calls.push({ name, request });
      return method(request as never);
    };
    const service = {
      ...Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, record(name, method)])),
      subscribe: (listener: (event: NodeEvent) => void) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
    };
    // What a test does not call it does not give.
    const every = new Proxy(service, {
      get: (target, name) =>
        Reflect.get(target, name) ?? (() => Promise.reject(new Error(`no ${String(name)}`))),
    }) as unknown as NodeService;
    const logger = { error() {}, warn() {}, info() {}, debug() {}, trace() {}, child: () => logger };
    const { dataDir } = this;
    this.#server = await startApiServer({
      service: every,
      dataDir,
      host: '127.0.0.1',
      port: 0,
      logger: logger as never,
    });
    return this;
  }

  async stopServer(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  async close(): Promise<void> {
    await this.stopServer();
    rmSync(this.dataDir, { recursive: true });
  }

  run(...args: readonly string[]): Promise<{ code: ExitCode; out: string; err: string }> {
    return this.start({}, ...args).done;
  }

  /** Starts a command that goes on by itself: what it has printed so far, its end, and Ctrl-C. */
  start(change: Partial<CliContext>, ...args: readonly string[]) {
    const printed = { out: '', err: '' };
    const interrupt = new AbortController();
    const context: CliContext = {
      out: (text) => {
        printed.out += text;
      },
      err: (text) => {
        printed.err += text;
      },
      outIsTty: false,
      errIsTty: false,
      ask: undefined,
      env: { RIVULET_DATA_DIR: this.dataDir },
      homeDir: this.dataDir,
      signal: interrupt.signal,
      schedule: () => () => {},
      loadRunDaemon: () => Promise.reject(new Error('no daemon in this test')),
      loadStartRegtest: () => Promise.reject(new Error('no chain in this test')),
      ...change,
    };
    const done = runCli(args, context).then((code) => ({ code, ...printed }));
    return { printed, done, interrupt: () => interrupt.abort() };
  }
}

/** Lets other work go on until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
