import type { Channel } from '@rivulet/core/channel';
import type { Logger } from '../logging/logger.js';
import type { ChannelKey, Turns } from './turns.js';

/** Used until the backend has an estimate. */
const fallbackFeeratePerKw = 1_000;
/** Nodes do not relay below it. */
const minimumFeeratePerKw = 253;

export interface ChannelFeesOptions {
  readonly turns: Turns;
  readonly estimate: () => Promise<number | undefined>;
  readonly maxFeeratePerKw: number;
  readonly logger: Logger;
}

/** Follows the chain's feerate with the channels that we opened. */
export class ChannelFees {
  readonly #options: ChannelFeesOptions;
  #feeratePerKw = fallbackFeeratePerKw;

  constructor(options: ChannelFeesOptions) {
    this.#options = options;
  }

  /** What the chain asks for now, as far as is known. */
  get feeratePerKw(): number {
    return this.#feeratePerKw;
  }

  /** Asks the chain; never rejects. */
  async follow(): Promise<void> {
    try {
      const estimate = await this.#options.estimate();
      this.#feeratePerKw = Math.max(estimate ?? fallbackFeeratePerKw, minimumFeeratePerKw);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'no fee estimate; the last one counts on');
    }
    for (const [key, channel] of this.#options.turns.channels) this.#update(key, channel);
  }

  /**
   * As opener, when it has moved by a fifth. Anchor channels as well: nothing raises the fee of their
   * commitments by a child yet, so that they have to pay for themselves.
   */
  #update(key: ChannelKey, { params, phase, link, fee }: Channel): void {
    if (!params.localIsOpener || phase.name !== 'open' || link !== 'online') return;
    const feeratePerKw = Math.min(this.#feeratePerKw, this.#options.maxFeeratePerKw);
    const current = fee.updates.at(-1)?.feeratePerKw ?? fee.feeratePerKw;
    if (Math.abs(feeratePerKw - current) * 5 < current) return;
    this.#options.turns.enqueue({
      channel: key,
      run: (turn) => turn.command(key, { type: 'updateFee', feeratePerKw }),
    });
  }
}
