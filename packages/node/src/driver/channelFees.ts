import type { Channel, ChannelFormat } from '@rivulet/core/channel';
import type { Logger } from '../logging/logger.js';
import { minimumFeeratePerKw, usableEstimate } from '../onchain/index.js';
import type { ChannelKey, Turns } from './turns.js';

/** Used until the backend has an estimate. */
const fallbackFeeratePerKw = 1_000;
/**
 * What the commitment of an anchor channel pays itself at most, 10 sat a virtual byte: enough to be relayed in
 * ordinary times, and what the chain asks for beyond that a child pays when it is needed.
 */
const anchorFeeratePerKw = 2_500;

export interface ChannelFeesOptions {
  readonly turns: Turns;
  readonly estimate: () => Promise<number | undefined>;
  /**
   * What is asked of those who have time (about a week): peers close channels whose commitments pay less, and
   * mempools that are full do not take them.
   */
  readonly slowEstimate?: () => Promise<number | undefined>;
  readonly maxFeeratePerKw: number;
  readonly logger: Logger;
}

/** Follows the chain's feerate with the channels that we opened. */
export class ChannelFees {
  readonly #options: ChannelFeesOptions;
  #feeratePerKw = fallbackFeeratePerKw;
  #slowFeeratePerKw = minimumFeeratePerKw;

  constructor(options: ChannelFeesOptions) {
    this.#options = options;
  }

  /** What the chain asks for now, as far as is known. */
  get feeratePerKw(): number {
    return this.#feeratePerKw;
  }

  /** What the commitment of a channel that we open, or opened, should pay now. */
  commitmentFeeratePerKw(commitment: ChannelFormat['commitment']): number {
    const most = this.#options.maxFeeratePerKw;
    if (commitment !== 'anchors') return Math.min(this.#feeratePerKw, most);
    return Math.min(this.#feeratePerKw, Math.max(anchorFeeratePerKw, this.#slowFeeratePerKw), most);
  }

  /** Asks the chain; never rejects. */
  async follow(): Promise<void> {
    const { estimate, slowEstimate, logger, turns } = this.#options;
    try {
      const [fast, slow] = [await estimate(), await slowEstimate?.()];
      this.#feeratePerKw = Math.max(usableEstimate(fast, fallbackFeeratePerKw), minimumFeeratePerKw);
      this.#slowFeeratePerKw = Math.max(usableEstimate(slow, minimumFeeratePerKw), minimumFeeratePerKw);
    } catch (error) {
      logger.warn({ err: error }, 'no fee estimate; the last one counts on');
    }
    for (const [key, channel] of turns.channels) this.#update(key, channel);
  }

  /** As opener, when it has moved by a fifth. */
  #update(key: ChannelKey, { params, phase, link, fee }: Channel): void {
    if (!params.localIsOpener || phase.name !== 'open' || link !== 'online') return;
    const feeratePerKw = this.commitmentFeeratePerKw(params.format.commitment);
    const current = fee.updates.at(-1)?.feeratePerKw ?? fee.feeratePerKw;
    if (Math.abs(feeratePerKw - current) * 5 < current) return;
    this.#options.turns.enqueue({
      channel: key,
      run: (turn) => turn.command(key, { type: 'updateFee', feeratePerKw }),
    });
  }
}
