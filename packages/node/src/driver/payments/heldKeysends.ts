import { bytesToHex, bytesToUtf8, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import type { NodeStorage, StorageReader, StorageTransaction } from '@rivulet/storage';
import { z } from 'zod';

/** Why a keysend waits, and until when. */
export interface HeldKeysend {
  readonly rule: string;
  readonly heldAtMs: number;
  /** Then it goes back. */
  readonly untilMs: number;
}

const stored = z.object({ rule: z.string(), heldAtMs: z.int(), untilMs: z.int() });

const prefix = 'held-keysend/';

/** Keysends that wait for somebody's decision: a restart finds them held, with the deadline that they had. */
export class HeldKeysends {
  readonly #storage: NodeStorage;
  readonly #deadlines = new Map<string, number>();

  constructor(storage: NodeStorage) {
    this.#storage = storage;
    this.reload();
  }

  /** Memory follows what is stored. */
  reload(): void {
    this.#deadlines.clear();
    for (const { key, value } of this.#storage.listValues(prefix)) {
      this.#deadlines.set(key.slice(prefix.length), parse(value).untilMs);
    }
  }

  get(from: StorageReader, paymentHash: Uint8Array): HeldKeysend | undefined {
    const hash = bytesToHex(paymentHash);
    if (!this.#deadlines.has(hash)) return undefined;
    const value = from.getValue(prefix + hash);
    return value === undefined ? undefined : parse(value);
  }

  put(tx: StorageTransaction, paymentHash: Uint8Array, held: HeldKeysend): void {
    const hash = bytesToHex(paymentHash);
    tx.putValue(prefix + hash, utf8ToBytes(JSON.stringify(held)));
    this.#deadlines.set(hash, held.untilMs);
  }

  /** What was there. */
  delete(tx: StorageTransaction, paymentHash: Uint8Array): HeldKeysend | undefined {
    const held = this.get(tx, paymentHash);
    const hash = bytesToHex(paymentHash);
    if (this.#deadlines.delete(hash)) tx.deleteValue(prefix + hash);
    return held;
  }

  hashes(): Uint8Array[] {
    return Array.from(this.#deadlines.keys(), hexToBytes);
  }

  /** Those whose deadline is over. */
  due(nowMs: number): Uint8Array[] {
    return [...this.#deadlines].filter(([, untilMs]) => untilMs <= nowMs).map(([hash]) => hexToBytes(hash));
  }

  nextMs(): number | undefined {
    let next: number | undefined;
    for (const untilMs of this.#deadlines.values()) if (next === undefined || untilMs < next) next = untilMs;
    return next;
  }
}

function parse(value: Uint8Array): HeldKeysend {
  return stored.parse(JSON.parse(bytesToUtf8(value) ?? ''));
}
