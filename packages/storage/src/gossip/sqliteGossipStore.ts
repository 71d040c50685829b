import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { Database } from '../sqlite/database.js';
import { integer } from '../sqlite/values.js';
import { StorageError } from '../storageError.js';
import { ChannelIndex } from './channelIndex.js';
import type {
  ChannelSummary,
  GossipBlock,
  GossipChannel,
  GossipDirection,
  GossipNode,
  GossipStore,
  GossipUpdate,
  NewGossipChannel,
} from './gossipStore.js';
import { type GossipTables, gossipTables } from './gossipTables.js';

/** Collected writes that are written by themselves: a few milliseconds of work. */
const FLUSH_AFTER = 256;
/** Collected writes that a full disk may leave; older ones are dropped then. */
const MAX_PENDING = 8_192;
/** Where the timestamp of a `channel_update` is: behind type, signature, chain hash and short channel id. */
const UPDATE_TIMESTAMP = 2 + 64 + 32 + 8;
/** Where the length of the features of a `node_announcement` is; its timestamp follows them. */
const NODE_FEATURES = 2 + 64;

interface SqliteGossipStoreOptions {
  readonly database: Database;
  /** Something went wrong that the owner should read in the log; the store goes on. */
  readonly warn: (message: string) => void;
  /** Puts the file away, when it turns out to be damaged. Its connection may still be open. */
  readonly setAside: () => void;
  readonly onLost?: (() => void) | undefined;
}

type Write = (tables: GossipTables) => void;

/** See GossipStore; opened by openGossipStore. */
export class SqliteGossipStore implements GossipStore {
  readonly #given: SqliteGossipStoreOptions;
  readonly #index = new ChannelIndex();
  readonly #nodes = new Map<string, number>();
  #database: Database;
  /** Absent where not even memory is left to store in: then only the index works. */
  #tables: GossipTables | undefined;
  #pending: Write[] = [];
  #lost = false;
  #full = false;
  #open = true;

