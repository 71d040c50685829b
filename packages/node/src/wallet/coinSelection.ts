/** A coin that may be chosen. */
export interface Candidate {
  readonly valueSat: bigint;
  /** The weight of the input that spends it, witness included. */
  readonly inputWeight: number;
}

export interface SelectionRequest<Coin extends Candidate> {
  /** In an order of the caller's own, which decides between coins of the same value. */
  readonly coins: readonly Coin[];
  /** The sum of the outputs. */
  readonly targetSat: bigint;
  /** The weight of everything but inputs and change. */
  readonly fixedWeight: number;
  readonly changeOutputWeight: number;
  /** What spending the change will weigh one day. */
  readonly changeInputWeight: number;
  /** The smallest change worth making: the dust threshold of its script, at least. */
  readonly minimumChangeSat: bigint;
  readonly feeratePerKw: number;
}

/** Inputs = outputs + fee + change, always. `changeSat` is 0 for no change output. */
export interface Selection<Coin extends Candidate> {
  readonly coins: readonly Coin[];
  readonly feeSat: bigint;
  readonly changeSat: bigint;
}

const maxTries = 50_000;

/** Rounded up: never below the feerate that was asked for. */
export function feeForSat(weight: number, feeratePerKw: number): bigint {
  return (BigInt(weight) * BigInt(feeratePerKw) + 999n) / 1000n;
}

const sum = <T>(items: readonly T[], value: (item: T) => bigint): bigint =>
  items.reduce((total, item) => total + value(item), 0n);

/**
 * Chooses coins for outputs: first a set that needs no change (branch and bound), else the smallest single
 * coin that suffices, else the largest coins. The same request gives the same answer.
 * What is too little for change goes to the fee, never into a dust output.
 * @returns `undefined` if all coins together are not enough.
 */
export function selectCoins<Coin extends Candidate>(
  request: SelectionRequest<Coin>,
): Selection<Coin> | undefined {
  const { feeratePerKw } = request;
  // A coin that costs more to spend than it is worth never helps.
  const useful = request.coins
    .map((coin) => ({ coin, effectiveSat: coin.valueSat - feeForSat(coin.inputWeight, feeratePerKw) }))
    .filter(({ effectiveSat }) => effectiveSat > 0n)
    .sort((a, b) => (a.effectiveSat < b.effectiveSat ? 1 : a.effectiveSat > b.effectiveSat ? -1 : 0));
  const neededSat = request.targetSat + feeForSat(request.fixedWeight, feeratePerKw);
  if (sum(useful, ({ effectiveSat }) => effectiveSat) < neededSat) return undefined;

  const changeCostSat =
    feeForSat(request.changeOutputWeight, feeratePerKw) + feeForSat(request.changeInputWeight, feeratePerKw);
  const values = useful.map(({ effectiveSat }) => effectiveSat);
  const exact = withoutChange(values, neededSat, neededSat + changeCostSat);
  const chosen = exact ?? withChange(values, neededSat, changeOf(request));
  return settle(
    request,
    chosen.map((index) => useful[index]!.coin),
  );
}

const changeOf = (request: SelectionRequest<Candidate>): bigint =>
  request.minimumChangeSat + feeForSat(request.changeOutputWeight, request.feeratePerKw);

/** Branch and bound over values in falling order: a set whose sum is in the range, with the least excess found. */
function withoutChange(values: readonly bigint[], fromSat: bigint, toSat: bigint): number[] | undefined {
  const left = new Array<bigint>(values.length + 1).fill(0n);
  for (let i = values.length - 1; i >= 0; i--) left[i] = left[i + 1]! + values[i]!;
  let best: number[] | undefined;
  let bestSat = toSat + 1n;
  let tries = 0;
  const path: number[] = [];
  let totalSat = 0n;
  let next = 0;
  while (tries++ < maxTries) {
    if (totalSat >= fromSat && totalSat < bestSat) {
      best = [...path];
      bestSat = totalSat;
      if (totalSat === fromSat) break;
    }
    const canGoOn = totalSat < fromSat && next < values.length && totalSat + left[next]! >= fromSat;
    if (canGoOn) {
      if (totalSat + values[next]! < bestSat) {
        path.push(next);
        totalSat += values[next]!;
      }
      next++;
      continue;
    }
    const dropped = path.pop();
    if (dropped === undefined) break;
    totalSat -= values[dropped]!;
    next = dropped + 1;
  }
  return best;
}

/** Values are in falling order. Enough for change where possible, else whatever is enough. */
function withChange(values: readonly bigint[], neededSat: bigint, changeSat: bigint): number[] {
  const wantedSat = neededSat + changeSat;
  const single = values.findLastIndex((value) => value >= wantedSat);
  if (single >= 0) return [single];
  const chosen: number[] = [];
  let totalSat = 0n;
  for (let i = 0; i < values.length && totalSat < wantedSat; i++) {
    chosen.push(i);
    totalSat += values[i]!;
  }
  return chosen;
}

/**
 * All of the coins, whatever they cost: what somebody chose himself.
 * @returns `undefined` if they are not enough.
 */
export function useAll<Coin extends Candidate>(request: SelectionRequest<Coin>): Selection<Coin> | undefined {
  const weight = request.fixedWeight + request.coins.reduce((total, coin) => total + coin.inputWeight, 0);
  const neededSat = request.targetSat + feeForSat(weight, request.feeratePerKw);
  if (sum(request.coins, ({ valueSat }) => valueSat) < neededSat) return undefined;
  return settle(request, request.coins);
}

/** Fee and change of chosen coins. */
function settle<Coin extends Candidate>(
  request: SelectionRequest<Coin>,
  coins: readonly Coin[],
): Selection<Coin> {
  const weight = request.fixedWeight + coins.reduce((total, coin) => total + coin.inputWeight, 0);
  const spareSat = sum(coins, ({ valueSat }) => valueSat) - request.targetSat;
  const feeWithChangeSat = feeForSat(weight + request.changeOutputWeight, request.feeratePerKw);
  const changeSat = spareSat - feeWithChangeSat;
  // Change that costs more to spend than it brings is better given to the miner.
  const worthSat = feeForSat(request.changeInputWeight, request.feeratePerKw);
  if (changeSat >= request.minimumChangeSat && changeSat > worthSat) {
    return { coins, feeSat: feeWithChangeSat, changeSat };
  }
  return { coins, feeSat: spareSat, changeSat: 0n };
}
