import { txid as txidOf } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import type { FundingPlan } from './funding.js';
import { signInputs } from './signing.js';
import type { WalletState } from './walletState.js';
import { txKey, walletWrites } from './walletStore.js';
import type { FundedTransaction } from './walletTypes.js';

/** Signs what was planned. Nothing is stored. */
export function signPlan(state: WalletState, plan: FundingPlan): FundedTransaction {
  const inputs = plan.coins.map(({ outpoint, valueSat, key }) => ({
    outpoint,
    valueSat,
    script: key.script,
  }));
  const tx = signInputs({ keyring: state.keyring, tx: plan.tx, spent: inputs });
  return { tx, txid: txidOf(tx), inputs, changeIndex: plan.changeIndex, feeSat: plan.feeSat };
}

/** Signs what was planned and keeps its inputs aside; the address of its change is used from now on. */
export function reservePlan(
  state: WalletState,
  plan: FundingPlan,
  outer: StorageTransaction | undefined,
): FundedTransaction {
  const funded = signPlan(state, plan);
  return state.change(outer, (storage) => {
    if (state.advanceOver(funded.tx)) walletWrites.next(storage, state.next);
    state.reserve(storage, txKey(funded.txid), funded.tx);
    return funded;
  });
}
