import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GossipChannel, GossipStore } from './gossipStore.js';
import { fakeChannel, fakeNode, fakeUpdate, loaded, nodeIdOf } from './gossipStore.test.support.js';
import { type OpenGossipStoreOptions, openGossipStore } from './openGossipStore.js';

let folder: string;
let warnings: string[];
let lost: number;
const opened: GossipStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gossip-store-'));
  warnings = [];
  lost = 0;
});

afterEach(() => {
  for (const store of opened.splice(0)) store.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(name = 'gossip.sqlite', options: Partial<OpenGossipStoreOptions> = {}): GossipStore {
  const store = openGossipStore({
    path: join(folder, name),
    warn: (message) => warnings.push(message),
    onLost: () => lost++,
    ...options,
  });
  opened.push(store);
  return store;
}

/** What a kill of the process leaves: the files as they are while the store is open. */
function copyAsKilled(to: string): void {
  for (const suffix of ['', '-wal']) {
    copyFileSync(join(folder, `gossip.sqlite${suffix}`), join(folder, `${to}${suffix}`));
  }
}

const update = (shortChannelId: bigint, direction: 0 | 1, timestamp: number) => ({
  shortChannelId,
  direction,
  message: fakeUpdate(timestamp),
  timestamp,
  checksum: timestamp ^ 0xffff,
});

describe('what was put', () => {
  test('is read back before and after a flush', () => {
    const store = open();
    const channel = fakeChannel(77n);
    const first = update(77n, 0, 5000);
    store.putChannel(channel);
    store.putUpdate(first);
    const expected = { ...channel, updates: [first.message, undefined], spentHeight: undefined };
    expect(store.getChannel(77n)).toEqual(expected);
    store.flush();
    expect(store.pendingWrites).toBe(0);
    expect(store.getChannel(77n)).toEqual(expected);
    expect(store.updateTimestamp(77n, 0)).toBe(5000);
    expect(store.updateTimestamp(77n, 1)).toBe(0);
  });

  test('replaces what was there: a later update, a channel announced anew, a node', () => {
    const store = open();
    store.putChannel(fakeChannel(77n));
    store.putUpdate(update(77n, 1, 5000));
    const later = update(77n, 1, 6000);
    store.putUpdate(later);
    expect(store.getChannel(77n)?.updates).toEqual([undefined, later.message]);
    store.putChannel(fakeChannel(77n));
    expect(store.getChannel(77n)?.updates).toEqual([undefined, undefined]);
    expect(store.channelCount).toBe(1);
    store.putNode(fakeNode(nodeIdOf(1), 10));
    const node = fakeNode(nodeIdOf(1), 20);
    store.putNode(node);
    expect(store.nodeTimestamp(nodeIdOf(1))).toBe(20);
    expect(store.getNode(nodeIdOf(1))).toEqual(node.message);
  });

  test('is gone when it was removed, with its updates', () => {
    const store = open();
    store.putChannel(fakeChannel(77n));
    store.putNode(fakeNode(nodeIdOf(1), 10));
    store.removeChannel(77n);
    store.removeNode(nodeIdOf(1));
    store.putUpdate(update(77n, 0, 5000));
    expect(store.getChannel(77n)).toBeUndefined();
    expect(store.getNode(nodeIdOf(1))).toBeUndefined();
    expect([store.channelCount, store.nodeCount]).toEqual([0, 0]);
    store.close();
    expect(loaded(open())).toEqual({ channels: [], nodes: [] });
  });

  test('comes back after a restart: rows, timestamps, checksums, spends, blocks', () => {
    const store = open();
    const ids = [900n << 40n, 3n, 700n << 40n];
    for (const id of ids) store.putChannel(fakeChannel(id));
    store.putChannel({ ...fakeChannel(900n << 40n), fundingTxid: undefined, capacitySat: undefined });
    store.putUpdate(update(700n << 40n, 1, 1_700_000_001));
    store.putUpdate(update(3n, 0, 1_700_000_001));
    store.putUpdate(update(3n, 1, 1_700_000_002));
    store.setSpent(3n, 800_000);
    store.putNode(fakeNode(nodeIdOf(9), 1_700_000_003));
    store.putBlock({ height: 5, hash: new Uint8Array(32).fill(5) });
    store.putBlock({ height: 6, hash: new Uint8Array(32).fill(6) });
    store.removeBlocksFrom(6);
    store.close();

    const again = open();
    const rows: GossipChannel[] = [];
    const nodes: Uint8Array[] = [];
    again.load({ channel: (channel) => rows.push(channel), node: (nodeId) => nodes.push(nodeId) });
    expect(rows.map(({ shortChannelId }) => shortChannelId)).toEqual([3n, 700n << 40n, 900n << 40n]);
    for (const row of rows) expect(row).toEqual(again.getChannel(row.shortChannelId));
    expect(nodes).toHaveLength(1);
    expect([...again.summaries(0n)][0]).toEqual({
      shortChannelId: 3n,
      knownSince: 1_700_000_000,
      timestamps: [1_700_000_001, 1_700_000_002],
      checksums: [1_700_000_001 ^ 0xffff, 1_700_000_002 ^ 0xffff],
    });
    expect(again.getChannel(3n)?.spentHeight).toBe(800_000);
    expect(again.nodeTimestamp(nodeIdOf(9))).toBe(1_700_000_003);
    expect(again.loadBlocks().map(({ height }) => height)).toEqual([5]);
  });

  test('keeps the blocks that a reorganisation may undo, and no more', () => {
    const store = open();
    for (let height = 1; height <= 200; height++) store.putBlock({ height, hash: new Uint8Array(32) });
    const blocks = store.loadBlocks();
    expect(blocks).toHaveLength(144);
    expect(blocks[0]?.height).toBe(57);
  });

  test('refuses an id that the column cannot hold', () => {
    expect(() => open().putChannel(fakeChannel(1n << 63n))).toThrow(/out_of_range|shortChannelId/);
  });
});

describe('iterating', () => {
  test('begins at an id and sees what changes ahead of it', () => {
    const store = open();
    for (const id of [10n, 20n, 30n, 40n]) store.putChannel(fakeChannel(id));
    const seen: bigint[] = [];
    for (const { shortChannelId } of store.summaries(15n)) {
      seen.push(shortChannelId);
      if (shortChannelId !== 20n) continue;
      store.removeChannel(20n);
      store.removeChannel(30n);
      store.putChannel(fakeChannel(5n));
      store.putChannel(fakeChannel(35n));
    }
    expect(seen).toEqual([20n, 35n, 40n]);
  });

  test('agrees with a plain map over thousands of random changes', () => {
    const store = open();
    const model = new Map<bigint, number>();
    let random = 1;
    const next = () => {
      random = (random * 48_271) % 2_147_483_647;
      return random;
    };
    for (let i = 0; i < 6_000; i++) {
      const id = BigInt(next() % 2_500);
      switch (next() % 4) {
        case 0:
          store.removeChannel(id);
          model.delete(id);
          break;
        case 1:
          if (model.has(id)) model.set(id, i + 1);
          store.putUpdate(update(id, 1, i + 1));
          break;
        default:
          store.putChannel(fakeChannel(id));
          model.set(id, 0);
      }
    }
    const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
    expect([...store.summaries(0n)].map((one) => [one.shortChannelId, one.timestamps[1]])).toEqual(expected);
    store.close();
    const again = open();
    expect(loaded(again).channels).toEqual(expected.map(([id]) => id));
    expect([...again.summaries(0n)].map((one) => [one.shortChannelId, one.timestamps[1]])).toEqual(expected);
  });
});

describe('nodes', () => {
  test('are listed by id in pages, those not flushed as well', () => {
    const store = open();
    for (const n of [5, 1, 3]) store.putNode(fakeNode(nodeIdOf(n), 100 + n));
    store.removeNode(nodeIdOf(5));
    store.putNode(fakeNode(nodeIdOf(4), 104));
    expect(store.nodesAfter('', 2)).toEqual([
      { nodeId: nodeIdOf(1), timestamp: 101 },
      { nodeId: nodeIdOf(3), timestamp: 103 },
    ]);
    expect(store.nodesAfter(nodeIdOf(3), 2)).toEqual([{ nodeId: nodeIdOf(4), timestamp: 104 }]);
  });
});

describe('a crash', () => {
  test('loses at most what was not flushed', () => {
    const store = open();
    store.putChannel(fakeChannel(1n));
    store.flush();
    store.putChannel(fakeChannel(2n));
    copyAsKilled('killed.sqlite');
    const again = open('killed.sqlite');
    expect(loaded(again).channels).toEqual([1n]);
    expect(warnings).toEqual([]);
  });

  test('cannot lose more than some hundred writes, as these are written by themselves', () => {
    const store = open();
    for (let id = 1n; id <= 1_000n; id++) store.putChannel(fakeChannel(id));
    expect(store.pendingWrites).toBeLessThan(256);
    copyAsKilled('killed.sqlite');
    expect(loaded(open('killed.sqlite')).channels.length).toBeGreaterThan(1_000 - 256);
  });
});

describe('a damaged file', () => {
  test('that is no database is put aside and begun anew', () => {
    writeFileSync(join(folder, 'gossip.sqlite'), 'this is a shopping list, much longer than a header');
    const store = open();
    expect(loaded(store).channels).toEqual([]);
    expect(warnings.join()).toContain('gossip.sqlite.damaged');
    expect(readFileSync(join(folder, 'gossip.sqlite.damaged'), 'utf8')).toContain('shopping list');
    store.putChannel(fakeChannel(1n));
    store.close();
    expect(loaded(open()).channels).toEqual([1n]);
    expect(lost).toBe(0);
  });

  test('whose pages are overwritten is put aside; the node goes on in memory, and stores from the next start', () => {
    const store = open();
    for (let id = 1n; id <= 2_000n; id++) store.putChannel(fakeChannel(id));
    store.close();
    const path = join(folder, 'damaged-pages.sqlite');
    const bytes = readFileSync(join(folder, 'gossip.sqlite'));
    bytes.fill(0xa5, 8 * 4096, bytes.length);
    writeFileSync(path, bytes);

    const damaged = open('damaged-pages.sqlite');
    loaded(damaged);
    expect(lost).toBe(1);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('learned anew');
    expect(existsSync(path)).toBe(false);
    expect(existsSync(`${path}.damaged`)).toBe(true);
    expect(damaged.channelCount).toBe(0);
    damaged.putChannel(fakeChannel(5n));
    expect(damaged.getChannel(5n)?.shortChannelId).toBe(5n);
    damaged.close();

    const next = open('damaged-pages.sqlite');
    expect(loaded(next).channels).toEqual([]);
    next.putChannel(fakeChannel(6n));
    next.close();
    expect(loaded(open('damaged-pages.sqlite')).channels).toEqual([6n]);
    expect(warnings).toHaveLength(1);
  });

  test('that was cut short does not stop the node', () => {
    const store = open();
    for (let id = 1n; id <= 2_000n; id++) store.putChannel(fakeChannel(id));
    store.close();
    truncateSync(join(folder, 'gossip.sqlite'), 6 * 4096);
    const cut = open();
    loaded(cut);
    expect(lost).toBe(1);
    cut.putChannel(fakeChannel(5n));
    expect(cut.getChannel(5n)).toBeDefined();
  });

  test('that is a folder does not stop the node', () => {
    const store = open('.');
    store.putChannel(fakeChannel(5n));
    expect(store.getChannel(5n)).toBeDefined();
    expect(warnings).not.toEqual([]);
  });
});

describe('a full disk', () => {
  test('leaves writes collected up to a bound, and the store working', () => {
    const store = open('small.sqlite', { maxPages: 60 });
    for (let id = 1n; id <= 20_000n; id++) store.putChannel(fakeChannel(id));
    expect(store.pendingWrites).toBe(8_192);
    expect(warnings).toHaveLength(1);
    expect(store.hasChannel(20_000n)).toBe(true);
    expect(store.getChannel(1n)?.shortChannelId).toBe(1n);
    store.flush();
    expect(warnings).toHaveLength(1);
    expect(lost).toBe(0);
  });
});

describe('a network of 50,000 channels', () => {
  test('is loaded without an object a message, and takes 60 MB of disk at most', () => {
    const store = open();
    for (let i = 0; i < 50_000; i++) {
      const id = BigInt(500_000 + i) << 40n;
      store.putChannel(fakeChannel(id));
      store.putUpdate(update(id, 0, 1_700_000_000 + i));
      store.putUpdate(update(id, 1, 1_700_000_000 + i));
    }
    for (let i = 0; i < 17_000; i++) store.putNode(fakeNode(nodeIdOf(i), 1_700_000_000));
    store.close();
    expect(readFileSync(join(folder, 'gossip.sqlite')).length).toBeLessThan(60_000_000);
    const again = open();
    const start = performance.now();
    const { channels, nodes } = loaded(again);
    const milliseconds = performance.now() - start;
    console.info(
      `loaded ${channels.length} channels and ${nodes.length} nodes in ${milliseconds.toFixed(0)} ms`,
    );
    expect([channels.length, nodes.length]).toEqual([50_000, 17_000]);
    // Far above what it takes on a slow machine (0.5 s): this is to see a loss of an order of magnitude.
    expect(milliseconds).toBeLessThan(5_000);
  });
});
