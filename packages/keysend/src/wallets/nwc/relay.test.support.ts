import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { NostrEvent } from './nostrEvent.js';
import { parseEvent, verifyEvent } from './nostrEvent.js';
import type { RelayFilter } from './relayConnection.js';

/** What a relay does with a frame instead of what it should. */
export interface RelayFaults {
  /** Sees every event before it is accepted; 'drop' ends the connection, 'swallow' takes it and tells nobody. */
  onPublish?: (event: NostrEvent) => 'drop' | 'swallow' | 'refuse' | undefined;
  /** Sees every connection. */
  onConnection?: (socket: WebSocket) => void;
}

/** A relay with the part of NIP-01 that is needed, on loopback. Ephemeral events are kept where it is told to. */
export class TestRelay {
  readonly #server: WebSocketServer;
  readonly #subscriptions = new Map<WebSocket, Map<string, RelayFilter[]>>();
  readonly stored = new Map<string, NostrEvent>();
  readonly published: NostrEvent[] = [];
  keepEphemeral = false;
  faults: RelayFaults = {};

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async start(port = 0): Promise<TestRelay> {
    const server = new WebSocketServer({ port, host: '127.0.0.1' });
    await once(server, 'listening');
    return new TestRelay(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): readonly WebSocket[] {
    return [...this.#subscriptions.keys()];
  }

  /** Frames that no relay would send. */
  sendToAll(frame: string): void {
    for (const socket of this.connections) socket.send(frame);
  }

  /** The ids of all subscriptions with such a kind. */
  subscriptionsTo(kind: number): { socket: WebSocket; id: string; filter: RelayFilter }[] {
    return this.connections.flatMap((socket) =>
      [...(this.#subscriptions.get(socket) ?? [])].flatMap(([id, filters]) =>
        filters.filter(({ kinds }) => kinds.includes(kind)).map((filter) => ({ socket, id, filter })),
      ),
    );
  }

  /** @param spared who subscribed to such events stays. */
  dropConnections(spared?: number): void {
    const some = new Set(
      spared === undefined ? [] : this.subscriptionsTo(spared).map(({ socket }) => socket),
    );
    for (const socket of this.connections) if (!some.has(socket)) socket.terminate();
  }

  async stop(): Promise<void> {
    const closing = this.connections.map((socket) => {
      socket.close();
      return once(socket, 'close');
    });
    await Promise.all(closing);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Gives an event to all who asked for such. */
  broadcast(event: NostrEvent): void {
    for (const [socket, subscriptions] of this.#subscriptions) {
      for (const [id, filters] of subscriptions) {
        if (filters.some((filter) => matches(event, filter)))
          socket.send(JSON.stringify(['EVENT', id, event]));
      }
    }
  }

  #serve(socket: WebSocket): void {
    const subscriptions = new Map<string, RelayFilter[]>();
    this.#subscriptions.set(socket, subscriptions);
    socket.on('close', () => this.#subscriptions.delete(socket));
    socket.on('error', () => {});
    this.faults.onConnection?.(socket);
    socket.on('message', (data) => {
      const [type, second, ...rest] = JSON.parse(String(data)) as [string, unknown, ...RelayFilter[]];
      const id = String(second);
      if (type === 'REQ') {
        subscriptions.set(id, rest);
        for (const event of this.stored.values()) {
          if (rest.some((filter) => matches(event, filter)))
            socket.send(JSON.stringify(['EVENT', id, event]));
        }
        socket.send(JSON.stringify(['EOSE', id]));
      } else if (type === 'CLOSE') {
        subscriptions.delete(id);
      } else if (type === 'EVENT') {
        this.#accept(socket, second);
      }
    });
  }

  #accept(socket: WebSocket, value: unknown): void {
    const event = parseEvent(value);
    if (event === undefined || !verifyEvent(event)) {
      socket.send(JSON.stringify(['OK', String((value as NostrEvent).id), false, 'invalid: not an event']));
      return;
    }
    this.published.push(event);
    const fault = this.faults.onPublish?.(event);
    if (fault === 'drop') {
      socket.terminate();
      return;
    }
    if (fault === 'refuse') {
      socket.send(JSON.stringify(['OK', event.id, false, 'blocked: not here']));
      return;
    }
    const ephemeral = event.kind >= 20_000 && event.kind < 30_000;
    if (!ephemeral) this.stored.set(`${event.kind}:${event.pubkey}`, event);
    else if (this.keepEphemeral) this.stored.set(event.id, event);
    socket.send(JSON.stringify(['OK', event.id, true, '']));
    if (fault !== 'swallow') this.broadcast(event);
  }
}

function matches(event: NostrEvent, filter: RelayFilter): boolean {
  const tagged = (name: string, values: readonly string[] | undefined): boolean =>
    values === undefined || event.tags.some((tag) => tag[0] === name && values.includes(tag[1] ?? ''));
  return (
    filter.kinds.includes(event.kind) &&
    (filter.authors === undefined || filter.authors.includes(event.pubkey)) &&
    (filter.since === undefined || event.created_at >= filter.since) &&
    tagged('e', filter['#e']) &&
    tagged('p', filter['#p'])
  );
}
