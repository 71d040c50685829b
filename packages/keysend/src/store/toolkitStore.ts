/** What can be read, inside and outside a transaction. Inside, its own writes are visible. */
export interface StoreReader {
  get(key: string): string | undefined;
  /** In the order of the keys' UTF-8 bytes; `after` and `before` are keys that are not part of it. */
  list(range: StoreRange): StoreEntry[];
}

export interface StoreRange {
  readonly prefix: string;
  readonly after?: string | undefined;
  readonly before?: string | undefined;
  readonly limit?: number | undefined;
  /** From the last key down. */
  readonly reverse?: boolean | undefined;
}

export interface StoreEntry {
  readonly key: string;
  readonly value: string;
}

export interface StoreTransaction extends StoreReader {
  put(key: string, value: string): void;
  /** What is not there is no error. */
  delete(key: string): void;
}

/**
 * The toolkit's durable memory: text by key, in transactions. Synchronous. Several processes may have it open (in
 * SQLite): nothing that was read outside a transaction may be relied on inside one, so keep no copies in memory.
 *
 * When `transaction` returns, what its body wrote survives a crash of the process and of the machine; when it
 * throws, nothing of it does. Only then may anything that follows from it be shown: no payment before its leg.
 */
export interface ToolkitStore extends StoreReader {
  /** `body` is synchronous; it may not start another transaction, and its argument is dead once it returns. */
  transaction<T>(body: (tx: StoreTransaction) => T): T;
  close(): void;
}
