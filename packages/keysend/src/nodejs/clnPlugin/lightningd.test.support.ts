import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ByteWriter, bytesToHex, writeBigSize } from '@rivulet/core/bytes';
import { JsonSplitter } from './jsonSplitter.js';

const program = fileURLToPath(new URL('../../../bin/rivulet-cln-plugin.js', import.meta.url));

type Json = Readonly<Record<string, unknown>>;

/** An onion payload as lightningd hands it to hooks: TLV records behind their length. */
function payloadOf(records: Iterable<readonly [bigint, Uint8Array]>): string {
  const body = new ByteWriter();
  for (const [type, value] of [...records].sort(([a], [b]) => (a < b ? -1 : 1))) {
    writeBigSize(body, type);
    writeBigSize(body, BigInt(value.length));
    body.bytes(value);
  }
  const bytes = body.finish();
  const whole = new ByteWriter();
  writeBigSize(whole, BigInt(bytes.length));
  whole.bytes(bytes);
  return bytesToHex(whole.finish());
}

export interface HtlcOfKeysend {
  readonly preimage: Uint8Array;
  readonly amountMsat: number;
  readonly records: ReadonlyMap<bigint, Uint8Array>;
}

export function hashOf(preimage: Uint8Array): string {
  return createHash('sha256').update(preimage).digest('hex');
}

/** The parameters of `htlc_accepted` for a keysend. */
export function htlcAcceptedOf({ preimage, amountMsat, records }: HtlcOfKeysend): Json {
  return {
    peer_id: `02${'11'.repeat(32)}`,
    onion: {
      payload: payloadOf([
        [2n, Uint8Array.of(0x52, 0x08)],
        [4n, Uint8Array.of(1, 0)],
        [5_482_373_484n, preimage],
        ...records,
      ]),
      type: 'tlv',
      forward_msat: amountMsat,
      outgoing_cltv_value: 144,
      next_onion: '00'.repeat(16),
      shared_secret: '22'.repeat(32),
    },
    htlc: {
      short_channel_id: '103x1x0',
      id: 0,
      amount_msat: amountMsat,
      cltv_expiry: 500_144,
      cltv_expiry_relative: 144,
      payment_hash: hashOf(preimage),
    },
  };
}

/** lightningd as a plugin sees it, from Core Lightning's documents: pipes, and a socket for its own calls. */
export class FakeLightningd {
  readonly folder: string;
  /** What `listinvoices` says, by payment hash. */
  readonly invoices = new Map<string, Json>();
  readonly logs: Json[] = [];
  readonly #server: Server;
  #process: ChildProcess | undefined;
  #exit: Promise<void> = Promise.resolve();
  #nextId = 1;
  #answers = new Map<string, (message: Json) => void>();
  #asked: (() => void)[] = [];

  private constructor(folder: string, server: Server) {
    this.folder = folder;
    this.#server = server;
  }

  static async start(): Promise<FakeLightningd> {
    const folder = mkdtempSync(join(tmpdir(), 'lightningd-'));
    const server = createServer();
    const lightningd = new FakeLightningd(folder, server);
    server.on('connection', (socket) => {
      const splitter = new JsonSplitter();
      socket.setEncoding('utf8');
      socket.on('error', () => {});
      socket.on('data', (text: string) => {
        for (const message of splitter.push(text)) {
          const { id, params } = message as { id: unknown; params: { payment_hash: string } };
          const invoice = lightningd.invoices.get(params.payment_hash);
          const result = { invoices: invoice === undefined ? [] : [invoice] };
          socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
          for (const asked of lightningd.#asked.splice(0)) asked();
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(join(folder, 'lightning-rpc'), resolve));
    return lightningd;
  }

  /** Starts the plugin, with the options of the command line. */
  async startPlugin(options: Json = {}): Promise<{ manifest: Json; init: Json }> {
    const child = spawn(process.execPath, [program], {
      cwd: this.folder,
      env: { ...process.env, LIGHTNINGD_PLUGIN: '1', LIGHTNINGD_VERSION: 'v26.06' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#process = child;
    this.#exit = new Promise((resolve) => child.on('exit', () => resolve()));
    child.stdin.on('error', () => {});
    const splitter = new JsonSplitter();
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      for (const value of splitter.push(text)) {
        const message = value as Json;
        if (message.method === 'log') this.logs.push(message.params as Json);
        else this.#answers.get(String(message.id))?.(message);
      }
    });
    const manifest = (await this.call('getmanifest', { 'allow-deprecated-apis': false })) as Json;
    const init = (await this.call('init', {
      options,
      configuration: {
        'lightning-dir': this.folder,
        'rpc-file': 'lightning-rpc',
        startup: true,
        network: 'regtest',
        feature_set: { init: '02aaa2', node: '8000000002aaa2', channel: '', invoice: '028200' },
      },
    })) as Json;
    return { manifest, init };
  }

  /** The answer's result. @throws Error with what the plugin said instead. */
  async call(method: string, params: unknown): Promise<unknown> {
    const id = `cln:${method}#${this.#nextId++}`;
    const answered = new Promise<Json>((resolve) => this.#answers.set(id, resolve));
    this.#write({ jsonrpc: '2.0', id, method, params });
    const { result, error } = await answered;
    if (error !== undefined) throw new Error((error as { message: string }).message);
    return result;
  }

  notify(method: string, params: unknown): void {
    this.#write({ jsonrpc: '2.0', method, params });
  }

  /** A notification as lightningd gives it when an invoice was paid. */
  invoicePaid(preimage: Uint8Array, msat: number): void {
    this.notify('invoice_payment', {
      invoice_payment: { msat, preimage: bytesToHex(preimage), label: 'keysend-1.000000001' },
    });
  }

  /** Resolves when the plugin has asked for an invoice. */
  rpcAsked(): Promise<void> {
    return new Promise((resolve) => this.#asked.push(resolve));
  }

  /** What the plugin has received, as `lightning-cli rivulet-keysends` shows it. */
  async keysends(params: unknown = {}): Promise<{ log: string; last: number; keysends: Json[] }> {
    return (await this.call('rivulet-keysends', params)) as { log: string; last: number; keysends: Json[] };
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.#process?.kill(signal);
    await this.#exit;
  }

  /** Resolves when the plugin has ended by itself. */
  get ended(): Promise<void> {
    return this.#exit;
  }

  async close(): Promise<void> {
    await this.kill();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #write(message: Json): void {
    this.#process?.stdin?.write(`${JSON.stringify(message)}\n\n`);
  }
}
