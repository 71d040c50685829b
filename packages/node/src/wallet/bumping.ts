import { txidToHex, weight } from '@rivulet/core/tx';
import { feeForSat } from './coinSelection.js';
import { largestFirst } from './coinStates.js';
import { checkFeerate, type FundingPlan } from './funding.js';
import { keychainOf } from './keyring.js';
import { outpointKey, type WalletCoin } from './ledger.js';
import type { TxPurpose } from './notes.js';
import { buildWithRest } from './restBuilder.js';
import { checkFee, reserveCoins, without } from './sending.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { txidOfKey, txKey } from './walletStore.js';

export interface BumpRequest {
  readonly txid: Uint8Array;
  /** What was asked for; the estimate, or what the rules ask for at least, if nothing was. */
  readonly feeratePerKw?: number | undefined;
  readonly estimatePerKw: number;
  readonly maxFeeSat?: bigint | undefined;
  readonly reserveSat: bigint;
  /** Whether a channel waits for this transaction, so that its txid must not change. */
  readonly isAwaited: (txid: Uint8Array) => boolean;
  /** The fee of a transaction that has inputs of others, where that is known. */
  readonly feeOf?: ((txid: Uint8Array) => bigint | undefined) | undefined;
}

export interface BumpPlan extends FundingPlan {
  /** `replacement` of the transaction, or a `child` that pays for it. */
  readonly how: 'replacement' | 'child';
  readonly purpose: TxPurpose;
  /** The txid (key) of what is replaced: the transaction itself, or a child that paid too little. */
  readonly replaces?: string | undefined;
  /** Satoshis a 1000 weight units of the transaction together with what pays for it. */
  readonly feeratePerKw: number;
  /** Whether fees of others' transactions were not known, and taken for nothing. */
  readonly feesUnknown: boolean;
}

/** BIP 125: what relaying a replacement costs by itself, as Bitcoin Core has it: 1 sat a virtual byte. */
const incrementalFeeSat = (txWeight: number): bigint => BigInt(Math.ceil(txWeight / 4));

const perKw = (feeSat: bigint, txWeight: number): number => Math.ceil((Number(feeSat) * 1000) / txWeight);
/** Tenths of a satoshi a virtual byte, for people. */
const perVb = (feeratePerKw: number): string => (Math.ceil(feeratePerKw / 25) / 10).toString();

interface Target {
  readonly key: string;
  readonly tx: NonNullable<ReturnType<WalletState['ledger']['transactions']['get']>>['tx'];
}

/** @throws WalletError for a transaction that is not ours, confirmed, or replaced already. */
function unconfirmed(state: WalletState, txid: Uint8Array): Target {
  const key = txKey(txid);
  const stored = state.ledger.transactions.get(key);
  const { replacedBy, lost } = state.notes.get(key) ?? {};
  if (stored === undefined && replacedBy !== undefined) {
    throw new WalletError(
      'transaction_replaced',
      `transaction ${txidToHex(txid)} was replaced by ${txidToHex(txidOfKey(replacedBy))}: name that one`,
    );
  }
  if (stored === undefined) {
    throw new WalletError(
      'unknown_transaction',
      lost === undefined
        ? `the wallet has no transaction ${txidToHex(txid)}: \`rivulet transactions\` lists them`
        : `transaction ${txidToHex(txid)} can never confirm, for a block spends its coins: pay again if that was not meant`,
    );
  }
  if (stored.height !== undefined) {
    throw new WalletError(
      'transaction_confirmed',
      `transaction ${txidToHex(txid)} is in block ${stored.height}`,
    );
  }
  return { key, tx: stored.tx };
}

const descendantsOf = (state: WalletState, key: string): string[] =>
  state.ledger.withDescendants(key).filter((one) => one !== key);

/** Why a transaction cannot be replaced; `undefined` if it can. */
function irreplaceable(
  state: WalletState,
  { key, tx }: Target,
  isAwaited: BumpRequest['isAwaited'],
): string | undefined {
  if (!state.ledger.isOwn(key)) return 'it has inputs of others';
  if (isAwaited(txidOfKey(key))) return 'a channel waits for it';
  if (descendantsOf(state, key).length > 0) return 'a later transaction spends an output of it';
  if (tx.outputs.some((_, index) => state.isTaken(`${key}:${index}`))) return 'an output of it is in use';
  return undefined;
}

