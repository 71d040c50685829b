import type { ReplicaFile, ReplicaFiles } from './replicaFiles.js';

const SECTOR = 512;

type Change = { readonly position: number; readonly bytes: Uint8Array } | { readonly size: number };

function apply(content: Uint8Array, change: Change): Uint8Array {
  if ('size' in change) {
    const cut = new Uint8Array(change.size);
    cut.set(content.subarray(0, change.size));
    return cut;
  }
  const end = change.position + change.bytes.length;
  const grown = end > content.length ? apply(content, { size: end }) : content.slice();
  grown.set(change.bytes, change.position);
  return grown;
}

class Content {
  readonly inode: bigint;
  live = new Uint8Array(0);
  durable = new Uint8Array(0);
  pending: Change[] = [];
  changes = 0n;

  constructor(inode: bigint) {
    this.inode = inode;
  }

  change(change: Change): void {
    this.live = apply(this.live, change) as Uint8Array<ArrayBuffer>;
    this.pending.push(change);
    this.changes++;
  }

  sync(): void {
    this.durable = this.live.slice();
    this.pending = [];
  }

  /** What a loss of power may leave: any part of what was not synced, down to single sectors. */
  afterCrash(random: () => number): Uint8Array {
    let content: Uint8Array = this.durable.slice();
    const mood = random();
    for (const change of this.pending) {
      if ('size' in change) {
        if (random() < mood) content = apply(content, change);
        continue;
      }
      for (let at = 0; at < change.bytes.length; at += SECTOR) {
        if (random() >= mood) continue;
        const bytes = change.bytes.subarray(at, at + SECTOR);
        content = apply(content, { position: change.position + at, bytes });
      }
    }
    return content;
  }
}

type NameChange = (names: Map<string, Content>) => void;

/**
 * A disk in memory that keeps what is synced apart from what is not, and that can lose power: what was not synced
 * is then lost, there, or torn.
 */
export class CrashDisk implements ReplicaFiles {
  #names = new Map<string, Content>();
  #durableNames = new Map<string, Content>();
  #pendingNames: NameChange[] = [];
  #inodes = 0n;
  /** Called before each change and each sync; what it throws is what the operation throws. */
  fault: (operation: string) => void = () => {};
  operations = 0;

  #step(operation: string): void {
    this.operations++;
    this.fault(operation);
  }

  #rename(change: NameChange): void {
    change(this.#names);
    this.#pendingNames.push(change);
  }

  open(path: string): ReplicaFile {
    let content = this.#names.get(path);
    if (content === undefined) {
      this.#step('make');
      const made = new Content(++this.#inodes);
      this.#rename((names) => names.set(path, made));
      content = made;
    }
    const file = content;
    const stat = () => ({ device: 1n, inode: file.inode, size: file.live.length, mtimeNs: file.changes });
    return {
      read: (buffer, position) => {
        const found = file.live.subarray(position, position + buffer.length);
        buffer.set(found);
        return found.length;
      },
      write: (bytes, position) => {
        this.#step('write');
        file.change({ position, bytes: bytes.slice() });
      },
      truncate: (size) => {
        this.#step('truncate');
        file.change({ size });
      },
      sync: () => {
        this.#step('sync');
        file.sync();
      },
      stat,
      close: () => {},
    };
  }

  stat(path: string) {
    if (path === '/') return { device: 1n, inode: 0n, size: 0, mtimeNs: 0n };
    const file = this.#names.get(path);
    if (file === undefined) return undefined;
    return { device: 1n, inode: file.inode, size: file.live.length, mtimeNs: file.changes };
  }

  rename(from: string, to: string): void {
    this.#step('rename');
    const content = this.#names.get(from);
    if (content === undefined) throw new Error(`no ${from}`);
    this.#rename((names) => {
      names.delete(from);
      names.set(to, content);
    });
  }

  remove(path: string): void {
    if (!this.#names.has(path)) return;
    this.#step('remove');
    this.#rename((names) => names.delete(path));
  }

  makeFolder(): void {}

  syncFolder(): void {
    this.#step('syncFolder');
    this.#durableNames = new Map(this.#names);
    this.#pendingNames = [];
  }

  /** Loses power. From here on the disk holds what was left, and so does the answer. */
  crash(random: () => number): Map<string, Uint8Array> {
    const names = new Map(this.#durableNames);
    // The changes of names are in a journal: their order holds.
    const kept = Math.floor(random() * (this.#pendingNames.length + 1));
    for (const change of this.#pendingNames.slice(0, kept)) change(names);
    const left = new Map([...names].map(([path, content]) => [path, content.afterCrash(random)]));
    this.#names = new Map();
    for (const [path, bytes] of left) {
      const content = new Content(++this.#inodes);
      content.live = bytes.slice() as Uint8Array<ArrayBuffer>;
      content.sync();
      this.#names.set(path, content);
    }
    this.#durableNames = new Map(this.#names);
    this.#pendingNames = [];
    return left;
  }

  /** What is there now, as other programs see it. */
  files(): Map<string, Uint8Array> {
    return new Map([...this.#names].map(([path, { live }]) => [path, live]));
  }

  /** Someone else's change. */
  put(path: string, bytes: Uint8Array): void {
    const content = new Content(++this.#inodes);
    content.live = bytes.slice() as Uint8Array<ArrayBuffer>;
    content.sync();
    this.#names.set(path, content);
    this.#durableNames.set(path, content);
  }
}
