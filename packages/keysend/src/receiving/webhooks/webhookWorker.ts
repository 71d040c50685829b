import { bytesToHex, utf8ToBytes } from '@rivulet/core/bytes';
import { KeysendError } from '../../keysendError.js';
import { pause, type Schedule } from '../../timing/schedule.js';
import { matchesFilter } from '../boostFilter.js';
import { boostToJson } from '../boostJson.js';
import type { BoostStore } from '../boostStore.js';
import type { ReceivedBoost } from '../receivedBoost.js';
import { type ReceivingLogger, silentLogger } from '../receivingLogger.js';
import type { WebhookPoster } from './webhookPoster.js';
import { webhookHeaders } from './webhookSignature.js';
import { deliveryId, type Line, parseDeliveryId, type Webhook, type WebhookStore } from './webhookStore.js';

export interface WebhookWorkerOptions {
  readonly webhooks: WebhookStore;
  /** Those of the same store. */
  readonly boosts: BoostStore;
  readonly poster: WebhookPoster;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** 0 to 1, below 1. */
  readonly random: () => number;
  readonly logger?: ReceivingLogger;
  /** How long a server has to answer; 15 seconds where it is absent. */
  readonly timeoutMs?: number;
  /** How long a delivery is tried before it is given up; 3 days where it is absent. */
  readonly maxAgeMs?: number;
}

/** What became of one attempt. */
export type DeliveryOutcome =
  | { readonly status: 'delivered'; readonly httpStatus: number }
  | { readonly status: 'failed'; readonly httpStatus?: number; readonly problem: string };

type Attempt =
  | { readonly status: 'delivered'; readonly httpStatus: number }
  | { readonly status: 'gone' }
  | {
      readonly status: 'failed';
      readonly httpStatus?: number;
      readonly problem: string;
      readonly waitMs: number;
    };

type Failing = Pick<Line, 'failingSinceMs' | 'failedAtMs'>;

const dayMs = 86_400_000;
const firstDelayMs = 5_000;
const longestDelayMs = 3_600_000;
/** However old it is: a daemon that was off for days has tried nothing in them. */
const leastAttempts = 5;
/** How often it is looked whether another process has stored something, or changed a webhook. */
const pollMs = 30_000;
const pageSize = 200;
/** What a filter left out need not be looked at again after a restart: noted after so many, or every now and then. */
const noteEvery = 1_000;
const maxProblemLength = 200;

/**
 * Delivers what is stored: for each webhook in order, one after the other, at least once, until its server has said
 * 2xx. A delivery that fails is tried again later and later, and the ones after it wait; other webhooks do not. Where
 * it dies, another one goes on with what is stored: the same delivery has the same id.
 */
export class WebhookWorker {
  readonly #options: WebhookWorkerOptions;
  readonly #logger: ReceivingLogger;
  readonly #running = new Map<string, Promise<void>>();
  readonly #wakers = new Set<() => void>();
  #stop = new AbortController();
  #supervisor: Promise<void> | undefined;

  constructor(options: WebhookWorkerOptions) {
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
  }