/**
 * What raises the fee of an unconfirmed transaction: its replacement (BIP 125) where all of its inputs are ours and
 * nothing builds on it, else a child that spends an output of ours.
 * @throws WalletError
 */
export function planBump(state: WalletState, request: BumpRequest): BumpPlan {
  const target = unconfirmed(state, request.txid);
  const reason = irreplaceable(state, target, request.isAwaited);
  if (reason === undefined) return planReplacement(state, target, request);
  const child = descendantsOf(state, target.key).find(
    (one) =>
      state.notes.get(one)?.purpose === 'child' &&
      state.ledger.transactions
        .get(one)
        ?.tx.inputs.some(({ outpoint }) => txKey(outpoint.txid) === target.key),
  );
  return planChild(state, { target, reason, child, request });
}

function coinsOf(state: WalletState, { tx }: Target): WalletCoin[] {
  return tx.inputs.flatMap(({ outpoint }) => state.ledger.output(outpoint) ?? []);
}

/** Confirmed ones: BIP 125, rule 2: no unconfirmed inputs are added. */
function furtherCoins(state: WalletState, used: readonly WalletCoin[], reserveSat: bigint): WalletCoin[] {
  const all = state.spendableCoins({ confirmedOnly: true });
  return without(all, [...used, ...reserveCoins(all, reserveSat)]);
}

/** BIP 125, rules 3 and 4, and the rule that a replacement has a higher feerate: the least fee of one. */
function replacementFee(state: WalletState, keys: readonly string[]): (txWeight: number) => bigint {
  let evictedSat = 0n;
  const rates: { feeSat: bigint; weight: number }[] = [];
  for (const key of keys) {
    const tx = state.ledger.transactions.get(key)?.tx;
    if (tx === undefined) continue;
    const feeSat = state.feeSat(tx) ?? 0n;
    evictedSat += feeSat;
    rates.push({ feeSat, weight: weight(tx) });
  }
  return (txWeight) => {
    let least = evictedSat + incrementalFeeSat(txWeight);
    for (const rate of rates) {
      const sameRate = (rate.feeSat * BigInt(txWeight)) / BigInt(rate.weight) + 2n;
      if (sameRate > least) least = sameRate;
    }
    return least;
  };
}

const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);

function tooLow(leastPerKw: number, what: string): WalletError {
  return new WalletError(
    'feerate_too_low',
    `${what}: at least ${perVb(leastPerKw)} sat/vB are needed (${leastPerKw} sat per 1000 weight units)`,
  );
}

function planReplacement(state: WalletState, target: Target, request: BumpRequest): BumpPlan {
  const { key, tx } = target;
  const coins = coinsOf(state, target);
  const note = state.notes.get(key);
  const restIndex = note?.restIndex ?? changeIndexOf(state, target);
  const rest = restIndex === undefined ? undefined : tx.outputs[restIndex];
  const least = replacementFee(state, [key]);
  const oldWeight = weight(tx);
  const leastPerKw = perKw(least(oldWeight), oldWeight);
  const { feeratePerKw = Math.max(request.estimatePerKw, leastPerKw) } = request;
  checkFeerate(feeratePerKw);
  if (feeratePerKw < leastPerKw) {
    throw tooLow(
      leastPerKw,
      `${perVb(feeratePerKw)} sat/vB do not replace a transaction that pays nearly as much`,
    );
  }
  const plan = buildWithRest({
    coins,
    further: furtherCoins(state, coins, request.reserveSat),
    outputs: tx.outputs.filter((_, index) => index !== restIndex),
    rest:
      rest === undefined
        ? { script: state.nextKey(keychainOf('p2tr', true)).script }
        : { script: rest.script, index: restIndex },
    // Who was to get all that is left is a recipient, and stays one.
    restNeeded: rest !== undefined && (tx.outputs.length === 1 || !state.isOurs(rest.script)),
    feeSat: (txWeight) => larger(feeForSat(txWeight, feeratePerKw), least(txWeight)),
    lockTime: state.tip?.height ?? 0,
  });
  const paidSat = plan.tx.outputs.reduce(
    (sum, { valueSat, script }) => sum + (state.isOurs(script) ? 0n : valueSat),
    0n,
  );
  checkFee({ feeSat: plan.feeSat, paidSat, maxFeeSat: request.maxFeeSat });
  const purpose = note?.purpose ?? 'send';
  return { ...plan, how: 'replacement', purpose, replaces: key, feeratePerKw, feesUnknown: false };
}

