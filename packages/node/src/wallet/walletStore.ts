import { ByteReader, ByteWriter, bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { decodeTransaction, encodeTransaction, type Transaction } from '@rivulet/core/tx';
import type { StorageReader, StorageTransaction } from '@rivulet/storage';
import { keychains } from './keyring.js';
import { decodeNote, encodeNote, type TxNote } from './notes.js';

/**
 * The wallet's durable facts, as values of the node's storage. Everything else (which outputs are ours, which
 * are spent) follows from them and is computed anew at each start. The first byte of a value is its version.
 *
 * - `wallet/owner`: whose coins these are: network and fingerprint.
 * - `wallet/next`: the number of addresses given out or used, for each keychain.
 * - `wallet/tip`: the last block that was processed.
 * - `wallet/tx/<txid>`: a transaction that touches the wallet, and its height once confirmed.
 * - `wallet/reserved/<txid>`: a transaction that was funded and is neither broadcast nor given up.
 * - `wallet/partial/<txid>`: which of a transaction's outputs count: one that was found by a search for unspent
 *   coins, so that nothing is known of what became of its other outputs.
 * - `wallet/lock/<txid>:<index>`: why no selection may take this coin.
 * - `wallet/note/<txid>`: what the wallet made a transaction for (TxNote).
 * - `wallet/send-key/<sha256>`: which transaction a request with this idempotency key made (SendKey).
 * - `wallet/label/<type>/<ref>`: a label (BIP 329).
 */
const version = 1;
const prefix = {
  tx: 'wallet/tx/',
  reserved: 'wallet/reserved/',
  partial: 'wallet/partial/',
  lock: 'wallet/lock/',
  note: 'wallet/note/',
  sendKey: 'wallet/send-key/',
};

export interface WalletTip {
  readonly height: number;
  /** Absent right after a block was undone. */
  readonly hash?: Uint8Array | undefined;
}

export interface StoredTransaction {
  readonly tx: Transaction;
  readonly height?: number | undefined;
  /** Which outputs count; all where it is absent. */
  readonly outputs?: readonly number[] | undefined;
}

/** What an idempotency key stands for. */
export interface SendKey {
  /** Of the request, to tell another one with the same key. */
  readonly digest: Uint8Array;
  readonly txid: Uint8Array;
}

export interface StoredWallet {
  readonly owner?: string | undefined;
  readonly next: number[];
  readonly tip?: WalletTip | undefined;
  readonly transactions: Map<string, StoredTransaction>;
  readonly reserved: Map<string, Transaction>;
  readonly partial: Map<string, number[]>;
  readonly locks: Map<string, string>;
  readonly notes: Map<string, TxNote>;
}

function open(value: Uint8Array): ByteReader {
  const reader = new ByteReader(value);
  const found = reader.u8();
  if (found !== version) throw new RangeError(`a value of the wallet has the unknown version ${found}`);
  return reader;
}

const start = (): ByteWriter => new ByteWriter(64).u8(version);
const noHeight = 0xffff_ffff;

const readText = (value: Uint8Array): string => new TextDecoder().decode(open(value).rest());
const text = (value: string): Uint8Array => start().bytes(new TextEncoder().encode(value)).finish();

function readTransaction(value: Uint8Array): StoredTransaction {
  const reader = open(value);
  const height = reader.u32();
  const tx = decodeTransaction(reader.rest());
  return height === noHeight ? { tx } : { tx, height };
}

export function loadWallet(storage: StorageReader): StoredWallet {
  const read = <T>(key: string, decode: (reader: ByteReader) => T): T | undefined => {
    const value = storage.getValue(key);
    return value === undefined ? undefined : decode(open(value));
  };
  const all = <T>(keyPrefix: string, decode: (value: Uint8Array) => T): Map<string, T> =>
    new Map(
      storage.listValues(keyPrefix).map(({ key, value }) => [key.slice(keyPrefix.length), decode(value)]),
    );
  return {
    owner: read('wallet/owner', (reader) => new TextDecoder().decode(reader.rest())),
    next: read('wallet/next', (reader) => keychains.map(() => reader.u32())) ?? keychains.map(() => 0),
    tip: read('wallet/tip', (reader) => {
      const height = reader.u32();
      return reader.left === 0 ? { height } : { height, hash: reader.bytes(32) };
    }),
    transactions: all(prefix.tx, readTransaction),
    reserved: all(prefix.reserved, (value) => decodeTransaction(open(value).rest())),
    partial: all(prefix.partial, (value) => {
      const reader = open(value);
      const outputs: number[] = [];
      while (reader.left > 0) outputs.push(reader.u32());
      return outputs;
    }),
    locks: all(prefix.lock, readText),
    notes: all(prefix.note, (value) => decodeNote(readText(value))),
  };
}

export function loadSendKey(storage: StorageReader, id: string): SendKey | undefined {
  const value = storage.getValue(prefix.sendKey + id);
  if (value === undefined) return undefined;
  const reader = open(value);
  return { digest: reader.bytes(32), txid: reader.bytes(32) };
}

// Keys use txids in internal byte order, in hex.
export const txKey = (txid: Uint8Array): string => bytesToHex(txid);
export const txidOfKey = (key: string): Uint8Array => hexToBytes(key);

export const walletWrites = {
  owner: (storage: StorageTransaction, owner: string): void => storage.putValue('wallet/owner', text(owner)),
  next: (storage: StorageTransaction, next: readonly number[]): void => {
    const writer = start();
    for (const count of next) writer.u32(count);
    storage.putValue('wallet/next', writer.finish());
  },
  tip: (storage: StorageTransaction, { height, hash }: WalletTip): void => {
    const writer = start().u32(height);
    if (hash !== undefined) writer.bytes(hash);
    storage.putValue('wallet/tip', writer.finish());
  },
  transaction: (storage: StorageTransaction, key: string, { tx, height }: StoredTransaction): void =>
    storage.putValue(
      prefix.tx + key,
      start()
        .u32(height ?? noHeight)
        .bytes(encodeTransaction(tx))
        .finish(),
    ),
  removeTransaction: (storage: StorageTransaction, key: string): void => {
    storage.deleteValue(prefix.tx + key);
    storage.deleteValue(prefix.partial + key);
  },
  partial: (storage: StorageTransaction, key: string, outputs: readonly number[]): void => {
    const writer = start();
    for (const index of outputs) writer.u32(index);
    storage.putValue(prefix.partial + key, writer.finish());
  },
  reserve: (storage: StorageTransaction, key: string, tx: Transaction): void =>
    storage.putValue(prefix.reserved + key, start().bytes(encodeTransaction(tx)).finish()),
  release: (storage: StorageTransaction, key: string): void => storage.deleteValue(prefix.reserved + key),
  lock: (storage: StorageTransaction, outpoint: string, reason: string): void =>
    storage.putValue(prefix.lock + outpoint, text(reason)),
  unlock: (storage: StorageTransaction, outpoint: string): void =>
    storage.deleteValue(prefix.lock + outpoint),
  note: (storage: StorageTransaction, key: string, note: TxNote): void =>
    storage.putValue(prefix.note + key, text(encodeNote(note))),
  sendKey: (storage: StorageTransaction, id: string, { digest, txid }: SendKey): void =>
    storage.putValue(prefix.sendKey + id, start().bytes(digest).bytes(txid).finish()),
};
