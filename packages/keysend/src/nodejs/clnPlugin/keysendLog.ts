import { createHash } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod/mini';
import { KeysendError } from '../../keysendError.js';

/** A keysend as it is kept. */
export interface LoggedKeysend {
  /** 64 hex digits. */
  readonly hash: string;
  /** Digits. */
  readonly msat: string;
  readonly atMs: number;
  /** Type in digits, value in hex; ascending. */
  readonly records: readonly (readonly [string, string])[];
}

export interface SettledKeysend extends LoggedKeysend {
  /** From 1, in the order in which they were settled. */
  readonly index: number;
}

const recordsSchema = z.array(z.tuple([z.string(), z.string()]));
const keysendShape = { hash: z.string(), msat: z.string(), atMs: z.number(), records: recordsSchema };
const lineSchema = z.discriminatedUnion('is', [
  z.object({ is: z.literal('log'), version: z.literal(1), id: z.string() }),
  z.object({ is: z.literal('arrived'), ...keysendShape }),
  z.object({ is: z.literal('settled'), index: z.int(), ...keysendShape }),
  z.object({ is: z.literal('dropped'), hash: z.string() }),
]);
type Line = z.infer<typeof lineSchema>;

/** Arrived and not settled: more than a node has under way by far; the oldest go first. */
const maxPending = 20_000;
/** The file is written anew when it has more than this of what is over: when it is opened, and while it is used. */
const defaultDeadBytes = { opened: 8_000_000, used: 128_000_000 };
const chunkBytes = 1_048_576;

/**
 * Every keysend, in one file that only grows: a line when it has arrived, another when it is settled. Both are on
 * the disk when their methods return. Each line carries a checksum: what a crash tore off at the end is cut off, and
 * a line that is damaged costs itself alone.
 */
export class KeysendLog {
  /** Of this file, 16 hex digits: the indexes of another file mean nothing in it. */
  readonly id: string;
  /** Lines that could not be read. */
  readonly damaged: number;
  readonly #path: string;
  #fd: number;
  #size: number;
  #deadBytes: number;
  /** When it is written anew. */
  #maxDeadBytes = defaultDeadBytes.used;
  #pending: Map<string, LoggedKeysend>;
  #settled: Set<string>;
  /** Ascending, with where the line begins. */
  #indexes: number[];
  #offsets: number[];

  private constructor(path: string, fd: number, contents: Contents) {
    this.#path = path;
    this.#fd = fd;
    this.id = contents.id;
    this.damaged = contents.damaged;
    this.#size = contents.size;
    this.#deadBytes = contents.deadBytes;
    this.#pending = contents.pending;
    this.#settled = contents.settled;
    this.#indexes = contents.indexes;
    this.#offsets = contents.offsets;
  }

