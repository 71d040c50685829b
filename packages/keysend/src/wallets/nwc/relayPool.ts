import type { Schedule } from '../../timing/schedule.js';
import { type NostrEvent, parseEvent, verifyEvent } from './nostrEvent.js';
import { RelayConnection, type RelayFilter, type WebSocketConstructor } from './relayConnection.js';

export interface RelayPoolOptions {
  readonly relays: readonly string[];
  readonly WebSocket: WebSocketConstructor;
  readonly now: () => number;
  readonly schedule: Schedule;
}

export interface PoolSubscription {
  readonly filter: RelayFilter;
  /** An event that matches the filter, with a valid signature; from several relays, each event once. */
  readonly onEvent: (event: NostrEvent) => void;
  /** Every relay has sent what it had, or is away. */
  readonly onEnd?: () => void;
  /** Some relay is there, for the first time or again. */
  readonly onLive?: () => void;
}

/** How far an event got. */
export interface Publishing {
  /** How often it was given to some relay: from then on the wallet may have it, whatever that relay says. */
  readonly copies: number;
  /** What was last said, where no relay took it. */
  readonly refusal: string;
  stop(): void;
}

/** The events of a subscription that are remembered, so that copies cost no signature check. */
const rememberedEvents = 1_000;

/** Several relays that say the same: each event is published to all and taken from whichever is first. */
export class RelayPool {
  readonly #relays: readonly RelayConnection[];

  constructor({ relays, ...options }: RelayPoolOptions) {
    this.#relays = relays.map((url) => new RelayConnection({ url, ...options }));
  }

  subscribe({ filter, onEvent, onEnd, onLive }: PoolSubscription): () => void {
    const seen = new Set<string>();
    const waiting = new Set(this.#relays);
    const ends = this.#relays.map((relay) =>
      relay.subscribe(filter, {
        onEvent(value) {
          const event = parseEvent(value);
          if (event === undefined || !matches(event, filter)) return false;
          if (seen.has(event.id)) return true;
          if (!verifyEvent(event)) return false;
          seen.add(event.id);
          for (const oldest of seen) {
            if (seen.size <= rememberedEvents) break;
            seen.delete(oldest);
          }
          onEvent(event);
          return true;
        },
        onEnd() {
          if (waiting.delete(relay) && waiting.size === 0) onEnd?.();
        },
        onLive() {
          onLive?.();
        },
      }),
    );
    return () => {
      for (const end of ends) end();
    };
  }

  /** @param onRefused once every relay has refused the event, or cannot be reached while none was given it. */
  publish(event: NostrEvent, onRefused?: () => void): Publishing {
    let copies = 0;
    let refusal = '';
    const refusing = new Set<RelayConnection>();
    const away = new Set<RelayConnection>();
    const judge = (): void => {
      const over = this.#relays.every((relay) => refusing.has(relay) || (copies === 0 && away.has(relay)));
      if (over) onRefused?.();
    };
    const ends = this.#relays.map((relay) =>
      relay.publish({
        event,
        onWritten() {
          copies++;
        },
        onAnswer(accepted, message) {
          if (accepted) return;
          refusal = message;
          refusing.add(relay);
          judge();
        },
        onAway() {
          away.add(relay);
          judge();
        },
      }),
    );
    return {
      get copies() {
        return copies;
      },
      get refusal() {
        return refusal === '' ? 'no relay can be reached' : `the relay refused it: ${refusal}`;
      },
      stop() {
        for (const end of ends) end();
      },
    };
  }

  get connected(): boolean {
    return this.#relays.some((relay) => relay.connected);
  }

  close(): void {
    for (const relay of this.#relays) relay.close();
  }
}

/** Relays are asked for a filter, and need not keep to it. */
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
