import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { concatBytes } from '@rivulet/core/bytes';
import { afterEach, describe, expect, test } from 'vitest';
import { ZmqSubscriber, type ZmqSubscriberOptions } from './zmqSubscriber.js';
import { encodeFrame, encodeGreeting, encodeReady, FrameReader } from './zmtp.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** What has happened, and a way to wait for it. */
class Log {
  readonly entries: string[] = [];
  #wake = (): void => {};

  add(entry: string): void {
    this.entries.push(entry);
    this.#wake();
  }

  async until(reached: () => boolean): Promise<void> {
    while (!reached()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function subscribe(
  endpoint: string,
  options: Partial<ZmqSubscriberOptions> = {},
): { log: Log; subscriber: ZmqSubscriber } {
  const log = new Log();
  const subscriber = new ZmqSubscriber({
    endpoint,
    topics: ['hashblock', 'rawblock'],
    onMessage: (topic) => log.add(topic),
    onState: (connected, detail) => log.add(connected ? 'up' : `down: ${detail}`),
    retryMs: { first: 5, longest: 20 },
    ...options,
  });
  closers.push(() => subscriber.close());
  return { log, subscriber };
}

/** The publisher of libzmq itself, where its binary loads on this machine. */
const libzmq = await import('zeromq').catch(() => undefined);

describe.skipIf(libzmq === undefined)('with the publisher of libzmq', () => {
  async function publisher(endpoint: string): Promise<{
    send: (parts: (string | Uint8Array)[]) => Promise<void>;
    endpoint: string;
    close: () => void;
  }> {
    // No mark: where this process is slow, what was sent once must not be dropped.
    const socket = new libzmq!.Publisher({ heartbeatInterval: 20, sendHighWaterMark: 0 });
    await socket.bind(endpoint);
    return {
      send: (parts) => socket.send(parts.map((part) => Buffer.from(part))),
      endpoint: socket.lastEndpoint!,
      close: () => socket.close(),
    };
  }

  /** A publisher drops what nobody has subscribed to yet, so it is sent again until something arrives. */
  async function sendUntilHeard(
    log: Log,
    { topic, send }: { topic: string; send: () => Promise<void> },
  ): Promise<void> {
    const count = () => log.entries.filter((entry) => entry === topic).length;
    const before = count();
    let heard = false;
    const arrival = log
      .until(() => count() > before)
      .then(() => {
        heard = true;
      });
    while (!heard) {
      await send();
      await Promise.race([arrival, new Promise((resolve) => setImmediate(resolve))]);
    }
  }

  test('hears of blocks, small notices and whole blocks alike', async () => {
    const one = await publisher('tcp://127.0.0.1:0');
    closers.push(() => one.close());
    const { log } = subscribe(one.endpoint);
    await log.until(() => log.entries.includes('up'));
    // Each topic is a subscription of its own.
    for (const topic of ['hashblock', 'rawblock']) {
      const send = () => one.send([topic, new Uint8Array(32), Uint8Array.of(1, 0, 0, 0)]);
      await sendUntilHeard(log, { topic, send });
    }
    await one.send(['rawtx', new Uint8Array(300)]);
    await one.send(['rawblock', new Uint8Array(4_000_000).fill(7), Uint8Array.of(2, 0, 0, 0)]);
    await one.send(['hashblock', new Uint8Array(32), Uint8Array.of(3, 0, 0, 0)]);
    await log.until(() => log.entries.at(-1) === 'hashblock');
    expect(log.entries).not.toContain('rawtx');
  });

  test('connects again when the publisher comes back', async () => {
    const one = await publisher('tcp://127.0.0.1:0');
    const { endpoint } = one;
    const { log, subscriber } = subscribe(endpoint);
    await log.until(() => log.entries.includes('up'));
    one.close();
    await log.until(() => log.entries.some((entry) => entry.startsWith('down')));
    expect(subscriber.connected).toBe(false);
    const two = await publisher(endpoint);
    closers.push(() => two.close());
    await log.until(() => log.entries.filter((entry) => entry === 'up').length === 2);
    const send = () => two.send(['hashblock', new Uint8Array(32)]);
    await sendUntilHeard(log, { topic: 'hashblock', send });
    expect(log.entries.at(-1)).toBe('hashblock');
  });
});

describe('with a publisher that', () => {
  async function serve(onSocket: (socket: Socket) => void): Promise<string> {
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      onSocket(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const message = (topic: string, more: boolean) =>
    encodeFrame({ command: false, more, body: new TextEncoder().encode(topic) });

  test('sends one byte at a time is understood', async () => {
    const block = encodeFrame({ command: false, more: true, body: new Uint8Array(300) });
    const end = encodeFrame({ command: false, more: false, body: new Uint8Array(0) });
    const all = concatBytes(
      encodeGreeting(),
      encodeReady('PUB'),
      ...[message('rawblock', true), block, end, message('hashblock', true), end],
    );
    const endpoint = await serve((socket) => {
      for (const byte of all) socket.write(Uint8Array.of(byte));
    });
    const { log } = subscribe(endpoint);
    await log.until(() => log.entries.length === 3);
    expect(log.entries).toEqual(['up', 'rawblock', 'hashblock']);
  });

  test('asks whether we are alive is answered with its own words', async () => {
    const ping = encodeFrame({
      command: true,
      more: false,
      body: concatBytes(Uint8Array.of(4), new TextEncoder().encode('PING'), Uint8Array.of(0, 9, 1, 2, 3)),
    });
    const log = new Log();
    const endpoint = await serve((socket) => {
      const reader = new FrameReader({ maxBytes: 1000, keepBytes: 1000 });
      let skipped = 0;
      socket.write(concatBytes(encodeGreeting(), encodeReady('PUB'), ping));
      socket.on('data', (bytes) => {
        const skip = Math.min(64 - skipped, bytes.length);
        skipped += skip;
        for (const { command, body } of reader.push(bytes.subarray(skip))) {
          if (command) log.add(Buffer.from(body).toString('latin1'));
        }
      });
    });
    subscribe(endpoint);
    await log.until(() => log.entries.some((entry) => entry.includes('PONG')));
    expect(log.entries.at(-1)).toBe('\x04PONG\x01\x02\x03');
  });

  const curve = Uint8Array.from(encodeGreeting());
  curve.set(new TextEncoder().encode('CURVE'), 12);
  const old = Uint8Array.from(encodeGreeting());
  old[10] = 2;
  test.each<[string, Uint8Array, RegExp]>([
    ['is none', new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n'.padEnd(64)), /does not speak ZMTP/],
    ['is of an old version', old, /ZMTP 2/],
    ['wants encryption', curve, /CURVE/],
    ['is no publisher', concatBytes(encodeGreeting(), encodeReady('SUB')), /no publisher but .* SUB/],
    ['sends unknown flags', concatBytes(encodeGreeting(), Uint8Array.of(0xf0, 1)), /unknown flags/],
    [
      'announces a frame of a terabyte',
      concatBytes(encodeGreeting(), Uint8Array.of(2, 0, 0, 1, 0, 0, 0, 0, 0)),
      /1099511627776 bytes/,
    ],
  ])('%s is left, and tried again', async (_, bytes, reason) => {
    let connections = 0;
    const endpoint = await serve((socket) => {
      connections++;
      socket.write(bytes);
    });
    const { log, subscriber } = subscribe(endpoint);
    await log.until(() => log.entries.length === 2);
    expect(log.entries.every((entry) => reason.test(entry))).toBe(true);
    expect(connections).toBeGreaterThanOrEqual(2);
    expect(subscriber.connected).toBe(false);
  });
});

test('an endpoint that is none is refused at once', () => {
  for (const endpoint of ['127.0.0.1:28332', 'tcp://*:28332/x', 'tcp://host', 'tcp://host:0', 'udp://a:1']) {
    expect(() => subscribe(endpoint)).toThrow(/no ZMQ endpoint/);
  }
});
