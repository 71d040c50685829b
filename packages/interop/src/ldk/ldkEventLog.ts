import { equalBytes } from '@rivulet/core/bytes';
import { LdkError } from './ldkError.js';
import type { LdkEvent, LdkSentPayment } from './ldkTypes.js';

export interface LdkWait {
  /** Named in the error when it does not happen: "channel ready", "3 payments received". */
  what: string;
  timeoutMs?: number;
}

const defaultTimeoutMs = 30_000;

type EventOf<Type extends LdkEvent['type']> = Extract<LdkEvent, { type: Type }>;

/** A node's events, and the means to wait for what they bring about. */
export class LdkEventLog {
  readonly #listeners = new Set<(event: LdkEvent) => void>();
  readonly #waiting = new Set<() => void>();
  readonly #events: LdkEvent[] = [];
  readonly #limit: number;
  /** More of the story for the error of a wait that timed out. */
  readonly #context: () => Promise<string> | string;

  constructor(options: { limit?: number; context?: () => Promise<string> | string } = {}) {
    this.#limit = options.limit ?? 10_000;
    this.#context = options.context ?? (() => '');
  }

  /** The newest events, oldest first. */
  get events(): readonly LdkEvent[] {
    return this.#events;
  }

  eventsOf<Type extends LdkEvent['type']>(type: Type): EventOf<Type>[] {
    return this.#events.filter((event): event is EventOf<Type> => event.type === type);
  }

  emit(event: LdkEvent): void {
    this.#events.push(event);
    if (this.#events.length > this.#limit * 2) this.#events.splice(0, this.#limit);
    for (const listener of [...this.#listeners]) listener(event);
    this.touch();
  }

  /** Something changed that has no event, such as an HTLC that is gone: lets every wait look again. */
  touch(): void {
    for (const look of [...this.#waiting]) look();
  }

  onEvent(listener: (event: LdkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls the listener whenever waits look again, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#waiting.add(listener);
    return () => this.#waiting.delete(listener);
  }

  /**
   * Asks `check` now and after every event or change until it gives something other than undefined or false.
   * @throws LdkError `ldk_timeout`, which says what was awaited, the last events and the log.
   */
  waitFor<T>(
    check: () => T | Promise<T>,
    { what, timeoutMs = defaultTimeoutMs }: LdkWait,
  ): Promise<NonNullable<T>> {
    return new Promise((resolve, reject) => {
      let busy = false;
      let again = false;
      const finish = (): void => {
        clearTimeout(timer);
        stop();
      };
      const ask = async (): Promise<void> => {
        again = true;
        if (busy) return;
        busy = true;
        try {
          while (again) {
            again = false;
            const value = await check();
            if (value !== undefined && value !== null && value !== false) {
              finish();
              resolve(value);
              return;
            }
          }
        } catch (error) {
          finish();
          reject(error);
        } finally {
          busy = false;
        }
      };
      const stop = this.onChange(() => void ask());
      const timer = setTimeout(async () => {
        stop();
        const last = this.#events.slice(-12).map((event) => event.type);
        const context = await Promise.resolve(this.#context()).catch(() => '');
        const message = `${what}: not within ${timeoutMs} ms; last events: ${last.join(', ') || 'none'}`;
        reject(new LdkError('ldk_timeout', context ? `${message}\n${context}` : message));
      }, timeoutMs);
      void ask();
    });
  }

  /** Waits for an event of this type, past or to come, that `check` accepts. */
  waitForEvent<Type extends LdkEvent['type']>(
    type: Type,
    check: (event: EventOf<Type>) => boolean,
    wait: Partial<LdkWait> = {},
  ): Promise<EventOf<Type>> {
    return this.waitFor(() => this.eventsOf(type).find(check), { what: `event ${type}`, ...wait });
  }

  /**
   * The outcome of a payment that has been started, also over restarts.
   * @throws LdkError `ldk_payment_failed` with LDK's reason.
   */
  async settlement(paymentId: Uint8Array, wait: Partial<LdkWait> = {}): Promise<LdkSentPayment> {
    type Outcome = EventOf<'paymentSent'> | EventOf<'paymentFailed'>;
    const isOutcome = (event: LdkEvent): event is Outcome =>
      (event.type === 'paymentSent' || event.type === 'paymentFailed') &&
      equalBytes(event.paymentId, paymentId);
    let found = this.#events.find(isOutcome);
    // Payments are many: look at new events only, not at all of them again.
    const stop = this.onEvent((event) => {
      if (isOutcome(event)) found = event;
    });
    const outcome = await this.waitFor(() => found, { what: 'outcome of the payment', ...wait }).finally(
      stop,
    );
    if (outcome.type === 'paymentFailed') {
      throw new LdkError('ldk_payment_failed', `LDK gave the payment up: ${outcome.reason}`);
    }
    return { paymentHash: outcome.paymentHash, preimage: outcome.preimage, feeMsat: outcome.feeMsat };
  }
}
