import { type Channel, resume, type StepContext } from '@rivulet/core/channel';
import { type Transaction, txid } from '@rivulet/core/tx';
import { type NodeStorage, StorageError } from '@rivulet/storage';
import type { Wallet } from '../wallet/index.js';
import { loadChannels } from './channelStore.js';
import type { FundingStore } from './fundingStore.js';
import type { Payments } from './payments/payments.js';
import { channelKey, type Turns } from './turns.js';

export interface ResumptionOptions {
  readonly storage: NodeStorage;
  readonly turns: Turns;
  readonly payments: Payments;
  readonly wallet: Wallet;
  readonly fundings: FundingStore;
  readonly contextFor: (channel: Channel) => StepContext;
  readonly publish: (tx: Transaction, purpose: string) => void;
}

/**
 * Takes up what was stored: channels, payments under way, fundings that no block has yet.
 * @throws StorageError where it cannot be told to whom it concerns.
 */
export function resumeAll(options: ResumptionOptions): void {
  const { storage, turns, payments, wallet, fundings, contextFor, publish } = options;
  const channels = loadChannels(storage);
  turns.load(channels);
  for (const channel of channels) {
    const key = channelKey(channel.params.channelId);
    turns.enqueue({
      channel: key,
      run: (turn) => {
        // As it is now: what an earlier channel told may have changed it already.
        const current = turn.channels.get(key) ?? channel;
        turn.apply(key, resume(current, contextFor(current)));
      },
    });
  }
  let lost: unknown;
  turns.enqueue({
    run: (turn) => payments.resume(turn),
    failed: (error) => {
      lost = error;
    },
  });
  // What was set aside for channels that were never signed: nobody can broadcast those any more.
  turns.enqueue({
    run: (turn) => {
      for (const tx of wallet.reservations()) wallet.release(txid(tx), turn.tx);
    },
  });
  turns.runNow();
  // What is pending is told once: without it payments would be neither claimed nor failed until the next start.
  if (lost instanceof StorageError) throw lost;
  for (const tx of unconfirmedFundings(channels, fundings)) publish(tx, 'funding');
}

/** The funding transactions of ours that no block has: also of channels whose confirmation was undone. */
export function unconfirmedFundings(channels: readonly Channel[], fundings: FundingStore): Transaction[] {
  return channels.flatMap(({ params, readiness }) => {
    if (!params.localIsOpener || readiness.fundingConfirmed !== undefined) return [];
    return fundings.get(channelKey(params.channelId)) ?? [];
  });
}
