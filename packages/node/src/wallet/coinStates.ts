import { type Outpoint, txidToHex } from '@rivulet/core/tx';
import { outpointKey, type WalletCoin } from './ledger.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { txidOfKey, txKey } from './walletStore.js';

/**
 * - `confirmed`: free to be spent, `change`: free as well, though unconfirmed, for it is change of our own;
 * - `unconfirmed`, `immature`: must wait for blocks;
 * - `locked`: by its owner, or by a PSBT that waits for signatures;
 * - `reserved`: for a transaction in the making, or a claim on chain.
 */
type CoinState = 'confirmed' | 'change' | 'unconfirmed' | 'immature' | 'locked' | 'reserved';

export interface ListedCoin {
  readonly outpoint: Outpoint;
  readonly valueSat: bigint;
  readonly address: string;
  /** BIP 32 path from the seed. */
  readonly path: string;
  readonly state: CoinState;
  readonly confirmations: number;
  /** What it is locked or reserved for. */
  readonly reason?: string | undefined;
}

/** `txid:index` as people write it. */
export const outpointText = ({ txid, index }: Outpoint): string => `${txidToHex(txid)}:${index}`;

function stateOf(state: WalletState, coin: WalletCoin): { state: CoinState; reason?: string | undefined } {
  const key = outpointKey(coin.outpoint);
  const reservation = state.reservedOutpoints.get(key);
  if (reservation !== undefined) {
    return { state: 'reserved', reason: `transaction ${txidToHex(txidOfKey(reservation))}` };
  }
  const claim = state.heldFor(key);
  if (claim !== undefined) return { state: 'reserved', reason: `fees of claim ${claim}` };
  const lock = state.locks.get(key);
  if (lock !== undefined) return { state: 'locked', reason: lock };
  if (!state.isMature(coin)) return { state: 'immature' };
  if (coin.height !== undefined) return { state: 'confirmed' };
  return { state: state.isOwnChain(txKey(coin.outpoint.txid)) ? 'change' : 'unconfirmed' };
}

/** The order of coins, the same after a restart: those of the same value by their outpoints. */
export function largestFirst(
  a: { readonly valueSat: bigint; readonly outpoint: Outpoint },
  b: { readonly valueSat: bigint; readonly outpoint: Outpoint },
): number {
  if (a.valueSat !== b.valueSat) return a.valueSat < b.valueSat ? 1 : -1;
  const [keyOfA, keyOfB] = [outpointKey(a.outpoint), outpointKey(b.outpoint)];
  return keyOfA < keyOfB ? -1 : keyOfA > keyOfB ? 1 : 0;
}

/** All unspent coins, the largest first, then the oldest. */
export function listCoins(state: WalletState): ListedCoin[] {
  return state.ledger
    .coins()
    .map((coin) => ({
      outpoint: coin.outpoint,
      valueSat: coin.valueSat,
      address: state.keyring.address(coin.key),
      path: state.keyring.path(coin.key),
      confirmations: state.confirmations(coin),
      ...stateOf(state, coin),
    }))
    .sort((a, b) => (a.valueSat === b.valueSat && b.confirmations - a.confirmations) || largestFirst(a, b));
}

/** An unspent coin by its outpoint. @throws WalletError `unknown_coin` */
export function findCoin(state: WalletState, outpoint: Outpoint): WalletCoin {
  const coin = state.ledger.output(outpoint);
  if (coin === undefined) {
    throw new WalletError(
      'unknown_coin',
      `${outpointText(outpoint)} is no coin of this wallet: \`rivulet coins\` lists them`,
    );
  }
  const [spender] = state.ledger.spenders([outpointKey(outpoint)]);
  if (spender !== undefined) {
    throw new WalletError(
      'unknown_coin',
      `${outpointText(outpoint)} is spent by transaction ${txidToHex(txidOfKey(spender))}`,
    );
  }
  return coin;
}

const why: Record<Exclude<CoinState, 'confirmed' | 'change'>, string> = {
  unconfirmed: 'is not confirmed, and others could still undo it: wait for a block',
  immature: 'is a block reward that is not 100 blocks deep',
  locked: 'is locked: unlock it first with `rivulet coins unlock`',
  reserved: 'is in use',
};

/**
 * The coins that somebody chose by name.
 * @throws WalletError `unknown_coin`, `coin_taken` for one that must not be spent now, `bad_coin` for a repetition.
 */
export function chosenCoins(state: WalletState, outpoints: readonly Outpoint[]): WalletCoin[] {
  const seen = new Set<string>();
  return outpoints.map((outpoint) => {
    const key = outpointKey(outpoint);
    if (seen.has(key)) throw new WalletError('bad_coin', `${outpointText(outpoint)} is named twice`);
    seen.add(key);
    const coin = findCoin(state, outpoint);
    const { state: found, reason } = stateOf(state, coin);
    if (found !== 'confirmed' && found !== 'change') {
      const detail = reason === undefined ? '' : ` (${reason})`;
      throw new WalletError('coin_taken', `${outpointText(outpoint)} ${why[found]}${detail}`);
    }
    return coin;
  });
}
