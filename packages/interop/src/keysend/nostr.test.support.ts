import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { WebSocketConstructor } from '@rivulet/keysend/nwc';

/** What the toolkit depends on is taken from its folder. */
const requireOfToolkit = createRequire(new URL('../../../keysend/package.json', import.meta.url));

interface Socket {
  on(event: 'message', listener: (data: unknown) => void): void;
  on(event: 'close' | 'error', listener: () => void): void;
  send(text: string): void;
  terminate(): void;
}

interface SocketServer extends NodeJS.EventEmitter {
  address(): AddressInfo;
  close(closed: () => void): void;
}

const ws = requireOfToolkit('ws') as {
  WebSocket: WebSocketConstructor;
  WebSocketServer: new (options: { port: number; host: string }) => SocketServer;
};

export const { WebSocket } = ws;
// Node.js 20 has none of its own; the SDK takes it from there.
globalThis.WebSocket ??= ws.WebSocket as unknown as typeof globalThis.WebSocket;

/** The part of @getalby/sdk that is used: another implementation of NIP-47. */
export const getalby = requireOfToolkit('@getalby/sdk/nwc') as {
  NWCClient: new (options: {
    nostrWalletConnectUrl: string;
  }) => {
    payKeysend(request: {
      amount: number;
      pubkey: string;
      preimage?: string;
      tlv_records?: { type: number; value: string }[];
    }): Promise<{ preimage: string; fees_paid: number }>;
    payInvoice(request: { invoice: string }): Promise<{ preimage: string }>;
    getInfo(): Promise<{ pubkey: string; network: string }>;
    getBalance(): Promise<{ balance: number }>;
    listTransactions(query: object): Promise<{
      transactions: { type: string; payment_hash: string; amount: number; metadata?: unknown }[];
    }>;
    close(): void;
  };
  NWCWalletService: new (options: {
    relayUrl: string;
  }) => {
    publishWalletServiceInfoEvent(secret: string, methods: string[], notifications: string[]): Promise<void>;
    subscribe(keys: object, handler: object): Promise<() => void>;
    close(): void;
  };
  NWCWalletServiceKeyPair: new (walletSecret: string, clientPubkey: string) => { walletPubkey: string };
};

interface Event {
  readonly id: string;
  readonly pubkey: string;
  readonly kind: number;
  readonly created_at: number;
  readonly tags: readonly (readonly string[])[];
}

type Filter = Readonly<Record<string, readonly (string | number)[] | number>>;

/** A relay (NIP-01) that believes everybody. */
export class PlainRelay {
  readonly #server: SocketServer;
  readonly #sockets = new Map<Socket, Map<string, Filter>>();
  readonly #stored = new Map<string, Event>();

  private constructor(server: SocketServer) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      const subscriptions = new Map<string, Filter>();
      this.#sockets.set(socket, subscriptions);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      socket.on('message', (data) => this.#receive(socket, subscriptions, String(data)));
    });
  }

  static async start(): Promise<PlainRelay> {
    const server = new ws.WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    return new PlainRelay(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#server.address().port}/`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.keys()) socket.terminate();
    await new Promise<void>((resolve) => this.#server.close(resolve));
  }

  #receive(socket: Socket, subscriptions: Map<string, Filter>, text: string): void {
    const [type, second, filter] = JSON.parse(text) as [string, unknown, Filter];
    if (type === 'CLOSE') subscriptions.delete(String(second));
    if (type === 'REQ') {
      subscriptions.set(String(second), filter);
      for (const event of this.#stored.values()) {
        if (matches(event, filter)) socket.send(JSON.stringify(['EVENT', second, event]));
      }
      socket.send(JSON.stringify(['EOSE', second]));
    }
    if (type !== 'EVENT') return;
    const event = second as Event;
    this.#stored.set(event.kind < 20_000 ? `${event.kind}:${event.pubkey}` : event.id, event);
    socket.send(JSON.stringify(['OK', event.id, true, '']));
    for (const [other, theirs] of this.#sockets) {
      for (const [id, wanted] of theirs) {
        if (matches(event, wanted)) other.send(JSON.stringify(['EVENT', id, event]));
      }
    }
  }
}

function matches(event: Event, filter: Filter): boolean {
  return Object.entries(filter).every(([name, wanted]) => {
    if (name === 'since') return event.created_at >= Number(wanted);
    if (name === 'limit' || typeof wanted === 'number') return true;
    if (name === 'kinds') return wanted.includes(event.kind);
    if (name === 'authors') return wanted.includes(event.pubkey);
    return event.tags.some(([tag, value = '']) => `#${tag}` === name && wanted.includes(value));
  });
}
