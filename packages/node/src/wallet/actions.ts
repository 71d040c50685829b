import { type Transaction, txidToHex } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import { type BumpPlan, type BumpRequest, planCancel } from './bumping.js';
import { getLabel } from './labels.js';
import { commitPlan } from './sending.js';
import type { Wallet } from './wallet.js';
import type { WalletState } from './walletState.js';
import { txidOfKey } from './walletStore.js';

/** Signs and stores what planBump or planCancel found; broadcast it then. The label goes on with a payment. */
export function commitBump(
  state: WalletState,
  plan: BumpPlan,
  { nowMs, tx }: { nowMs: number; tx?: StorageTransaction | undefined },
): Transaction {
  const { purpose, replaces } = plan;
  const label =
    replaces === undefined
      ? undefined
      : getLabel(state.storage, { type: 'tx', ref: txidToHex(txidOfKey(replaces)) });
  return commitPlan(state, plan, { purpose, replaces, nowMs, label, tx });
}

/**
 * Takes the coins of a channel's funding transaction back that does not confirm: a transaction that spends all of
 * its inputs to ourselves takes its place, from now on, over restarts. The funding transaction may still confirm
 * instead, and the channel lives on then: forget the channel only when `cancellationOf` says that this one is
 * buried, and do not publish the funding transaction any more meanwhile.
 * @throws WalletError as planCancel
 */
export function cancelFunding(
  wallet: Wallet,
  request: Omit<BumpRequest, 'isAwaited'> & { nowMs: number; tx?: StorageTransaction },
): Transaction {
  const plan = planCancel(wallet.state, { ...request, isAwaited: () => false });
  return commitBump(wallet.state, plan, request);
}