  start(): void {
    if (this.#supervisor !== undefined) return;
    this.#stop = new AbortController();
    this.#supervisor = this.#supervise();
  }

  /** Ends deliveries; one that is under way is sent again by whoever goes on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.notify();
    await this.#supervisor;
    await Promise.all(this.#running.values());
    this.#supervisor = undefined;
  }

  /** Something was stored, or a webhook was changed. */
  notify(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  /**
   * Sends a delivery once more, at once: one that was given up, or any other.
   * @throws KeysendError `not_found`
   */
  async redeliver(id: string): Promise<DeliveryOutcome> {
    const { webhooks, boosts, now } = this.#options;
    const { webhookId, boostId } = parseDeliveryId(id);
    const boost = boosts.get(boostId);
    if (boost === undefined)
      throw new KeysendError('not_found', `the payment ${boostId} is not stored any more`);
    const outcome = await this.#once(webhookId, { id, body: bodyOf(id, boost) });
    if (outcome.status === 'delivered') webhooks.revive(webhookId, boostId, now());
    return outcome;
  }

  /** Sends a delivery of the type `test`. @throws KeysendError `not_found` */
  test(webhookId: string, randomBytes: (count: number) => Uint8Array): Promise<DeliveryOutcome> {
    const id = `${webhookId}-test-${bytesToHex(randomBytes(8))}`;
    return this.#once(webhookId, { id, body: utf8ToBytes(JSON.stringify({ id, type: 'test' })) });
  }

  async #once(webhookId: string, delivery: { id: string; body: Uint8Array }): Promise<DeliveryOutcome> {
    const webhook = this.#options.webhooks.get(webhookId);
    if (webhook === undefined)
      throw new KeysendError('not_found', `there is no webhook ${webhookId.slice(0, 40)}`);
    const attempt = await this.#attempt(webhook, { ...delivery, attempts: 0 });
    switch (attempt.status) {
      case 'delivered':
        return attempt;
      case 'gone':
        return { status: 'failed', httpStatus: 410, problem: 'HTTP 410: it wants no more' };
      case 'failed': {
        const { waitMs: _, ...outcome } = attempt;
        return outcome;
      }
    }
  }

  async #supervise(): Promise<void> {
    const { webhooks } = this.#options;
    while (!this.#stop.signal.aborted) {
      await this.#safely('webhooks', async () => {
        for (const { id, disabled } of webhooks.list()) {
          if (disabled !== undefined || this.#running.has(id)) continue;
          const run = this.#run(id).finally(() => this.#running.delete(id));
          this.#running.set(id, run);
        }
      });
      await this.#idle(pollMs);
    }
  }

  async #run(id: string): Promise<void> {
    let seen = 0;
    let notedAtMs = this.#options.now();
    let goesOn = true;
    while (goesOn && !this.#stop.signal.aborted) {
      await this.#safely(id, async () => {
        const { webhooks, now } = this.#options;
        const webhook = webhooks.get(id);
        if (webhook === undefined || webhook.disabled !== undefined) {
          goesOn = false;
          return;
        }
        const line = webhooks.line(id);
        const waitMs = (line.trying?.retryAtMs ?? 0) - now();
        if (waitMs > 0) {
          await this.#idle(Math.min(waitMs, pollMs));
          return;
        }
        const found = this.#next(webhook, Math.max(seen, line.after));
        if (found.boost !== undefined) {
          await this.#deliver(webhook, { line, boost: found.boost });
          return;
        }
        seen = found.seen;
        if (seen - line.after >= noteEvery || (seen > line.after && now() - notedAtMs >= pollMs)) {
          notedAtMs = now();
          webhooks.advance(id, line.after, (before) => ({ ...before, after: seen }));
        }
        await (found.isEnd ? this.#idle(pollMs) : pause(this.#options.schedule, 0, this.#stop.signal));
      });
    }
  }

  /** The first payment after a number that the webhook is told of. */
  #next({ filter }: Webhook, after: number): { boost?: ReceivedBoost; seen: number; isEnd: boolean } {
    const page = this.#options.boosts.arrivals(after, pageSize);
    const boost = page.find((one) => matchesFilter(one, filter));
    if (boost !== undefined) return { boost, seen: boost.id - 1, isEnd: false };
    return { seen: page.at(-1)?.id ?? after, isEnd: page.length < pageSize };
  }

  async #deliver(webhook: Webhook, { line, boost }: { line: Line; boost: ReceivedBoost }): Promise<void> {
    const { webhooks, now, maxAgeMs = 3 * dayMs } = this.#options;
    const { id } = webhook;
    const before = line.trying?.boostId === boost.id ? line.trying.attempts : 0;
    const name = deliveryId(id, boost.id);
    // What became too old while the one before it was tried need not be tried as often.
    if (before === 0 && line.failedAtMs !== undefined && diesAtMs(line, boost, maxAgeMs) <= line.failedAtMs) {
      const problem = 'those before it failed for too long';
      this.#bury(webhook, { after: line.after, failing: {}, boost, attempts: 0, problem });
      return;
    }
    const attempt = await this.#attempt(webhook, { id: name, body: bodyOf(name, boost), attempts: before });
    if (this.#stop.signal.aborted && attempt.status === 'failed') return;
    switch (attempt.status) {
      case 'delivered':
        webhooks.advance(id, line.after, ({ trying: _, failingSinceMs: __, failedAtMs: ___, ...rest }) => ({
          ...rest,
          after: boost.id,
          delivered: rest.delivered + 1,
          lastDeliveredAtMs: now(),
        }));
        return;
      case 'gone':
        this.#logger.warn({ webhook: id }, 'a webhook was disabled: its server answered 410');
        webhooks.disable(id, { atMs: now(), reason: 'its server answered 410 (gone)' });
        return;
      case 'failed': {
        const { problem, waitMs } = attempt;
        const attempts = before + 1;
        const failingSinceMs = line.failingSinceMs ?? now();
        const failing = { failingSinceMs, failedAtMs: now() };
        if (attempts >= leastAttempts && diesAtMs(failing, boost, maxAgeMs) <= now()) {
          this.#bury(webhook, { after: line.after, failing, boost, attempts, problem });
          return;
        }
        this.#logger.info({ delivery: name, attempts, problem, retryInMs: waitMs }, 'a delivery failed');
        const trying = { boostId: boost.id, attempts, problem, retryAtMs: now() + waitMs };
        webhooks.advance(id, line.after, (current) => ({ ...current, ...failing, trying }));
        return;
      }
    }
  }

  #bury(
    { id }: Webhook,
    given: { after: number; failing: Failing; boost: ReceivedBoost; attempts: number; problem: string },
  ): void {
    const { after, failing, boost, attempts, problem } = given;
    const { webhooks, now } = this.#options;
    this.#logger.warn({ delivery: deliveryId(id, boost.id), attempts, problem }, 'a delivery was given up');
    webhooks.advance(id, after, ({ trying: _, ...current }) => ({
      line: { ...current, ...failing, after: boost.id },
      dead: { boostId: boost.id, attempts, problem, diedAtMs: now() },
    }));
  }

  async #attempt(
    { id: webhookId, url }: Webhook,
    { id, body, attempts }: { id: string; body: Uint8Array; attempts: number },
  ): Promise<Attempt> {
    const { webhooks, poster, now, schedule, random, timeoutMs = 15_000 } = this.#options;
    const backOffMs = Math.min(firstDelayMs * 2 ** attempts, longestDelayMs) * (0.5 + random() / 2);
    const failed = (problem: string, more: { httpStatus?: number; waitMs?: number } = {}): Attempt => ({
      status: 'failed',
      problem: problem.slice(0, maxProblemLength),
      ...more,
      waitMs: Math.round(Math.max(backOffMs, more.waitMs ?? 0)),
    });
    const end = new AbortController();
    const stop = (): void => end.abort();
    const cancelTimer = schedule(timeoutMs, stop);
    this.#stop.signal.addEventListener('abort', stop);
    if (this.#stop.signal.aborted) stop();
    try {
      const headers = {
        'Content-Type': 'application/json',
        'User-Agent': 'Rivulet',
        ...webhookHeaders({
          secret: webhooks.secretOf(webhookId),
          id,
          timestampSeconds: Math.floor(now() / 1_000),
          body,
        }),
      };
      const answer = await Promise.race([
        poster({ url, headers, body }, { signal: end.signal }),
        aborted(end.signal),
      ]);
      const { status, retryAfterSeconds = 0 } = answer;
      if (status >= 200 && status < 300) return { status: 'delivered', httpStatus: status };
      if (status === 410) return { status: 'gone' };
      const waitMs = Math.min(retryAfterSeconds * 1_000, longestDelayMs);
      return failed(`HTTP ${status}`, { httpStatus: status, waitMs });
    } catch (error) {
      if (end.signal.aborted) return failed(`no answer within ${timeoutMs / 1_000} s`);
      // What a connection fails with may quote what the server sent; ours does not.
      return failed(error instanceof KeysendError ? error.message : 'the connection failed');
    } finally {
      cancelTimer();
      this.#stop.signal.removeEventListener('abort', stop);
      // Whatever is still under way is not waited for any more.
      stop();
    }
  }

  /** A store that fails now may work later. */
  async #safely(webhook: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#logger.warn({ webhook, problem }, 'a webhook could not go on');
      await this.#idle(pollMs);
    }
  }

  /** Until then, or until something happens. */
  async #idle(delayMs: number): Promise<void> {
    if (this.#stop.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel();
        this.#wakers.delete(wake);
        resolve();
      };
      const cancel = this.#options.schedule(delayMs, wake);
      this.#wakers.add(wake);
    });
  }
}

/** When a payment has been tried, or has waited behind others that failed, for too long. */
function diesAtMs(
  { failingSinceMs = 0 }: Failing,
  { receivedAtMs }: ReceivedBoost,
  maxAgeMs: number,
): number {
  return Math.max(failingSinceMs, receivedAtMs) + maxAgeMs;
}

function bodyOf(id: string, boost: ReceivedBoost): Uint8Array {
  return utf8ToBytes(JSON.stringify({ id, type: 'boost.received', boost: boostToJson(boost) }));
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => reject(new Error('aborted'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
