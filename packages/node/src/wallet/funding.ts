import { concatBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { dustThresholdSat, type Transaction, type TxOutput, unsignedInput } from '@rivulet/core/tx';
import { feeForSat, type Selection, selectCoins, useAll } from './coinSelection.js';
import type { WalletCoin } from './ledger.js';
import { inputWeights } from './signing.js';
import { type FundsDetails, WalletError } from './walletError.js';

/** An unsigned transaction and the coins it spends, in the order of its inputs. */
export interface FundingPlan {
  readonly tx: Transaction;
  readonly coins: readonly WalletCoin[];
  readonly changeIndex?: number | undefined;
  readonly feeSat: bigint;
}

/** The relay minimum of 1 sat a virtual byte, rounded up to where rounding to virtual bytes cannot hurt. */
const minimumFeeratePerKw = 253;
/** 1,000 sat a virtual byte: above any feerate that was ever needed. */
const maximumFeeratePerKw = 250_000;
/** Bitcoin Core relays nothing heavier. */
const maximumWeight = 400_000;
const maximumMoneySat = 2_100_000_000_000_000n;
/** Signals replacement (BIP 125) and makes the locktime count. */
const sequence = 0xffff_fffd;

export const outputWeight = (script: Uint8Array): number =>
  4 * (8 + (script.length < 0xfd ? 1 : 3) + script.length);

/** Version, locktime, marker and flag, and counts at their longest for what is likely: 3 bytes from 253 on. */
export function frameWeight(inputs: number, outputs: number): number {
  const count = (items: number): number => (items < 0xfd ? 1 : 3);
  return 4 * (8 + count(inputs) + count(outputs)) + 2;
}

export const inputWeight = (coin: WalletCoin): number => inputWeights[coin.key.keychain.type];
const sum = (values: readonly bigint[]): bigint => values.reduce((total, value) => total + value, 0n);

/** @throws WalletError `feerate_too_low`, `feerate_absurd` */
export function checkFeerate(feeratePerKw: number): void {
  if (!Number.isInteger(feeratePerKw) || feeratePerKw < minimumFeeratePerKw) {
    throw new WalletError(
      'feerate_too_low',
      `a feerate of ${feeratePerKw} sat per 1000 weight units is not relayed: the minimum is ${minimumFeeratePerKw}`,
    );
  }
  if (feeratePerKw > maximumFeeratePerKw) {
    throw new WalletError(
      'feerate_absurd',
      `a feerate of ${feeratePerKw} sat per 1000 weight units is surely a mistake: more than ${maximumFeeratePerKw} is refused`,
    );
  }
}

function checkOutput({ valueSat, script }: TxOutput): void {
  if (script.length === 0 || script.length > 10_000 || valueSat < 0n || valueSat > maximumMoneySat) {
    throw new WalletError(
      'bad_output',
      `an output of ${valueSat} sat with a script of ${script.length} bytes is none`,
    );
  }
  const dustSat = dustThresholdSat(script);
  if (valueSat < dustSat) {
    throw new WalletError(
      'dust_output',
      `an output of ${valueSat} sat is dust: the network relays no less than ${dustSat} sat to such a script`,
    );
  }
}

export function insufficient(details: FundsDetails): WalletError {
  const { availableSat, neededSat, feeSat } = details;
  return new WalletError(
    'insufficient_funds',
    `${neededSat} sat are needed (${feeSat} sat of it fee), but ${availableSat} sat can be spent now: ` +
      `add ${neededSat - availableSat} sat, or wait for confirmations`,
    { details },
  );
}

export function unsignedTx(
  coins: readonly WalletCoin[],
  outputs: readonly TxOutput[],
  lockTime: number,
): Transaction {
  const inputs = coins.map(({ outpoint }) => unsignedInput(outpoint, sequence));
  return { version: 2, lockTime, inputs, outputs };
}

/** Where change goes among the outputs: unforeseeable for others, but the same for the same transaction. */
export function changePosition(coins: readonly WalletCoin[], outputs: number): number {
  const digest = sha256(concatBytes(...coins.map(({ outpoint }) => outpoint.txid)));
  return (digest[0] as number) % (outputs + 1);
}

/** Chooses coins for outputs and places the change. `coins` come in a fixed order. */
export function buildFunding(request: {
  readonly outputs: readonly TxOutput[];
  readonly feeratePerKw: number;
  readonly coins: readonly WalletCoin[];
  /** Spends all the coins, and not what suffices of them. */
  readonly exactly?: boolean;
  readonly changeScript: Uint8Array;
  /** The tip's height: nothing is gained by mining this transaction into an older block (fee sniping). */
  readonly lockTime: number;
}): FundingPlan {
  const { outputs, feeratePerKw, coins, changeScript, lockTime } = request;
  checkFeerate(feeratePerKw);
  if (outputs.length === 0) throw new WalletError('bad_output', 'a transaction needs an output');
  for (const output of outputs) checkOutput(output);
  const targetSat = sum(outputs.map(({ valueSat }) => valueSat));
  const fixedWeight =
    frameWeight(coins.length, outputs.length + 1) +
    outputs.reduce((total, { script }) => total + outputWeight(script), 0);

  const select = request.exactly === true ? useAll : selectCoins;
  const selection: Selection<WalletCoin & { inputWeight: number }> | undefined = select({
    coins: coins.map((coin) => ({ ...coin, inputWeight: inputWeight(coin) })),
    targetSat,
    fixedWeight,
    changeOutputWeight: outputWeight(changeScript),
    changeInputWeight: inputWeights.p2tr,
    minimumChangeSat: dustThresholdSat(changeScript),
    feeratePerKw,
  });
  if (selection === undefined) throw insufficient(whatIsMissing(coins, targetSat, fixedWeight, feeratePerKw));
  const chosen = selection.coins;
  checkWeight(fixedWeight + outputWeight(changeScript), chosen);

  const all = [...outputs];
  let changeIndex: number | undefined;
  if (selection.changeSat > 0n) {
    changeIndex = changePosition(chosen, outputs.length);
    all.splice(changeIndex, 0, { valueSat: selection.changeSat, script: changeScript });
  }
  const feeSat = sum(chosen.map(({ valueSat }) => valueSat)) - sum(all.map(({ valueSat }) => valueSat));
  return { tx: unsignedTx(chosen, all, lockTime), coins: chosen, changeIndex, feeSat };
}

function whatIsMissing(
  coins: readonly WalletCoin[],
  targetSat: bigint,
  fixedWeight: number,
  feeratePerKw: number,
): FundsDetails {
  const useful = coins.filter((coin) => coin.valueSat > feeForSat(inputWeight(coin), feeratePerKw));
  const inputs =
    useful.length === 0 ? inputWeights.p2tr : useful.reduce((all, one) => all + inputWeight(one), 0);
  const feeSat = feeForSat(fixedWeight + inputs, feeratePerKw);
  const availableSat = sum(useful.map(({ valueSat }) => valueSat));
  return { availableSat, neededSat: targetSat + feeSat, feeSat };
}

export function checkWeight(withoutInputs: number, coins: readonly WalletCoin[]): void {
  const weight = withoutInputs + coins.reduce((total, coin) => total + inputWeight(coin), 0);
  if (weight > maximumWeight) {
    throw new WalletError(
      'too_many_inputs',
      `${coins.length} small coins would be needed, more than one transaction can spend: gather them first (sweepAll to an own address)`,
    );
  }
}

/**
 * All coins that are worth their fee, the largest first, up to what one transaction can hold: what is left after
 * other outputs goes to one script. `changeIndex` is its place: the last.
 */
export function buildSweepAll(request: {
  readonly script: Uint8Array;
  readonly others?: readonly TxOutput[];
  readonly feeratePerKw: number;
  readonly coins: readonly WalletCoin[];
  /** Coins that cost more than they are worth as well: somebody chose them. */
  readonly exactly?: boolean;
  readonly lockTime: number;
}): FundingPlan {
  const { script, feeratePerKw, lockTime, others = [] } = request;
  checkFeerate(feeratePerKw);
  checkOutput({ valueSat: maximumMoneySat, script });
  for (const output of others) checkOutput(output);
  let weight = frameWeight(request.coins.length, others.length + 1) + outputWeight(script);
  for (const other of others) weight += outputWeight(other.script);
  const coins: WalletCoin[] = [];
  const byValue = [...request.coins].sort((a, b) =>
    a.valueSat < b.valueSat ? 1 : a.valueSat > b.valueSat ? -1 : 0,
  );
  for (const coin of byValue) {
    const worthIt = coin.valueSat > feeForSat(inputWeight(coin), feeratePerKw);
    if (!worthIt && request.exactly !== true) continue;
    if (weight + inputWeight(coin) > maximumWeight) break;
    weight += inputWeight(coin);
    coins.push(coin);
  }
  const feeSat = feeForSat(weight, feeratePerKw);
  const availableSat = sum(coins.map(({ valueSat }) => valueSat));
  const dustSat = dustThresholdSat(script) > 0n ? dustThresholdSat(script) : 1n;
  const neededSat = sum(others.map(({ valueSat }) => valueSat)) + feeSat;
  if (availableSat < neededSat + dustSat) {
    throw insufficient({ availableSat, neededSat: neededSat + dustSat, feeSat });
  }
  const outputs = [...others, { valueSat: availableSat - neededSat, script }];
  return { tx: unsignedTx(coins, outputs, lockTime), coins, changeIndex: others.length, feeSat };
}
