import { dustThresholdSat, type TxOutput } from '@rivulet/core/tx';
import { largestFirst } from './coinStates.js';
import {
  changePosition,
  checkWeight,
  type FundingPlan,
  frameWeight,
  inputWeight,
  insufficient,
  outputWeight,
  unsignedTx,
} from './funding.js';
import type { WalletCoin } from './ledger.js';

export interface RestRequest {
  /** Spent in any case. */
  readonly coins: readonly WalletCoin[];
  /** Added one by one, the largest first, while it is not enough. */
  readonly further: readonly WalletCoin[];
  readonly outputs: readonly TxOutput[];
  /** What takes all that is left, and where; at a place of our choice if `index` is absent. */
  readonly rest: { readonly script: Uint8Array; readonly index?: number | undefined };
  /** Whether there must be a rest: else what is too little for an output goes to the fee. */
  readonly restNeeded: boolean;
  /** The fee of a transaction of this weight. */
  readonly feeSat: (weight: number) => bigint;
  readonly lockTime: number;
}

const sum = (items: readonly { readonly valueSat: bigint }[]): bigint =>
  items.reduce((total, { valueSat }) => total + valueSat, 0n);

/**
 * A transaction whose inputs and outputs are mostly given: what replaces one, or pays for one.
 * @throws WalletError `insufficient_funds`, `too_many_inputs`
 */
export function buildWithRest(request: RestRequest): FundingPlan {
  const { outputs, rest, restNeeded } = request;
  const coins = [...request.coins];
  const further = [...request.further].sort(largestFirst);
  const dustSat = dustThresholdSat(rest.script) > 0n ? dustThresholdSat(rest.script) : 1n;
  const outputsSat = sum(outputs);
  for (;;) {
    const inputsWeight = coins.reduce((total, coin) => total + inputWeight(coin), 0);
    const weightWithout =
      frameWeight(coins.length, outputs.length + 1) +
      inputsWeight +
      outputs.reduce((total, { script }) => total + outputWeight(script), 0);
    const feeWithRestSat = request.feeSat(weightWithout + outputWeight(rest.script));
    const spareSat = sum(coins) - outputsSat;
    const restSat = spareSat - feeWithRestSat;
    if (restSat >= dustSat) {
      const index = rest.index ?? changePosition(coins, outputs.length);
      const all = [...outputs];
      all.splice(index, 0, { valueSat: restSat, script: rest.script });
      checkWeight(weightWithout - inputsWeight + outputWeight(rest.script), coins);
      const tx = unsignedTx(coins, all, request.lockTime);
      return { tx, coins, changeIndex: index, feeSat: feeWithRestSat };
    }
    if (!restNeeded && outputs.length > 0 && spareSat >= request.feeSat(weightWithout)) {
      checkWeight(weightWithout - inputsWeight, coins);
      return { tx: unsignedTx(coins, outputs, request.lockTime), coins, feeSat: spareSat };
    }
    const next = further.shift();
    if (next === undefined) {
      const neededSat = outputsSat + feeWithRestSat + (restNeeded ? dustSat : 0n);
      throw insufficient({ availableSat: sum(coins), neededSat, feeSat: feeWithRestSat });
    }
    coins.push(next);
  }
}
