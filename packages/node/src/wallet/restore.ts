import { equalBytes } from '@rivulet/core/bytes';
import { type Outpoint, type Transaction, type TxOutput, txid as txidOf, txidToHex } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import { gapLimit, type Keychain, keychains, type WalletKey } from './keyring.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { txKey, walletWrites } from './walletStore.js';

/** An unspent output that a search of the chain found. */
export interface ScannedCoin {
  readonly outpoint: Outpoint;
  readonly output: TxOutput;
  /** Of its block. */
  readonly height: number;
  /** The whole transaction. */
  readonly tx: Transaction;
}

/** What a search saw: all unspent outputs of these scripts as of one block. */
export interface ScanResult {
  readonly tip: { readonly height: number; readonly hash: Uint8Array };
  readonly coins: readonly ScannedCoin[];
}

/** Searches the unspent outputs of the chain for scripts. */
export type ScanScripts = (scripts: readonly Uint8Array[]) => Promise<ScanResult>;

export interface Restored {
  readonly tip: ScanResult['tip'];
  readonly coins: number;
  readonly valueSat: bigint;
}

/** Each search that finds something new calls for another: so many at most. */
const maxSearches = 200;

/**
 * Finds a wallet's unspent coins without its blocks, for a wallet that has seen no block: it stands at the search's
 * tip afterwards. What is found moves the gap on, so that further addresses are searched, until a search of all
 * of them finds nothing new. Spent outputs are not seen: coins behind `lookAhead` addresses that are all empty
 * by now are found by reading blocks only (birthHeight).
 * @throws WalletError `bad_import` for an answer that cannot be, or a wallet that has blocks
 */
export async function restoreFromScan(
  state: WalletState,
  { scan, lookAhead = gapLimit }: { scan: ScanScripts; lookAhead?: number },
): Promise<Restored> {
  const next = [...state.next];
  for (let searches = 0; searches < maxSearches; searches++) {
    for (const { number } of keychains) {
      state.keyring.watch(keychains[number] as Keychain, (next[number] ?? 0) + lookAhead);
    }
    const result = await scan(state.keyring.scripts());
    checkScan(state, result);
    let grown = false;
    for (const { output } of result.coins) {
      const { keychain, index } = state.keyring.find(output.script) as WalletKey;
      if (index < (next[keychain.number] ?? 0)) continue;
      next[keychain.number] = index + 1;
      grown = true;
    }
    if (!grown) return importScan(state, result);
  }
  throw new WalletError('bad_import', 'each search found coins at further addresses, without an end');
}

/** @throws WalletError `bad_import` */
function checkScan(state: WalletState, { tip, coins }: ScanResult): void {
  for (const { outpoint, output, height, tx } of coins) {
    const name = `${txidToHex(outpoint.txid)}:${outpoint.index}`;
    const real = tx.outputs[outpoint.index];
    const isReal =
      real !== undefined &&
      equalBytes(txidOf(tx), outpoint.txid) &&
      real.valueSat === output.valueSat &&
      equalBytes(real.script, output.script);
    if (!isReal)
      throw new WalletError(
        'bad_import',
        `the search gave a transaction for ${name} that has no such output`,
      );
    if (!state.isOurs(output.script))
      throw new WalletError('bad_import', `${name}, which the search gave, is not ours`);
    if (height > tip.height || height < 0) {
      throw new WalletError(
        'bad_import',
        `${name} cannot be in block ${height}: the search ended at ${tip.height}`,
      );
    }
  }
}

/**
 * Takes in coins that a search found, all at once. Of their transactions only these outputs count, for others may
 * be spent.
 * @throws WalletError `bad_import`
 */
function importScan(state: WalletState, result: ScanResult, outer?: StorageTransaction): Restored {
  checkScan(state, result);
  if (state.tip !== undefined || state.ledger.transactions.size > 0) {
    throw new WalletError('bad_import', 'this wallet has read blocks already: it has its coins from these');
  }
  const { tip, coins } = result;
  return state.change(outer, (storage) => {
    const outputs = new Map<string, number[]>();
    let valueSat = 0n;
    for (const { outpoint, output } of coins) {
      const indexes = outputs.get(txKey(outpoint.txid)) ?? [];
      if (indexes.includes(outpoint.index)) continue;
      outputs.set(txKey(outpoint.txid), [...indexes, outpoint.index]);
      valueSat += output.valueSat;
    }
    for (const { outpoint, tx, height } of coins) {
      const key = txKey(outpoint.txid);
      const stored = { tx, height, outputs: outputs.get(key) };
      state.ledger.put(key, stored);
      walletWrites.transaction(storage, key, stored);
      walletWrites.partial(storage, key, stored.outputs ?? []);
      state.advanceOver(tx);
    }
    walletWrites.next(storage, state.next);
    state.tip = tip;
    walletWrites.tip(storage, tip);
    return { tip, coins: [...outputs.values()].reduce((sum, { length }) => sum + length, 0), valueSat };
  });
}
