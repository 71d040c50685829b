import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ByteReader, ByteWriter, concatBytes } from '@rivulet/core/bytes';

/** A channel's monitor as last written in full, and the updates since then, in order. */
export interface StoredMonitor {
  monitor: Uint8Array;
  updates: readonly Uint8Array[];
}

/** Where an LDK node keeps its state. What is written is durable after `commit`, all of it or nothing. */
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
  commit(): void;
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

  monitors(): ReadonlyMap<string, StoredMonitor> {
    return this.#monitors;
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

  commit(): void {}

  close(): void {}
}

const recordKinds = ['manager', 'monitor', 'update', 'output'] as const;
type RecordKind = (typeof recordKinds)[number];

function encodeRecord(kind: RecordKind, key: string, bytes: Uint8Array): Uint8Array {
  const name = new TextEncoder().encode(key);
  const writer = new ByteWriter(9 + name.length + bytes.length);
  writer.u8(recordKinds.indexOf(kind)).u32(name.length).bytes(name).u32(bytes.length).bytes(bytes);
  return writer.finish();
}

/**
 * State in one file to which batches of records are appended, each with its length before it: a last batch
 * that is cut off never happened. The file is read, and written anew without what is outdated, when it opens.
 */
export class JournalLdkStore implements LdkStore {
  readonly #commitEach: boolean;
  readonly #file: number;
  #stored = new MemoryLdkStore();
  #batch: Uint8Array[] = [];

  /** With `commitEach`, every write is a batch of its own, durable when it returns. */
  constructor(folder: string, { commitEach }: { commitEach: boolean }) {
    this.#commitEach = commitEach;
    mkdirSync(folder, { recursive: true });
    const path = join(folder, 'journal');
    this.#load(path);
    this.#compact(path, folder);
    this.#file = openSync(path, 'a');
  }

  readManager(): Uint8Array | undefined {
    return this.#stored.readManager();
  }

  readMonitors(): StoredMonitor[] {
    return this.#stored.readMonitors();
  }

  readOutputs(): Uint8Array[] {
    return this.#stored.readOutputs();
  }

  /** LDK has been started from what was read: it need not be kept in memory, but for the outputs. */
  releaseMemory(): void {
    const outputs = this.#stored.readOutputs();
    this.#stored = new MemoryLdkStore();
    for (const output of outputs) this.#stored.appendOutput(output);
  }

  writeManager(bytes: Uint8Array): void {
    this.#append('manager', '', bytes);
  }

  writeMonitor(key: string, bytes: Uint8Array): void {
    this.#append('monitor', key, bytes);
  }

  appendUpdate(key: string, bytes: Uint8Array): void {
    this.#append('update', key, bytes);
  }

  appendOutput(bytes: Uint8Array): void {
    this.#stored.appendOutput(bytes);
    this.#append('output', '', bytes);
  }

  commit(): void {
    if (this.#batch.length === 0) return;
    const batch = concatBytes(...this.#batch);
    this.#batch = [];
    writeFileSync(this.#file, concatBytes(new ByteWriter(4).u32(batch.length).finish(), batch));
    fsyncSync(this.#file);
  }

  /** Drops what has not been committed. */
  close(): void {
    closeSync(this.#file);
  }

  #append(kind: RecordKind, key: string, bytes: Uint8Array): void {
    this.#batch.push(encodeRecord(kind, key, bytes));
    if (this.#commitEach) this.commit();
  }

  #load(path: string): void {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    const reader = new ByteReader(bytes);
    while (reader.left >= 4) {
      const length = reader.u32();
      if (length > reader.left) return;
      this.#loadBatch(reader.bytes(length));
    }
  }

  #loadBatch(batch: Uint8Array): void {
    const reader = new ByteReader(batch);
    while (reader.left > 0) {
      const kind = recordKinds[reader.u8()];
      const key = new TextDecoder().decode(reader.bytes(reader.u32()));
      const bytes = reader.bytes(reader.u32());
      if (kind === 'manager') this.#stored.writeManager(bytes);
      else if (kind === 'monitor') this.#stored.writeMonitor(key, bytes);
      else if (kind === 'update') this.#stored.appendUpdate(key, bytes);
      else if (kind === 'output') this.#stored.appendOutput(bytes);
    }
  }

  #compact(path: string, folder: string): void {
    const manager = this.#stored.readManager();
    if (!manager) return;
    const records = [encodeRecord('manager', '', manager)];
    for (const [key, { monitor, updates }] of this.#stored.monitors()) {
      records.push(encodeRecord('monitor', key, monitor));
      for (const update of updates) records.push(encodeRecord('update', key, update));
    }
    for (const output of this.#stored.readOutputs()) records.push(encodeRecord('output', '', output));
    const batch = concatBytes(...records);
    const file = openSync(`${path}.new`, 'w');
    writeFileSync(file, concatBytes(new ByteWriter(4).u32(batch.length).finish(), batch));
    fsyncSync(file);
    closeSync(file);
    renameSync(`${path}.new`, path);
    const directory = openSync(folder, 'r');
    fsyncSync(directory);
    closeSync(directory);
  }
}