  constructor(options: SqliteGossipStoreOptions) {
    this.#given = options;
    this.#database = options.database;
    this.#guarded(() => {
      this.#tables = gossipTables(this.#database);
    });
  }

  get channelCount(): number {
    return this.#index.count;
  }

  get nodeCount(): number {
    return this.#nodes.size;
  }

  get pendingWrites(): number {
    return this.#pending.length;
  }

  load(visitor: Parameters<GossipStore['load']>[0]): void {
    this.flush();
    this.#index.clear();
    this.#nodes.clear();
    this.#guarded((tables) => {
      tables.loadChannels((channel, checksums) => {
        const { shortChannelId, updates } = channel;
        this.#index.add(shortChannelId, channel.knownSince);
        for (const direction of [0, 1] as const) {
          const update = updates[direction];
          if (update === undefined) continue;
          const timestamp = readU32(update, UPDATE_TIMESTAMP);
          this.#index.setUpdate(shortChannelId, { direction, timestamp, checksum: checksums[direction] });
        }
        visitor.channel(channel);
      });
      tables.loadNodes((nodeId, message) => {
        const features = (message[NODE_FEATURES] as number) * 256 + (message[NODE_FEATURES + 1] as number);
        this.#nodes.set(bytesToHex(nodeId), readU32(message, NODE_FEATURES + 2 + features));
        visitor.node(nodeId, message);
      });
    });
  }

  hasChannel(shortChannelId: bigint): boolean {
    return this.#index.has(shortChannelId);
  }

  updateTimestamp(shortChannelId: bigint, direction: GossipDirection): number {
    return this.#index.timestamp(shortChannelId, direction);
  }

  nodeTimestamp(nodeId: string): number {
    return this.#nodes.get(nodeId) ?? 0;
  }

  summaries(first: bigint): IterableIterator<ChannelSummary> {
    return this.#index.from(first);
  }

  nodesAfter(nodeId: string, limit: number): { nodeId: string; timestamp: number }[] {
    if (!this.#full) this.flush();
    const ids = this.#guarded((tables) => tables.nodeIdsAfter(hexToBytes(nodeId), limit)) ?? [];
    return ids.map((id) => {
      const hex = bytesToHex(id);
      return { nodeId: hex, timestamp: this.nodeTimestamp(hex) };
    });
  }

  getChannel(shortChannelId: bigint): GossipChannel | undefined {
    if (!this.#index.has(shortChannelId)) return undefined;
    if (!this.#full) this.flush();
    return this.#guarded((tables) => tables.getChannel(shortChannelId));
  }

  getNode(nodeId: string): Uint8Array | undefined {
    if (!this.#nodes.has(nodeId)) return undefined;
    if (!this.#full) this.flush();
    return this.#guarded((tables) => tables.getNode(hexToBytes(nodeId)));
  }

  putChannel(channel: NewGossipChannel): void {
    integer('shortChannelId', channel.shortChannelId);
    this.#index.add(channel.shortChannelId, channel.knownSince);
    this.#write((tables) => tables.putChannel(channel));
  }

  putUpdate(update: GossipUpdate): void {
    if (!this.#index.setUpdate(update.shortChannelId, update)) return;
    this.#write((tables) => tables.putUpdate(update));
  }

  putNode(node: GossipNode): void {
    this.#nodes.set(node.nodeId, node.timestamp);
    this.#write((tables) => tables.putNode(hexToBytes(node.nodeId), node));
  }

  setSpent(shortChannelId: bigint, height: number | undefined): void {
    this.#write((tables) => tables.setSpent(shortChannelId, height));
  }

  removeChannel(shortChannelId: bigint): void {
    if (this.#index.remove(shortChannelId)) this.#write((tables) => tables.removeChannel(shortChannelId));
  }

  removeNode(nodeId: string): void {
    if (this.#nodes.delete(nodeId)) this.#write((tables) => tables.removeNode(hexToBytes(nodeId)));
  }

  loadBlocks(): GossipBlock[] {
    this.flush();
    return this.#guarded((tables) => tables.loadBlocks()) ?? [];
  }

  putBlock(block: GossipBlock): void {
    this.#write((tables) => tables.putBlock(block));
  }

  removeBlocksFrom(height: number): void {
    this.#write((tables) => tables.removeBlocksFrom(height));
  }

  flush(): void {
    if (this.#pending.length === 0 || !this.#open) return;
    this.#guarded((tables) => {
      const writes = this.#pending;
      tables.transaction(() => {
        for (const write of writes) write(tables);
      });
      this.#pending = [];
      if (this.#full) this.#given.warn(`${this.#database.path} can be written again`);
      this.#full = false;
    });
  }

  close(): void {
    if (!this.#open) return;
    this.flush();
    this.#open = false;
    try {
      // libsql keeps the file open until its statements are collected, so nothing may be left to do then.
      this.#database.pragma('wal_checkpoint(TRUNCATE)');
    } catch (error) {
      this.#given.warn(`the store of gossip was not closed in order: ${textOf(error)}`);
    }
    this.#database.close();
  }

  #write(write: Write): void {
    if (!this.#open) return;
    this.#pending.push(write);
    // On a full disk only the owner's timer tries: not every write.
    if (this.#pending.length >= FLUSH_AFTER && !this.#full) this.flush();
    if (this.#pending.length > MAX_PENDING) this.#pending.splice(0, this.#pending.length - MAX_PENDING);
  }

  /** Runs what needs the database; its failures are dealt with here, and `undefined` comes back for them. */
  #guarded<T>(run: (tables: GossipTables) => T): T | undefined {
    if (!this.#open) return undefined;
    try {
      return run(this.#tables as GossipTables);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#fail(error);
      return undefined;
    }
  }

  #fail(error: StorageError): void {
    switch (error.code) {
      case 'disk_full':
      case 'locked':
        if (!this.#full) this.#given.warn(`gossip is not written for now: ${error.message}`);
        this.#full = true;
        return;
      case 'corrupt':
      case 'failed':
        this.#goOnInMemory(error, { setAside: true });
        return;
      case 'io':
      case 'newer_version':
      case 'duplicate':
      case 'not_found':
      case 'out_of_range':
      case 'wrong_use':
      case 'copy_behind':
      case 'copy_lost':
      case 'copy_conflict':
        this.#goOnInMemory(error, { setAside: false });
    }
  }

  /**
   * A new file cannot begin beside the damaged one in this process: libsql keeps that one open until its
   * statements are collected, and SQLite then removes the write-ahead log that has its name.
   */
  #goOnInMemory(error: StorageError, { setAside }: { setAside: boolean }): void {
    if (this.#lost) throw error;
    this.#lost = true;
    this.#given.warn(
      `the store of gossip cannot be used: ${error.message}; the network is learned anew, and kept in memory ` +
        'until the next start',
    );
    this.#pending = [];
    this.#index.clear();
    this.#nodes.clear();
    this.#database.close();
    if (setAside) this.#given.setAside();
    this.#database = new Database(':memory:');
    this.#tables = gossipTables(this.#database);
    this.#given.onLost?.();
  }
}

function readU32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(offset);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
