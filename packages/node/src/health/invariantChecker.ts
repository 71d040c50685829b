import type { CheckedState, NodePart } from '../driver/index.js';
import type { Logger } from '../logging/logger.js';
import type { CancelTimer, Scheduler } from '../peers/index.js';
import { checkInvariants, type Finding } from './invariants.js';

export interface CheckReport {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly findings: readonly Finding[];
}

export interface InvariantCheckerOptions {
  /** What is to be compared, as it is now. */
  readonly state: () => CheckedState;
  readonly scheduler: Scheduler;
  readonly now: () => number;
  readonly logger: Logger;
}

const hourMs = 3_600_000;

/** Looks at the start and every hour for what must never be so, and reports it; it changes nothing. */
export class InvariantChecker implements NodePart {
  readonly #options: InvariantCheckerOptions;
  #report: CheckReport | undefined;
  #cancel: CancelTimer = () => {};

  constructor(options: InvariantCheckerOptions) {
    this.#options = options;
  }

  /** What the last check found; absent before the node is up. */
  get report(): CheckReport | undefined {
    return this.#report;
  }

  start(): void {
    this.#run();
    this.#cancel = this.#options.scheduler.schedule(hourMs, () => this.start());
  }

  stop(): void {
    this.#cancel();
  }

  #run(): void {
    const { state, now, logger } = this.#options;
    const known = new Set(this.#report?.findings.map(({ message }) => message));
    try {
      const findings = checkInvariants(state());
      this.#report = { atMs: now(), findings };
      for (const { code, channelId, message } of findings) {
        const level = known.has(message) ? 'warn' : 'error';
        logger[level]({ code, channelId }, `a check failed: ${message}; report it`);
      }
      if (findings.length === 0) logger.debug('all checks passed');
    } catch (err) {
      // The checks may stumble over what they look for; the node goes on.
      logger.error({ err }, 'the checks could not be run; report it');
    }
  }
}
