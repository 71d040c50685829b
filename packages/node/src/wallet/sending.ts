import { bytesToHex, equalBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { type Outpoint, type Transaction, type TxOutput, txid as txidOf, txidToHex } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import { chosenCoins, largestFirst } from './coinStates.js';
import { addUnconfirmed } from './following.js';
import { buildFunding, buildSweepAll, type FundingPlan } from './funding.js';
import { keychainOf } from './keyring.js';
import { setLabel } from './labels.js';
import { outpointKey, type WalletCoin } from './ledger.js';
import type { TxPurpose } from './notes.js';
import { signPlan } from './reserving.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { loadSendKey, txKey, walletWrites } from './walletStore.js';

export interface SendRequest {
  readonly outputs: readonly TxOutput[];
  /** Gets all that is left. */
  readonly allTo?: Uint8Array | undefined;
  readonly feeratePerKw: number;
  /** Spends these, all of them and no others. */
  readonly coins?: readonly Outpoint[] | undefined;
  /** The most that it may cost; without it, what is surely a mistake is refused. */
  readonly maxFeeSat?: bigint | undefined;
  /** What must stay for the fees of channels. */
  readonly reserveSat: bigint;
}

export interface SendPlan extends FundingPlan {
  /** What stays in the wallet of all that could be spent, where all was asked for and channels need fees. */
  readonly keptSat?: bigint | undefined;
}

/** A fee below it is nobody's mistake. */
const harmlessFeeSat = 50_000n;
/** Less is not worth an output. */
const smallestKeepSat = 1_000n;

const sum = (items: readonly { readonly valueSat: bigint }[]): bigint =>
  items.reduce((total, { valueSat }) => total + valueSat, 0n);

/**
 * Confirmed coins, which can pay fees of channels' transactions, that add up to what is to be kept, or all of them
 * where they do not.
 */
export function reserveCoins(coins: readonly WalletCoin[], reserveSat: bigint): WalletCoin[] {
  if (reserveSat === 0n) return [];
  const fit = coins.filter(({ height }) => height !== undefined).sort(largestFirst);
  const single = fit.findLast(({ valueSat }) => valueSat >= reserveSat);
  if (single !== undefined) return [single];
  const kept: WalletCoin[] = [];
  for (const coin of fit) {
    if (sum(kept) >= reserveSat) break;
    kept.push(coin);
  }
  return kept;
}

/** Coins but for some of them. */
export const without = (coins: readonly WalletCoin[], taken: readonly WalletCoin[]): WalletCoin[] => {
  const keys = new Set(taken.map(({ outpoint }) => outpointKey(outpoint)));
  return coins.filter(({ outpoint }) => !keys.has(outpointKey(outpoint)));
};

/**
 * What a payment would be; nothing is signed or stored.
 * @throws WalletError as `Wallet.fund`, and `unknown_coin`, `coin_taken`, `bad_coin`, `fee_absurd`, `reserve_needed`
 */
export function planSend(state: WalletState, request: SendRequest): SendPlan {
  const plan = request.allTo === undefined ? planAmounts(state, request) : planAll(state, request);
  const paidSat =
    request.allTo === undefined ? sum(request.outputs) : sum(plan.tx.outputs) - (plan.keptSat ?? 0n);
  checkFee({ feeSat: plan.feeSat, paidSat, maxFeeSat: request.maxFeeSat });
  return plan;
}

/** @throws WalletError `fee_absurd` */
export function checkFee(given: { feeSat: bigint; paidSat: bigint; maxFeeSat?: bigint | undefined }): void {
  const { feeSat, paidSat, maxFeeSat } = given;
  const tenthSat = paidSat / 10n;
  const limitSat = maxFeeSat ?? (tenthSat > harmlessFeeSat ? tenthSat : harmlessFeeSat);
  if (feeSat <= limitSat) return;
  throw new WalletError(
    'fee_absurd',
    maxFeeSat === undefined
      ? `the fee would be ${feeSat} sat, to pay ${paidSat} sat: if that is meant, allow it with --max-fee ${feeSat}`
      : `the fee would be ${feeSat} sat, more than the ${maxFeeSat} sat that are allowed`,
    { details: { availableSat: 0n, neededSat: paidSat + feeSat, feeSat } },
  );
}

function planAmounts(state: WalletState, request: SendRequest): SendPlan {
  const { outputs, feeratePerKw, reserveSat } = request;
  const lockTime = state.tip?.height ?? 0;
  const change = state.nextKey(keychainOf('p2tr', true));
  if (request.coins !== undefined) {
    const coins = chosenCoins(state, request.coins);
    const plan = buildFunding({
      outputs,
      feeratePerKw,
      coins,
      exactly: true,
      changeScript: change.script,
      lockTime,
    });
    checkReserve(state, plan, reserveSat);
    return plan;
  }
  const all = state.spendableCoins();
  const kept = reserveCoins(all, reserveSat);
  try {
    const plan = buildFunding({
      outputs,
      feeratePerKw,
      coins: without(all, kept),
      changeScript: change.script,
      lockTime,
    });
    checkReserve(state, plan, reserveSat);
    return plan;
  } catch (error) {
    if (kept.length === 0 || !(error instanceof WalletError) || error.code !== 'insufficient_funds')
      throw error;
  }
  // The change takes their place.
  const plan = buildFunding({ outputs, feeratePerKw, coins: all, changeScript: change.script, lockTime });
  checkReserve(state, plan, reserveSat);
  return plan;
}

/** @throws WalletError `reserve_needed` */
function checkReserve(state: WalletState, plan: FundingPlan, reserveSat: bigint): void {
  if (reserveSat === 0n) return;
  const changeSat = plan.changeIndex === undefined ? 0n : (plan.tx.outputs[plan.changeIndex]?.valueSat ?? 0n);
  const leftSat = sum(without(state.spendableCoins(), plan.coins)) + changeSat;
  if (leftSat >= reserveSat) return;
  throw new WalletError(
    'reserve_needed',
    `this would leave ${leftSat} sat, and ${reserveSat} sat are kept to pay the fees of your open channels if they ` +
      'close on chain: send less, or override it with --including-reserve',
  );
}

function planAll(state: WalletState, request: SendRequest): SendPlan {
  const { outputs, allTo, feeratePerKw, reserveSat } = request;
  const script = allTo as Uint8Array;
  const spendable = state.spendableCoins();
  const coins = request.coins === undefined ? spendable : chosenCoins(state, request.coins);
  const base = {
    script,
    feeratePerKw,
    exactly: request.coins !== undefined,
    lockTime: state.tip?.height ?? 0,
  };
  const othersSat = sum(without(spendable, coins));
  if (othersSat >= reserveSat) return buildSweepAll({ ...base, coins, others: outputs });
  const missingSat = reserveSat - othersSat;
  const kept = reserveCoins(coins, missingSat);
  const keptSat = sum(kept);
  // Coins that fit stay as they are. One that is far too large is divided instead.
  if (request.coins === undefined && keptSat >= missingSat && keptSat <= 3n * missingSat) {
    return { ...buildSweepAll({ ...base, coins: without(coins, kept), others: outputs }), keptSat };
  }
  const keepSat = missingSat > smallestKeepSat ? missingSat : smallestKeepSat;
  const keep = { valueSat: keepSat, script: state.nextKey(keychainOf('p2tr', true)).script };
  return { ...buildSweepAll({ ...base, coins, others: [...outputs, keep] }), keptSat: keepSat };
}

/** What makes a request the same as an earlier one, and the name its caller gave it. */
export interface Idempotency {
  readonly key: string;
  /** All of the request that matters, as text. */
  readonly request: string;
}

/**
 * The transaction that a request with this key made before.
 * @throws WalletError `idempotency_key_reused` where that was another request
 */
export function findSent(state: WalletState, { key, request }: Idempotency): Uint8Array | undefined {
  const sent = loadSendKey(state.storage, idOfKey(key));
  if (sent === undefined) return undefined;
  if (!equalBytes(sent.digest, digestOf(request))) {
    throw new WalletError(
      'idempotency_key_reused',
      `another payment was made with this idempotency key (transaction ${txidToHex(sent.txid)}): choose a new key for a new payment`,
    );
  }
  return sent.txid;
}

const digestOf = (request: string): Uint8Array => sha256(utf8ToBytes(request));
const idOfKey = (key: string): string => bytesToHex(sha256(utf8ToBytes(key)));

export interface CommitOptions {
  readonly purpose: TxPurpose;
  readonly nowMs: number;
  readonly label?: string | undefined;
  readonly idempotency?: Idempotency | undefined;
  /** The txid (key) of the transaction that this one is put in the place of. */
  readonly replaces?: string | undefined;
  readonly tx?: StorageTransaction | undefined;
}

/**
 * Signs a plan and stores it as a transaction of the wallet, to be broadcast from now on: its coins are spent as
 * far as the wallet is concerned. Broadcast it when the storage transaction has committed.
 */
export function commitPlan(state: WalletState, plan: FundingPlan, options: CommitOptions): Transaction {
  const { tx, txid } = signPlan(state, plan);
  return state.change(options.tx, (storage) => {
    commitTransaction(state, { tx, restIndex: plan.changeIndex, options, storage });
    const { idempotency } = options;
    if (idempotency !== undefined) {
      const digest = digestOf(idempotency.request);
      walletWrites.sendKey(storage, idOfKey(idempotency.key), { digest, txid });
    }
    return tx;
  });
}

/** The same for a transaction that is signed. */
export function commitTransaction(
  state: WalletState,
  given: {
    tx: Transaction;
    restIndex?: number | undefined;
    options: CommitOptions;
    storage: StorageTransaction;
  },
): void {
  const { tx, restIndex, options, storage } = given;
  const key = txKey(txidOf(tx));
  const { purpose, nowMs, replaces, label } = options;
  addUnconfirmed(state, tx, storage);
  state.putNote(storage, key, { purpose, createdAtMs: nowMs, restIndex, replaces });
  const replaced = replaces === undefined ? undefined : state.notes.get(replaces);
  if (replaces !== undefined && replaced !== undefined) {
    state.putNote(storage, replaces, { ...replaced, replacedBy: key });
  }
  if (label !== undefined) setLabel(storage, { type: 'tx', ref: txidToHex(txidOf(tx)) }, label);
}
