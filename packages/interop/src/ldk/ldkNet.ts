import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import * as ldk from 'lightningdevkit';
import { LdkError } from './ldkError.js';

interface LdkNetHooks {
  /** LDK has been called: it may have changed, and have something to send. */
  afterEntry: () => void;
  /** A connection came or went. */
  onConnection: () => void;
}

interface Connection {
  socket: Socket;
  descriptor: ldk.SocketDescriptor;
  /** What LDK wants to send, held back until `flush`. */
  outgoing: Uint8Array[];
  /** LDK does not want to hear of it any more. */
  forgotten: boolean;
}

/**
 * TCP for LDK's PeerManager. In contrast to `lightningdevkit-node-net`, it sends only when it is told to, so
 * that LDK's state is durable before a peer sees it, and it does not fall silent after a full buffer.
 */
export class LdkNet {
  readonly #peerManager: ldk.PeerManager;
  readonly #hooks: LdkNetHooks;
  readonly #connections = new Set<Connection>();
  readonly #pings: NodeJS.Timeout;
  #server: Server | undefined;
  #nextId = 1n;
  #stopped = false;

  constructor(peerManager: ldk.PeerManager, hooks: LdkNetHooks) {
    this.#peerManager = peerManager;
    this.#hooks = hooks;
    this.#pings = setInterval(() => {
      peerManager.timer_tick_occurred();
      hooks.afterEntry();
    }, 10_000);
  }

  /** Listens on the loopback address; resolves to the port. */
  listen(port: number): Promise<number> {
    const server = createServer((socket) => {
      const connection = this.#add(socket);
      const result = this.#peerManager.new_inbound_connection(
        connection.descriptor,
        ldk.Option_SocketAddressZ.constructor_none(),
      );
      if (!result.is_ok()) this.#forget(connection);
      this.#hooks.onConnection();
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        reject(new LdkError('ldk_refused', `LDK cannot listen on port ${port}: ${error.message}`));
      });
      server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  }

  /** Resolves when TCP is connected: the handshake comes after that. */
  connect({ pubkey, host, port }: { pubkey: Uint8Array; host: string; port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host);
      const refuse = (error: Error): void => {
        reject(new LdkError('ldk_refused', `no connection to ${host}:${port}: ${error.message}`));
      };
      socket.once('error', refuse);
      socket.once('connect', () => {
        socket.off('error', refuse);
        if (this.#stopped) {
          socket.destroy();
          reject(new LdkError('ldk_not_running', 'the LDK node has been stopped'));
          return;
        }
        const connection = this.#add(socket);
        const result = this.#peerManager.new_outbound_connection(
          pubkey,
          connection.descriptor,
          ldk.Option_SocketAddressZ.constructor_none(),
        );
        if (result instanceof ldk.Result_CVec_u8ZPeerHandleErrorZ_OK) connection.outgoing.push(result.res);
        else this.#forget(connection);
        this.#hooks.onConnection();
        resolve();
      });
    });
  }

  /** Sends what LDK has written since the last time. */
  flush(): void {
    for (const { socket, outgoing, forgotten } of this.#connections) {
      if (outgoing.length > 0) {
        const bytes = outgoing.length === 1 ? outgoing[0]! : Buffer.concat(outgoing);
        outgoing.length = 0;
        if (socket.writable) socket.write(bytes);
      }
      // LDK's last word says why it disconnects.
      if (forgotten && !socket.writableEnded) socket.end();
    }
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#pings);
    this.#server?.close();
    for (const connection of this.#connections) {
      connection.forgotten = true;
      connection.socket.destroy();
    }
  }

  #add(socket: Socket): Connection {
    const id = this.#nextId++;
    const outgoing: Uint8Array[] = [];
    const descriptor = ldk.SocketDescriptor.new_impl({
      send_data: (data, resumeRead) => {
        if (resumeRead) socket.resume();
        if (data.length > 0) outgoing.push(data);
        return data.length;
      },
      disconnect_socket: () => this.#forget(connection),
      eq: (other) => other.hash() === id,
      hash: () => id,
    });
    const connection: Connection = { socket, descriptor, outgoing, forgotten: false };
    this.#connections.add(connection);
    socket.setNoDelay(true);
    socket.on('data', (data) => this.#read(connection, data));
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#connections.delete(connection);
      if (!connection.forgotten && !this.#stopped) {
        connection.forgotten = true;
        this.#peerManager.socket_disconnected(descriptor);
        this.#hooks.afterEntry();
      }
      this.#hooks.onConnection();
    });
    return connection;
  }

  #read(connection: Connection, data: Uint8Array): void {
    if (connection.forgotten || this.#stopped) return;
    const result = this.#peerManager.read_event(connection.descriptor, data);
    if (!(result instanceof ldk.Result_boolPeerHandleErrorZ_OK)) this.#forget(connection);
    else if (result.res) connection.socket.pause();
    this.#peerManager.process_events();
    this.#hooks.afterEntry();
  }

  #forget(connection: Connection): void {
    connection.forgotten = true;
    // Also after the last bytes have been sent, a peer that does not hang up must not keep the socket.
    connection.socket.setTimeout(1000, () => connection.socket.destroy());
  }
}
