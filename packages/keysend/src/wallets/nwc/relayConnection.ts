import type { Schedule } from '../../timing/schedule.js';
import type { NostrEvent } from './nostrEvent.js';

/** The part of the WebSocket API that is needed: browsers', Node's and that of `ws` have it. */
export interface WebSocketLike {
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  /** 1 while it is open; what is sent otherwise goes nowhere. */
  readonly readyState: number;
  send(text: string): void;
  close(): void;
}

export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** NIP-01. */
export interface RelayFilter {
  readonly kinds: readonly number[];
  readonly authors?: readonly string[];
  readonly '#e'?: readonly string[];
  readonly '#p'?: readonly string[];
  readonly since?: number;
  readonly limit?: number;
}

export interface RelaySubscriber {
  /** Whatever the relay sent as an event, unchecked; false where it is not what was asked for. */
  readonly onEvent: (event: unknown) => boolean;
  /** No more stored events, or none will come from this relay at all. */
  readonly onEnd?: () => void;
  /** All that it had is here, and what is new follows: after each connection. */
  readonly onLive?: () => void;
}

interface Publication {
  readonly event: NostrEvent;
  readonly onWritten: () => void;
  readonly onAnswer: (accepted: boolean, message: string) => void;
  /** The relay cannot be reached, or was lost; it is tried again. */
  readonly onAway: () => void;
}

/** What a relay may do to us. */
const limits = {
  /** Characters: the largest answers (20 transactions) have a tenth of it. */
  frame: 1_000_000,
  /** Frames in ten seconds. */
  frames: 500,
  /** Frames in a row that are of no use. */
  useless: 50,
  connectMs: 15_000,
  backoffMs: [500, 1_000, 2_000, 5_000, 15_000, 60_000],
} as const;

interface RelayOptions {
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly now: () => number;
  readonly schedule: Schedule;
}

/**
 * One connection to a relay (NIP-01), made when something is wanted of it and made again while something still is:
 * subscriptions first, then what it has not answered. A relay that floods, sends giants or rubbish is left, and
 * tried again ever later.
 */
export class RelayConnection {
  readonly url: string;
  readonly #options: RelayOptions;
  readonly #subscriptions = new Map<string, { filter: RelayFilter; subscriber: RelaySubscriber }>();
  readonly #publications = new Map<string, Publication>();
  #socket: WebSocketLike | undefined;
  #open = false;
  #closed = false;
  #cancelTimer: (() => void) | undefined;
  #failures = 0;
  #useless = 0;
  #window = { startMs: 0, frames: 0 };
  #nextId = 1;

  constructor(options: RelayOptions) {
    this.url = options.url;
    this.#options = options;
  }

  get connected(): boolean {
    return this.#open;
  }

