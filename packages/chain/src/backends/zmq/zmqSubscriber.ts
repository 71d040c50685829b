import { connect, type Socket } from 'node:net';
import { concatBytes } from '@rivulet/core/bytes';
import { ChainError } from '../../chainError.js';
import { pause } from '../httpClient.js';
import {
  decodeCommand,
  encodeGreeting,
  encodePong,
  encodeReady,
  encodeSubscription,
  FrameReader,
  greetingFault,
  greetingLength,
  readyProperty,
  type ZmtpFrame,
} from './zmtp.js';

export interface ZmqSubscriberOptions {
  /** As bitcoind's `zmqpubhashblock` has it: `tcp://127.0.0.1:28332`, or `ipc:///path`. */
  readonly endpoint: string;
  readonly topics: readonly string[];
  /** A message of a topic has begun to arrive. */
  readonly onMessage: (topic: string) => void;
  /** The connection was made, with all subscriptions; or it was lost, and why. */
  readonly onState?: (connected: boolean, detail: string) => void;
  /** Between attempts to connect, in milliseconds: doubled after each that fails. Default: 1,000 to 30,000 */
  readonly retryMs?: { readonly first: number; readonly longest: number };
}

/** A block comes whole with `rawblock`; more than that nobody has to send. */
const maxFrameBytes = 8 * 1024 * 1024;
/** Topics are short, and nothing else is kept. */
const keepBytes = 256;
const handshakeTimeoutMs = 10_000;
const keepAliveMs = 60_000;

/** The address behind a ZMQ endpoint. @throws ChainError for one that is none of TCP or a local socket. */
function parseEndpoint(endpoint: string): { host: string; port: number } | { path: string } {
  const tcp = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[^\s/:[\]]+):([0-9]{1,5})$/.exec(endpoint);
  if (tcp !== null && Number(tcp[2]) > 0 && Number(tcp[2]) <= 65_535) {
    return { host: (tcp[1] as string).replace(/^\[|\]$/g, ''), port: Number(tcp[2]) };
  }
  const ipc = /^ipc:\/\/(.+)$/.exec(endpoint);
  if (ipc !== null) return { path: ipc[1] as string };
  throw new ChainError(
    'chain_unreachable',
    `${endpoint} is no ZMQ endpoint: write it as bitcoind does, tcp://127.0.0.1:28332`,
  );
}

/**
 * A ZMQ subscriber (ZMTP 3.0 over TCP or a local socket, without encryption), which connects again whenever
 * the connection ends. Messages may be missed meanwhile: who needs all has to look elsewhere after each
 * connection.
 */
export class ZmqSubscriber {
  readonly #options: ZmqSubscriberOptions;
  readonly #closing = new AbortController();
  readonly #target: ReturnType<typeof parseEndpoint>;
  #connected = false;

  /** @throws ChainError for an endpoint that is none */
  constructor(options: ZmqSubscriberOptions) {
    this.#options = options;
    this.#target = parseEndpoint(options.endpoint);
    void this.#run();
  }

  get connected(): boolean {
    return this.#connected;
  }

  close(): void {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { first, longest } = this.#options.retryMs ?? { first: 1000, longest: 30_000 };
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      const { reason, wasReady } = await this.#session();
      this.#connected = false;
      if (this.#closing.signal.aborted) return;
      failures = wasReady ? 0 : failures + 1;
      this.#options.onState?.(false, reason);
      await pause(Math.min(longest, first * 2 ** Math.min(failures, 20)), this.#closing.signal);
    }
  }

  /** One connection, from its beginning to its end. */
  #session(): Promise<{ reason: string; wasReady: boolean }> {
    return new Promise((resolve) => {
      const socket = connect(this.#target);
      const session = new Session(socket, {
        topics: this.#options.topics,
        onReady: () => {
          socket.setTimeout(0);
          this.#connected = true;
          this.#options.onState?.(true, 'connected');
        },
        onMessage: this.#options.onMessage,
      });
      let reason = 'the connection ended';
      const abort = (): void => void socket.destroy();
      this.#closing.signal.addEventListener('abort', abort, { once: true });
      socket.setKeepAlive(true, keepAliveMs);
      socket.setTimeout(handshakeTimeoutMs, () => {
        reason = 'it did not answer in time';
        socket.destroy();
      });
      socket.on('data', (bytes) => {
        try {
          session.read(bytes);
        } catch (error) {
          reason = error instanceof Error ? error.message : String(error);
          socket.destroy();
        }
      });
      socket.on('error', (error) => {
        reason = error.message;
      });
      socket.on('close', () => {
        this.#closing.signal.removeEventListener('abort', abort);
        resolve({ reason, wasReady: session.ready });
      });
    });
  }
}

/** What the protocol says on one connection. */
class Session {
  ready = false;
  readonly #socket: Socket;
  readonly #hooks: { topics: readonly string[]; onReady: () => void; onMessage: (topic: string) => void };
  readonly #frames = new FrameReader({ maxBytes: maxFrameBytes, keepBytes });
  #greeting: Uint8Array | undefined = new Uint8Array(0);
  #inMessage = false;

  constructor(
    socket: Socket,
    hooks: { topics: readonly string[]; onReady: () => void; onMessage: (topic: string) => void },
  ) {
    this.#socket = socket;
    this.#hooks = hooks;
    socket.once('connect', () => socket.write(encodeGreeting()));
  }

  /** @throws ChainError, or an error of the frames, when the other side breaks the protocol */
  read(bytes: Uint8Array): void {
    let left = bytes;
    if (this.#greeting !== undefined) {
      const missing = greetingLength - this.#greeting.length;
      this.#greeting = concatBytes(this.#greeting, left.subarray(0, missing));
      if (this.#greeting.length < greetingLength) return;
      left = left.subarray(missing);
      const fault = greetingFault(this.#greeting);
      if (fault !== undefined) throw new ChainError('chain_bad_response', fault);
      this.#greeting = undefined;
      this.#socket.write(encodeReady('SUB'));
    }
    for (const frame of this.#frames.push(left)) {
      if (frame.command) this.#command(frame.body);
      else this.#part(frame);
    }
  }

  #command(body: Uint8Array): void {
    const command = decodeCommand(body);
    switch (command?.name) {
      case 'READY':
        this.#begin(command.data);
        return;
      case 'PING':
        // Two bytes of a time to live come before the context.
        this.#socket.write(encodePong(command.data.subarray(2, 2 + 16)));
        return;
      case 'ERROR':
        throw new ChainError('chain_bad_response', 'it refused the connection');
      default:
        // Commands that are not known are for others.
        return;
    }
  }

  #begin(data: Uint8Array): void {
    const type = readyProperty(data, 'Socket-Type');
    if (type !== 'PUB' && type !== 'XPUB') {
      throw new ChainError(
        'chain_bad_response',
        `it is no publisher but a socket of type ${type ?? 'unknown'}`,
      );
    }
    if (this.ready) return;
    for (const topic of this.#hooks.topics) this.#socket.write(encodeSubscription(topic));
    this.ready = true;
    this.#hooks.onReady();
  }

  #part({ more, body }: ZmtpFrame): void {
    const isFirst = !this.#inMessage;
    this.#inMessage = more;
    if (!isFirst || !this.ready) return;
    const topic = Buffer.from(body).toString('latin1');
    if (this.#hooks.topics.includes(topic)) this.#hooks.onMessage(topic);
  }
}
