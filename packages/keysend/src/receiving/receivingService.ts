import { KeysendError } from '../keysendError.js';
import type { ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';
import type { Wallet } from '../wallets/wallet.js';
import { BoostFeed, type BoostListener } from './boostFeed.js';
import type { BoostStore } from './boostStore.js';
import { type CollectOptions, type CollectState, collect } from './collect.js';
import { type ReceivingLogger, silentLogger } from './receivingLogger.js';
import type { WebhookPoster } from './webhooks/webhookPoster.js';
import { WebhookStore } from './webhooks/webhookStore.js';
import { WebhookWorker } from './webhooks/webhookWorker.js';

export interface ReceivingOptions {
  /** `openToolkit`, or any store with `keyedBoosts` of it. */
  readonly toolkit: { readonly store: ToolkitStore; readonly boosts: BoostStore };
  /** Each with the name by which the store knows it, for good. */
  readonly wallets: readonly { readonly source: string; readonly wallet: Wallet }[];
  /** Sends webhooks; what it may reach is its decision. */
  readonly poster: WebhookPoster;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** 0 to 1, below 1; spreads retries. */
  readonly random?: () => number;
  readonly logger?: ReceivingLogger;
  /** In the transaction that stores new payments: an audit log, a review. What it throws keeps them from being stored. */
  readonly alongside?: CollectOptions['alongside'];
}

/** How old a payment is forgotten at. */
export interface Retention {
  readonly beforeMs: number;
  readonly keepSums: boolean;
}

/** How often it is looked whether another process has stored something. */
const pollMs = 15_000;
const forgottenAtOnce = 500;

/**
 * Takes what all wallets receive into one store, tells listeners of it and delivers it to webhooks: what a daemon or an
 * app runs. The wallets stay their owner's, who closes them after `stop`.
 */
export class ReceivingService {
  readonly webhooks: WebhookStore;
  readonly #options: ReceivingOptions;
  readonly #logger: ReceivingLogger;
  readonly #feed: BoostFeed;
  readonly #worker: WebhookWorker;
  readonly #states = new Map<string, CollectState>();
  #stop: AbortController | undefined;
  #work: Promise<unknown> = Promise.resolve();
  #cancelPoll: () => void = () => {};
  /** The number of the last payment that listeners were told of. */
  #told = 0;

  constructor(options: ReceivingOptions) {
    const { toolkit, poster, now, schedule, random = Math.random, logger = silentLogger } = options;
    const { store, boosts } = toolkit;
    this.#options = options;
    this.#logger = logger;
    this.#feed = new BoostFeed((error) =>
      logger.warn({ error: String(error) }, 'a listener of boosts failed'),
    );
    this.webhooks = new WebhookStore({ store, boosts });
    const { webhooks } = this;
    this.#worker = new WebhookWorker({ webhooks, boosts, poster, now, schedule, random, logger });
    const names = new Set(options.wallets.map(({ source }) => source));
    if (names.size < options.wallets.length) {
      throw new KeysendError('request_invalid', 'two wallets that receive have the same name');
    }
  }

  start(): void {
    if (this.#stop !== undefined) return;
    const stop = new AbortController();
    this.#stop = stop;
    this.#told = this.#options.toolkit.boosts.lastId();
    const collectors = this.#options.wallets.map(({ source, wallet }) =>
      this.#collect({ source, wallet, signal: stop.signal }),
    );
    this.#work = Promise.all(collectors);
    this.#worker.start();
    this.#poll();
  }

  /** Resolves when nothing is under way any more; what is stored stays, and `start` goes on with it. */
  async stop(): Promise<void> {
    this.#stop?.abort();
    this.#cancelPoll();
    await Promise.all([this.#work, this.#worker.stop()]);
    this.#stop = undefined;
  }

  /** Calls for every payment that comes from now on, also those that another process took in. @returns what ends it. */
  subscribeBoosts(listener: BoostListener): () => void {
    if (!this.#feed.isHeard) this.#told = Math.max(this.#told, this.#options.toolkit.boosts.lastId());
    return this.#feed.subscribe(listener);
  }

  /** How each wallet is doing, by its name. */
  states(): ReadonlyMap<string, CollectState> {
    return new Map(this.#states);
  }

  /** Looks at once for what other processes have stored, and for webhooks that were changed. */
  notify(): void {
    this.#tell();
    this.#worker.notify();
  }

  /** See WebhookWorker. */
  redeliver(id: string): ReturnType<WebhookWorker['redeliver']> {
    return this.#worker.redeliver(id);
  }

  testWebhook(...given: Parameters<WebhookWorker['test']>): ReturnType<WebhookWorker['test']> {
    return this.#worker.test(...given);
  }

  /**
   * Forgets old payments, some hundred a transaction, but none that a webhook has not been told of.
   * @returns how many.
   */
  async forget({ beforeMs, keepSums }: Retention): Promise<number> {
    const { toolkit, schedule } = this.#options;
    let removed = 0;
    for (;;) {
      const keepFromId = this.webhooks.keepFromId();
      const count = toolkit.store.transaction((tx) =>
        toolkit.boosts.forget(tx, { beforeMs, keepSums, keepFromId, limit: forgottenAtOnce }),
      );
      removed += count;
      if (count < forgottenAtOnce) return removed;
      await new Promise<void>((resolve) => schedule(0, resolve));
    }
  }

  async #collect(given: { source: string; wallet: Wallet; signal: AbortSignal }): Promise<void> {
    const { source } = given;
    const { toolkit, now, schedule, alongside } = this.#options;
    try {
      await collect({
        ...given,
        ...toolkit,
        now,
        schedule,
        ...(alongside === undefined ? {} : { alongside }),
        onBoosts: (boosts) => {
          if (boosts.length > 0) this.notify();
        },
        onState: (state) => {
          this.#states.set(source, state);
          if (state.status === 'waiting') {
            const { code, message, retryAtMs } = state;
            this.#logger.warn(
              { source, code, message, retryAtMs },
              'a wallet does not tell what it receives',
            );
          } else this.#logger.info({ source }, `a wallet is ${state.status}`);
        },
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#states.set(source, { status: 'stopped', message });
      this.#logger.warn({ source, message }, 'a wallet cannot tell what it receives');
    }
  }

  #poll(): void {
    this.#cancelPoll = this.#options.schedule(pollMs, () => {
      if (this.#stop?.signal.aborted !== false) return;
      try {
        this.#tell();
      } catch (error) {
        this.#logger.warn({ error: String(error) }, 'the store of boosts could not be read');
      }
      this.#poll();
    });
  }

  #tell(): void {
    const { boosts } = this.#options.toolkit;
    if (!this.#feed.isHeard) return;
    for (;;) {
      const arrived = boosts.arrivals(this.#told, 500);
      const last = arrived.at(-1);
      if (last === undefined) return;
      this.#told = last.id;
      this.#feed.publish(arrived);
    }
  }
}