  /**
   * @param newId for a file that is not there yet: 16 random hex digits.
   * @throws KeysendError `file_invalid` where the file is of something else.
   */
  static open(path: string, newId: string, deadBytes = defaultDeadBytes): KeysendLog {
    const fd = openSync(path, 'a+', 0o600);
    closeSync(fd);
    const log = openForWriting(path, newId);
    if (log.#deadBytes > deadBytes.opened) log.#compact();
    log.#maxDeadBytes = deadBytes.used;
    return log;
  }

  /** @internal */
  static create(path: string, fd: number, contents: Contents): KeysendLog {
    return new KeysendLog(path, fd, contents);
  }

  /** The index of the newest that is settled; 0 where there is none. */
  get last(): number {
    return this.#indexes.at(-1) ?? 0;
  }

  get pending(): readonly LoggedKeysend[] {
    return [...this.#pending.values()];
  }

  isKnown(hash: string): boolean {
    return this.#pending.has(hash) || this.#settled.has(hash);
  }

  /**
   * On the disk when it returns; nothing where it is known. Of two tries under one hash the later one counts: a sender
   * who trims a message tries again with the rest. @throws when the disk does not take it.
   */
  arrived(keysend: LoggedKeysend): void {
    if (this.#settled.has(keysend.hash)) return;
    const earlier = this.#pending.get(keysend.hash);
    if (earlier !== undefined && isSame(earlier.records, keysend.records)) return;
    this.#append({
      is: 'arrived',
      ...keysend,
      records: keysend.records.map(([type, value]) => [type, value]),
    });
    this.#pending.set(keysend.hash, keysend);
    trim(this.#pending);
    if (this.#deadBytes <= Math.max(this.#maxDeadBytes, this.#size / 2)) return;
    // Whoever sends what lightningd then fails, again and again, does not fill the disk.
    const most = this.#maxDeadBytes;
    try {
      this.#compact();
    } catch {
      // It is kept all the same: the old file is as it was.
      this.#maxDeadBytes = this.#deadBytes + most;
    }
  }

  /** It was paid for good. @returns whether that is new. @throws when the disk does not take it. */
  settled(hash: string, { msat, atMs }: { msat: bigint; atMs: number }): boolean {
    const arrived = this.#pending.get(hash);
    if (arrived === undefined) return false;
    const index = this.last + 1;
    const records = arrived.records.map(([type, value]): [string, string] => [type, value]);
    const offset = this.#append({ is: 'settled', index, hash, msat: String(msat), atMs, records });
    this.#pending.delete(hash);
    this.#settled.add(hash);
    this.#indexes.push(index);
    this.#offsets.push(offset);
    return true;
  }

  /** It was not paid and never will be. */
  dropped(hash: string): void {
    if (this.#pending.delete(hash)) this.#append({ is: 'dropped', hash });
  }

  /** Settled keysends after an index, in order. */
  list(after: number, limit: number): SettledKeysend[] {
    let low = 0;
    let high = this.#indexes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#indexes[middle] as number) <= after) low = middle + 1;
      else high = middle;
    }
    const found: SettledKeysend[] = [];
    for (const offset of this.#offsets.slice(low, low + limit)) {
      const line = this.#readAt(offset);
      if (line?.is === 'settled') found.push(line);
    }
    return found;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #append(line: Line): number {
    const bytes = encodeLine(line);
    const offset = this.#size;
    try {
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(this.#fd, bytes, written, bytes.length - written, offset + written);
      }
      fsyncSync(this.#fd);
    } catch (error) {
      // What is there of it is written over by the next line; a crash before that leaves a torn end.
      try {
        ftruncateSync(this.#fd, offset);
      } catch {
        // The same again.
      }
      throw error;
    }
    this.#size = offset + bytes.length;
    if (line.is !== 'settled') this.#deadBytes += bytes.length;
    return offset;
  }

  #readAt(offset: number): Line | undefined {
    let bytes = Buffer.alloc(0);
    const chunk = Buffer.alloc(16_384);
    for (;;) {
      const count = readSync(this.#fd, chunk, 0, chunk.length, offset + bytes.length);
      const end = chunk.subarray(0, count).indexOf(10);
      bytes = Buffer.concat([bytes, chunk.subarray(0, end === -1 ? count : end)]);
      if (end !== -1 || count === 0) return decodeLine(bytes.toString('utf8'));
    }
  }

  /** The same without what is over, in a new file that takes the place of this one. */
  #compact(): void {
    const temporary = `${this.#path}.new`;
    const fd = openSync(temporary, 'w', 0o600);
    try {
      const write = (line: Line): void => {
        const bytes = encodeLine(line);
        for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
      };
      write({ is: 'log', version: 1, id: this.id });
      for (const offset of this.#offsets) {
        const line = this.#readAt(offset);
        if (line !== undefined) write(line);
      }
      for (const { hash, msat, atMs, records } of this.#pending.values()) {
        write({ is: 'arrived', hash, msat, atMs, records: records.map(([type, value]) => [type, value]) });
      }
      fsyncSync(fd);
    } catch (error) {
      closeSync(fd);
      unlinkSync(temporary);
      throw error;
    }
    closeSync(fd);
    renameSync(temporary, this.#path);
    const old = this.#fd;
    const fresh = openForWriting(this.#path, this.id);
    this.#fd = fresh.#fd;
    this.#size = fresh.#size;
    this.#deadBytes = fresh.#deadBytes;
    this.#pending = fresh.#pending;
    this.#settled = fresh.#settled;
    this.#indexes = fresh.#indexes;
    this.#offsets = fresh.#offsets;
    closeSync(old);
    syncFolder(this.#path);
  }
}

function isSame(a: LoggedKeysend['records'], b: LoggedKeysend['records']): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function trim(pending: Map<string, LoggedKeysend>): void {
  for (const oldest of pending.keys()) {
    if (pending.size <= maxPending) break;
    pending.delete(oldest);
  }
}

interface Contents {
  readonly id: string;
  readonly damaged: number;
  readonly size: number;
  readonly deadBytes: number;
  readonly pending: Map<string, LoggedKeysend>;
  readonly settled: Set<string>;
  readonly indexes: number[];
  readonly offsets: number[];
}

function openForWriting(path: string, newId: string): KeysendLog {
  const fd = openSync(path, 'r+');
  const size = fstatSync(fd).size;
  const pending = new Map<string, LoggedKeysend>();
  const settled = new Set<string>();
  const indexes: number[] = [];
  const offsets: number[] = [];
  let id: string | undefined;
  let damaged = 0;
  let isDamaged = false;
  let deadBytes = 0;
  let whole = 0;
  let valid = 0;
  for (const { text, offset, length } of linesOf(fd)) {
    whole = offset + length;
    const line = decodeLine(text);
    if (line === undefined) {
      damaged++;
      isDamaged = true;
      deadBytes += length;
      continue;
    }
    valid++;
    switch (line.is) {
      case 'log':
        id = line.id;
        isDamaged = false;
        break;
      case 'arrived':
        deadBytes += length;
        if (!settled.has(line.hash)) pending.set(line.hash, line);
        trim(pending);
        break;
      case 'dropped':
        deadBytes += length;
        pending.delete(line.hash);
        break;
      case 'settled':
        pending.delete(line.hash);
        settled.add(line.hash);
        indexes.push(line.index);
        offsets.push(offset);
        break;
    }
  }
  // Empty, or with the torn beginning of our own first line, it is ours.
  if (valid === 0 && (whole > 0 || size > 200)) {
    closeSync(fd);
    throw new KeysendError('file_invalid', `${path} is no list of keysends: name another file`);
  }
  if (whole < size) {
    ftruncateSync(fd, whole);
    fsyncSync(fd);
  }
  // The index of a line that was lost may be given out once more: whoever has read it has to begin anew.
  if (id === undefined || isDamaged) {
    const bytes = encodeLine({ is: 'log', version: 1, id: newId });
    writeSync(fd, bytes, 0, bytes.length, whole);
    fsyncSync(fd);
    syncFolder(path);
    id = newId;
    whole += bytes.length;
  }
  return KeysendLog.create(path, fd, {
    id,
    damaged,
    size: whole,
    deadBytes,
    pending,
    settled,
    indexes,
    offsets,
  });
}

/** The lines that end; what follows the last line break is none. */
function* linesOf(fd: number): Generator<{ text: string; offset: number; length: number }> {
  const chunk = Buffer.alloc(chunkBytes);
  let rest = Buffer.alloc(0);
  let restOffset = 0;
  for (;;) {
    const count = readSync(fd, chunk, 0, chunk.length, restOffset + rest.length);
    if (count === 0) return;
    const bytes = Buffer.concat([rest, chunk.subarray(0, count)]);
    let from = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
      yield { text: bytes.toString('utf8', from, end), offset: restOffset + from, length: end + 1 - from };
      from = end + 1;
    }
    rest = bytes.subarray(from);
    restOffset += from;
  }
}

function checksumOf(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, 8);
}

function encodeLine(line: Line): Buffer {
  const json = JSON.stringify(line);
  return Buffer.from(`${checksumOf(json)} ${json}\n`);
}

function decodeLine(text: string): Line | undefined {
  const json = text.slice(9);
  if (text[8] !== ' ' || checksumOf(json) !== text.slice(0, 8)) return undefined;
  const parsed = lineSchema.safeParse(JSON.parse(json));
  return parsed.success ? parsed.data : undefined;
}

/** A new name in a folder is durable only then. */
function syncFolder(path: string): void {
  const fd = openSync(dirname(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
