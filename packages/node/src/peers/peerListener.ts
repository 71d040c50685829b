import { createServer, type Server, type Socket } from 'node:net';
import { formatAddress } from './ipAddress.js';
import { PeerError } from './peerError.js';
import type { PeerAddress } from './reconnector.js';

/** One TCP port that peers connect to. */
export class PeerListener {
  readonly #server: Server;

  constructor(accept: (socket: Socket) => void) {
    this.#server = createServer({ noDelay: true }, accept);
  }

  /** @returns where it listens, with the port that was picked for 0. @throws PeerError */
  listen({ host, port }: PeerAddress): Promise<PeerAddress> {
    const server = this.#server;
    const where = formatAddress(host, port);
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const inUse = error.code === 'EADDRINUSE';
        const message = inUse
          ? `cannot listen on ${where}: another program uses that port. Stop it, or choose another port (listen.port, --listen-port, or 0 for any that is free)`
          : `cannot listen on ${where} (${error.code}): choose an address of this machine and a port above 1023`;
        reject(new PeerError(inUse ? 'address_in_use' : 'address_unavailable', message, { cause: error }));
      });
      server.listen({ host, port }, () => {
        server.removeAllListeners('error');
        // Out of file descriptors, for one: the listener lives on.
        server.on('error', () => {});
        const address = server.address();
        resolve({ host, port: typeof address === 'object' && address !== null ? address.port : port });
      });
    });
  }

  /** Takes no more connections; those it took live on. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