const sumOf = (coins: readonly WalletCoin[]): bigint =>
  coins.reduce((sum, { valueSat }) => sum + valueSat, 0n);

/** The only output to a change address of ours. */
function changeIndexOf(state: WalletState, { tx }: Target): number | undefined {
  const found = tx.outputs.flatMap(({ script }, index) =>
    state.keyring.find(script)?.keychain.change === true ? [index] : [],
  );
  return found.length === 1 ? found[0] : undefined;
}

/** What the transactions that a child pays for weigh and pay. */
function ancestry(
  state: WalletState,
  key: string,
  feeOf: BumpRequest['feeOf'],
): { weight: number; feeSat: bigint; unknown: boolean } {
  const sum = { weight: 0, feeSat: 0n, unknown: false };
  for (const one of [key, ...state.ledger.ancestors(key)]) {
    const tx = state.ledger.transactions.get(one)?.tx;
    if (tx === undefined) continue;
    const feeSat = state.feeSat(tx) ?? feeOf?.(txidOfKey(one));
    sum.weight += weight(tx);
    sum.feeSat += feeSat ?? 0n;
    if (feeSat === undefined) sum.unknown = true;
  }
  return sum;
}

function planChild(
  state: WalletState,
  given: { target: Target; reason: string; child: string | undefined; request: BumpRequest },
): BumpPlan {
  const { target, reason, child, request } = given;
  const coins = child === undefined ? childCoins(state, target, reason) : childAgain(state, child, request);
  const parents = ancestry(state, target.key, request.feeOf);
  const replaced = child === undefined ? undefined : replacementFee(state, [child]);
  const childTx = child === undefined ? undefined : state.ledger.transactions.get(child)?.tx;
  const childSat = childTx === undefined ? 0n : (state.feeSat(childTx) ?? 0n);
  const nowPerKw = perKw(
    parents.feeSat + childSat,
    parents.weight + (childTx === undefined ? 0 : weight(childTx)),
  );
  const { feeratePerKw = Math.max(request.estimatePerKw, nowPerKw + 253) } = request;
  checkFeerate(feeratePerKw);
  if (feeratePerKw <= nowPerKw) throw tooLow(nowPerKw + 1, 'the transaction pays that already');
  const plan = buildWithRest({
    coins,
    further: furtherCoins(state, coins, request.reserveSat),
    outputs: [],
    rest: { script: state.nextKey(keychainOf('p2tr', true)).script },
    restNeeded: true,
    feeSat: (txWeight) => {
      const packageSat = feeForSat(parents.weight + txWeight, feeratePerKw) - parents.feeSat;
      const alone = larger(packageSat, feeForSat(txWeight, 253));
      return replaced === undefined ? alone : larger(alone, replaced(txWeight));
    },
    lockTime: state.tip?.height ?? 0,
  });
  checkFee({ feeSat: plan.feeSat, paidSat: sumOf(plan.coins), maxFeeSat: request.maxFeeSat });
  return {
    ...plan,
    how: 'child',
    purpose: 'child',
    replaces: child,
    feeratePerKw,
    feesUnknown: parents.unknown,
  };
}

/** The largest output of ours that nothing else needs. */
function childCoins(state: WalletState, target: Target, reason: string): WalletCoin[] {
  const own = state.ledger
    .coins()
    .filter(({ outpoint }) => txKey(outpoint.txid) === target.key && !state.isTaken(outpointKey(outpoint)))
    .sort(largestFirst);
  const [coin] = own;
  if (coin !== undefined) return [coin];
  const spenders = descendantsOf(state, target.key).map((one) => txidToHex(txidOfKey(one)));
  throw new WalletError(
    'cannot_bump',
    `this transaction cannot be replaced (${reason}), and no output of it is ours and free to pay for it` +
      (spenders.length === 0 ? '' : `: raise the fee of what spends it instead (${spenders.join(', ')})`),
  );
}

