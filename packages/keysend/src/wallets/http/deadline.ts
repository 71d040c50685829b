import type { Schedule } from '../../timing/schedule.js';

/** Ends a request when its time is up or its caller wants no more, even where what does it does not listen. */
export class Deadline {
  /** None where it is absent. */
  readonly timeoutMs: number | undefined;
  /** The time was up, as opposed to: the caller wanted no more. */
  expired = false;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #cancel: () => void;
  readonly #over: Promise<never>;

  constructor(
    schedule: Schedule,
    { timeoutMs, signal }: { timeoutMs: number | undefined; signal: AbortSignal | undefined },
  ) {
    this.timeoutMs = timeoutMs;
    this.#outer = signal;
    this.#over = new Promise((_resolve, reject) => {
      this.signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
    // Nobody may be waiting when it happens.
    this.#over.catch(() => {});
    signal?.addEventListener('abort', this.#abort);
    this.#cancel =
      timeoutMs === undefined
        ? () => {}
        : schedule(timeoutMs, () => {
            this.expired = true;
            this.#abort();
          });
    if (signal?.aborted === true) this.#abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#over]);
  }

  /** Aborts what is not read to its end: it holds a connection. */
  end(): void {
    this.#cancel();
    this.#outer?.removeEventListener('abort', this.#abort);
    this.#abort();
  }

  #abort = (): void => {
    this.#controller.abort();
  };
}
