import type { Schedule } from '../timing/schedule.js';
import { noon } from './boosts.test.support.js';

/** Time that passes when a test says so. */
export class ManualTime {
  nowMs = noon;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  readonly now = (): number => this.nowMs;

  readonly schedule: Schedule = (delayMs, run) => {
    const timer = { atMs: this.nowMs + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** When the next timer runs out. */
  get nextAtMs(): number | undefined {
    return this.#timers.length === 0 ? undefined : Math.min(...this.#timers.map(({ atMs }) => atMs));
  }

  /** Lets time pass, timer by timer, with whatever they begin in between. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await turn();
    }
    this.nowMs = untilMs;
    await turn();
  }
}

/** Lets all that can go on without time go on for a while. */
export async function turn(times = 3): Promise<void> {
  for (let i = 0; i < times; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets other work go on until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
