import { connect, createServer, type Server, type Socket } from 'node:net';

interface Pipe {
  readonly near: Socket;
  readonly far: Socket;
}

/**
 * A TCP connection's way between two processes of this machine, on which everything can go wrong that does on a
 * network. What is written is never changed: it comes, comes late, or does not come.
 */
export class FaultyWire {
  readonly port: number;
  readonly #server: Server;
  readonly #target: () => number;
  readonly #pipes = new Set<Pipe>();
  #refusing = false;
  #silent = false;
  #delayMs = 0;
  /** Bytes that still pass before all connections are cut. */
  #bytesLeft: number | undefined;

  private constructor(server: Server, target: () => number) {
    this.#server = server;
    this.#target = target;
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    server.on('connection', (near) => this.#connected(near));
  }

  /** @param target the port on the loopback address that it leads to, asked for each connection. */
  static async start(target: () => number): Promise<FaultyWire> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FaultyWire(server, target);
  }

  /** All connections end at once, as by a machine that is gone. */
  cut(): void {
    for (const { near, far } of this.#pipes) {
      near.destroy();
      far.destroy();
    }
  }

  /** Cuts when so many bytes more have passed: in the middle of a message. */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes;
  }

  /** One direction ends, the other stays open. */
  halfClose(side: 'near' | 'far'): void {
    for (const pipe of this.#pipes) pipe[side].end();
  }

  /** New connections are refused, those that are there are cut. */
  set refusing(refusing: boolean) {
    this.#refusing = refusing;
    if (refusing) this.cut();
  }

  /** Connections stay, and nothing passes. Ends are not noticed either while it lasts. */
  set silent(silent: boolean) {
    this.#silent = silent;
    for (const { near, far } of this.#pipes) {
      for (const socket of [near, far]) silent ? socket.pause() : socket.resume();
    }
  }

  set delayMs(delayMs: number) {
    this.#delayMs = delayMs;
  }

  calm(): void {
    this.refusing = false;
    this.silent = false;
    this.#delayMs = 0;
    this.#bytesLeft = undefined;
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #connected(near: Socket): void {
    if (this.#refusing) {
      near.on('error', () => {});
      near.destroy();
      return;
    }
    const far = connect({ port: this.#target(), host: '127.0.0.1', allowHalfOpen: true });
    const pipe = { near, far };
    this.#pipes.add(pipe);
    this.#carry(near, far, pipe);
    this.#carry(far, near, pipe);
    if (this.#silent) for (const socket of [near, far]) socket.pause();
  }

  #carry(from: Socket, to: Socket, pipe: Pipe): void {
    from.setNoDelay();
    /** What is under way is in order, whatever the delay becomes. */
    let arrivesAtMs = 0;
    const late = (deliver: () => void): void => {
      const nowMs = performance.now();
      arrivesAtMs = Math.max(arrivesAtMs, nowMs + this.#delayMs);
      if (arrivesAtMs <= nowMs) deliver();
      else setTimeout(deliver, arrivesAtMs - nowMs);
    };
    from.on('data', (bytes) => {
      late(() => {
        if (to.destroyed || to.writableEnded) return;
        if (this.#bytesLeft === undefined) {
          to.write(bytes);
          return;
        }
        const passing = bytes.subarray(0, this.#bytesLeft);
        this.#bytesLeft -= passing.length;
        if (passing.length > 0) to.write(passing);
        if (this.#bytesLeft > 0) return;
        this.#bytesLeft = undefined;
        // What was written is let go first.
        setImmediate(() => this.cut());
      });
    });
    from.on('end', () => late(() => to.end()));
    from.on('error', () => {});
    from.on('close', () => {
      this.#pipes.delete(pipe);
      late(() => to.destroy());
    });
  }
}