  /** @returns what ends it. */
  subscribe(filter: RelayFilter, subscriber: RelaySubscriber): () => void {
    const id = `r${this.#nextId++}`;
    this.#subscriptions.set(id, { filter, subscriber });
    if (this.#open) this.#send(['REQ', id, filter]);
    else this.#connect();
    return () => {
      if (this.#subscriptions.delete(id) && this.#open) this.#send(['CLOSE', id]);
      this.#rest();
    };
  }

  /** Sends the event, and again after every loss of the connection, until the relay has answered. */
  publish(publication: Publication): () => void {
    const { id } = publication.event;
    this.#publications.set(id, publication);
    if (this.#open) this.#sendEvent(publication);
    else this.#connect();
    return () => {
      this.#publications.delete(id);
      this.#rest();
    };
  }

  close(): void {
    this.#closed = true;
    this.#subscriptions.clear();
    this.#publications.clear();
    this.#drop();
  }

  get #wanted(): boolean {
    return this.#subscriptions.size + this.#publications.size > 0;
  }

  /** Nothing is wanted any more: the connection may stay, but it is not made again. */
  #rest(): void {
    if (this.#wanted || this.#open) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#drop();
  }

  #connect(): void {
    if (this.#closed || this.#socket !== undefined || this.#cancelTimer !== undefined) return;
    let socket: WebSocketLike;
    try {
      socket = new this.#options.WebSocket(this.url);
    } catch {
      // Later: whoever asks for something does not expect to hear of it before the asking is over.
      this.#cancelTimer = this.#options.schedule(0, () => {
        this.#cancelTimer = undefined;
        this.#retryLater();
      });
      return;
    }
    this.#socket = socket;
    const lost = (): void => {
      if (this.#socket !== socket) return;
      this.#drop();
      this.#retryLater();
    };
    this.#cancelTimer = this.#options.schedule(limits.connectMs, () => {
      this.#cancelTimer = undefined;
      lost();
    });
    socket.addEventListener('open', () => {
      if (this.#socket !== socket) return;
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      this.#open = true;
      this.#useless = 0;
      for (const [id, { filter }] of this.#subscriptions) this.#send(['REQ', id, filter]);
      for (const publication of [...this.#publications.values()]) this.#sendEvent(publication);
    });
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket === socket && !this.#receive(data)) lost();
    });
    socket.addEventListener('close', lost);
    socket.addEventListener('error', lost);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#open = false;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    try {
      socket?.close();
    } catch {
      // A socket that was never open may refuse to close; it is forgotten either way.
    }
  }

  #retryLater(): void {
    // Whoever waits for stored events need not wait for a relay that is away.
    for (const { subscriber } of [...this.#subscriptions.values()]) subscriber.onEnd?.();
    for (const { onAway } of [...this.#publications.values()]) onAway();
    if (this.#closed || !this.#wanted || this.#cancelTimer !== undefined) return;
    const delay = limits.backoffMs[Math.min(this.#failures++, limits.backoffMs.length - 1)] as number;
    this.#cancelTimer = this.#options.schedule(delay, () => {
      this.#cancelTimer = undefined;
      if (this.#wanted) this.#connect();
    });
  }

  #send(message: unknown): void {
    try {
      this.#socket?.send(JSON.stringify(message));
    } catch {
      // The loss of the connection is told by its close event.
    }
  }

  #sendEvent(publication: Publication): void {
    // Otherwise it goes out on the next connection: the loss of this one is about to be told.
    if (this.#socket?.readyState !== 1) return;
    publication.onWritten();
    this.#send(['EVENT', publication.event]);
  }

  /** False where this relay is to be left. */
  #receive(data: unknown): boolean {
    const nowMs = this.#options.now();
    if (nowMs - this.#window.startMs > 10_000) this.#window = { startMs: nowMs, frames: 0 };
    if (++this.#window.frames > limits.frames) return false;
    if (typeof data !== 'string' || data.length > limits.frame) return false;
    if (this.#dispatch(data)) {
      this.#useless = 0;
      this.#failures = 0;
      return true;
    }
    return ++this.#useless < limits.useless;
  }

  #dispatch(data: string): boolean {
    let message: unknown;
    try {
      message = JSON.parse(data);
    } catch {
      return false;
    }
    if (!Array.isArray(message)) return false;
    const [type, id, third, fourth] = message as unknown[];
    if (typeof id !== 'string') return false;
    const subscription = this.#subscriptions.get(id);
    switch (type) {
      case 'EVENT':
        return subscription?.subscriber.onEvent(third) ?? false;
      case 'EOSE':
        subscription?.subscriber.onEnd?.();
        subscription?.subscriber.onLive?.();
        return subscription !== undefined;
      case 'CLOSED':
        // Said of a subscription that still is wanted; it is asked for again on the next connection.
        subscription?.subscriber.onEnd?.();
        return false;
      case 'OK': {
        const publication = this.#publications.get(id);
        this.#publications.delete(id);
        const text = typeof fourth === 'string' ? fourth.slice(0, 200) : '';
        publication?.onAnswer(third === true || text.startsWith('duplicate:'), text);
        return publication !== undefined;
      }
      default:
        return false;
    }
  }
}
