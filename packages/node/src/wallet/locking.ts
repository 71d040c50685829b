import type { Outpoint } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import { findCoin, outpointText } from './coinStates.js';
import { userLock } from './labels.js';
import { outpointKey } from './ledger.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { walletWrites } from './walletStore.js';

/**
 * Keeps coins from every selection until they are unlocked, over restarts. One that is locked already stays
 * so, with its first reason.
 * @throws WalletError `unknown_coin`, `coin_taken` for one that a transaction in the making needs
 */
export function lockCoins(
  state: WalletState,
  outpoints: readonly Outpoint[],
  { reason = userLock, tx }: { reason?: string; tx?: StorageTransaction | undefined } = {},
): void {
  for (const outpoint of outpoints) {
    findCoin(state, outpoint);
    const key = outpointKey(outpoint);
    if (state.reservedOutpoints.has(key) || state.heldFor(key) !== undefined) {
      throw new WalletError(
        'coin_taken',
        `${outpointText(outpoint)} is in use, for a transaction or a claim on chain: try again when that is over`,
      );
    }
  }
  state.change(tx, (storage) => {
    for (const key of outpoints.map(outpointKey)) {
      if (state.locks.has(key)) continue;
      walletWrites.lock(storage, key, reason);
      state.locks.set(key, reason);
    }
  });
}

/** Gives locked coins free, whatever they were locked for. Says how many were locked. */
export function unlockCoins(
  state: WalletState,
  outpoints: readonly Outpoint[],
  tx?: StorageTransaction,
): number {
  return state.change(tx, (storage) => {
    let count = 0;
    for (const key of outpoints.map(outpointKey)) {
      if (!state.locks.delete(key)) continue;
      walletWrites.unlock(storage, key);
      count++;
    }
    return count;
  });
}
