import { hexToBytes } from '@rivulet/core/bytes';
import {
  decodeTransaction,
  type Outpoint,
  type Transaction,
  txid as txidOf,
  txidToHex,
} from '@rivulet/core/tx';
import { getLabel } from './labels.js';
import { isCoinbase } from './ledger.js';
import type { WalletState } from './walletState.js';
import { txidOfKey, txKey } from './walletStore.js';

/** What a transaction was. `funding`, `close` and `sweep` are those of channels. */
type TxKind = 'receive' | 'reward' | 'send' | 'self' | 'child' | 'cancel' | 'funding' | 'close' | 'sweep';

/** `replaced` by another of ours, `lost` to a transaction in a block that spends its coins. */
type TxState = 'confirmed' | 'unconfirmed' | 'replaced' | 'lost';

export interface HistoryEntry {
  readonly txid: Uint8Array;
  readonly tx: Transaction;
  readonly state: TxState;
  readonly kind: TxKind;
  readonly height?: number | undefined;
  readonly confirmations: number;
  readonly netSat: bigint;
  /** Where all inputs are ours, or of a channel of ours. */
  readonly feeSat?: bigint | undefined;
  readonly label?: string | undefined;
  readonly replacedBy?: Uint8Array | undefined;
  /** When it was made, if here. */
  readonly createdAtMs?: number | undefined;
}

/** What the node's channels know of transactions. */
export interface ChannelTransactions {
  /** The capacity of the channel whose funding output this is. */
  fundingOutput(outpoint: Outpoint): bigint | undefined;
  isFunding(txid: Uint8Array): boolean;
  /** Whether it closes a channel of ours. */
  isClose(txid: Uint8Array): boolean;
}

const noChannels: ChannelTransactions = {
  fundingOutput: () => undefined,
  isFunding: () => false,
  isClose: () => false,
};

/** All transactions of the wallet, those that wait first, then from the newest block down. */
export function listHistory(state: WalletState, channels: ChannelTransactions = noChannels): HistoryEntry[] {
  const entries = [...state.ledger.transactions].map(([key, { tx, height }]) =>
    describe(state, { key, tx, height, channels }),
  );
  for (const [key, { lost }] of state.notes) {
    if (lost === undefined || state.ledger.transactions.has(key)) continue;
    entries.push(describe(state, { key, tx: decodeTransaction(hexToBytes(lost)), channels }));
  }
  const byTxid = new Map(entries.map((one) => [txKey(one.txid), one]));
  // What was replaced stands with what took its place.
  const order = (one: HistoryEntry): number => {
    let last = one;
    for (let next = replacementOf(last); next !== undefined; next = replacementOf(last)) last = next;
    return last.height ?? Number.MAX_SAFE_INTEGER;
  };
  const replacementOf = ({ replacedBy }: HistoryEntry): HistoryEntry | undefined =>
    replacedBy === undefined ? undefined : byTxid.get(txKey(replacedBy));
  return entries.sort((a, b) => order(b) - order(a) || (b.createdAtMs ?? 0) - (a.createdAtMs ?? 0));
}

function describe(
  state: WalletState,
  given: { key: string; tx: Transaction; height?: number | undefined; channels: ChannelTransactions },
): HistoryEntry {
  const { key, tx, height, channels } = given;
  const note = state.notes.get(key);
  const txid = txidOfKey(key);
  const gone = !state.ledger.transactions.has(key);
  const replaced = note?.replacedBy !== undefined;
  return {
    txid,
    tx,
    state: gone ? (replaced ? 'replaced' : 'lost') : height === undefined ? 'unconfirmed' : 'confirmed',
    kind: kindOf(state, given),
    height,
    confirmations: state.confirmations({ height }),
    netSat: state.netSat(tx),
    feeSat: state.feeSat(tx) ?? channelFee(tx, channels),
    label: getLabel(state.storage, { type: 'tx', ref: txidToHex(txid) }),
    replacedBy: gone && note?.replacedBy !== undefined ? txidOfKey(note.replacedBy) : undefined,
    createdAtMs: note?.createdAtMs,
  };
}

/** The fee of a transaction that spends channels' funding outputs and nothing else. */
export function channelFee(tx: Transaction, channels: ChannelTransactions): bigint | undefined {
  let feeSat = 0n;
  for (const { outpoint } of tx.inputs) {
    const capacitySat = channels.fundingOutput(outpoint);
    if (capacitySat === undefined) return undefined;
    feeSat += capacitySat;
  }
  for (const { valueSat } of tx.outputs) feeSat -= valueSat;
  return feeSat;
}

function kindOf(
  state: WalletState,
  { key, tx, channels }: { key: string; tx: Transaction; channels: ChannelTransactions },
): TxKind {
  const purpose = state.notes.get(key)?.purpose;
  if (purpose === 'child' || purpose === 'cancel') return purpose;
  if (isCoinbase(tx)) return 'reward';
  if (channels.isFunding(txidOf(tx))) return 'funding';
  if (tx.inputs.some(({ outpoint }) => channels.fundingOutput(outpoint) !== undefined)) return 'close';
  if (tx.inputs.some(({ outpoint }) => channels.isClose(outpoint.txid))) return 'sweep';
  const spends = tx.inputs.some(({ outpoint }) => state.ledger.output(outpoint) !== undefined);
  if (!spends) return purpose === undefined ? 'receive' : 'send';
  return tx.outputs.every(({ script }) => state.isOurs(script)) ? 'self' : 'send';
}
