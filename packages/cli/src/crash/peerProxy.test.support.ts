import { connect, createServer, type Server, type Socket } from 'node:net';

/** Which way a message goes: from who dials, or back. */
export type Way = 'there' | 'back';

/**
 * A wire between two nodes that can be cut at a message. What goes over it is encrypted, so that messages
 * are told by their length alone; each of those that are waited for here comes in a write of its own.
 */
export class PeerProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stop: { way: Way; length: number; reached: () => void } | undefined;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(target: () => number): Promise<PeerProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const proxy = new PeerProxy(server, typeof address === 'object' && address !== null ? address.port : 0);
    server.on('connection', (near) => {
      const far = connect(target(), '127.0.0.1');
      proxy.#pipe(near, { to: far, way: 'there' });
      proxy.#pipe(far, { to: near, way: 'back' });
    });
    return proxy;
  }

  #pipe(from: Socket, { to, way }: { to: Socket; way: Way }): void {
    this.#sockets.add(from);
    from.setNoDelay();
    let held = false;
    from.on('data', (bytes) => {
      if (process.env.DBG) console.log(way, bytes.length);
      if (this.#stop?.way === way && this.#stop.length === bytes.length) {
        held = true;
        const { reached } = this.#stop;
        this.#stop = undefined;
        reached();
      }
      if (!held) to.write(bytes);
    });
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }

  /**
   * Keeps back the next message of so many bytes (before encryption, with its type), and all after it.
   * Resolves when it has come.
   */
  holdBack(way: Way, messageLength: number): Promise<void> {
    // BOLT 8: 18 bytes for the encrypted length, 16 for the tag.
    const length = 18 + messageLength + 16;
    return new Promise((reached) => {
      this.#stop = { way, length, reached };
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
