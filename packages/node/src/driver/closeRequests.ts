import type { Channel, ChannelEvent, ChannelRefusal } from '@rivulet/core/channel';
import type { Logger } from '../logging/logger.js';
import type { Wallet } from '../wallet/index.js';
import type { FundingStore } from './fundingStore.js';
import type { Turn, Turns } from './turns.js';

export interface CloseRequestsOptions {
  readonly turns: Turns;
  readonly wallet: Wallet;
  readonly fundings: FundingStore;
  readonly logger: Logger;
}

/** What is asked for when a channel is to be closed. */
export interface CloseRequest {
  readonly key: string;
  /** By publishing our commitment, instead of together with the peer. */
  readonly force: boolean;
  /** Where our share goes. */
  readonly script?: Uint8Array;
}

/** Begins closes, and hears within the same step whether the channel refuses. */
export class CloseRequests {
  readonly #options: CloseRequestsOptions;
  /** What the channel said to the command that is being executed. */
  #refusal: ChannelRefusal | undefined;

  constructor(options: CloseRequestsOptions) {
    this.#options = options;
  }

  onEvent(turn: Turn, event: ChannelEvent): void {
    if (event.type !== 'commandRefused') return;
    const { command, reason } = event;
    this.#refusal = reason;
    turn.afterCommit(() => this.#options.logger.info({ command, code: reason.code }, reason.message));
  }

  /**
   * Resolves with the channel as it is once the request is stored and sent.
   * @throws ChannelRefusal where the channel cannot be closed so.
   */
  close({ key, force, script }: CloseRequest): Promise<Channel> {
    const { turns, wallet, fundings } = this.#options;
    return new Promise((resolve, reject) => {
      turns.enqueue({
        channel: key,
        evenIfStopped: force,
        run: (turn) => {
          const channel = turn.channels.get(key);
          if (channel === undefined) throw new Error(`there is no channel ${key} any more`);
          const to =
            script ??
            fundings.closingScript(channel.params.channelId) ??
            wallet.newAddress({ type: 'p2wpkh', tx: turn.tx }).script;
          this.#refusal = undefined;
          turn.command(key, force ? { type: 'forceClose' } : { type: 'close', script: to });
          const refusal = this.#refusal as ChannelRefusal | undefined;
          turn.afterCommit(() => {
            if (refusal === undefined) resolve(turns.channels.get(key) ?? channel);
            else reject(refusal);
          });
        },
        failed: reject,
      });
    });
  }
}
