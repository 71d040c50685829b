import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ByteReader } from '@rivulet/core/bytes';

/** A channel's monitor as last written in full, and the updates since then, in order. */
export interface StoredMonitor {
  monitor: Uint8Array;
  updates: readonly Uint8Array[];
}

/** Where an LDK node keeps its state. Every write is durable when it returns. */
export interface LdkStore {
  readManager(): Uint8Array | undefined;
  writeManager(bytes: Uint8Array): void;
  readMonitors(): StoredMonitor[];
  /** Replaces the monitor and forgets its updates. */
  writeMonitor(key: string, bytes: Uint8Array): void;
  appendUpdate(key: string, bytes: Uint8Array): void;
  readOutputs(): Uint8Array[];
  /** Keeps the descriptor of an output that the node can spend. */
  appendOutput(bytes: Uint8Array): void;
  close(): void;
}

/** State that outlives the node, but not the process. */
export class MemoryLdkStore implements LdkStore {
  #manager: Uint8Array | undefined;
  readonly #monitors = new Map<string, { monitor: Uint8Array; updates: Uint8Array[] }>();
  readonly #outputs: Uint8Array[] = [];

  readManager(): Uint8Array | undefined {
    return this.#manager;
  }

  writeManager(bytes: Uint8Array): void {
    this.#manager = bytes;
  }

  readMonitors(): StoredMonitor[] {
    return [...this.#monitors.values()].map(({ monitor, updates }) => ({ monitor, updates: [...updates] }));
  }

  writeMonitor(key: string, bytes: Uint8Array): void {
    this.#monitors.set(key, { monitor: bytes, updates: [] });
  }

  appendUpdate(key: string, bytes: Uint8Array): void {
    this.#monitors.get(key)?.updates.push(bytes);
  }

  readOutputs(): Uint8Array[] {
    return [...this.#outputs];
  }

  appendOutput(bytes: Uint8Array): void {
    this.#outputs.push(bytes);
  }

  close(): void {}
}

/** Splits a file of records, each a 4-byte length and its bytes; a last one that is cut off is ignored. */
function readRecords(bytes: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(bytes);
  const records: Uint8Array[] = [];
  while (reader.left >= 4) {
    const length = reader.u32();
    if (length > reader.left) break;
    records.push(reader.bytes(length));
  }
  return records;
}

/**
 * State in files: `manager`, and for each channel `<key>.monitor`, which is replaced as a whole, and
 * `<key>.updates`, to which updates are appended. Every write is followed by fsync.
 */
export class FileLdkStore implements LdkStore {
  readonly #folder: string;
  readonly #appending = new Map<string, number>();
  readonly #durable: boolean;

  constructor(folder: string, options: { durable?: boolean } = {}) {
    this.#folder = folder;
    this.#durable = options.durable ?? true;
    mkdirSync(folder, { recursive: true });
  }

  readManager(): Uint8Array | undefined {
    return this.#read('manager');
  }

  writeManager(bytes: Uint8Array): void {
    this.#replace('manager', bytes);
  }

  readMonitors(): StoredMonitor[] {
    return readdirSync(this.#folder)
      .filter((name) => name.endsWith('.monitor'))
      .map((name) => ({
        monitor: readFileSync(join(this.#folder, name)),
        updates: readRecords(this.#read(name.replace(/monitor$/, 'updates')) ?? new Uint8Array()),
      }));
  }

  writeMonitor(key: string, bytes: Uint8Array): void {
    // Updates that are already part of the monitor are skipped when they are read, so that a crash
    // between the two writes does no harm.
    this.#replace(`${key}.monitor`, bytes);
    this.#stopAppending(`${key}.updates`);
    this.#replace(`${key}.updates`, new Uint8Array());
  }

  appendUpdate(key: string, bytes: Uint8Array): void {
    this.#append(`${key}.updates`, bytes);
  }

  readOutputs(): Uint8Array[] {
    return readRecords(this.#read('outputs') ?? new Uint8Array());
  }

  appendOutput(bytes: Uint8Array): void {
    this.#append('outputs', bytes);
  }

  close(): void {
    for (const name of [...this.#appending.keys()]) this.#stopAppending(name);
  }

  #read(name: string): Uint8Array | undefined {
    try {
      return readFileSync(join(this.#folder, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #sync(file: number): void {
    if (this.#durable) fsyncSync(file);
  }

  #replace(name: string, bytes: Uint8Array): void {
    const path = join(this.#folder, name);
    const file = openSync(`${path}.new`, 'w');
    writeFileSync(file, bytes);
    this.#sync(file);
    closeSync(file);
    renameSync(`${path}.new`, path);
    const folder = openSync(this.#folder, 'r');
    this.#sync(folder);
    closeSync(folder);
  }

  #append(name: string, bytes: Uint8Array): void {
    let file = this.#appending.get(name);
    if (file === undefined) {
      file = openSync(join(this.#folder, name), 'a');
      this.#appending.set(name, file);
    }
    const record = new Uint8Array(4 + bytes.length);
    new DataView(record.buffer).setUint32(0, bytes.length);
    record.set(bytes, 4);
    writeFileSync(file, record);
    this.#sync(file);
  }

  #stopAppending(name: string): void {
    const file = this.#appending.get(name);
    if (file !== undefined) closeSync(file);
    this.#appending.delete(name);
  }
}