/** The inputs of a child that is there already and pays too little. */
function childAgain(state: WalletState, child: string, request: BumpRequest): WalletCoin[] {
  const tx = state.ledger.transactions.get(child)?.tx;
  const reason =
    tx === undefined ? 'it is gone' : irreplaceable(state, { key: child, tx }, request.isAwaited);
  if (tx === undefined || reason !== undefined) {
    throw new WalletError(
      'cannot_bump',
      `${txidToHex(txidOfKey(child))} pays for this transaction and cannot be replaced (${reason}): raise the fee of what spends it`,
    );
  }
  return coinsOf(state, { key: child, tx });
}

/**
 * What takes a transaction's place and pays nobody but us. Until it is confirmed the other one may still confirm.
 * `isAwaited` says of which transactions this is refused.
 * @throws WalletError
 */
export function planCancel(state: WalletState, request: BumpRequest): BumpPlan {
  const target = unconfirmed(state, request.txid);
  const txidHex = txidToHex(request.txid);
  if (!state.ledger.isOwn(target.key)) {
    throw new WalletError('cannot_bump', `${txidHex} has inputs of others: it cannot be taken back`);
  }
  if (request.isAwaited(request.txid)) {
    throw new WalletError(
      'channel_waits',
      `a channel waits for ${txidHex}: to take its coins back, give the channel up: rivulet close CHANNEL --abandon`,
    );
  }
  const later = descendantsOf(state, target.key);
  for (const one of later) {
    const used = state.ledger.transactions.get(one)?.tx.outputs.some((_, i) => state.isTaken(`${one}:${i}`));
    if (state.notes.get(one)?.purpose === 'child' && used !== true) continue;
    throw new WalletError(
      'cannot_bump',
      `${txidToHex(txidOfKey(one))} spends an output of ${txidHex}, and would be lost with it: take that one back first`,
    );
  }
  if (target.tx.outputs.some((_, index) => state.isTaken(`${target.key}:${index}`))) {
    throw new WalletError('cannot_bump', `an output of ${txidHex} is in use: try again when that is over`);
  }
  const coins = coinsOf(state, target);
  const least = replacementFee(state, [target.key, ...later]);
  const { feeratePerKw = request.estimatePerKw } = request;
  checkFeerate(feeratePerKw);
  const plan = buildWithRest({
    coins,
    further: furtherCoins(state, coins, request.reserveSat),
    outputs: [],
    rest: { script: state.nextKey(keychainOf('p2tr', true)).script },
    restNeeded: true,
    feeSat: (txWeight) => larger(feeForSat(txWeight, feeratePerKw), least(txWeight)),
    lockTime: state.tip?.height ?? 0,
  });
  checkFee({ feeSat: plan.feeSat, paidSat: sumOf(coins), maxFeeSat: request.maxFeeSat });
  return {
    ...plan,
    how: 'replacement',
    purpose: 'cancel',
    replaces: target.key,
    feeratePerKw: Math.max(feeratePerKw, perKw(plan.feeSat, weight(plan.tx))),
    feesUnknown: false,
  };
}

/** Where our coins of a transaction that was taken back are, while that is not confirmed and after. */
export function cancellationOf(
  state: WalletState,
  txid: Uint8Array,
): { readonly txid: Uint8Array; readonly confirmations: number } | undefined {
  const key = txKey(txid);
  for (const [one, note] of state.notes) {
    if (!isReplacementOf(state, note.replaces, key)) continue;
    const stored = state.ledger.transactions.get(one);
    if (stored === undefined || note.purpose !== 'cancel') continue;
    return { txid: txidOfKey(one), confirmations: state.confirmations(stored) };
  }
  return undefined;
}

/** Over any number of replacements. */
function isReplacementOf(state: WalletState, replaces: string | undefined, key: string): boolean {
  for (let one = replaces; one !== undefined; one = state.notes.get(one)?.replaces)
    if (one === key) return true;
  return false;
}
