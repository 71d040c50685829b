import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { encodeTransaction, type Transaction, txid as txidOf, txidToHex } from '@rivulet/core/tx';
import type { StorageTransaction } from '@rivulet/storage';
import { isCoinbase, outpointKey } from './ledger.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { type StoredTransaction, txKey, walletWrites } from './walletStore.js';
import type { WalletBlock, WalletTransaction } from './walletTypes.js';

const inputKeys = (tx: Transaction): string[] => tx.inputs.map(({ outpoint }) => outpointKey(outpoint));

/** Wallet.processBlock */
export function processBlock(
  state: WalletState,
  block: WalletBlock,
  outer: StorageTransaction | undefined,
): WalletTransaction[] {
  const { tip } = state;
  if (tip !== undefined && block.height <= tip.height) {
    if (block.height === tip.height && tip.hash !== undefined && !equalBytes(tip.hash, block.hash)) {
      throw new WalletError('block_order', `another block ${block.height} was processed: undo it first`);
    }
    return [];
  }
  if (tip !== undefined && block.height !== tip.height + 1) {
    throw new WalletError(
      'block_order',
      `block ${block.height} cannot follow block ${tip.height}: blocks between them are missing`,
    );
  }
  return state.change(outer, (storage) => {
    const found = takeIn(state, block, storage);
    state.tip = { height: block.height, hash: block.hash };
    walletWrites.tip(storage, state.tip);
    return found.map((key) => state.describe(key));
  });
}

function takeIn(state: WalletState, block: WalletBlock, storage: StorageTransaction): string[] {
  const found: string[] = [];
  const before = [...state.next];
  // A payment to an address in the gap moves the gap on, and an earlier transaction may pay into the new part.
  for (let again = true; again; ) {
    again = false;
    for (const tx of block.transactions) {
      // Before it is put: from then on the inputs that they share count as spent by this one.
      dropConflicts(state, tx, storage);
      if (!state.ledger.concerns(tx)) continue;
      const key = txKey(txidOf(tx));
      const known = state.ledger.transactions.get(key);
      if (known?.height === undefined) {
        found.push(key);
        put(state, storage, key, { ...known, tx, height: block.height });
        recover(state, key, storage);
      }
      if (state.advanceOver(tx)) again = true;
    }
  }
  writeNext(state, before, storage);
  return found;
}

function put(state: WalletState, storage: StorageTransaction, key: string, stored: StoredTransaction): void {
  state.ledger.put(key, stored);
  walletWrites.transaction(storage, key, stored);
}

function writeNext(state: WalletState, before: readonly number[], storage: StorageTransaction): void {
  if (state.next.some((count, index) => count !== before[index])) walletWrites.next(storage, state.next);
}

/** One that was believed lost, or replaced, has confirmed after all. */
function recover(state: WalletState, key: string, storage: StorageTransaction): void {
  const note = state.notes.get(key);
  if (note?.lost === undefined) return;
  const { lost: _, ...rest } = note;
  state.putNote(storage, key, rest);
}

/** What a confirmed transaction makes impossible or needless: other spends, and reservations, of its inputs. */
function dropConflicts(state: WalletState, tx: Transaction, storage: StorageTransaction): void {
  const inputs = inputKeys(tx);
  const spenders = state.ledger.spenders(inputs);
  if (spenders.size > 0) {
    spenders.delete(txKey(txidOf(tx)));
    for (const conflict of spenders) removeWithDescendants(state, conflict, storage);
  }
  for (const input of inputs) {
    const reservation = state.reservedOutpoints.get(input);
    if (reservation !== undefined) state.dropReservation(storage, reservation);
  }
}

function removeWithDescendants(state: WalletState, key: string, storage: StorageTransaction): void {
  for (const one of state.ledger.withDescendants(key)) {
    const note = state.notes.get(one);
    const tx = state.ledger.transactions.get(one)?.tx;
    // Kept, so that who asked for the payment learns that it was not made.
    if (note !== undefined && tx !== undefined) {
      state.putNote(storage, one, { ...note, lost: bytesToHex(encodeTransaction(tx)) });
    }
    state.ledger.remove(one);
    walletWrites.removeTransaction(storage, one);
  }
}

/** Wallet.undoBlock */
export function undoBlock(
  state: WalletState,
  block: { readonly height: number; readonly hash: Uint8Array },
  outer: StorageTransaction | undefined,
): void {
  const { tip } = state;
  if (tip === undefined || block.height > tip.height) return;
  if (block.height < tip.height || (tip.hash !== undefined && !equalBytes(tip.hash, block.hash))) {
    throw new WalletError('block_order', `block ${block.height} is not the tip: undo from the top`);
  }
  state.change(outer, (storage) => {
    for (const [key, stored] of [...state.ledger.transactions]) {
      if (stored.height !== block.height) continue;
      if (isCoinbase(stored.tx)) removeWithDescendants(state, key, storage);
      else if (state.ledger.transactions.has(key)) {
        put(state, storage, key, { ...stored, height: undefined });
      }
    }
    state.tip = { height: block.height - 1 };
    walletWrites.tip(storage, state.tip);
  });
}

/** Wallet.addUnconfirmed */
export function addUnconfirmed(
  state: WalletState,
  tx: Transaction,
  outer: StorageTransaction | undefined,
): void {
  const key = txKey(txidOf(tx));
  if (state.ledger.transactions.has(key) || !state.ledger.concerns(tx)) return;
  const conflicts = state.ledger.spenders(inputKeys(tx));
  for (const conflict of conflicts) {
    if (state.ledger.transactions.get(conflict)?.height !== undefined) {
      throw new WalletError('unknown_input', `an input of ${txidToHex(txidOf(tx))} is spent in a block`);
    }
  }
  state.change(outer, (storage) => {
    // A replacement of our own, with a higher fee.
    for (const conflict of conflicts) removeWithDescendants(state, conflict, storage);
    put(state, storage, key, { tx });
    recover(state, key, storage);
    state.dropReservation(storage, key);
    const before = [...state.next];
    state.advanceOver(tx);
    writeNext(state, before, storage);
  });
}

/** Wallet.abandon */
export function abandon(
  state: WalletState,
  txid: Uint8Array,
  outer: StorageTransaction | undefined,
): boolean {
  const key = txKey(txid);
  const stored = state.ledger.transactions.get(key);
  if (stored === undefined || stored.height !== undefined) return false;
  state.change(outer, (storage) => removeWithDescendants(state, key, storage));
  return true;
}
