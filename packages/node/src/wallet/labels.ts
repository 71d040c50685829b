import { addressToScript, type Network } from '@rivulet/chain';
import { txidFromHex } from '@rivulet/core/tx';
import type { StorageReader, StorageTransaction } from '@rivulet/storage';
import { outpointKey } from './ledger.js';
import { WalletError } from './walletError.js';
import type { WalletState } from './walletState.js';
import { walletWrites } from './walletStore.js';

/** BIP 329: what can have a label. */
const labelTypes = ['tx', 'addr', 'pubkey', 'input', 'output', 'xpub'] as const;
type LabelType = (typeof labelTypes)[number];

export interface LabelTarget {
  readonly type: LabelType;
  /** BIP 329: a txid as people write it, an address, `txid:index`, a key. */
  readonly ref: string;
}

/** BIP 329: the suggested length; longer ones are cut when they are imported. */
const maxLabelLength = 255;
const maxRefLength = 200;
const prefix = 'wallet/label/';

const keyOf = ({ type, ref }: LabelTarget): string => `${prefix}${type}/${ref}`;

/** Sets a label; an empty one removes it. */
export function setLabel(storage: StorageTransaction, target: LabelTarget, label: string): void {
  if (label === '') storage.deleteValue(keyOf(target));
  else storage.putValue(keyOf(target), new TextEncoder().encode(label));
}

export function getLabel(storage: StorageReader, target: LabelTarget): string | undefined {
  const value = storage.getValue(keyOf(target));
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

/** All labels, in the order of their keys. */
export function listLabels(storage: StorageReader): (LabelTarget & { readonly label: string })[] {
  return storage.listValues(prefix).map(({ key, value }) => {
    const [, type, ref] = /^([a-z]+)\/(.*)$/s.exec(key.slice(prefix.length)) ?? [];
    return { type: type as LabelType, ref: ref ?? '', label: new TextDecoder().decode(value) };
  });
}

/**
 * What a text that a person gave names: a transaction, one of its outputs, or an address.
 * @throws WalletError `bad_label`; AddressError
 */
export function labelTarget(text: string, network: Network): LabelTarget {
  const lower = text.toLowerCase();
  if (/^[0-9a-f]{64}$/.test(lower)) return { type: 'tx', ref: lower };
  if (/^[0-9a-f]{64}:\d{1,9}$/.test(lower)) return { type: 'output', ref: lower };
  addressToScript(text, network);
  // BIP 173: both cases are valid, and mean the same.
  return { type: 'addr', ref: text === text.toUpperCase() ? lower : text };
}

/** @throws WalletError `bad_label` */
export function checkLabel(label: string): string {
  if (/[\r\n]/.test(label) || label.length > maxLabelLength) {
    throw new WalletError('bad_label', `a label is one line of at most ${maxLabelLength} characters`);
  }
  return label;
}

/** The labels and the locked coins as BIP 329 has them: a JSON object a line. */
export function exportLabels(state: WalletState): string {
  const locked = new Map<string, string | undefined>();
  for (const coin of state.ledger.coins()) {
    const lock = state.locks.get(outpointKey(coin.outpoint));
    // A PSBT's lock is over with it: elsewhere it would stay.
    if (lock === userLock) locked.set(outpointRef(coin.outpoint), undefined);
  }
  const labels = listLabels(state.storage);
  for (const { type, ref, label } of labels) if (type === 'output' && locked.has(ref)) locked.set(ref, label);
  const lines: Record<string, unknown>[] = labels
    .filter(({ type, ref }) => type !== 'output' || !locked.has(ref))
    .map(({ type, ref, label }) => ({ type, ref, label }));
  for (const [ref, label] of locked) {
    lines.push({ type: 'output', ref, ...(label === undefined ? {} : { label }), spendable: false });
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

export interface LabelImport {
  readonly labels: number;
  /** Coins that were locked or unlocked. */
  readonly coins: number;
  /** Labels that were cut. */
  readonly cut: number;
  /** Lines that were passed over, for they are none of BIP 329. */
  readonly ignored: number;
}

/** The lock of a coin that its owner locked. */
export const userLock = 'locked by its owner';

/** Takes in lines of BIP 329. What stands in no line stays as it is. */
export function importLabels(state: WalletState, lines: string, outer?: StorageTransaction): LabelImport {
  const done = { labels: 0, coins: 0, cut: 0, ignored: 0 };
  state.change(outer, (storage) => {
    for (const line of lines.split('\n')) {
      if (line.trim() === '') continue;
      const entry = readLine(line);
      if (entry === undefined) {
        done.ignored++;
        continue;
      }
      const { label, spendable } = entry;
      if (label !== undefined) {
        const short = cut(label);
        if (short !== label) done.cut++;
        setLabel(storage, entry, short);
        done.labels++;
      }
      if (spendable !== undefined && setSpendable(state, storage, { ref: entry.ref, spendable }))
        done.coins++;
    }
  });
  return done;
}

/** Not within a pair of surrogates. */
const cut = (label: string): string =>
  label.length <= maxLabelLength ? label : label.slice(0, maxLabelLength).replace(/[\ud800-\udbff]$/, '');

function readLine(
  line: string,
): (LabelTarget & { label?: string | undefined; spendable?: boolean | undefined }) | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { type, ref, label, spendable } = entry as Record<string, unknown>;
  const known = labelTypes.find((one) => one === type);
  if (known === undefined || typeof ref !== 'string' || ref === '' || ref.length > maxRefLength)
    return undefined;
  if (/[^\x21-\x7e]/.test(ref)) return undefined;
  return {
    type: known,
    ref: /^[0-9a-f:]+$/i.test(ref) ? ref.toLowerCase() : ref,
    ...(typeof label === 'string' ? { label: label.replace(/[\r\n]+/g, ' ') } : {}),
    ...(known === 'output' && typeof spendable === 'boolean' ? { spendable } : {}),
  };
}

const outpointRef = ({ txid, index }: { txid: Uint8Array; index: number }): string =>
  `${Array.from(txid.toReversed(), (byte) => byte.toString(16).padStart(2, '0')).join('')}:${index}`;

/** Only coins that are ours; says whether it was one, and changed. */
function setSpendable(
  state: WalletState,
  storage: StorageTransaction,
  { ref, spendable }: { ref: string; spendable: boolean },
): boolean {
  const [, txidHex, index] = /^([0-9a-f]{64}):(\d{1,9})$/.exec(ref) ?? [];
  if (txidHex === undefined) return false;
  const key = outpointKey({ txid: txidFromHex(txidHex), index: Number(index) });
  const coin = state.ledger.output({ txid: txidFromHex(txidHex), index: Number(index) });
  const lock = state.locks.get(key);
  if (spendable && lock === userLock) {
    state.locks.delete(key);
    walletWrites.unlock(storage, key);
    return true;
  }
  if (!spendable && lock === undefined && coin !== undefined) {
    state.locks.set(key, userLock);
    walletWrites.lock(storage, key, userLock);
    return true;
  }
  return false;
}
